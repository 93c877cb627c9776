//! How much arithmetic an op is.

use super::table::Op;
use super::{Operands, conv2d, depthwise_conv2d, gemm, matmul};
use tern_kernels::{Matrix, depthwise};

/// The product, or `u64::MAX` where it does not fit.
fn product(factors: &[usize]) -> u64 {
    factors.iter().fold(1, |n, &f| n.saturating_mul(f as u64))
}

impl Op {
    /// Shape of the packed weights (operand 1) of a convolution or product;
    /// `None` for other ops and for operands that [`check`](Self::check) refuses.
    pub fn weights(&self, io: &Operands<'_>) -> Option<Matrix> {
        match self {
            Op::Conv2d(op) => Some(conv2d::shape(op, io).ok()?.matrix()),
            Op::DepthwiseConv2d(op) => {
                Some(depthwise::matrix(&depthwise_conv2d::shape(op, io).ok()?))
            }
            Op::Gemm(_) => {
                let shape = gemm::shape(io).ok()?;
                Some(Matrix {
                    groups: 1,
                    outputs: shape.n,
                    taps: 1,
                    channels: shape.k,
                })
            }
            _ => None,
        }
    }

    /// Multiply-accumulates of a convolution or matrix product, padding
    /// included; 0 for other ops and for operands that [`check`](Self::check)
    /// refuses.
    pub fn macs(&self, io: &Operands<'_>) -> u64 {
        let counted = match self {
            Op::Conv2d(op) => conv2d::shape(op, io).map(|s| {
                let matrix = s.matrix();
                // Every input element of a transposed convolution meets every tap once.
                let [positions, per_position] = match s.transposed {
                    false => [s.output, [s.out_channels, matrix.channels]],
                    true => [s.input, [s.in_channels, matrix.outputs]],
                };
                product(&[
                    s.batch,
                    positions[0],
                    positions[1],
                    matrix.taps,
                    per_position[0],
                    per_position[1],
                ])
            }),
            Op::DepthwiseConv2d(op) => depthwise_conv2d::shape(op, io).map(|s| {
                product(&[
                    s.batch,
                    s.output[0],
                    s.output[1],
                    s.kernel[0],
                    s.kernel[1],
                    s.out_channels,
                ])
            }),
            Op::Gemm(_) => gemm::shape(io).map(|s| product(&[s.m, s.n, s.k])),
            Op::MatMul(op) => matmul::shape(op, io).map(|s| product(&[s.batch, s.m, s.n, s.k])),
            _ => Ok(0),
        };
        counted.unwrap_or(0)
    }
}
