//! The runtime's functions of one operand, as one operator of tract's.

use super::{Built, same_type};
use tern_kernels::eltwise::{self, Unary, UnaryKind};
use tern_kernels::{Caps, Ctx, Serial, View, ViewMut};
use tract_onnx::pb::NodeProto;
use tract_onnx::tract_core::ops::element_wise::{ElementWiseMiniOp, ElementWiseOp};
use tract_onnx::tract_core::ops::math::{div, mul};
use tract_onnx::tract_hir::internal::*;
use tract_onnx::tract_hir::ops::element_wise::ElementWiseIntoHir;

/// A float attribute.
pub(super) fn float(node: &NodeProto, name: &str, default: f32) -> TractResult<f32> {
    Ok(node.get_attr_opt::<f32>(name)?.unwrap_or(default))
}

/// The reader's result for a function.
pub(super) fn function(kind: UnaryKind, alpha: f32, beta: f32) -> Built {
    let function = Function {
        kind,
        alpha: alpha.to_bits(),
        beta: beta.to_bits(),
    };
    Ok((ElementWiseOp(Box::new(function), None).into_hir(), vec![]))
}

/// One of the runtime's functions of one operand.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::import) struct Function {
    kind: UnaryKind,
    alpha: u32,
    beta: u32,
}

impl Function {
    /// The runtime's description.
    pub(in crate::import) fn unary(&self) -> Unary {
        Unary {
            kind: self.kind,
            alpha: f32::from_bits(self.alpha),
            beta: f32::from_bits(self.beta),
        }
    }
}

impl ElementWiseMiniOp for Function {
    fn name(&self) -> String {
        format!("{:?}", self.kind)
    }

    // Only where tract meets a constant operand.
    fn eval_in_place(&self, t: &mut Tensor, _: Option<DatumType>) -> TractResult<()> {
        let x = t.cast_to::<f32>()?.into_owned();
        let mut y = Tensor::zero::<f32>(x.shape())?;
        let mut ctx = Ctx {
            caps: Caps::SCALAR,
            par: &Serial,
            scratch: &mut [],
        };
        let x = x.try_as_plain_ram()?;
        eltwise::unary(
            &mut ctx,
            &self.unary(),
            View::F32(x.as_slice::<f32>()?),
            ViewMut::F32(y.try_as_plain_ram_mut()?.as_slice_mut::<f32>()?),
        )
        .map_err(|_| format_err!("{:?} cannot be evaluated", self.kind))?;
        *t = y.cast_to_dt(t.datum_type())?.into_owned();
        Ok(())
    }
}

/// ONNX's Celu, `x < 0 ? alpha * (exp(x / alpha) - 1) : x`; tract's lacks the factor.
#[derive(Clone, Debug)]
pub(super) struct Celu {
    /// ONNX's attribute.
    pub(super) alpha: f32,
}

impl Expansion for Celu {
    fn name(&self) -> StaticName {
        "Celu".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        same_type(s, inputs, outputs)
    }

    fn wire(
        &self,
        name: &str,
        model: &mut TypedModel,
        inputs: &[OutletId],
    ) -> TractResult<TVec<OutletId>> {
        let fact = model.outlet_fact(inputs[0])?.clone();
        let scalar = |v: f32| {
            tensor0(v)
                .cast_to_dt(fact.datum_type)?
                .into_owned()
                .broadcast_into_rank(fact.rank())
        };
        ensure!(self.alpha != 0.0, "alpha=0");
        let elu = ElementWiseOp(
            Box::new(Function {
                kind: UnaryKind::Elu,
                alpha: 1f32.to_bits(),
                beta: 0,
            }),
            None,
        );
        if self.alpha == 1.0 {
            return model.wire_node(name, elu, inputs);
        }
        let alpha = model.add_const(format!("{name}.alpha"), scalar(self.alpha)?)?;
        let x = model.wire_node(format!("{name}.div"), div(), &[inputs[0], alpha])?[0];
        let y = model.wire_node(name, elu, &[x])?[0];
        model.wire_node(format!("{name}.mul"), mul(), &[y, alpha])
    }
}
