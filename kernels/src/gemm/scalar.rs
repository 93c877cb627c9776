//! The reference: [`product::scalar`](crate::product::scalar).

use super::MatrixRows;
use crate::product::{Kernel, scalar};
use crate::{Caps, Variant};

/// Row of the family's table.
pub(super) const VARIANT: Variant<Kernel<MatrixRows>> = Variant {
    name: "scalar",
    needs: Caps::SCALAR,
    run: Kernel {
        scratch: scalar::scratch::<MatrixRows>,
        run: scalar::run::<MatrixRows>,
    },
};
