//! NEON: decoded panels and tiles, see
//! [`isa::aarch64_neon`](crate::isa::aarch64_neon).

use super::MatrixRows;
use crate::isa::aarch64_neon::Baseline;
use crate::isa::product;
use crate::product::Kernel;
use crate::{Caps, Variant};

/// Row of the family's table.
pub(super) const VARIANT: Variant<Kernel<MatrixRows>> = Variant {
    name: "aarch64_neon",
    needs: Caps::NEON,
    run: Kernel {
        scratch: product::scratch::<Baseline, MatrixRows>,
        run: product::run::<Baseline, MatrixRows>,
    },
};
