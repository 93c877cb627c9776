//! `quantize`: f32 to integers that stand for `q * scale`.

use super::Signature;
use crate::ir::{Quant, Scale, Type};
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
