//! Conditions on operands and results that many ops share.
//!
//! An [`Arg`] is a plain tensor (not packed weights) without a dimension of
//! 0, which is either not quantised or quantised completely: I8 or I16, a
//! bound within its dtype, and a scale tensor of one f32. As no dimension is
//! 0, the product of any of its dimensions fits `usize`.

use super::Operands;
use crate::Error;
use crate::format::tensor::{Place, Tensor};
use core::ops::Deref;
use tern_kernels::{Codec, DType, MAX_RANK};

/// `BadOp` unless the condition holds.
pub(super) fn ensure(condition: bool) -> Result<(), Error> {
    if condition { Ok(()) } else { Err(Error::BadOp) }
}

/// A tensor's dimensions; derefs to `rank` of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dims {
    dims: [usize; MAX_RANK],
    rank: usize,
}

impl Dims {
    /// The dimensions of a decoded record.
    pub(super) fn of(tensor: &Tensor) -> Dims {
        let (dims, rank) = tensor.shape();
        Dims {
            dims,
            rank: rank.min(MAX_RANK),
        }
    }

    /// The dimensions before, at and after `axis`, multiplied together;
    /// `BadOp` where there is no such axis.
    pub(super) fn around(&self, axis: usize) -> Result<(usize, usize, usize), Error> {
        let at = *self.get(axis).ok_or(Error::BadOp)?;
        Ok((
            self[..axis].iter().product(),
            at,
            self[axis + 1..].iter().product(),
        ))
    }
}

impl Deref for Dims {
    type Target = [usize];

    fn deref(&self) -> &[usize] {
        &self.dims[..self.rank]
    }
}

/// A plain operand or result that was checked as the module says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arg<'m> {
    /// The record.
    pub(super) tensor: &'m Tensor,
    /// The scale tensor, where the tensor is quantised.
    pub(super) scale: Option<&'m Tensor>,
    /// The dimensions, none of them 0.
    pub(super) dims: Dims,
}

impl<'m> Arg<'m> {
    /// Operand `i`.
    pub(super) fn input(io: &'m Operands<'_>, i: usize) -> Result<Arg<'m>, Error> {
        Arg::new(io.input(i)?, io.input_scale(i))
    }

    /// Operand `i`, if present.
    pub(super) fn optional(io: &'m Operands<'_>, i: usize) -> Result<Option<Arg<'m>>, Error> {
        io.optional(i)
            .map(|t| Arg::new(t, io.input_scale(i)))
            .transpose()
    }

    /// Result `i`.
    pub(super) fn output(io: &'m Operands<'_>, i: usize) -> Result<Arg<'m>, Error> {
        Arg::new(io.output(i)?, io.output_scale(i))
    }

    fn new(tensor: &'m Tensor, scale: Option<&'m Tensor>) -> Result<Arg<'m>, Error> {
        let dims = Dims::of(tensor);
        ensure(tensor.codec == Codec::Plain && !dims.contains(&0))?;
        match scale {
            None => ensure(tensor.qmax == 0)?,
            Some(scale) => {
                let largest = match tensor.dtype {
                    DType::I8 => i8::MAX as u32,
                    DType::I16 => i16::MAX as u32,
                    _ => return Err(Error::BadOp),
                };
                ensure((1..=largest).contains(&tensor.qmax))?;
                ensure(is_plain_f32(scale) && scale.elements() == 1)?;
            }
        }
        Ok(Arg {
            tensor,
            scale,
            dims,
        })
    }

    /// The element type.
    pub(super) fn dtype(&self) -> DType {
        self.tensor.dtype
    }

    /// Whether the elements are quantised.
    pub(super) fn quantised(&self) -> bool {
        self.scale.is_some()
    }

    /// `BadOp` unless this has the dtype and is not quantised.
    pub(super) fn ensure_is(&self, dtype: DType) -> Result<(), Error> {
        ensure(self.dtype() == dtype && !self.quantised())
    }

    /// `BadOp` unless this is f32 or quantised.
    pub(super) fn ensure_real(&self) -> Result<(), Error> {
        ensure(self.dtype() == DType::F32 || self.quantised())
    }

    /// `BadOp` unless the dimensions are these.
    pub(super) fn ensure_dims(&self, dims: &[usize]) -> Result<(), Error> {
        ensure(*self.dims == *dims)
    }

    /// `BadOp` unless a number means the same in both: equal dtypes and, where
    /// quantised, one scale tensor and equal bounds.
    pub(super) fn ensure_same_type(&self, other: &Arg<'_>) -> Result<(), Error> {
        let same_scale = match (self.scale, other.scale) {
            (None, None) => true,
            (Some(a), Some(b)) => same_bytes(a, b),
            _ => false,
        };
        ensure(self.dtype() == other.dtype() && self.tensor.qmax == other.tensor.qmax && same_scale)
    }

    /// `BadOp` where this is quantised with a scale that is not a constant.
    pub(super) fn ensure_static(&self) -> Result<(), Error> {
        ensure(self.scale.is_none_or(|s| s.place == Place::Data))
    }
}

/// Whether both records name the same bytes.
pub(super) fn same_bytes(a: &Tensor, b: &Tensor) -> bool {
    (a.place, a.offset, a.len) == (b.place, b.offset, b.len)
}

/// Whether the record is plain f32 and not quantised itself.
pub(super) fn is_plain_f32(t: &Tensor) -> bool {
    t.dtype == DType::F32 && t.codec == Codec::Plain && t.qmax == 0
}
