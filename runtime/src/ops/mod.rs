//! The ops: [`table`] lists them, one file each holds `check`, `scratch` and `run`.

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

pub use table::Op;

use crate::Error;
use crate::format::tensor::Tensor;
use core::marker::PhantomData;
use tern_kernels::{Ctx, View, ViewMut};

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
pub struct Exec<'a> {
    arena: PhantomData<&'a mut [u8]>,
}

impl<'a> Exec<'a> {
    /// The elements of an operand (or of a scale tensor) with a plain codec.
    pub fn view(&self, tensor: &Tensor) -> Result<View<'a>, Error> {
        let _ = tensor;
        todo!()
    }

    /// The raw bytes of a constant, for packed weights.
    pub fn data(&self, tensor: &Tensor) -> Result<&'a [u8], Error> {
        let _ = tensor;
        todo!()
    }

    /// The elements of a result in the arena. The load-time check has shown
    /// that an op's results overlap none of its operands and each other.
    pub fn view_mut(&mut self, tensor: &Tensor) -> Result<ViewMut<'a>, Error> {
        let _ = tensor;
        todo!()
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
        todo!()
    }
}
