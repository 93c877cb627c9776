//! Images between ONNX's layout, NCHW, and ours, NHWC; and one-dimensional
//! signals, NCW, as images of height one.

use crate::import::builder::Builder;
use crate::ir::{Type, ValueId};
use anyhow::Result;
use ternrt::DType;
use tract_onnx::prelude::TypedNode;
use tract_onnx::tract_core::ops::nn::DataFormat;

/// Number of spatial dimensions, if it is 1 or 2 and the layout is ONNX's.
pub(super) fn spatial_rank(b: &Builder<'_>, format: DataFormat, shape: &[usize]) -> Result<usize> {
    match (format, shape.len()) {
        (DataFormat::NCHW, 3) => Ok(1),
        (DataFormat::NCHW, 4) => Ok(2),
        (DataFormat::NCHW, rank) => Err(b.refuse(format!(
            "is not supported with {} spatial dimensions: 1 and 2 are",
            rank.saturating_sub(2)
        ))),
        (other, _) => Err(b.refuse(format!("is not supported in layout {other:?}"))),
    }
}

/// NCW or NCHW to NHWC.
pub(super) fn to_nhwc(b: &mut Builder<'_>, x: ValueId) -> Result<ValueId> {
    let x = match b.ty(x).shape[..] {
        [n, c, w] => b.reshape(x, &[n, c, 1, w])?,
        _ => x,
    };
    b.transpose(x, &[0, 2, 3, 1], "nhwc")
}

/// The f32 image that is operand 0 of a convolution or pool, as NHWC, and the
/// height and width of its result, 1 and the length for a signal.
pub(super) fn window_operand(
    b: &mut Builder<'_>,
    node: &TypedNode,
    result: &Type,
) -> Result<(ValueId, [usize; 2])> {
    let x = b.value(node, 0)?;
    if b.ty(x).dtype != DType::F32 || result.dtype != DType::F32 {
        return Err(b.refuse(format!(
            "is not supported on {}: float32 is",
            b.ty(x).dtype.name()
        )));
    }
    let x = to_nhwc(b, x)?;
    match result.shape[..] {
        [_, _, w] => Ok((x, [1, w])),
        [_, _, h, w] => Ok((x, [h, w])),
        _ => Err(b.refuse(format!("has a result of shape {:?}", result.shape))),
    }
}

/// NHWC to NCHW, or to NCW for one spatial dimension.
pub(super) fn from_nhwc(b: &mut Builder<'_>, y: ValueId, spatial: usize) -> Result<ValueId> {
    let y = b.transpose(y, &[0, 3, 1, 2], "nchw")?;
    match b.ty(y).shape[..] {
        [n, c, _, w] if spatial == 1 => b.reshape(y, &[n, c, w]),
        _ => Ok(y),
    }
}

/// A spatial attribute in `[height, width]`, `fill` for the height of a signal.
pub(super) fn both(b: &Builder<'_>, name: &str, values: &[usize], fill: usize) -> Result<[u16; 2]> {
    let pair = match *values {
        [w] => [fill, w],
        [h, w] => [h, w],
        _ => {
            return Err(b.refuse(format!(
                "has {name}={values:?}, which does not match its operand"
            )));
        }
    };
    let narrow = |v: usize| {
        u16::try_from(v).map_err(|_| {
            b.refuse(format!(
                "is not supported with {name}={values:?}: at most 65535 is"
            ))
        })
    };
    Ok([narrow(pair[0])?, narrow(pair[1])?])
}
