//! `binary`: a function of two operands, with NumPy broadcasting.

use super::elementary;
use super::index::broadcast_positions;
use super::interpret::Io;
use super::unary::check_activation;
use super::{Signature, broadcast_shapes};
use crate::ir::{Data, Tensor, Type};
use anyhow::{Result, anyhow, bail, ensure};
use ternrt::DType;
use ternrt::kernels::eltwise::{BinaryKind, Unary};
use ternrt::ops::table::BinaryOp;

pub(super) fn infer(op: &BinaryOp, io: &Signature<'_>) -> Result<Vec<Type>> {
    use BinaryKind::*;
    let dtypes: &[DType] = match op.function {
        And | Or | Xor => &[DType::Bool],
        Equal | NotEqual => &[DType::F32, DType::I32, DType::I64, DType::Bool],
        Pow => &[DType::F32],
        _ => &[DType::F32, DType::I32, DType::I64],
    };
    let (a, b) = (io.of(0, dtypes)?, io.of(1, dtypes)?);
    ensure!(
        a.dtype == b.dtype,
        "operands {a} and {b} must have one dtype"
    );
    let shape = broadcast_shapes(&[&a.shape, &b.shape])
        .ok_or_else(|| anyhow!("shapes of {a} and {b} do not broadcast"))?;
    let dtype = match op.function {
        Equal | NotEqual | Less | LessOrEqual | Greater | GreaterOrEqual => DType::Bool,
        _ => a.dtype,
    };
    if dtype == DType::F32 {
        check_activation(&op.activation)?;
    } else {
        ensure!(
            op.activation == Unary::IDENTITY,
            "an activation needs an f32 result, this is {}",
            dtype.name()
        );
    }
    Ok(vec![Type::new(dtype, shape)])
}

pub(super) fn interpret(op: &BinaryOp, io: &Io<'_>) -> Result<Vec<Tensor>> {
    let (a, b) = (io.dense(0)?, io.dense(1)?);
    let y = &io.result().shape;
    let spread = |t: &Tensor| match t.shape == *y {
        true => t.data.clone(),
        false => t.data.pick(broadcast_positions(&t.shape, y)),
    };
    let (a, b) = (spread(a), spread(b));
    let result = match (&a, &b) {
        (Data::F32(a), Data::F32(b)) => floats(op.function, a, b)?,
        (Data::I32(a), Data::I32(b)) => integers_32(op.function, a, b)?,
        (Data::I64(a), Data::I64(b)) => integers_64(op.function, a, b)?,
        (Data::Bool(a), Data::Bool(b)) => booleans(op.function, a, b)?,
        _ => bail!(
            "operands of dtype {} and {}",
            a.dtype().name(),
            b.dtype().name()
        ),
    };
    io.give(match result {
        Data::F32(v) => Data::F32(elementary::unary(&op.activation, &v)?),
        other => other,
    })
}

/// Compares, if the function is a comparison.
fn compare<T: PartialOrd>(kind: BinaryKind, a: &[T], b: &[T]) -> Option<Data> {
    use BinaryKind::*;
    let compare: fn(&T, &T) -> bool = match kind {
        Equal => |a, b| a == b,
        NotEqual => |a, b| a != b,
        Less => |a, b| a < b,
        LessOrEqual => |a, b| a <= b,
        Greater => |a, b| a > b,
        GreaterOrEqual => |a, b| a >= b,
        _ => return None,
    };
    Some(Data::Bool(
        a.iter().zip(b).map(|(a, b)| compare(a, b) as u8).collect(),
    ))
}

fn floats(kind: BinaryKind, a: &[f32], b: &[f32]) -> Result<Data> {
    use BinaryKind::*;
    if let Some(result) = compare(kind, a, b) {
        return Ok(result);
    }
    let arithmetic: fn((&f32, &f32)) -> f32 = match kind {
        Add => |(a, b)| a + b,
        Sub => |(a, b)| a - b,
        Mul => |(a, b)| a * b,
        Div => |(a, b)| a / b,
        _ => return Ok(Data::F32(elementary::binary(kind, a, b)?)),
    };
    Ok(Data::F32(a.iter().zip(b).map(arithmetic).collect()))
}

macro_rules! integers {
    ($name:ident, $t:ty, $variant:ident) => {
        fn $name(kind: BinaryKind, a: &[$t], b: &[$t]) -> Result<Data> {
            use BinaryKind::*;
            if let Some(result) = compare(kind, a, b) {
                return Ok(result);
            }
            let arithmetic: fn($t, $t) -> $t = match kind {
                Add => |a, b| a.wrapping_add(b),
                Sub => |a, b| a.wrapping_sub(b),
                Mul => |a, b| a.wrapping_mul(b),
                Div => |a, b| if b == 0 { 0 } else { a.wrapping_div(b) },
                Min => |a, b| a.min(b),
                Max => |a, b| a.max(b),
                Mod => |a, b| match b {
                    0 => 0,
                    b => match a.wrapping_rem(b) {
                        // The remainder takes the divisor's sign.
                        r if r != 0 && (r < 0) != (b < 0) => r + b,
                        r => r,
                    },
                },
                Fmod => |a, b| if b == 0 { 0 } else { a.wrapping_rem(b) },
                _ => bail!("{kind:?} does not take {}", stringify!($t)),
            };
            Ok(Data::$variant(
                a.iter().zip(b).map(|(&a, &b)| arithmetic(a, b)).collect(),
            ))
        }
    };
}
integers!(integers_32, i32, I32);
integers!(integers_64, i64, I64);

fn booleans(kind: BinaryKind, a: &[u8], b: &[u8]) -> Result<Data> {
    use BinaryKind::*;
    let logic: fn(bool, bool) -> bool = match kind {
        And => |a, b| a && b,
        Or => |a, b| a || b,
        Xor | NotEqual => |a, b| a != b,
        Equal => |a, b| a == b,
        _ => bail!("{kind:?} does not take bool"),
    };
    let both = a.iter().zip(b).map(|(&a, &b)| logic(a != 0, b != 0) as u8);
    Ok(Data::Bool(both.collect()))
}
