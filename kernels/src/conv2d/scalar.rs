//! The reference: [`product::scalar`](crate::product::scalar).

use super::ImageRows;
use crate::product::{Kernel, scalar};
use crate::{Caps, Variant};

/// Row of the family's table.
pub(super) const VARIANT: Variant<Kernel<ImageRows>> = Variant {
    name: "scalar",
    needs: Caps::SCALAR,
    run: Kernel {
        scratch: scalar::scratch::<ImageRows>,
        run: scalar::run::<ImageRows>,
    },
};
