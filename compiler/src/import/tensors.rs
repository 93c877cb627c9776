//! tract's element types and constants as the graph holds them.

use crate::ir::{Data, Tensor as Dense};
use anyhow::{Result, anyhow, bail};
use ternrt::DType;
use tract_onnx::tract_hir::internal::*;

/// The dtype that stands for tract's; half precision is widened to f32.
pub(super) fn dtype(datum: DatumType) -> Result<DType> {
    Ok(match datum {
        DatumType::F32 | DatumType::F16 => DType::F32,
        DatumType::I8 => DType::I8,
        DatumType::U8 => DType::U8,
        DatumType::I16 => DType::I16,
        DatumType::I32 => DType::I32,
        DatumType::I64 | DatumType::TDim => DType::I64,
        DatumType::Bool => DType::Bool,
        DatumType::F64 => {
            bail!("is double precision, which is not supported: export the model in float32")
        }
        other => bail!("has elements of type {other:?}, which are not supported"),
    })
}

/// tract's constant as the graph holds it.
pub(super) fn dense(t: &Tensor) -> Result<Dense> {
    fn slice<T: Datum + Clone>(t: &Tensor) -> Result<Vec<T>> {
        let plain = t.try_as_plain_ram().map_err(|e| anyhow!("{e}"))?;
        Ok(plain.as_slice::<T>().map_err(|e| anyhow!("{e}"))?.to_vec())
    }
    let data = match t.datum_type() {
        DatumType::F32 => Data::F32(slice(t)?),
        DatumType::F16 => Data::F32(slice::<f16>(t)?.into_iter().map(f32::from).collect()),
        DatumType::I8 => Data::I8(slice(t)?),
        DatumType::U8 => Data::U8(slice(t)?),
        DatumType::I16 => Data::I16(slice(t)?),
        DatumType::I32 => Data::I32(slice(t)?),
        DatumType::I64 => Data::I64(slice(t)?),
        DatumType::TDim => {
            let t = t
                .cast_to::<i64>()
                .map_err(|e| anyhow!("a dimension is not known: {e}"))?;
            Data::I64(slice(&t)?)
        }
        DatumType::Bool => Data::Bool(slice::<bool>(t)?.into_iter().map(u8::from).collect()),
        other => {
            dtype(other)?;
            bail!("has elements of type {other:?}, which are not supported")
        }
    };
    Ok(Dense::new(t.shape().to_vec(), data))
}
