//! AVX-512 with F, BW, DQ, VL and VNNI: tiles of 512-bit registers, one for the
//! sums of a block.

use super::product::Tiles;
pub(crate) use matvec::Bytes as ByteRows;
pub(crate) use multiply::{load, wait, waiting};
pub(crate) use pairs::{BytePairs, FloatPairs, WordPairs};
pub(crate) use strip::{Sums, finish, strip};
pub(crate) use tile::{BLOCKS, F32, I8, I16, Outputs, U7};

mod matvec;
mod multiply;
mod pairs;
mod panel;
mod strip;
mod tile;

/// AVX-512 VNNI.
pub(crate) enum Avx512Vnni {}

impl Tiles for Avx512Vnni {
    type Floats = F32;
    type Words = I16;
    type Bytes = I8;
    type NonNegative = U7;
    type DenseBytes = I8;
    // Multiplying 64 codes at once is faster than AVX2's look-up.
    type LookUp = I8;
    type FloatPairs = FloatPairs;
    type WordPairs = WordPairs;
    type BytePairs = BytePairs;
    type ByteRows = matvec::Bytes;
}
