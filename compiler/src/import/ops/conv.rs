//! Conv and ConvTranspose.

use super::image::{both, from_nhwc, spatial_rank, window_operand};
use crate::import::builder::{Builder, Operand};
use crate::import::tensors::dense;
use crate::ir::{Op, Tensor as Dense, Type, ValueId};
use anyhow::Result;
use ternrt::DType;
use ternrt::kernels::eltwise::{BinaryKind, Unary};
use ternrt::ops::table::{BinaryOp, Conv2d, DepthwiseConv2d};
use tract_onnx::tract_core::ops::cnn::{Conv, Deconv, KernelFormat, PoolSpec};
use tract_onnx::tract_hir::internal::*;

pub(super) fn conv(b: &mut Builder<'_>, node: &TypedNode, op: &Conv) -> Result<Operand> {
    if op.q_params.is_some() {
        return Err(b.refuse("is not supported on quantised operands"));
    }
    let shape = b.input_shape(node, 0)?;
    let spatial = spatial_rank(b, op.pool_spec.data_format, &shape)?;
    let [kernel, stride, dilation] = window(b, &op.pool_spec)?;
    let padding = op.pool_spec.computed_padding(&shape[2..]);
    let before: Vec<usize> = padding.iter().map(|p| p.pad_before).collect();
    let after: Vec<usize> = padding.iter().map(|p| p.pad_after).collect();
    let ([top, left], [bottom, right]) =
        (both(b, "pads", &before, 0)?, both(b, "pads", &after, 0)?);
    let pads = [top, left, bottom, right];
    let weights = weights(b, node, op.kernel_fmt, spatial)?;
    let (inputs, outputs) = (shape[1], op.pool_spec.output_channels);
    let activation = Unary::IDENTITY;
    let new: Op = if op.group == inputs && outputs == inputs && op.group > 1 {
        DepthwiseConv2d {
            kernel,
            stride,
            dilation,
            pads,
            activation,
        }
        .into()
    } else {
        Conv2d {
            kernel,
            stride,
            dilation,
            pads,
            group: op.group as u32,
            transposed: false,
            activation,
        }
        .into()
    };
    finish(b, node, new, weights, outputs, spatial)
}

pub(super) fn deconv(b: &mut Builder<'_>, node: &TypedNode, op: &Deconv) -> Result<Operand> {
    let shape = b.input_shape(node, 0)?;
    let spatial = spatial_rank(b, op.pool_spec.data_format, &shape)?;
    let spec = &op.pool_spec;
    let [kernel, stride, dilation] = window(b, spec)?;
    let padding = spec
        .padding
        .compute_for_deconv(
            &shape[2..],
            &spec.kernel_shape,
            &spec.dilations(),
            &spec.strides(),
            &op.adjustments,
        )
        .map_err(|e| b.refuse(format!("is not supported: {e}")))?;
    for axis in 0..spatial {
        let limit = spec.stride(axis).max(spec.dilation(axis));
        if op.adjustments[axis] >= limit {
            return Err(b.refuse(format!(
                "has output_padding={:?}: it must be less than the stride or the dilation",
                op.adjustments
            )));
        }
    }
    // Output padding takes back what is cut off at the end; what then is left
    // of it adds rows that no tap reaches: they are in the result's size alone.
    let before: Vec<usize> = padding.iter().map(|p| p.pad_before).collect();
    let after: Vec<usize> = padding
        .iter()
        .zip(&op.adjustments)
        .map(|(p, &extra)| p.pad_after.saturating_sub(extra))
        .collect();
    let ([top, left], [bottom, right]) =
        (both(b, "pads", &before, 0)?, both(b, "pads", &after, 0)?);
    let weights = weights(b, node, op.kernel_format, spatial)?;
    let new = Conv2d {
        kernel,
        stride,
        dilation,
        pads: [top, left, bottom, right],
        group: op.group as u32,
        transposed: true,
        activation: Unary::IDENTITY,
    };
    finish(b, node, new.into(), weights, spec.output_channels, spatial)
}

/// Kernel, stride and dilation.
fn window(b: &Builder<'_>, spec: &PoolSpec) -> Result<[[u16; 2]; 3]> {
    Ok([
        both(b, "kernel_shape", &spec.kernel_shape, 1)?,
        both(b, "strides", &spec.strides(), 1)?,
        both(b, "dilations", &spec.dilations(), 1)?,
    ])
}

/// The weights as `[out, kernel_h, kernel_w, in / group]`.
fn weights(
    b: &mut Builder<'_>,
    node: &TypedNode,
    format: KernelFormat,
    spatial: usize,
) -> Result<ValueId> {
    if format != KernelFormat::OIHW {
        return Err(b.refuse(format!(
            "is not supported with weights in layout {format:?}"
        )));
    }
    let mut w = b.constant_f32(node, 1, "weights")?;
    let bad = |e| b.refuse(format!("has bad weights: {e}"));
    if spatial == 1 {
        w.insert_axis(2).map_err(bad)?;
    }
    let w = dense(&w.permute_axes(&[0, 2, 3, 1]).map_err(bad)?)?;
    Ok(b.add_constant("weight", w))
}

/// Emits the convolution with its bias, between transpositions.
fn finish(
    b: &mut Builder<'_>,
    node: &TypedNode,
    op: Op,
    weights: ValueId,
    channels: usize,
    spatial: usize,
) -> Result<Operand> {
    let result = b.result(node)?;
    let (x, [h, w]) = window_operand(b, node, &result)?;
    let ty = Type::new(DType::F32, [result.shape[0], h, w, channels]);
    let mut operands = vec![x, weights];
    let mut late = None;
    if b.constant(node, 2).is_some() {
        operands.extend(bias(b, node, channels)?);
    } else {
        late = Some(b.value(node, 2)?);
    }
    let mut y = b.emit(op, &operands, ty.clone())?;
    if let Some(bias) = late {
        // A bias that is computed at run time broadcasts over the last dimension.
        let add = BinaryOp {
            function: BinaryKind::Add,
            activation: Unary::IDENTITY,
        };
        y = b.emit_aux("bias", add, &[y, bias], ty)?;
    }
    Ok(from_nhwc(b, y, spatial)?.into())
}

/// The constant bias, unless it is zero.
fn bias(b: &mut Builder<'_>, node: &TypedNode, channels: usize) -> Result<Option<ValueId>> {
    let bias = dense(&b.constant_f32(node, 2, "a bias")?)?;
    let values = bias.as_f32().unwrap_or_default();
    if values.iter().all(|&v| v == 0.0) {
        return Ok(None);
    }
    let values = match values {
        [one] => vec![*one; channels],
        all if all.len() == channels => all.to_vec(),
        _ => {
            return Err(b.refuse(format!(
                "has a bias of shape {:?} for {channels} channels",
                bias.shape
            )));
        }
    };
    Ok(Some(
        b.add_constant("bias", Dense::f32(vec![channels], values)),
    ))
}
