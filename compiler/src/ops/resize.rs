//! `resize`: NHWC images in another size.

use super::Signature;
use crate::ir::Type;
use anyhow::{Result, ensure};
use ternrt::kernels::movement::ResizeMode;
use ternrt::ops::table::Resize;

pub(super) fn infer(op: &Resize, io: &Signature<'_>) -> Result<Vec<Type>> {
    let x = match op.mode {
        ResizeMode::Linear => io.f32(0)?,
        _ => io.input(0)?,
    };
    let (batch, input, channels) = io.image(0)?;
    ensure!(
        op.scale.iter().all(|s| s.is_finite() && *s > 0.0),
        "scale={:?} must be positive and finite",
        op.scale
    );
    let mut output = [0; 2];
    for i in 0..2 {
        let exact = input[i] as f32 * op.scale[i];
        output[i] = exact as usize;
        if let Some(&wanted) = io.wanted.and_then(|w| w.shape.get(i + 1)) {
            ensure!(
                (wanted as f32 - exact).abs() <= 1.0,
                "output {} {wanted} of {x} is not scale={:?} times the input",
                ["height", "width"][i],
                op.scale
            );
            output[i] = wanted;
        }
    }
    Ok(vec![x.with_shape([batch, output[0], output[1], channels])])
}
