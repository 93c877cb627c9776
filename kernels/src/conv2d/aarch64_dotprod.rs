//! Dot products: decoded panels and tiles, see
//! [`isa::aarch64_dotprod`](crate::isa::aarch64_dotprod).

use super::ImageRows;
use crate::isa::aarch64_dotprod::DotProducts;
use crate::isa::product;
use crate::product::Kernel;
use crate::{Caps, Variant};

/// Row of the family's table.
pub(super) const VARIANT: Variant<Kernel<ImageRows>> = Variant {
    name: "aarch64_dotprod",
    needs: Caps::DOTPROD,
    run: Kernel {
        scratch: product::scratch::<DotProducts, ImageRows>,
        run: product::run::<DotProducts, ImageRows>,
    },
};
