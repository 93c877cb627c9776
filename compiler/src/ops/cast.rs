//! `cast`: conversion to another dtype.

use super::Signature;
use super::interpret::Io;
use crate::ir::{Data, Tensor, Type};
use anyhow::{Result, ensure};
use half::f16;
use ternrt::DType;
use ternrt::ops::table::Cast;

pub(super) fn infer(_: &Cast, io: &Signature<'_>) -> Result<Vec<Type>> {
    let (x, wanted) = (io.input(0)?, io.required()?);
    ensure!(
        x.quant.is_none() && wanted.quant.is_none(),
        "{x} to {wanted}: quantised values need quantize or dequantize"
    );
    Ok(vec![Type::new(wanted.dtype, x.shape.clone())])
}

pub(super) fn interpret(_: &Cast, io: &Io<'_>) -> Result<Vec<Tensor>> {
    io.give(convert(&io.dense(0)?.data, io.result().dtype))
}

/// Converts as NumPy does (integers wrap), except that floats to integers
/// saturate and NaN becomes 0. f16 is rounded to nearest, half to even, and
/// reached by way of f32.
pub(crate) fn convert(data: &Data, dtype: DType) -> Data {
    match data {
        Data::F32(v) => floats(v.iter().copied(), dtype),
        Data::F16(v) => floats(v.iter().map(|&bits| f16::from_bits(bits).to_f32()), dtype),
        Data::I8(v) => integers(v.iter().map(|&i| i as i64), dtype),
        Data::U8(v) => integers(v.iter().map(|&i| i as i64), dtype),
        Data::I16(v) => integers(v.iter().map(|&i| i as i64), dtype),
        Data::I32(v) => integers(v.iter().map(|&i| i as i64), dtype),
        Data::I64(v) => integers(v.iter().copied(), dtype),
        Data::Bool(v) => integers(v.iter().map(|&i| (i != 0) as i64), dtype),
    }
}

fn floats(v: impl Iterator<Item = f32>, dtype: DType) -> Data {
    match dtype {
        DType::F32 => Data::F32(v.collect()),
        DType::F16 => Data::F16(v.map(|x| f16::from_f32(x).to_bits()).collect()),
        DType::I8 => Data::I8(v.map(|x| x as i8).collect()),
        DType::U8 => Data::U8(v.map(|x| x as u8).collect()),
        DType::I16 => Data::I16(v.map(|x| x as i16).collect()),
        DType::I32 => Data::I32(v.map(|x| x as i32).collect()),
        DType::I64 => Data::I64(v.map(|x| x as i64).collect()),
        DType::Bool => Data::Bool(v.map(|x| (x != 0.0) as u8).collect()),
    }
}

fn integers(v: impl Iterator<Item = i64>, dtype: DType) -> Data {
    match dtype {
        DType::F32 => Data::F32(v.map(|i| i as f32).collect()),
        DType::F16 => Data::F16(v.map(|i| f16::from_f32(i as f32).to_bits()).collect()),
        DType::I8 => Data::I8(v.map(|i| i as i8).collect()),
        DType::U8 => Data::U8(v.map(|i| i as u8).collect()),
        DType::I16 => Data::I16(v.map(|i| i as i16).collect()),
        DType::I32 => Data::I32(v.map(|i| i as i32).collect()),
        DType::I64 => Data::I64(v.collect()),
        DType::Bool => Data::Bool(v.map(|i| (i != 0) as u8).collect()),
    }
}
