//! Weight layouts ("codecs"): one file per codec, specified bit by bit in the
//! runtime's FORMAT.md.
//!
//! A layout stores a logical array `w[group][output][tap][channel]`, the shape of
//! which is a [`Matrix`]. A matrix product has one tap; a depthwise convolution
//! is one group of `C` outputs, one tap and `kernel_h * kernel_w` channels.

/// How a weight array is stored. The codes are those of the file format; 5
/// (`n12`) and 6 (`n34`) are reserved.
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
    pub const ALL: [Codec; 5] = [Codec::Plain, Codec::F32, Codec::F16, Codec::T2, Codec::T5];

    /// The codec with this code in the file format.
    pub fn from_code(code: u8) -> Option<Codec> {
        Self::ALL.into_iter().find(|c| *c as u8 == code)
    }

    /// Lower-case name: `f32`, `t2` ...
    pub const fn name(self) -> &'static str {
        match self {
            Codec::Plain => "plain",
            Codec::F32 => "f32",
            Codec::F16 => "f16",
            Codec::T2 => "t2",
            Codec::T5 => "t5",
        }
    }

    /// Whether the codec holds trits rather than numbers.
    pub const fn is_ternary(self) -> bool {
        matches!(self, Codec::T2 | Codec::T5)
    }

    /// Bytes of a packed array; `None` where that overflows or for `Plain`.
    pub fn packed_len(self, matrix: &Matrix) -> Option<usize> {
        let _ = matrix;
        todo!()
    }

    /// Packs trits (-1, 0, 1; order `[group][output][tap][channel]`, `matrix.len()` of them) with a ternary codec.
    pub fn pack_trits(
        self,
        matrix: &Matrix,
        trits: &[i8],
        out: &mut [u8],
    ) -> Result<(), crate::Invalid> {
        let _ = (matrix, trits, out);
        todo!()
    }

    /// The inverse of [`pack_trits`](Self::pack_trits); fails on a code that stands for no trit.
    pub fn unpack_trits(
        self,
        matrix: &Matrix,
        bytes: &[u8],
        trits: &mut [i8],
    ) -> Result<(), crate::Invalid> {
        let _ = (matrix, bytes, trits);
        todo!()
    }

    /// Packs f32 weights with a dense codec (`F32`, `F16`).
    pub fn pack_f32(
        self,
        matrix: &Matrix,
        values: &[f32],
        out: &mut [u8],
    ) -> Result<(), crate::Invalid> {
        let _ = (matrix, values, out);
        todo!()
    }

    /// Unpacks any panel codec to f32 (trits become -1.0, 0.0, 1.0, unscaled).
    pub fn unpack_f32(
        self,
        matrix: &Matrix,
        bytes: &[u8],
        values: &mut [f32],
    ) -> Result<(), crate::Invalid> {
        let _ = (matrix, bytes, values);
        todo!()
    }
}
