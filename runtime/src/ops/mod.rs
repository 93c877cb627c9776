//! The ops: [`table`] lists them, one file each holds `check`, `scratch` and `run`.
//! What they compute, bit by bit, is part of [the file format](crate::format).
//!
#![doc = include_str!("OPS.md")]

pub mod attr;
pub mod table;

mod average_pool;
mod binary;
mod broadcast;
mod cast;
mod concat;
mod conv2d;
mod depthwise_conv2d;
mod dequantize;
mod gather;
mod gemm;
mod macs;
mod matmul;
mod max_pool;
mod operand;
mod pad;
mod product;
mod quantize;
mod reduce;
mod reshape;
mod resize;
mod select;
mod slice;
mod softmax;
mod transpose;
mod unary;
mod window;

#[cfg(test)]
mod tests;

pub use table::Op;

use crate::Error;
use crate::arena::{self, OpArena};
use crate::format::NONE;
use crate::format::op::{Ids, OpRecord};
use crate::format::tensor::{Place, Tensor};
use core::marker::PhantomData;
use tern_kernels::{Caps, Ctx, ParallelFor, View, ViewMut};

/// Most operands an op has.
pub const MAX_INPUTS: usize = 16;
/// Most results an op has.
pub const MAX_OUTPUTS: usize = 2;

/// One op's decoded operands and results, with the tensors that hold their scales.
#[derive(Clone, Copy, Debug)]
pub struct Operands<'m> {
    inputs: [Option<(Tensor, Option<Tensor>)>; MAX_INPUTS],
    outputs: [Option<(Tensor, Option<Tensor>)>; MAX_OUTPUTS],
    model: PhantomData<&'m [u8]>,
}

impl Operands<'_> {
    /// Each operand or result with its scale tensor; `None` for an absent one.
    ///
    /// # Errors
    /// [`Error::BadOp`] for more than [`MAX_INPUTS`] or [`MAX_OUTPUTS`].
    pub fn new(
        inputs: &[Option<(Tensor, Option<Tensor>)>],
        outputs: &[Option<(Tensor, Option<Tensor>)>],
    ) -> Result<Self, Error> {
        if inputs.len() > MAX_INPUTS || outputs.len() > MAX_OUTPUTS {
            return Err(Error::BadOp);
        }
        let mut io = Operands::empty();
        io.inputs[..inputs.len()].copy_from_slice(inputs);
        io.outputs[..outputs.len()].copy_from_slice(outputs);
        Ok(io)
    }

    /// Without operands and results.
    pub(crate) fn empty() -> Self {
        Operands {
            inputs: [None; MAX_INPUTS],
            outputs: [None; MAX_OUTPUTS],
            model: PhantomData,
        }
    }

    /// Replaces all by those of a record; `find` knows tensors by their ids.
    /// In place, as this is too large to be moved for every op that runs.
    ///
    /// # Errors
    /// Those of `find`, and [`Error::BadOp`] for too many.
    pub(crate) fn fill(
        &mut self,
        record: &OpRecord<'_>,
        find: impl Fn(u32) -> Result<Tensor, Error>,
    ) -> Result<(), Error> {
        if record.inputs.len() > MAX_INPUTS || record.outputs.len() > MAX_OUTPUTS {
            return Err(Error::BadOp);
        }
        let fill = |slots: &mut [Option<(Tensor, Option<Tensor>)>], ids: Ids<'_>| {
            for (i, slot) in slots.iter_mut().enumerate() {
                let Some(id) = ids.get(i) else {
                    *slot = None;
                    continue;
                };
                let tensor = find(id)?;
                let scale = match tensor.scale {
                    NONE => None,
                    id => Some(find(id)?),
                };
                *slot = Some((tensor, scale));
            }
            Ok(())
        };
        fill(&mut self.inputs, record.inputs)?;
        fill(&mut self.outputs, record.outputs)
    }

    /// Number of places for operands, up to the last one that is present.
    pub fn input_count(&self) -> usize {
        self.inputs
            .iter()
            .rposition(Option::is_some)
            .map_or(0, |i| i + 1)
    }

    /// Number of places for results, up to the last one that is present.
    pub fn output_count(&self) -> usize {
        self.outputs
            .iter()
            .rposition(Option::is_some)
            .map_or(0, |i| i + 1)
    }

    /// All results.
    pub(crate) fn written(&self) -> impl Iterator<Item = &Tensor> {
        self.outputs.iter().flatten().map(|(t, _)| t)
    }

    /// All operands and their scales.
    pub(crate) fn read(&self) -> impl Iterator<Item = &Tensor> {
        let scales = self.inputs.iter().flatten().filter_map(|(_, s)| s.as_ref());
        self.inputs.iter().flatten().map(|(t, _)| t).chain(scales)
    }

    /// Operand `i`, or `BadOp` where it is absent.
    pub fn input(&self, i: usize) -> Result<&Tensor, Error> {
        self.optional(i).ok_or(Error::BadOp)
    }

    /// Operand `i`, if present.
    pub fn optional(&self, i: usize) -> Option<&Tensor> {
        Some(&self.inputs.get(i)?.as_ref()?.0)
    }

    /// The scale tensor of operand `i`, if it has one.
    pub fn input_scale(&self, i: usize) -> Option<&Tensor> {
        self.inputs.get(i)?.as_ref()?.1.as_ref()
    }

    /// Result `i`, or `BadOp` where it is absent.
    pub fn output(&self, i: usize) -> Result<&Tensor, Error> {
        Ok(&self
            .outputs
            .get(i)
            .and_then(|o| o.as_ref())
            .ok_or(Error::BadOp)?
            .0)
    }

    /// Whether result `i` is there.
    pub fn has_output(&self, i: usize) -> bool {
        self.outputs.get(i).is_some_and(|o| o.is_some())
    }

    /// The scale tensor of result `i`, if it has one.
    pub fn output_scale(&self, i: usize) -> Option<&Tensor> {
        self.outputs.get(i)?.as_ref()?.1.as_ref()
    }
}

