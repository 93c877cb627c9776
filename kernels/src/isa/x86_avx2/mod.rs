//! AVX2 with FMA and F16C.

use super::product::Tiles;
use lookup::N12;
use pairs::{BytePairs, FloatPairs, WordPairs};
use tile::{F32, I8, I16, WideI8};

mod bytes;
pub(crate) mod codes;
pub(crate) mod lookup;
pub(crate) mod matvec;
pub(crate) mod nibbles;
pub(crate) mod pair_panel;
pub(crate) mod pairs;
pub(crate) mod panel;
pub(crate) mod tile;

/// AVX2 alone.
pub(crate) enum Avx2 {}

impl Tiles for Avx2 {
    type Floats = F32;
    type Words = I16;
    type Bytes = I8;
    type NonNegative = I8;
    type DenseBytes = WideI8;
    type LookUp = N12;
    type FloatPairs = FloatPairs;
    type WordPairs = WordPairs;
    type BytePairs = BytePairs;
    type ByteRows = matvec::Bytes;
}
