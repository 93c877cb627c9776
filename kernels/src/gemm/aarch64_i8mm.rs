//! Matrix products of bytes: decoded panels and tiles, see
//! [`isa::aarch64_i8mm`](crate::isa::aarch64_i8mm).

use super::MatrixRows;
use crate::isa::aarch64_i8mm::Matrices;
use crate::isa::product;
use crate::product::Kernel;
use crate::{Caps, Variant};

/// Row of the family's table.
pub(super) const VARIANT: Variant<Kernel<MatrixRows>> = Variant {
    name: "aarch64_i8mm",
    needs: Caps::I8MM,
    run: Kernel {
        scratch: product::scratch::<Matrices, MatrixRows>,
        run: product::run::<Matrices, MatrixRows>,
    },
};
