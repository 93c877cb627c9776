//! Resize and Upsample over height and width.

use super::image::{from_nhwc, to_nhwc};
use crate::import::builder::{Builder, Operand};
use crate::ir::Type;
use anyhow::Result;
use ternrt::DType;
use ternrt::kernels::movement::{ResizeCoordinates, ResizeMode};
use ternrt::ops::table::Resize;
use tract_onnx::tract_core::ops::nn::{CoordTransformer, Interpolator};
use tract_onnx::tract_hir::internal::*;
use tract_onnx_opl::resize::{AspectRatio, CoordTransform, Nearest, Resize as OnnxResize};

pub(super) fn resize(b: &mut Builder<'_>, node: &TypedNode, op: &OnnxResize) -> Result<Operand> {
    let shape = b.input_shape(node, 0)?;
    let result = b.result(node)?;
    let scales = scales(b, node, op, &shape, &result.shape)?;
    let x = b.value(node, 0)?;
    let resized: Vec<usize> = (0..shape.len())
        .filter(|&i| scales[i] != 1.0 || shape[i] != result.shape[i])
        .collect();
    let (Some(&first), Some(&last)) = (resized.first(), resized.last()) else {
        return Ok(x.into());
    };
    let (mode, coordinates) = mode(b, op, &scales, &shape, &result.shape)?;
    if mode == ResizeMode::Linear && b.ty(x).dtype != DType::F32 {
        return Err(b.refuse(format!(
            "is not supported on {}: linear resizing needs float32",
            b.ty(x).dtype.name()
        )));
    }
    // Where the channels are: last, or after the batch.
    let channels_last = shape.len() == 4 && first == 1 && last <= 2;
    let dtype = result.dtype;
    let out = &result.shape;
    if channels_last {
        let op = Resize {
            scale: [scales[1], scales[2]],
            mode,
            coordinates,
        };
        return Ok(b.emit(op, &[x], Type::new(dtype, out.clone()))?.into());
    }
    let (scale, size) = match shape.len() {
        3 if first == 2 => ([1.0, scales[2]], [1, out[2]]),
        4 if first >= 2 => ([scales[2], scales[3]], [out[2], out[3]]),
        rank => {
            return Err(b.refuse(format!("is not supported over dimensions {resized:?} of {rank}: only height and width can change")));
        }
    };
    let x = to_nhwc(b, x)?;
    let y = b.emit(
        Resize {
            scale,
            mode,
            coordinates,
        },
        &[x],
        Type::new(dtype, [out[0], size[0], size[1], out[1]]),
    )?;
    Ok(from_nhwc(b, y, shape.len() - 2)?.into())
}

/// Output over input for each dimension, as the model states it.
fn scales(
    b: &Builder<'_>,
    node: &TypedNode,
    op: &OnnxResize,
    shape: &[usize],
    result: &[usize],
) -> Result<Vec<f32>> {
    let axes = op
        .resized_axes(shape.len())
        .map_err(|e| b.refuse(format!("is not supported: {e}")))?;
    let mut scales = vec![1.0; shape.len()];
    let stated = op
        .optional_scales_input
        .and_then(|i| b.constant(node, i))
        .filter(|t| t.len() == axes.len());
    if let Some(stated) = stated {
        let values = stated
            .cast_to::<f32>()
            .map_err(|e| b.refuse(format!("has bad scales: {e}")))?;
        let values = values
            .try_as_plain_ram()
            .map_err(|e| b.refuse(format!("has bad scales: {e}")))?;
        let values = values
            .as_slice::<f32>()
            .map_err(|e| b.refuse(format!("has bad scales: {e}")))?;
        for (&axis, &scale) in axes.iter().zip(values) {
            if !(scale.is_finite() && scale > 0.0) {
                return Err(b.refuse(format!("is not supported with scale {scale}")));
            }
            scales[axis] = scale;
        }
        return Ok(scales);
    }
    if op.keep_aspect_ratio_policy != AspectRatio::Stretch {
        return Err(b.refuse("is not supported with attribute keep_aspect_ratio_policy other than stretch; give the sizes"));
    }
    for axis in axes {
        scales[axis] = result[axis] as f32 / shape[axis] as f32;
    }
    Ok(scales)
}

fn mode(
    b: &Builder<'_>,
    op: &OnnxResize,
    scales: &[f32],
    shape: &[usize],
    result: &[usize],
) -> Result<(ResizeMode, ResizeCoordinates)> {
    let mode = match (&op.interpolator, op.nearest) {
        (Interpolator::Linear, _) => ResizeMode::Linear,
        (Interpolator::Cubic, _) => {
            return Err(b.refuse("is not supported with mode=cubic: nearest and linear are"));
        }
        (Interpolator::Nearest, Nearest::RoundPreferFloor) => ResizeMode::NearestFloorTies,
        (Interpolator::Nearest, Nearest::RoundPreferCeil) => ResizeMode::NearestCeilTies,
        (Interpolator::Nearest, Nearest::Floor) => ResizeMode::NearestFloor,
        (Interpolator::Nearest, Nearest::Ceil) => ResizeMode::NearestCeil,
    };
    if op.antialias && mode == ResizeMode::Linear && scales.iter().any(|&s| s < 1.0) {
        return Err(b.refuse("is not supported with antialias=1 to a smaller size"));
    }
    let name = op.coord_transformer.as_str();
    let exact = || {
        scales
            .iter()
            .zip(shape)
            .zip(result)
            .all(|((&s, &i), &o)| i as f32 * s == o as f32)
    };
    let coordinates = match &op.coord_transformer {
        CoordTransform::Plain(CoordTransformer::HalfPixel) => ResizeCoordinates::HalfPixel,
        // The same where the result's size is exactly the scaled one.
        CoordTransform::Plain(CoordTransformer::HalfPixelSymmetric) if exact() => {
            ResizeCoordinates::HalfPixel
        }
        CoordTransform::Plain(CoordTransformer::Asymmetric) => ResizeCoordinates::Asymmetric,
        CoordTransform::Plain(CoordTransformer::AlignCorners) => ResizeCoordinates::AlignCorners,
        CoordTransform::Plain(CoordTransformer::PytorchHalfPixel) => {
            ResizeCoordinates::PytorchHalfPixel
        }
        _ => {
            return Err(b.refuse(format!(
                "is not supported with coordinate_transformation_mode={name}: half_pixel, asymmetric, align_corners and pytorch_half_pixel are"
            )));
        }
    };
    Ok((mode, coordinates))
}
