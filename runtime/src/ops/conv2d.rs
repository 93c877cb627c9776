//! `conv2d`. A convolution that is a matrix product (1x1 kernel, no step,
//! padding or groups) runs as one.

use super::operand::Arg;
use super::table::Conv2d;
use super::window::Window;
use super::{Exec, Operands, product};
use crate::Error;
use tern_kernels::Caps;
use tern_kernels::conv2d::{self, Conv2dShape};
use tern_kernels::gemm::{self, GemmShape};

pub(super) fn shape(op: &Conv2d, io: &Operands<'_>) -> Result<Conv2dShape, Error> {
    let groups = usize::try_from(op.group).map_err(|_| Error::BadOp)?;
    Window::from(op).shape(&Arg::input(io, 0)?, &Arg::output(io, 0)?, groups)
}

/// The product that the convolution is, if it is one.
fn as_product(s: &Conv2dShape) -> Option<GemmShape> {
    let is_product = !s.transposed
        && s.groups == 1
        && s.kernel == [1; 2]
        && s.stride == [1; 2]
        && s.input == s.output
        && s.pad == [0; 2];
    is_product.then_some(GemmShape {
        m: s.batch * s.output[0] * s.output[1],
        n: s.out_channels,
        k: s.in_channels,
    })
}

pub(super) fn check(op: &Conv2d, io: &Operands<'_>) -> Result<(), Error> {
    let shape = shape(op, io)?;
    let matrix = shape.matrix();
    let w_dims = [
        shape.out_channels,
        shape.kernel[0],
        shape.kernel[1],
        matrix.channels,
    ];
    product::check(io, &op.activation, &matrix, &w_dims)
}

pub(super) fn scratch(op: &Conv2d, io: &Operands<'_>, caps: Caps, threads: usize) -> usize {
    let (Ok(shape), Ok(x), Ok(w)) = (shape(op, io), io.input(0), io.input(1)) else {
        return 0;
    };
    match as_product(&shape) {
        Some(product) => gemm::scratch(caps, threads, &product, x.dtype, w.codec),
        None => conv2d::scratch(caps, threads, &shape, x.dtype, w.codec),
    }
}

pub(super) fn run(op: &Conv2d, io: &Operands<'_>, exec: &mut Exec<'_>) -> Result<(), Error> {
    let shape = shape(op, io)?;
    let x = exec.view(io.input(0)?)?;
    let w = product::weights(io, exec)?;
    let epilogue = product::epilogue(io, &op.activation, exec)?;
    let y = exec.view_mut(io.output(0)?)?;
    match as_product(&shape) {
        Some(product) => gemm::run(&mut exec.ctx(), &product, x, &w, &epilogue, y)?,
        None => conv2d::run(&mut exec.ctx(), &shape, x, &w, &epilogue, y)?,
    }
    Ok(())
}
