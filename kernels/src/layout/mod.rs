//! Weight layouts ("codecs"): one file per codec, specified bit by bit in the
//! runtime's FORMAT.md.
//!
//! A layout stores a logical array `w[group][output][tap][channel]`, the shape of
//! which is a [`Matrix`]. A matrix product has one tap; a depthwise convolution
//! is one group of `C` outputs, one tap and `kernel_h * kernel_w` channels.

use crate::Invalid;

pub(crate) mod dense_f16;
pub(crate) mod dense_f32;
pub(crate) mod dense_i8;
pub(crate) mod n12;
pub(crate) mod n34;
pub(crate) mod t2;
pub(crate) mod t5;

/// Outputs of a block: what one panel holds side by side.
pub(crate) const BLOCK: usize = 16;
/// Bytes of a ternary panel; of `n34`, those of its nibbles.
pub(crate) const PANEL_BYTES: usize = 64;

/// How a weight array is stored. The codes are those of the file format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Codec {
    /// Row-major elements of the tensor's own dtype; not a panel layout.
    Plain = 0,
    /// f32 panels of 16 outputs.
    F32 = 1,
    /// f16 panels of 16 outputs.
    F16 = 2,
    /// Ternary, 2.0 bits a weight.
    T2 = 3,
    /// Ternary, five trits a byte.
    T5 = 4,
    /// Ternary, exactly one non-zero in each pair of input channels, 1.0 bit a
    /// weight.
    N12 = 5,
    /// Ternary, exactly one zero in each four input channels, 1.25 bits a weight.
    N34 = 6,
    /// i8 panels of 16 outputs.
    I8 = 7,
}

/// Shape of a weight array.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Matrix {
    /// Convolution groups; 1 for a matrix product.
    pub groups: usize,
    /// Outputs of one group.
    pub outputs: usize,
    /// Kernel positions, `kernel_h * kernel_w`.
    pub taps: usize,
    /// Input channels of one group.
    pub channels: usize,
}

/// A packed weight array and its scales.
#[derive(Clone, Copy, Debug)]
pub struct Weights<'a> {
    /// How `bytes` is laid out; never [`Codec::Plain`].
    pub codec: Codec,
    /// Exactly `codec.packed_len(&matrix)` bytes.
    pub bytes: &'a [u8],
    /// One scale per output over all groups; `None` counts as 1.0.
    pub scale: Option<&'a [f32]>,
}

impl Matrix {
    /// Number of logical weights, if it fits.
    pub fn len(&self) -> Option<usize> {
        self.groups
            .checked_mul(self.outputs)?
            .checked_mul(self.taps)?
            .checked_mul(self.channels)
    }

    /// Whether the array has no weights.
    pub fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }
}

impl Codec {
    /// Every codec of this version, in code order.
    pub const ALL: [Codec; 8] = [
        Codec::Plain,
        Codec::F32,
        Codec::F16,
        Codec::T2,
        Codec::T5,
        Codec::N12,
        Codec::N34,
        Codec::I8,
    ];

    /// The codec with this code in the file format.
    pub fn from_code(code: u8) -> Option<Codec> {
        Self::ALL.get(usize::from(code)).copied()
    }

