//! `quantize`: f32 to integers that stand for `q * scale`.

use super::Signature;
use super::interpret::Io;
use crate::ir::{Data, Quant, Scale, Tensor, Type};
use anyhow::{Result, bail, ensure};
use ternrt::DType;
use ternrt::ops::table::Quantize;

pub(super) fn infer(_: &Quantize, io: &Signature<'_>) -> Result<Vec<Type>> {
    let (x, wanted) = (io.f32(0)?, io.required()?);
    let most = match wanted.dtype {
        DType::I8 => i8::MAX as i32,
        DType::I16 => i16::MAX as i32,
        _ => bail!("the result cannot be {wanted}: i8 or i16 is needed"),
    };
    let Some(Quant { qmax, scale }) = wanted.quant else {
        bail!("the result {wanted} needs a scale");
    };
    ensure!(
        (1..=most).contains(&qmax),
        "the result cannot be {wanted}: qmax must lie in 1..={most}"
    );
    let mut results = vec![wanted.with_shape(x.shape.clone())];
    match scale {
        Scale::Static(s) => ensure!(
            s.is_normal() && s > 0.0,
            "the scale {s:?} must be positive, finite and normal"
        ),
        Scale::Dynamic(_) => results.push(Type::new(DType::F32, [1])),
    }
    Ok(results)
}

pub(super) fn interpret(_: &Quantize, io: &Io<'_>) -> Result<Vec<Tensor>> {
    let x = io.f32(0)?;
    let ty = io.result();
    let Some(Quant { qmax, scale }) = ty.quant else {
        bail!("the result {ty} needs a scale");
    };
    let scale = match scale {
        Scale::Static(scale) => scale,
        Scale::Dynamic(_) => dynamic_scale(x, qmax),
    };
    let mut results = io.give(to_integers(x, scale, qmax, ty.dtype)?)?;
    if io.result_count() > 1 {
        results.push(Tensor::f32(vec![1], vec![scale]));
    }
    Ok(results)
}

/// `max|x| / qmax`, NaNs passed over; 1.0 where that or its inverse is of no use.
fn dynamic_scale(x: &[f32], qmax: i32) -> f32 {
    let largest = x
        .iter()
        .fold(0.0f32, |m, x| if x.abs() > m { x.abs() } else { m });
    let scale = largest / qmax as f32;
    if scale == 0.0 || !scale.is_finite() || !(1.0 / scale).is_finite() {
        1.0
    } else {
        scale
    }
}

/// `round_half_even(clamp(x * (1.0 / scale), -qmax, qmax))`; NaN gives `-qmax`.
pub(super) fn to_integers(x: &[f32], scale: f32, qmax: i32, dtype: DType) -> Result<Data> {
    let inverse = 1.0 / scale;
    let one = |x: &f32| {
        let t = x * inverse;
        if t.is_nan() {
            -qmax
        } else {
            t.clamp(-qmax as f32, qmax as f32).round_ties_even() as i32
        }
    };
    match dtype {
        DType::I8 => Ok(Data::I8(x.iter().map(|x| one(x) as i8).collect())),
        DType::I16 => Ok(Data::I16(x.iter().map(|x| one(x) as i16).collect())),
        _ => bail!("no integers of dtype {}", dtype.name()),
    }
}

/// The elements of a quantised tensor.
pub(super) fn integers(t: &Tensor) -> Result<Vec<i32>> {
    match &t.data {
        Data::I8(v) => Ok(v.iter().map(|&q| q as i32).collect()),
        Data::I16(v) => Ok(v.iter().map(|&q| q as i32).collect()),
        data => bail!("{} is no dtype of a quantised value", data.dtype().name()),
    }
}
