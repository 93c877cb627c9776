//! LogSoftmax.

use super::{Built, same_type};
use tract_onnx::model::ParsingContext;
use tract_onnx::pb::NodeProto;
use tract_onnx::tract_core::ops::nn::{Softmax, SoftmaxKind};
use tract_onnx::tract_hir::internal::*;

pub(super) fn log_softmax(ctx: &ParsingContext, node: &NodeProto) -> Built {
    let together = ctx.onnx_operator_set_version < 13;
    let axis = node
        .get_attr_opt::<i64>("axis")?
        .unwrap_or(if together { 1 } else { -1 });
    Ok((expand(LogSoftmax { axis, together }), vec![]))
}

/// LogSoftmax as one operator; tract takes the logarithm of what may have become 0.
#[derive(Clone, Debug)]
struct LogSoftmax {
    axis: i64,
    /// Whether all dimensions from the axis on are taken together, as before operator set 13.
    together: bool,
}

impl Expansion for LogSoftmax {
    fn name(&self) -> StaticName {
        "LogSoftmax".into()
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
        let rank = model.outlet_fact(inputs[0])?.rank();
        let axis = if self.axis < 0 {
            self.axis + rank as i64
        } else {
            self.axis
        };
        ensure!(
            (0..rank as i64).contains(&axis),
            "axis {} of {rank} dimensions",
            self.axis
        );
        let axis = axis as usize;
        let axes = if self.together {
            (axis..rank).collect()
        } else {
            tvec![axis]
        };
        model.wire_node(
            name,
            Softmax {
                axes,
                quant_output_dt: None,
                kind: SoftmaxKind::LogSoftmax,
            },
            inputs,
        )
    }
}
