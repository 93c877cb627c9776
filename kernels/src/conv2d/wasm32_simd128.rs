//! WebAssembly simd128: decoded panels and tiles, see
//! [`isa::wasm32_simd128`](crate::isa::wasm32_simd128).

use super::ImageRows;
use crate::isa::product;
use crate::isa::wasm32_simd128::All;
use crate::product::Kernel;
use crate::{Caps, Variant};

/// Row of the family's table.
pub(super) const VARIANT: Variant<Kernel<ImageRows>> = Variant {
    name: "wasm32_simd128",
    needs: Caps::SIMD128,
    run: Kernel {
        scratch: product::scratch::<All, ImageRows>,
        run: product::run::<All, ImageRows>,
    },
};
