//! tract's readers of ONNX operators, and ours where tract's lose too much.
//!
//! tract expands an activation such as Elu into five operators; ours stays one
//! ([`Function`]). Ours also differ where tract deviates from ONNX: Pow takes
//! the base's type, Selu has ONNX's constants, Resize of operator set 10 rounds
//! down, Celu has its factor, and Upsample exists.

mod arithmetic;
mod function;
mod softmax;
mod upsample;

pub(super) use arithmetic::Modulo;
pub(super) use function::Function;

use arithmetic::{Pow, modulo};
use function::{Celu, float, function};
use softmax::log_softmax;
use tern_kernels::eltwise::UnaryKind;
use tract_onnx::Onnx;
use tract_onnx::tract_hir::internal::*;
use upsample::{resize, upsample};

type Built = TractResult<(Box<dyn InferenceOp>, Vec<String>)>;

/// tract's ONNX front end with our readers.
pub(super) fn framework() -> Onnx {
    let mut onnx = tract_onnx::onnx().with_ignore_value_info(true);
    let register = &mut onnx.op_register;
    register.insert("Elu", |_, n| {
        function(UnaryKind::Elu, float(n, "alpha", 1.0)?, 0.0)
    });
    register.insert("Celu", |_, n| {
        Ok((
            expand(Celu {
                alpha: float(n, "alpha", 1.0)?,
            }),
            vec![],
        ))
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

/// One operand and one result of the same type.
fn same_type<'r, 'p: 'r, 's: 'r>(
    s: &mut Solver<'r>,
    inputs: &'p [TensorProxy],
    outputs: &'p [TensorProxy],
) -> InferenceResult {
    check_input_arity(inputs, 1)?;
    check_output_arity(outputs, 1)?;
    s.equals(&inputs[0].datum_type, &outputs[0].datum_type)?;
    s.equals(&inputs[0].shape, &outputs[0].shape)
}
