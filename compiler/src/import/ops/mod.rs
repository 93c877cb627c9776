//! tract's core operators to the graph's: one file a family, one row a type.

mod axis;
mod binary;
mod cast;
mod concat;
mod conv;
mod einsum;
mod gather;
mod identity;
mod image;
mod pad;
mod pool;
mod reduce;
mod resize;
mod slice;
mod softmax;
mod unary;

use super::builder::{Builder, Operand};
use super::operators;
use anyhow::Result;
use tract_onnx::tract_core::ops;
use tract_onnx::tract_hir::internal::*;

type Handler = fn(&mut Builder<'_>, &TypedNode) -> Option<Result<Operand>>;

macro_rules! handlers {
    ($($op:ty => $lower:path,)*) => {
        /// The table: the first row whose type is the node's lowers it.
        const HANDLERS: &[Handler] = &[$(|b, node| node.op_as::<$op>().map(|op| $lower(b, node, op))),*];
    };
}

handlers! {
    ops::cnn::Conv => conv::conv,
    ops::cnn::Deconv => conv::deconv,
    ops::einsum::EinSum => einsum::einsum,
    ops::cnn::MaxPool => pool::max_pool,
    ops::cnn::SumPool => pool::sum_pool,
    ops::nn::Reduce => reduce::reduce,
    ops::nn::Softmax => softmax::softmax,
    ops::element_wise::ElementWiseOp => unary::unary,
    ops::binary::TypedBinOp => binary::binary,
    ops::logic::Iff => binary::select,
    ops::array::TypedConcat => concat::concat,
    ops::array::Slice => slice::slice,
    ops::array::StridedSlice => slice::strided_slice,
    ops::Downsample => slice::downsample,
    ops::array::Pad => pad::pad,
    ops::change_axes::AxisOp => axis::axis_op,
    ops::array::MultiBroadcastTo => axis::broadcast,
    ops::array::Tile => axis::tile,
    ops::array::Gather => gather::gather,
    tract_onnx_opl::resize::Resize => resize::resize,
    ops::cast::Cast => cast::cast,
    ops::identity::Identity => identity::identity,
}

/// Lowers one node, which is not constant.
pub(super) fn lower(b: &mut Builder<'_>, node: &TypedNode) -> Result<Operand> {
    for handler in HANDLERS {
        if let Some(result) = handler(b, node) {
            return result;
        }
    }
    let name = b.operator();
    if operators::ON_CONSTANTS.contains(&name) {
        return Err(
            b.refuse("is not supported on operands computed at run time: only on constants")
        );
    }
    Err(b.refuse(format!(
        "is not supported here: {}",
        operators::remedy(name)
    )))
}

/// The size of a dimension, which must be known.
fn known(b: &Builder<'_>, dim: &TDim) -> Result<usize> {
    dim.to_usize().map_err(|_| {
        b.refuse(format!(
            "is not supported: the size {dim} depends on the data"
        ))
    })
}
