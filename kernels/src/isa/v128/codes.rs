//! Ternary codes out of packed panels, 64 at a time.
//!
//! A *quad* is four consecutive k of 16 outputs: the same field (t2) or digit
//! (t5) of the 64 bytes of a panel, or one nibble (n12, n34) of 16 of them. Byte
//! `4 * o + j` is trit plus one of output `o` at the quad's k number `j`.

use super::{QUARTERS, Registers, fours};
use crate::Codec;
use crate::layout::{PANEL_BYTES, n12, n34};

/// Four outputs in each register.
pub(crate) type Quad<V> = [<V as Registers>::I; QUARTERS];

/// The most quads that a panel has.
const MOST: usize = n12::PANEL_K / 4;

/// A block's quads, decoded a panel at a time.
pub(crate) struct Quads<'a, V: Registers> {
    codec: Codec,
    block: &'a [u8],
    /// Quads of a panel.
    count: usize,
    /// The panel that was decoded last; none at first.
    panel: usize,
    quads: [Quad<V>; MOST],
}

impl<'a, V: Registers> Quads<'a, V> {
    /// Those of a block of a ternary codec; all zero trits for another one.
    ///
    /// # Safety
    ///
    /// As for [`Registers`], here and below.
    #[inline(always)]
    pub(crate) unsafe fn new(codec: Codec, block: &'a [u8]) -> Self {
        Quads {
            codec,
            block,
            count: codec.panel().0 / 4,
            panel: usize::MAX,
            // SAFETY: the caller's promise.
            quads: [[unsafe { fours::<V>([1; 4]) }; QUARTERS]; MOST],
        }
    }

    /// Number `index` of the block's filled k axis, counted from the block's
    /// start.
    #[inline(always)]
    pub(crate) unsafe fn get(&mut self, index: usize) -> Quad<V> {
        let (panel, i) = (index / self.count, index % self.count);
        if panel != self.panel {
            self.panel = panel;
            let (_, len) = self.codec.panel();
            let from = &self.block[panel * len..][..len];
            // SAFETY: the caller's promise.
            unsafe {
                for (quarter, bytes) in load::<V>(from, 0).into_iter().enumerate() {
                    match self.codec {
                        Codec::T2 => self.put(quarter, fields::<V>(bytes)),
                        Codec::T5 => self.put(quarter, digits::<V>(bytes)),
                        Codec::N12 => self.put(quarter, pairs::<V>(bytes)),
                        Codec::N34 => {
                            let signs = from[n34::SIGNS + 4 * quarter..].first_chunk();
                            self.put(quarter, nibbles::<V>(bytes, signs.unwrap_or(&[0; 4])));
                        }
                        _ => {}
                    }
                }
            }
        }
        self.quads[i]
    }

    #[inline(always)]
    fn put<const N: usize>(&mut self, quarter: usize, codes: [V::I; N]) {
        for (quad, codes) in self.quads.iter_mut().zip(codes) {
            quad[quarter] = codes;
        }
    }
}

/// The 64 bytes of a ternary panel.
///
/// # Safety
///
/// As for [`Registers`].
#[inline(always)]
pub(crate) unsafe fn load<V: Registers>(block: &[u8], panel: usize) -> Quad<V> {
    let bytes = block[panel * PANEL_BYTES..][..PANEL_BYTES].as_ptr();
    // SAFETY: 64 bytes.
    unsafe {
        [
            V::load(bytes),
            V::load(bytes.add(16)),
            V::load(bytes.add(32)),
            V::load(bytes.add(48)),
        ]
    }
}

/// The 2-bit fields of a quarter of a t2 panel.
///
/// # Safety
///
/// As for [`Registers`].
#[inline(always)]
unsafe fn fields<V: Registers>(bytes: V::I) -> [V::I; 4] {
    // SAFETY: the caller's promise.
    unsafe {
        let mask = fours::<V>([3; 4]);
        [
            V::and(bytes, mask),
            V::and(V::shift_16::<2>(bytes), mask),
            V::and(V::shift_16::<4>(bytes), mask),
            V::and(V::shift_16::<6>(bytes), mask),
        ]
    }
}

/// The digits of a quarter of a t5 panel: `byte / 3^i`, modulo 3 except for the
/// last.
///
/// # Safety
///
/// As for [`Registers`].
#[inline(always)]
unsafe fn digits<V: Registers>(bytes: V::I) -> [V::I; 5] {
    // SAFETY: the caller's promise.
    unsafe {
        // x / 3 = x * 171 >> 9 for every byte, and the product fits 16 bits.
        let third = fours::<V>([171, 0, 171, 0]);
        let mut low = V::and(bytes, fours::<V>([0xff, 0, 0xff, 0]));
        let mut high = V::shift_16::<8>(bytes);
        let up = fours::<V>([0, 1, 0, 1]);
        let mut quotient = bytes;
        let mut digits = [bytes; 5];
        for digit in &mut digits[..4] {
            low = V::shift_16::<9>(V::mul_16(low, third));
            high = V::shift_16::<9>(V::mul_16(high, third));
            let next = V::xor(low, V::mul_16(high, up));
            let three_times = V::add_8(next, V::add_8(next, next));
            *digit = V::sub_8(quotient, three_times);
            quotient = next;
        }
        digits[4] = quotient;
        digits
    }
}

