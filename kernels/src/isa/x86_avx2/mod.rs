//! AVX2 with FMA and F16C.

pub(crate) mod codes;
pub(crate) mod lookup;
mod matvec;
pub(crate) mod panel;
pub(crate) mod product;
pub(crate) mod tile;
