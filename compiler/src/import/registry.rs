//! tract's readers of ONNX operators, and ours where tract's lose too much.
//!
//! tract expands an activation such as Elu into five operators; ours stays one
//! ([`Function`]). Ours also differ where tract deviates from ONNX: Pow takes
//! the base's type, Selu has ONNX's constants, Resize of operator set 10 rounds
//! down, and Upsample exists.

use tern_kernels::eltwise::{self, Unary, UnaryKind};
use tern_kernels::{Caps, Ctx, Serial, View, ViewMut};
use tract_onnx::Onnx;
use tract_onnx::model::ParsingContext;
use tract_onnx::pb::NodeProto;
use tract_onnx::tract_core::ops::binary::{BinMiniOp, TypedBinOp};
use tract_onnx::tract_core::ops::cast::wire_cast;
use tract_onnx::tract_core::ops::change_axes::wire_rank_broadcast;
use tract_onnx::tract_core::ops::element_wise::{ElementWiseMiniOp, ElementWiseOp};
use tract_onnx::tract_core::ops::nn::resize::{CoordTransformer, Interpolator};
use tract_onnx::tract_core::ops::nn::{Softmax, SoftmaxKind};
use tract_onnx::tract_hir::internal::*;
use tract_onnx::tract_hir::ops::binary::{BinIntoHir, rules as binary_rules};
use tract_onnx::tract_hir::ops::element_wise::ElementWiseIntoHir;
use tract_onnx_opl::resize::{AspectRatio, CoordTransform, Nearest, Resize};

type Built = TractResult<(Box<dyn InferenceOp>, Vec<String>)>;

/// tract's ONNX front end with our readers.
pub(super) fn framework() -> Onnx {
    let mut onnx = tract_onnx::onnx().with_ignore_value_info(true);
    let register = &mut onnx.op_register;
    register.insert("Elu", |_, n| {
        function(UnaryKind::Elu, float(n, "alpha", 1.0)?, 0.0)
    });
    register.insert("Selu", |_, n| {
        function(
            UnaryKind::Selu,
            float(n, "alpha", 1.673_263_2)?,
            float(n, "gamma", 1.050_701)?,
        )
    });
    register.insert("HardSigmoid", |_, n| {
        function(
            UnaryKind::HardSigmoid,
            float(n, "alpha", 0.2)?,
            float(n, "beta", 0.5)?,
        )
    });
    register.insert("ThresholdedRelu", |_, n| {
        function(UnaryKind::ThresholdedRelu, float(n, "alpha", 1.0)?, 0.0)
    });
    register.insert("Softplus", |_, _| function(UnaryKind::Softplus, 0.0, 0.0));
    register.insert("Softsign", |_, _| function(UnaryKind::Softsign, 0.0, 0.0));
    register.insert("Mish", |_, _| function(UnaryKind::Mish, 0.0, 0.0));
    register.insert("Swish", |_, _| function(UnaryKind::Silu, 0.0, 0.0));
    register.insert("Gelu", |_, n| {
        let tanh = n
            .get_attr_opt::<String>("approximate")?
            .is_some_and(|a| a == "tanh");
        function(
            if tanh {
                UnaryKind::GeluTanh
            } else {
                UnaryKind::Gelu
            },
            0.0,
            0.0,
        )
    });
    register.insert("LogSoftmax", log_softmax);
    register.insert("Mod", modulo);
    register.insert("Pow", |_, _| Ok((expand(Pow), vec![])));
    register.insert("Upsample", upsample);
    register.insert("Resize", resize);
    onnx
}

fn float(node: &NodeProto, name: &str, default: f32) -> TractResult<f32> {
    Ok(node.get_attr_opt::<f32>(name)?.unwrap_or(default))
}

fn function(kind: UnaryKind, alpha: f32, beta: f32) -> Built {
    let function = Function {
        kind,
        alpha: alpha.to_bits(),
        beta: beta.to_bits(),
    };
    Ok((ElementWiseOp(Box::new(function), None).into_hir(), vec![]))
}

/// One of the runtime's functions of one operand.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Function {
    kind: UnaryKind,
    alpha: u32,
    beta: u32,
}

impl Function {
    /// The runtime's description.
    pub(super) fn unary(&self) -> Unary {
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

fn log_softmax(ctx: &ParsingContext, node: &NodeProto) -> Built {
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
        check_input_arity(inputs, 1)?;
        check_output_arity(outputs, 1)?;
        s.equals(&inputs[0].datum_type, &outputs[0].datum_type)?;
        s.equals(&inputs[0].shape, &outputs[0].shape)
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

fn modulo(_: &ParsingContext, node: &NodeProto) -> Built {
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
pub(super) struct Modulo;

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
struct Pow;

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

fn interpolator(node: &NodeProto) -> TractResult<Interpolator> {
    Interpolator::parse(node.get_attr_opt("mode")?.unwrap_or("nearest"))
}

fn upsample(_: &ParsingContext, node: &NodeProto) -> Built {
    let op = Upsample {
        interpolator: interpolator(node)?,
        scales: node.get_attr_opt_vec::<f32>("scales")?,
    };
    Ok((expand(op), vec![]))
}

fn resize(ctx: &ParsingContext, node: &NodeProto) -> Built {
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
