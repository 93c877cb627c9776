//! The elements of constants: lists, bytes and generators.

use super::cursor::Cursor;
use crate::ir::{Data, Scaled, Tensor, Type};
use crate::ops;
use anyhow::Result;
use ternrt::DType;

/// Number of elements of a type that the text states.
fn elements(ty: &Type, place: &Cursor<'_>) -> Result<usize> {
    ops::check_size(ty).map_err(|e| place.error(format_args!("{e:#}")))?;
    Ok(ty.elements())
}

/// The elements of a dense constant.
pub(super) fn dense(ty: &Type, at: &mut Cursor<'_>) -> Result<Tensor> {
    let start = *at;
    let len = elements(ty, &start)?;
    let data = dense_data(ty, len, at)?;
    if data.len() != len {
        let message = format!("{} elements for {ty}, which has {len}", data.len());
        return Err(start.error(message));
    }
    Ok(Tensor::new(ty.shape.clone(), data))
}

fn dense_data(ty: &Type, len: usize, at: &mut Cursor<'_>) -> Result<Data> {
    let start = *at;
    if at.eat("elided") {
        return Err(start.error("the data was left out when this was printed"));
    }
    if at.eat("hex(") {
        let digits = at.take("bytes", |c| c.is_ascii_hexdigit())?;
        at.expect(")")?;
        let bytes: Option<Vec<u8>> = (digits.as_bytes().chunks(2))
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
            .collect();
        let even = bytes.filter(|_| digits.len() % 2 == 0);
        let data = even.and_then(|b| Data::from_le_bytes(ty.dtype, &b));
        return data
            .ok_or_else(|| start.expected(&format!("whole elements of {}", ty.dtype.name())));
    }
    if at.eat("random(") {
        let seed = at.number("a seed")?;
        at.expect(")")?;
        return Ok(random(ty, len, seed));
    }
    if at.eat("fill(") {
        let value: f32 = at.number("a number")?;
        at.expect(")")?;
        let values = vec![value; len];
        return Ok(ops::convert(&Data::F32(values), ty.dtype));
    }
    let mut list = *at;
    if !list.eat("[") {
        return Err(at.expected("`[..]`, `hex(..)`, `random(..)` or `fill(..)`"));
    }
    Ok(match ty.dtype {
        DType::F32 => Data::F32(at.list("a number")?),
        DType::F16 => {
            let numbers = at.list::<f32>("a number")?;
            ops::convert(&Data::F32(numbers), DType::F16)
        }
        DType::I8 => Data::I8(at.list("an i8")?),
        DType::U8 => Data::U8(at.list("a u8")?),
        DType::I16 => Data::I16(at.list("an i16")?),
        DType::I32 => Data::I32(at.list("an i32")?),
        DType::I64 => Data::I64(at.list("an i64")?),
        DType::Bool => {
            let bits = at.list::<u8>("0 or 1")?;
            if bits.iter().any(|&b| b > 1) {
                return Err(start.expected("0s and 1s"));
            }
            Data::Bool(bits)
        }
    })
}

/// Integers and scales of weights.
pub(super) fn scaled(ty: &Type, at: &mut Cursor<'_>) -> Result<Scaled> {
    let start = *at;
    let len = elements(ty, &start)?;
    let outputs = ty.shape.first().copied().unwrap_or(1);
    let (values, scale): (Vec<i8>, Vec<f32>);
    if at.eat("ternary(") {
        let mut next = generator(at.number("a seed")?);
        at.expect(")")?;
        values = (0..len).map(|_| (next() % 3) as i8 - 1).collect();
        scale = (0..outputs).map(|_| 0.25 + 0.75 * unit(next())).collect();
    } else if at.eat("trits(") {
        let text = at.take("`+`, `0` or `-`", |c| "+0-".contains(c))?;
        at.expect(")")?;
        at.expect("scale=")?;
        let trit = |b| (b == b'+') as i8 - (b == b'-') as i8;
        values = text.bytes().map(trit).collect();
        scale = at.list("a scale")?;
    } else if at.eat("integers") {
        values = at.list("an i8")?;
        at.expect("scale=")?;
        scale = at.list("a scale")?;
    } else if at.eat("elided") {
        return Err(start.error("the data was left out when this was printed"));
    } else {
        return Err(at.expected("`trits(..)`, `integers[..]` or `ternary(SEED)`"));
    }
    if values.len() != len || scale.len() != outputs {
        return Err(start.error(format_args!(
            "{} weights and {} scales for {:?}, which needs {len} and {outputs}",
            values.len(),
            scale.len(),
            ty.shape
        )));
    }
    Ok(Scaled {
        shape: ty.shape.clone(),
        values,
        scale,
    })
}

/// Uniform in -1..1 for floats; up to 8 in magnitude for integers, all that
/// `qmax` allows for quantised ones.
fn random(ty: &Type, len: usize, seed: u64) -> Data {
    let mut next = generator(seed);
    if matches!(ty.dtype, DType::F32 | DType::F16) {
        let values = (0..len).map(|_| 2.0 * unit(next()) - 1.0).collect();
        return ops::convert(&Data::F32(values), ty.dtype);
    }
    let (low, high) = match (ty.dtype, ty.quant) {
        (_, Some(quant)) => (-(quant.qmax as i64), quant.qmax as i64),
        (DType::Bool, _) => (0, 1),
        (DType::U8, _) => (0, 8),
        _ => (-8, 8),
    };
    let span = (high - low).max(0) as u64 + 1;
    let values = (0..len).map(|_| low + (next() % span) as i64).collect();
    ops::convert(&Data::I64(values), ty.dtype)
}

/// SplitMix64 (Steele, Lea, Flood 2014).
pub(super) fn generator(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed;
    move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// A number in 0..1 from random bits.
fn unit(bits: u64) -> f32 {
    (bits >> 40) as f32 / (1u64 << 24) as f32
}