    /// Lower-case name: `f32`, `t2` ...
    pub const fn name(self) -> &'static str {
        match self {
            Codec::Plain => "plain",
            Codec::F32 => "f32",
            Codec::F16 => "f16",
            Codec::T2 => "t2",
            Codec::T5 => "t5",
            Codec::N12 => "n12",
            Codec::N34 => "n34",
            Codec::I8 => "i8",
        }
    }

    /// Whether the codec holds trits rather than numbers.
    pub const fn is_ternary(self) -> bool {
        matches!(self, Codec::T2 | Codec::T5 | Codec::N12 | Codec::N34)
    }

    /// The largest magnitude that a kernel multiplies with where the codec holds
    /// integers, codes included that a writer never writes; `None` where it
    /// holds floats.
    pub const fn largest(self) -> Option<usize> {
        match self {
            Codec::T2 | Codec::T5 => Some(2),
            Codec::N12 | Codec::N34 => Some(1),
            Codec::I8 => Some(128),
            Codec::Plain | Codec::F32 | Codec::F16 => None,
        }
    }

    /// Whether the codec can hold these trits, in the order of
    /// [`pack_i8`](Self::pack_i8): any for `t2` and `t5`; for `n12` the channels
    /// of a group must be even and exactly one of each pair not zero; for `n34`
    /// they must be a multiple of four and exactly one of each four zero.
    pub fn holds_trits(self, matrix: &Matrix, trits: &[i8]) -> bool {
        match self {
            Codec::T2 | Codec::T5 => true,
            Codec::N12 => {
                let (pairs, rest) = trits.as_chunks();
                matrix.channels.is_multiple_of(2)
                    && rest.is_empty()
                    && pairs.iter().all(|[a, b]| (*a == 0) != (*b == 0))
            }
            Codec::N34 => {
                let (fours, rest) = trits.as_chunks::<4>();
                let zeros = |four: &[i8; 4]| four.iter().filter(|t| **t == 0).count();
                matrix.channels.is_multiple_of(4)
                    && rest.is_empty()
                    && fours.iter().all(|four| zeros(four) == 1)
            }
            _ => false,
        }
    }

    /// Bytes of a packed array; `None` where that overflows, for `Plain`, for
    /// `N12` with an odd number of channels, and for `N34` where they are no
    /// multiple of four.
    pub fn packed_len(self, matrix: &Matrix) -> Option<usize> {
        self.block_len(matrix)?
            .checked_mul(matrix.blocks())?
            .checked_mul(matrix.groups)
    }

    /// Bytes of one block of 16 outputs.
    pub(crate) fn block_len(self, matrix: &Matrix) -> Option<usize> {
        let Matrix { taps, channels, .. } = *matrix;
        match self {
            Codec::Plain => None,
            Codec::F32 => dense_f32::block_len(taps, channels),
            Codec::F16 => dense_f16::block_len(taps, channels),
            Codec::T2 => t2::block_len(taps, channels),
            Codec::T5 => t5::block_len(taps, channels),
            Codec::N12 => n12::block_len(taps, channels),
            Codec::N34 => n34::block_len(taps, channels),
            Codec::I8 => dense_i8::block_len(taps, channels),
        }
    }

    /// Packs integer weights (order `[group][output][tap][channel]`,
    /// `matrix.len()` of them) into exactly [`packed_len`](Self::packed_len)
    /// bytes: trits (-1, 0, 1) that the codec [holds](Self::holds_trits) with a
    /// ternary one, -127..=127 with `I8`.
    pub fn pack_i8(self, matrix: &Matrix, values: &[i8], out: &mut [u8]) -> Result<(), Invalid> {
        let (filler, set_code): (u8, SetCode) = match self {
            Codec::T2 => (t2::ZEROS, t2::set_code),
            Codec::T5 => (t5::ZEROS, t5::set_code),
            Codec::N12 => (0, n12::set_code),
            Codec::N34 => (0, n34::set_code),
            Codec::I8 => (0, |block, k, output, code| {
                dense_i8::set_value(block, k, output, (code as i8).wrapping_sub(1));
            }),
            _ => return Err(Invalid),
        };
        let block_len = self.check(matrix, values.len(), out.len())?;
        let valid = if self.is_ternary() {
            values.iter().all(|t| (-1..=1).contains(t)) && self.holds_trits(matrix, values)
        } else {
            !values.contains(&i8::MIN)
        };
        if !valid {
            return Err(Invalid);
        }
        out.fill(filler);
        let stride = self.tap_stride(matrix);
        // The signs of `n34` need the zero, which may come behind them.
        let passes = if self == Codec::N34 { 2 } else { 1 };
        for at in (0..passes).flat_map(|_| matrix.positions()) {
            let block = &mut out[at.block * block_len..][..block_len];
            let k = at.tap * stride + at.channel;
            set_code(block, k, at.output, values[at.index].wrapping_add(1) as u8);
        }
        Ok(())
    }

    /// The inverse of [`pack_i8`](Self::pack_i8); fails on a code that a writer
    /// never writes, in the filler too.
    pub fn unpack_i8(
        self,
        matrix: &Matrix,
        bytes: &[u8],
        values: &mut [i8],
    ) -> Result<(), Invalid> {
        let (code, filler): (GetCode, [u8; 4]) = match self {
            Codec::T2 => (t2::code, [1; 4]),
            Codec::T5 => (t5::code, [1; 4]),
            Codec::N12 => (n12::code, [2, 1, 2, 1]),
            Codec::N34 => (n34::code, [1, 2, 2, 2]),
            Codec::I8 => {
                let block_len = self.check(matrix, values.len(), bytes.len())?;
                for at in matrix.positions() {
                    let block = &bytes[at.block * block_len..][..block_len];
                    let k = at.tap * matrix.channels + at.channel;
                    values[at.index] = dense_i8::row(block, k)[at.output];
                }
                return Ok(());
            }
            _ => return Err(Invalid),
        };
        let block_len = self.check(matrix, values.len(), bytes.len())?;
        let stride = self.tap_stride(matrix);
        if block_len > 0 {
            let (panel_k, panel_bytes) = self.panel();
            let k_len = block_len / panel_bytes * panel_k;
            for (i, block) in bytes.chunks_exact(block_len).enumerate() {
                let outputs = matrix.outputs - i % matrix.blocks() * BLOCK;
                for (k, output) in (0..k_len).flat_map(|k| (0..BLOCK).map(move |o| (k, o))) {
                    let code = code(block, k, output);
                    let is_filler = k >= matrix.taps * stride
                        || k % stride >= matrix.channels
                        || output >= outputs;
                    if code > 2 || is_filler && code != filler[k % 4] {
                        return Err(Invalid);
                    }
                }
            }
        }
        for at in matrix.positions() {
            let block = &bytes[at.block * block_len..][..block_len];
            let k = at.tap * stride + at.channel;
            values[at.index] = code(block, k, at.output) as i8 - 1;
        }
        Ok(())
    }

    /// k values and bytes of a ternary codec's panel; those of `t2` for another
    /// codec.
    #[inline(always)]
    pub(crate) const fn panel(self) -> (usize, usize) {
        match self {
            Codec::T5 => (t5::PANEL_K, PANEL_BYTES),
            Codec::N12 => (n12::PANEL_K, PANEL_BYTES),
            Codec::N34 => (n34::PANEL_K, n34::PANEL_BYTES),
            _ => (t2::PANEL_K, PANEL_BYTES),
        }
    }

    /// Distance between taps on the codec's k axis.
    fn tap_stride(self, matrix: &Matrix) -> usize {
        if self.is_ternary() {
            matrix.tap_stride()
        } else {
            matrix.channels
        }
    }

    /// Packs f32 weights with a float codec (`F32`, `F16`); order and lengths as
    /// for [`pack_i8`](Self::pack_i8). `F16` rounds to nearest even and
    /// refuses finite values beyond its range.
    pub fn pack_f32(self, matrix: &Matrix, values: &[f32], out: &mut [u8]) -> Result<(), Invalid> {
        let set_value: fn(&mut [u8], usize, usize, f32) = match self {
            Codec::F32 => dense_f32::set_value,
            Codec::F16 => dense_f16::set_value,
            _ => return Err(Invalid),
        };
        let block_len = self.check(matrix, values.len(), out.len())?;
        if self == Codec::F16 && values.iter().any(|v| dense_f16::overflows(*v)) {
            return Err(Invalid);
        }
        out.fill(0);
        for at in matrix.positions() {
            let block = &mut out[at.block * block_len..][..block_len];
            let k = at.tap * matrix.channels + at.channel;
            set_value(block, k, at.output, values[at.index]);
        }
        Ok(())
    }

    /// Unpacks any panel codec to f32 (integers become floats, unscaled).
    /// A ternary code that stands for no trit becomes 2.0, as in the kernels.
    pub fn unpack_f32(
        self,
        matrix: &Matrix,
        bytes: &[u8],
        values: &mut [f32],
    ) -> Result<(), Invalid> {
        let block_len = self.check(matrix, values.len(), bytes.len())?;
        for at in matrix.positions() {
            let block = &bytes[at.block * block_len..][..block_len];
            let weights = Block::new(self, matrix, block);
            values[at.index] = weights.values(at.tap, at.channel)[at.output];
        }
        Ok(())
    }

    /// Checks the lengths of both sides; gives the bytes of a block.
    fn check(self, matrix: &Matrix, values: usize, bytes: usize) -> Result<usize, Invalid> {
        let fits = matrix.len() == Some(values) && self.packed_len(matrix) == Some(bytes);
        if fits {
            self.block_len(matrix).ok_or(Invalid)
        } else {
            Err(Invalid)
        }
    }
}