/// The nibbles of a quarter of an n12 panel, in k order: two pairs of every
/// output each.
///
/// # Safety
///
/// As for [`Registers`].
#[inline(always)]
unsafe fn pairs<V: Registers>(bytes: V::I) -> [V::I; MOST] {
    /// Byte 0 of every output, four times.
    const FIRST: [u8; 16] = [0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12];
    /// Trit plus one by side and sign, for an even and an odd k.
    const CODES: [u8; 16] = [2, 1, 0, 1, 1, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    // SAFETY: the caller's promise; 16 bytes each.
    unsafe {
        let mut select = V::load(FIRST.as_ptr());
        let codes = V::load(CODES.as_ptr());
        // Of four bytes, the first two show the lower pair and the last two the
        // upper one; of each two, the first is the even k.
        let lower = fours::<V>([3, 3, 0, 0]);
        let upper = fours::<V>([0, 0, 3, 3]);
        let odd = fours::<V>([0, 4, 0, 4]);
        let mut nibbles = [bytes; MOST];
        for two in nibbles.as_chunks_mut::<2>().0 {
            let byte = V::look_up(bytes, select);
            for (nibble, four) in two.iter_mut().zip([byte, V::shift_16::<4>(byte)]) {
                let upper = V::and(V::shift_16::<2>(four), upper);
                let index = V::xor(V::xor(V::and(four, lower), upper), odd);
                *nibble = V::look_up(codes, index);
            }
            select = V::add_8(select, fours::<V>([1; 4]));
        }
        nibbles
    }
}

/// The nibbles of a quarter of an n34 panel, in k order: four weights of every output
/// each, with the outputs' third signs.
///
/// # Safety
///
/// As for [`Registers`].
#[inline(always)]
unsafe fn nibbles<V: Registers>(bytes: V::I, signs: &[u8; 4]) -> [V::I; MOST] {
    /// Bytes 0 to 3, four times each.
    const OUTPUTS: [u8; 16] = [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3];
    /// The last byte of every output, four times.
    const LAST: [u8; 16] = [3, 3, 3, 3, 7, 7, 7, 7, 11, 11, 11, 11, 15, 15, 15, 15];
    // SAFETY: the caller's promise; 16 bytes each.
    unsafe {
        let codes = V::load(n34::CODES.as_ptr());
        let third = V::load(n34::THIRD.as_ptr());
        let nibble = fours::<V>([15; 4]);
        let upper = fours::<V>([0x80; 4]);
        let turns = fours::<V>(n34::TURNS.map(|turn| 4 * turn));
        // The uppermost bit of each byte is the sign of the nibble in turn, from the
        // last on; a look-up gives 0 where it is set.
        let mut signs = V::look_up(fours::<V>(*signs), V::load(OUTPUTS.as_ptr()));
        let mut select = V::load(LAST.as_ptr());
        let mut nibbles = [bytes; MOST];
        for two in nibbles.as_chunks_mut::<2>().0.iter_mut().rev() {
            let byte = V::look_up(bytes, select);
            for (four, index) in two.iter_mut().zip([byte, V::shift_16::<4>(byte)]).rev() {
                let index = V::and(V::add_8(index, turns), nibble);
                // Both are apart from each other.
                let signed = V::xor(index, V::and(signs, upper));
                *four = V::xor(V::look_up(codes, index), V::look_up(third, signed));
                signs = V::add_8(signs, signs);
            }
            select = V::sub_8(select, fours::<V>([1; 4]));
        }
        nibbles
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Caps, testing};
    use std::println;

    #[cfg(target_arch = "aarch64")]
    use crate::isa::aarch64_neon::Neon as Here;
    #[cfg(target_arch = "wasm32")]
    use crate::isa::wasm32_simd128::Simd128 as Here;
    #[cfg(target_arch = "x86_64")]
    use crate::isa::x86_sse41::Sse41 as Here;

    #[test]
    fn every_byte_decodes_as_the_layouts_say() {
        if Caps::detect() == Caps::SCALAR {
            return println!("skipped: this CPU has none of the instruction sets");
        }
        testing::quads_are_as_the_layouts_say(|codec, bytes, count| {
            // SAFETY: the instruction set was just found.
            let mut quads = unsafe { Quads::<Here>::new(codec, bytes) };
            // SAFETY: as above; a quad is 64 bytes.
            let quad = |i| unsafe { core::mem::transmute(quads.get(i)) };
            (0..count).map(quad).collect()
        });
    }
}
