//! AMX with bytes: see [`isa::x86_amxint8`](crate::isa::x86_amxint8).

use super::ImageRows;
use crate::isa::x86_amxint8;
use crate::product::Kernel;
use crate::{Caps, Variant};

/// Row of the family's table.
pub(super) const VARIANT: Variant<Kernel<ImageRows>> = Variant {
    name: "x86_amxint8",
    needs: Caps::AVX2
        .union(Caps::AVX512VNNI)
        .union(Caps::AVX512VBMI)
        .union(Caps::AMXINT8),
    run: Kernel {
        scratch: x86_amxint8::scratch::<ImageRows>,
        run: x86_amxint8::run::<ImageRows>,
    },
};
