//! AVX-VNNI: AVX2's tiles, with one instruction for four products of bytes or
//! two of 16-bit integers. What it has no instructions for is AVX2's.

use super::product::Tiles;
use super::x86_avx2::lookup::N12;
use super::x86_avx2::pairs::FloatPairs;
use super::x86_avx2::tile::F32;
use pairs::{BytePairs, WordPairs};
use tile::{I8, I16, WideI8};

mod matvec;
mod pairs;
mod tile;

/// AVX2 and AVX-VNNI.
pub(crate) enum AvxVnni {}

impl Tiles for AvxVnni {
    type Floats = F32;
    type Words = I16;
    type Bytes = I8;
    type NonNegative = I8;
    type DenseBytes = WideI8;
    // Adding what was looked up takes fewer instructions than multiplying.
    type LookUp = N12;
    type FloatPairs = FloatPairs;
    type WordPairs = WordPairs;
    type BytePairs = BytePairs;
    type ByteRows = matvec::Bytes;
}
