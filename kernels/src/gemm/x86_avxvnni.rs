//! AVX-VNNI: see [`isa::x86_avxvnni`](crate::isa::x86_avxvnni).

use super::MatrixRows;
use crate::isa::product;
use crate::isa::x86_avxvnni::AvxVnni;
use crate::product::Kernel;
use crate::{Caps, Variant};

/// Row of the family's table.
pub(super) const VARIANT: Variant<Kernel<MatrixRows>> = Variant {
    name: "x86_avxvnni",
    needs: Caps::AVX2.union(Caps::AVXVNNI),
    run: Kernel {
        scratch: product::scratch::<AvxVnni, MatrixRows>,
        run: product::run::<AvxVnni, MatrixRows>,
    },
};
