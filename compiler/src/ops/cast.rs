//! `cast`: conversion to another dtype.

use super::Signature;
use crate::ir::Type;
use anyhow::{Result, ensure};
use ternrt::ops::table::Cast;

pub(super) fn infer(_: &Cast, io: &Signature<'_>) -> Result<Vec<Type>> {
    let (x, wanted) = (io.input(0)?, io.required()?);
    ensure!(
        x.quant.is_none() && wanted.quant.is_none(),
        "{x} to {wanted}: quantised values need quantize or dequantize"
    );
    Ok(vec![Type::new(wanted.dtype, x.shape.clone())])
}