/// What an op runs with: the model's data, the arena, threads and scratch.
///
/// It hands out an op's results once each, mutably, and everything else
/// shared; a request that would break that is refused.
pub struct Exec<'a> {
    data: &'a [u8],
    arena: OpArena<'a>,
    scratch: &'a mut [u8],
    caps: Caps,
    parallel: &'a dyn ParallelFor,
}

impl<'a> Exec<'a> {
    /// For one run of an op with these operands. `arena` is the planned part,
    /// aligned to 64 bytes, as is `scratch`.
    ///
    /// # Errors
    /// [`Error::Bounds`] for a result that is not in the arena,
    /// [`Error::Overlap`] for results that share bytes.
    pub(crate) fn new(
        io: &Operands<'_>,
        data: &'a [u8],
        arena: &'a mut [u8],
        scratch: &'a mut [u8],
        caps: Caps,
        parallel: &'a dyn ParallelFor,
    ) -> Result<Exec<'a>, Error> {
        let mut results = [const { None }; MAX_OUTPUTS];
        for (result, output) in results.iter_mut().zip(&io.outputs) {
            if let Some((tensor, _)) = output {
                *result = Some(result_range(tensor)?);
            }
        }
        Ok(Exec {
            data,
            arena: OpArena::new(arena, results)?,
            scratch,
            caps,
            parallel,
        })
    }

    fn bytes(&self, tensor: &Tensor) -> Result<&'a [u8], Error> {
        match tensor.place {
            Place::Data => arena::constant(self.data, tensor),
            Place::Arena => self.arena.read(arena::range(tensor).ok_or(Error::Bounds)?),
        }
    }

    /// The elements of an operand (or of a scale tensor) with a plain codec.
    ///
    /// # Errors
    /// [`Error::Bounds`]; [`Error::Overlap`] where a result of the op shares a byte.
    pub fn view(&self, tensor: &Tensor) -> Result<View<'a>, Error> {
        arena::view(tensor.dtype, self.bytes(tensor)?)
    }

    /// The raw bytes of a constant, for packed weights.
    ///
    /// # Errors
    /// [`Error::Bounds`], also for a tensor in the arena.
    pub fn data(&self, tensor: &Tensor) -> Result<&'a [u8], Error> {
        arena::constant(self.data, tensor)
    }

    /// The elements of a result, once for each.
    ///
    /// # Errors
    /// [`Error::Overlap`] for a tensor that is no result of the op, or the second time.
    pub fn view_mut(&mut self, tensor: &Tensor) -> Result<ViewMut<'a>, Error> {
        let bytes = self.arena.take(result_range(tensor)?)?;
        arena::view_mut(tensor.dtype, bytes)
    }

    /// The f32 elements of an operand; `BadOp` for another dtype.
    pub fn f32(&self, tensor: &Tensor) -> Result<&'a [f32], Error> {
        match self.view(tensor)? {
            View::F32(s) => Ok(s),
            _ => Err(Error::BadOp),
        }
    }

    /// The f32 elements of a result; `BadOp` for another dtype.
    pub fn f32_mut(&mut self, tensor: &Tensor) -> Result<&'a mut [f32], Error> {
        match self.view_mut(tensor)? {
            ViewMut::F32(s) => Ok(s),
            _ => Err(Error::BadOp),
        }
    }

    /// The kernel context.
    pub fn ctx(&mut self) -> Ctx<'_> {
        Ctx {
            caps: self.caps,
            par: self.parallel,
            scratch: &mut *self.scratch,
        }
    }
}

fn result_range(tensor: &Tensor) -> Result<core::ops::Range<usize>, Error> {
    match tensor.place {
        Place::Arena => arena::range(tensor).ok_or(Error::Bounds),
        Place::Data => Err(Error::Bounds),
    }
}