/// The packed weights of 16 outputs, read a row of one k at a time.
///
/// Indexing is in bounds for `tap < taps` and `channel < channels` when `bytes`
/// are the [`Codec::block_len`] bytes of a block.
#[derive(Clone, Copy)]
pub(crate) struct Block<'a> {
    codec: Codec,
    tap_stride: usize,
    bytes: &'a [u8],
}

impl<'a> Block<'a> {
    /// A block of an array of this shape.
    pub(crate) fn new(codec: Codec, matrix: &Matrix, bytes: &'a [u8]) -> Self {
        Block {
            codec,
            tap_stride: codec.tap_stride(matrix),
            bytes,
        }
    }

    /// Any codec's weights of the 16 outputs as f32, unscaled.
    #[inline(always)]
    pub(crate) fn values(&self, tap: usize, channel: usize) -> [f32; BLOCK] {
        let k = tap * self.tap_stride + channel;
        match self.codec {
            Codec::F32 => dense_f32::row(self.bytes, k),
            Codec::F16 => dense_f16::row(self.bytes, k),
            _ => self.integers(tap, channel).map(f32::from),
        }
    }

    /// The rows of weights that are dense bytes; `None` for another codec.
    #[inline(always)]
    pub(crate) fn bytes(&self) -> Option<&'a [[i8; BLOCK]]> {
        (self.codec == Codec::I8).then(|| dense_i8::rows(self.bytes))
    }

    /// An integer codec's weights of the 16 outputs, for a ternary one -1, 0, 1,
    /// or 2 for what is no trit. 0 for another codec.
    #[inline(always)]
    pub(crate) fn integers(&self, tap: usize, channel: usize) -> [i16; BLOCK] {
        let k = tap * self.tap_stride + channel;
        let codes = match self.codec {
            Codec::T2 => t2::row(self.bytes, k),
            Codec::T5 => t5::row(self.bytes, k),
            Codec::N12 => n12::row(self.bytes, k),
            Codec::N34 => n34::row(self.bytes, k),
            Codec::I8 => return each(dense_i8::row(self.bytes, k), i16::from),
            _ => [1; BLOCK],
        };
        each(codes, |code| i16::from(code) - 1)
    }
}

