//! SSE4.1: decoded panels and tiles, see
//! [`isa::x86_sse41`](crate::isa::x86_sse41).

use super::MatrixRows;
use crate::isa::product;
use crate::isa::x86_sse41::All;
use crate::product::Kernel;
use crate::{Caps, Variant};

/// Row of the family's table.
pub(super) const VARIANT: Variant<Kernel<MatrixRows>> = Variant {
    name: "x86_sse41",
    needs: Caps::SSE41,
    run: Kernel {
        scratch: product::scratch::<All, MatrixRows>,
        run: product::run::<All, MatrixRows>,
    },
};
