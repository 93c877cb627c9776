//! Mod and Pow.

use super::Built;
use tract_onnx::model::ParsingContext;
use tract_onnx::pb::NodeProto;
use tract_onnx::tract_core::ops::binary::{BinMiniOp, TypedBinOp};
use tract_onnx::tract_core::ops::cast::wire_cast;
use tract_onnx::tract_core::ops::change_axes::wire_rank_broadcast;
use tract_onnx::tract_hir::internal::*;
use tract_onnx::tract_hir::ops::binary::{BinIntoHir, rules as binary_rules};

pub(super) fn modulo(_: &ParsingContext, node: &NodeProto) -> Built {
    let fmod = node.get_attr_opt::<i64>("fmod")?.unwrap_or(0) != 0;
    let op = if fmod {
        tract_onnx::tract_core::ops::math::Rem.into_hir()
    } else {
        Modulo.into_hir()
    };
    Ok((op, vec![]))
}

/// ONNX's Mod with `fmod = 0`: the result has the divisor's sign.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::import) struct Modulo;

impl Modulo {
    fn integer(a: i64, b: i64) -> i64 {
        if b == 0 {
            0
        } else {
            ((a as i128 % b as i128 + b as i128) % b as i128) as i64
        }
    }

    fn float(a: f32, b: f32) -> f32 {
        let r = a % b;
        if r != 0.0 && (r < 0.0) != (b < 0.0) {
            r + b
        } else {
            r
        }
    }
}

impl BinMiniOp for Modulo {
    fn name(&self) -> &'static str {
        "Mod"
    }

    fn is_commutative(&self) -> bool {
        false
    }

    fn result_datum_type(&self, a: DatumType, b: DatumType) -> TractResult<DatumType> {
        self.operating_datum_type(a, b)
    }

    fn eval_in_a(&self, a: &mut Tensor, b: &Tensor) -> TractResult<()> {
        let mut c = Tensor::zero_dt(a.datum_type(), a.shape())?;
        self.eval_out_of_place(&mut c, a, b)?;
        *a = c;
        Ok(())
    }

    fn eval_out_of_place(&self, c: &mut Tensor, a: &Tensor, b: &Tensor) -> TractResult<()> {
        let dt = c.datum_type();
        let result = if dt.is_float() {
            broadcast(a, b, c.shape(), Self::float)?
        } else {
            broadcast(a, b, c.shape(), Self::integer)?
        };
        *c = result.cast_to_dt(dt)?.into_owned();
        Ok(())
    }
}

fn broadcast<T: Datum + Copy>(
    a: &Tensor,
    b: &Tensor,
    shape: &[usize],
    f: fn(T, T) -> T,
) -> TractResult<Tensor> {
    let (a, b) = (a.cast_to::<T>()?, b.cast_to::<T>()?);
    let (a, b) = (a.to_plain_array_view::<T>()?, b.to_plain_array_view::<T>()?);
    let (Some(a), Some(b)) = (a.broadcast(shape), b.broadcast(shape)) else {
        bail!("operands do not broadcast to {shape:?}");
    };
    let values: Vec<T> = a.iter().zip(b.iter()).map(|(&a, &b)| f(a, b)).collect();
    Tensor::from_shape(shape, &values)
}

/// ONNX's Pow: the exponent may have another type, the result has the base's.
#[derive(Clone, Debug)]
pub(super) struct Pow;

impl Expansion for Pow {
    fn name(&self) -> StaticName {
        "Pow".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        binary_rules(s, inputs, outputs, |base, _| Ok(base))
    }

    fn wire(
        &self,
        name: &str,
        model: &mut TypedModel,
        inputs: &[OutletId],
    ) -> TractResult<TVec<OutletId>> {
        let base = model.outlet_fact(inputs[0])?.datum_type;
        let exponent = model.outlet_fact(inputs[1])?.datum_type;
        ensure!(
            base.is_float() || !exponent.is_float(),
            "Pow of {base:?} with an exponent of {exponent:?}"
        );
        let wires = wire_rank_broadcast(name, model, inputs)?;
        let wires = wire_cast(name, model, &wires, base)?;
        model.wire_node(
            name,
            TypedBinOp(Box::new(tract_onnx::tract_core::ops::math::Pow), None),
            &wires,
        )
    }
}
