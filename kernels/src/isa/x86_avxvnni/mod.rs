//! AVX-VNNI: AVX2's tiles, with one instruction for four products of bytes or
//! two of 16-bit integers. What it has no instructions for is AVX2's.

use super::x86_avx2::lookup::N12;
use super::x86_avx2::product::Tiles;
use super::x86_avx2::tile::F32;
use tile::{I8, I16, WideI8};

mod tile;

/// AVX2 and AVX-VNNI.
pub(crate) enum AvxVnni {}

impl Tiles for AvxVnni {
    type F32 = F32;
    type I16 = I16;
    type I8 = I8;
    type WideI8 = WideI8;
    // Adding what was looked up takes fewer instructions than multiplying.
    type N12 = N12;
}
