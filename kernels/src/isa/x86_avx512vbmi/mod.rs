//! AVX-512 VBMI, on top of AVX-512 VNNI: looks sums of n12 weights up, 64 at a
//! time. What it has no better way for is AVX-512 VNNI's.

use super::product::Tiles;
use super::x86_avx512vnni::{BytePairs, ByteRows, F32, FloatPairs, I8, I16, U7, WordPairs};
use lookup::N12;

mod lookup;

/// AVX-512 VNNI and VBMI.
pub(crate) enum Avx512Vbmi {}

impl Tiles for Avx512Vbmi {
    type Floats = F32;
    type Words = I16;
    type Bytes = I8;
    type NonNegative = U7;
    type DenseBytes = I8;
    type LookUp = N12;
    type FloatPairs = FloatPairs;
    type WordPairs = WordPairs;
    type BytePairs = BytePairs;
    type ByteRows = ByteRows;
}