/// `values.map(f)`, of which the compiler always makes vectors.
#[inline(always)]
pub(crate) fn each<A: Copy, B: Copy + Default>(
    values: [A; BLOCK],
    f: impl Fn(A) -> B,
) -> [B; BLOCK] {
    let mut to = [B::default(); BLOCK];
    for (to, value) in to.iter_mut().zip(values) {
        *to = f(value);
    }
    to
}

impl Weights<'_> {
    /// Whether bytes and scales have the lengths that `matrix` asks for.
    pub(crate) fn fits(&self, matrix: &Matrix) -> bool {
        let outputs = matrix.groups.checked_mul(matrix.outputs);
        self.codec.packed_len(matrix) == Some(self.bytes.len())
            && self.scale.is_none_or(|s| Some(s.len()) == outputs)
    }
}

/// Reads trit plus one of a block at `(k, output)`.
type GetCode = fn(&[u8], usize, usize) -> u8;
/// Writes trit plus one to a block at `(k, output)`.
type SetCode = fn(&mut [u8], usize, usize, u8);

/// Where one logical weight lies.
struct Position {
    /// In `[group][output][tap][channel]` order.
    index: usize,
    /// Number of the block over all groups.
    block: usize,
    /// Output within the block.
    output: usize,
    tap: usize,
    channel: usize,
}

impl Matrix {
    /// Blocks of 16 outputs in one group.
    pub(crate) fn blocks(&self) -> usize {
        self.outputs.div_ceil(BLOCK)
    }

    /// Distance between taps on the ternary codecs' k axis; the channels where
    /// that would overflow, which [`Codec::block_len`] refuses.
    pub(crate) fn tap_stride(&self) -> usize {
        ceil(self.channels, t2::TAP_UNIT).unwrap_or(self.channels)
    }

    /// All logical weights in order. The caller has checked `len`.
    fn positions(&self) -> impl Iterator<Item = Position> + use<> {
        let m = *self;
        (0..m.len().unwrap_or(0)).map(move |index| {
            let (rest, channel) = (index / m.channels, index % m.channels);
            let (rest, tap) = (rest / m.taps, rest % m.taps);
            let (group, output) = (rest / m.outputs, rest % m.outputs);
            Position {
                index,
                block: group * m.blocks() + output / BLOCK,
                output: output % BLOCK,
                tap,
                channel,
            }
        })
    }
}

/// The smallest multiple of `unit` that is not below `n`.
fn ceil(n: usize, unit: usize) -> Option<usize> {
    n.checked_next_multiple_of(unit)
}

#[cfg(test)]
mod tests;
