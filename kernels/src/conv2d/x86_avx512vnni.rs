//! AVX-512 VNNI: see [`isa::x86_avx512vnni`](crate::isa::x86_avx512vnni).

use super::ImageRows;
use crate::isa::product;
use crate::isa::x86_avx512vnni::Avx512Vnni;
use crate::product::Kernel;
use crate::{Caps, Variant};

/// Row of the family's table.
pub(super) const VARIANT: Variant<Kernel<ImageRows>> = Variant {
    name: "x86_avx512vnni",
    needs: Caps::AVX2.union(Caps::AVX512VNNI),
    run: Kernel {
        scratch: product::scratch::<Avx512Vnni, ImageRows>,
        run: product::run::<Avx512Vnni, ImageRows>,
    },
};
