//! AVX-512 VBMI: see [`isa::x86_avx512vbmi`](crate::isa::x86_avx512vbmi).

use super::ImageRows;
use crate::isa::product;
use crate::isa::x86_avx512vbmi::Avx512Vbmi;
use crate::product::Kernel;
use crate::{Caps, Variant};

/// Row of the family's table.
pub(super) const VARIANT: Variant<Kernel<ImageRows>> = Variant {
    name: "x86_avx512vbmi",
    needs: Caps::AVX2.union(Caps::AVX512VNNI).union(Caps::AVX512VBMI),
    run: Kernel {
        scratch: product::scratch::<Avx512Vbmi, ImageRows>,
        run: product::run::<Avx512Vbmi, ImageRows>,
    },
};
