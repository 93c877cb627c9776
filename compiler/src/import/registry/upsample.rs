//! Upsample, and Resize of operator set 10.

use super::Built;
use tract_onnx::model::ParsingContext;
use tract_onnx::pb::NodeProto;
use tract_onnx::tract_core::ops::nn::resize::{CoordTransformer, Interpolator};
use tract_onnx::tract_hir::internal::*;
use tract_onnx_opl::resize::{AspectRatio, CoordTransform, Nearest, Resize};

fn interpolator(node: &NodeProto) -> TractResult<Interpolator> {
    Interpolator::parse(node.get_attr_opt("mode")?.unwrap_or("nearest"))
}

pub(super) fn upsample(_: &ParsingContext, node: &NodeProto) -> Built {
    let op = Upsample {
        interpolator: interpolator(node)?,
        scales: node.get_attr_opt_vec::<f32>("scales")?,
    };
    Ok((expand(op), vec![]))
}

pub(super) fn resize(ctx: &ParsingContext, node: &NodeProto) -> Built {
    if ctx.onnx_operator_set_version == 10 {
        return upsample(ctx, node);
    }
    let builder = tract_onnx::onnx().op_register.0.get("Resize").copied();
    builder.ok_or_else(|| format_err!("tract has no Resize"))?(ctx, node)
}

/// Upsample, and Resize as it was in operator set 10: coordinates are divided
/// by the scale, and nearest rounds down.
#[derive(Clone, Debug)]
struct Upsample {
    interpolator: Interpolator,
    /// From the attribute of operator set 7; later ones have an operand.
    scales: Option<Vec<f32>>,
}

impl Upsample {
    fn resize(&self) -> Resize {
        Resize {
            axes: None,
            coord_transformer: CoordTransform::Plain(CoordTransformer::Asymmetric),
            interpolator: self.interpolator.clone(),
            nearest: Nearest::Floor,
            antialias: false,
            cubic_coeff_a_bits: (-0.75f32).to_bits(),
            exclude_outside: false,
            extrapolation_value_bits: 0,
            keep_aspect_ratio_policy: AspectRatio::Stretch,
            optional_roi_input: None,
            optional_scales_input: Some(1),
            optional_sizes_input: None,
        }
    }
}

impl Expansion for Upsample {
    fn name(&self) -> StaticName {
        "Upsample".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, if self.scales.is_some() { 1 } else { 2 })?;
        check_output_arity(outputs, 1)?;
        s.equals(&inputs[0].datum_type, &outputs[0].datum_type)?;
        s.equals(&inputs[0].rank, &outputs[0].rank)?;
        match &self.scales {
            Some(scales) => s.given(&inputs[0].shape, move |s, shape| {
                let out =
                    self.resize()
                        .compute_output_shape(&shape, Some(&tensor1(scales)), None)?;
                s.equals(&outputs[0].shape, out)
            }),
            None => s.given_2(
                &inputs[0].shape,
                &inputs[1].value,
                move |s, shape, scales| {
                    let out = self
                        .resize()
                        .compute_output_shape(&shape, Some(&scales), None)?;
                    s.equals(&outputs[0].shape, out)
                },
            ),
        }
    }

    fn wire(
        &self,
        name: &str,
        model: &mut TypedModel,
        inputs: &[OutletId],
    ) -> TractResult<TVec<OutletId>> {
        let scales = match &self.scales {
            Some(scales) => model.add_const(format!("{name}.scales"), tensor1(scales))?,
            None => inputs[1],
        };
        let values = model
            .outlet_fact(scales)?
            .konst
            .clone()
            .context("the scales are not constant")?;
        let values = values.cast_to::<f32>()?;
        let up = values
            .try_as_plain_ram()?
            .as_slice::<f32>()?
            .iter()
            .all(|&s| s >= 1.0);
        ensure!(
            up || self.interpolator == Interpolator::Linear,
            "nearest resizing to a smaller size needs operator set 11"
        );
        model.wire_node(name, self.resize(), &[inputs[0], scales])
    }
}
