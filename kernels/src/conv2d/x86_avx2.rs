//! AVX2: decoded panels and tiles, see
//! [`isa::x86_avx2`](crate::isa::x86_avx2).

use super::ImageRows;
use crate::isa::product;
use crate::isa::x86_avx2::Avx2;
use crate::product::Kernel;
use crate::{Caps, Variant};

/// Row of the family's table.
pub(super) const VARIANT: Variant<Kernel<ImageRows>> = Variant {
    name: "x86_avx2",
    needs: Caps::AVX2,
    run: Kernel {
        scratch: product::scratch::<Avx2, ImageRows>,
        run: product::run::<Avx2, ImageRows>,
    },
};
