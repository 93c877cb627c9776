//! The tensor record: 64 bytes, little-endian.

use crate::Error;
use tern_kernels::{Codec, DType, MAX_RANK};

/// Where a tensor's bytes are. The codes are those of the file format; 2 (state, kept
/// between runs) is reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Place {
    /// In the arena, at `offset` from its start.
    Arena = 0,
    /// In the file's data section, at `offset` from its start.
    Data = 1,
}

/// A decoded tensor record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// Where the bytes are.
    pub place: Place,
    /// Logical element type; for a panel codec that of the numbers it stands for (F32).
    pub dtype: DType,
    /// Layout of the bytes; `Plain` for everything but weights.
    pub codec: Codec,
    /// Number of dimensions, at most 6.
    pub rank: u8,
    /// Dimensions, outermost first; 1 beyond the rank.
    pub dims: [u32; MAX_RANK],
    /// Start, a multiple of 64.
    pub offset: u64,
    /// Length in bytes.
    pub len: u64,
    /// The tensor that holds the scales: for ternary weights f32, one an output;
    /// for quantised activations f32, one element (in the data section when
    /// static, in the arena when dynamic). [`NONE`](super::NONE) where there is none.
    pub scale: u32,
    /// Largest magnitude of a quantised activation (63, 127 or 32767); 0 where the tensor is not quantised.
    pub qmax: u32,
    /// Whether no value of a quantised activation is negative.
    pub non_negative: bool,
    /// Name: offset into the strings section.
    pub name_offset: u32,
    /// Name: length in bytes; 0 for none.
    pub name_len: u32,
}

impl Tensor {
    /// Bytes of a record.
    pub const LEN: usize = 64;

    const PLACE: usize = 0;
    const DTYPE: usize = 1;
    const RANK: usize = 2;
    const CODEC: usize = 3;
    const SCALE: usize = 4;
    const DIMS: usize = 8;
    const OFFSET: usize = 32;
    const BYTES: usize = 40;
    const QMAX: usize = 48;
    /// Bits 0 to 5, dimensions that vary up to the stated maximum, must be 0 in this
    /// version, and so must bit 6; bit 7 is [`NON_NEGATIVE`](Self::NON_NEGATIVE).
    const FLAGS: usize = 52;
    const NON_NEGATIVE: u8 = 1 << 7;
    /// Number of trit planes; must be 0 (not ternary) or 1 in this version.
    const PLANES: usize = 53;
    /// Length of a scale group along k; must be 0 (the whole of k) in this version.
    const SCALE_GROUP: usize = 54;
    const NAME_OFFSET: usize = 56;
    const NAME_LEN: usize = 60;

    /// The dimensions as `usize`, `rank` of them used.
    pub fn shape(&self) -> ([usize; MAX_RANK], usize) {
        (self.dims.map(|d| d as usize), self.rank as usize)
    }

    /// Number of elements; cannot overflow in a record that was decoded.
    pub fn elements(&self) -> usize {
        self.dims.iter().map(|&d| d as usize).product()
    }

    /// The record's bytes.
    pub fn encode(&self) -> [u8; Self::LEN] {
        let mut b = [0u8; Self::LEN];
        b[Self::PLACE] = self.place as u8;
        b[Self::DTYPE] = self.dtype as u8;
        b[Self::RANK] = self.rank;
        b[Self::CODEC] = self.codec as u8;
        b[Self::PLANES] = self.codec.is_ternary() as u8;
        let mut put = |at: usize, v: u32| b[at..at + 4].copy_from_slice(&v.to_le_bytes());
        put(Self::SCALE, self.scale);
        for (i, &d) in self.dims.iter().enumerate() {
            put(Self::DIMS + 4 * i, d);
        }
        put(Self::QMAX, self.qmax);
        put(Self::NAME_OFFSET, self.name_offset);
        put(Self::NAME_LEN, self.name_len);
        if self.non_negative {
            b[Self::FLAGS] = Self::NON_NEGATIVE;
        }
        b[Self::OFFSET..Self::OFFSET + 8].copy_from_slice(&self.offset.to_le_bytes());
        b[Self::BYTES..Self::BYTES + 8].copy_from_slice(&self.len.to_le_bytes());
        b
    }

    /// Reads a record and checks what can be checked without its surroundings.
    pub fn decode(b: &[u8; Self::LEN]) -> Result<Tensor, Error> {
        let tensor = Self::read(b)?;
        tensor.check(b)?;
        Ok(tensor)
    }

    /// As [`decode`](Self::decode) where nothing else is checked: for a file that was.
    #[inline]
    pub(crate) fn read(b: &[u8; Self::LEN]) -> Result<Tensor, Error> {
        let u32_at = |at: usize| u32::from_le_bytes([b[at], b[at + 1], b[at + 2], b[at + 3]]);
        let u64_at = |at: usize| u32_at(at) as u64 | (u32_at(at + 4) as u64) << 32;
        let place = match b[Self::PLACE] {
            0 => Place::Arena,
            1 => Place::Data,
            2 => return Err(Error::Unsupported),
            _ => return Err(Error::Malformed),
        };
        let codec = match Codec::from_code(b[Self::CODEC]) {
            Some(codec) => codec,
            None => return Err(Error::Malformed),
        };
        Ok(Tensor {
            place,
            dtype: DType::from_code(b[Self::DTYPE]).ok_or(Error::Malformed)?,
            codec,
            rank: b[Self::RANK],
            dims: core::array::from_fn(|i| u32_at(Self::DIMS + 4 * i)),
            offset: u64_at(Self::OFFSET),
            len: u64_at(Self::BYTES),
            scale: u32_at(Self::SCALE),
            qmax: u32_at(Self::QMAX),
            non_negative: b[Self::FLAGS] & Self::NON_NEGATIVE != 0,
            name_offset: u32_at(Self::NAME_OFFSET),
            name_len: u32_at(Self::NAME_LEN),
        })
    }

    /// Checks what was read from a record.
    fn check(&self, b: &[u8; Self::LEN]) -> Result<(), Error> {
        if b[Self::FLAGS] & !Self::NON_NEGATIVE != 0
            || b[Self::PLANES] > 1
            || b[Self::SCALE_GROUP] != 0
            || b[Self::SCALE_GROUP + 1] != 0
        {
            return Err(Error::Unsupported);
        }
        let rank = self.rank as usize;
        if rank > MAX_RANK || self.dims[rank..].iter().any(|&d| d != 1) {
            return Err(Error::Malformed);
        }
        if b[Self::PLANES] != self.codec.is_ternary() as u8
            || !self.offset.is_multiple_of(super::SECTION_ALIGN as u64)
        {
            return Err(Error::Malformed);
        }
        let bytes = self
            .dims
            .iter()
            // A dimension of 0 counts as 1, so that no partial product leaves `usize`.
            .try_fold(self.dtype.size() as u64, |n, &d| {
                n.checked_mul(d.max(1).into())
            })
            .filter(|&n| n <= isize::MAX as u64)
            .ok_or(Error::Malformed)?;
        let bytes = if self.dims.contains(&0) { 0 } else { bytes };
        if self.codec == Codec::Plain && bytes != self.len {
            return Err(Error::Malformed);
        }
        Ok(())
    }
}
