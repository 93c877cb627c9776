//! Hand-computed cases of inference and interpretation.

mod elementwise;
mod kernel_products;
mod kernels;
mod movement;
mod pool;
mod product;
mod quantised;
mod reduction;

use super::{Arg, infer, interpret};
use crate::ir::{Data, Tensor, Type};
use ternrt::DType;
use ternrt::ops::Op;

/// Types of dense f32 values.
fn f32s(shape: &[usize]) -> Type {
    Type::new(DType::F32, shape)
}

/// Infers and computes with dense operands that are not quantised.
fn compute(op: impl Into<Op>, args: &[&Tensor], wanted: Option<Type>) -> Tensor {
    let op = op.into();
    let types: Vec<Type> = (args.iter())
        .map(|t| Type::new(t.dtype(), t.shape.clone()))
        .collect();
    let inputs: Vec<Option<&Type>> = types.iter().map(Some).collect();
    let results = infer(&op, &inputs, wanted.as_ref()).unwrap();
    let args: Vec<Option<Arg<'_>>> = args.iter().map(|t| Some(Arg::dense(t))).collect();
    interpret(&op, &args, &results).unwrap().remove(0)
}

/// The message of a refused inference.
fn refusal(op: impl Into<Op>, inputs: &[&Type], wanted: Option<&Type>) -> String {
    let inputs: Vec<Option<&Type>> = inputs.iter().copied().map(Some).collect();
    infer(&op.into(), &inputs, wanted).unwrap_err().to_string()
}

/// An f32 tensor of 1, 2, 3 ...
fn counting(shape: &[usize]) -> Tensor {
    let values = (1..=shape.iter().product::<usize>()).map(|i| i as f32);
    Tensor::f32(shape.to_vec(), values.collect())
}

/// Small pseudo-random integers in `-bound..=bound`.
fn noise(seed: u64, len: usize, bound: i32) -> Vec<i32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 33) as i64
    };
    (0..len)
        .map(|_| (next() % (2 * bound as i64 + 1)) as i32 - bound)
        .collect()
}

/// The f32 elements of a result.
fn values(t: &Tensor) -> &[f32] {
    t.as_f32().unwrap()
}
