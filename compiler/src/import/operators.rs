//! The ONNX operators that are imported, and the attributes of each that are honoured.
//!
//! An operator or attribute that is not listed is refused before anything else
//! happens: tract ignores attributes that it does not know.

/// An operator of the default ONNX domain.
#[derive(Clone, Copy, Debug)]
pub struct Operator {
    /// ONNX's name.
    pub name: &'static str,
    /// Attributes that are read, or that change nothing about inference.
    pub attributes: &'static [&'static str],
}

/// The operator with this name.
pub fn find(name: &str) -> Option<&'static Operator> {
    OPERATORS.iter().find(|o| o.name == name)
}

/// Why an operator that users may well meet is missing, and what to do.
pub fn remedy(name: &str) -> &'static str {
    match name {
        "QuantizeLinear"
        | "DynamicQuantizeLinear"
        | "QLinearConv"
        | "QLinearMatMul"
        | "ConvInteger"
        | "MatMulInteger" => {
            "quantised models are not imported; export the float model, its activations can be quantised here"
        }
        "If" | "Loop" | "Scan" => {
            "control flow is not imported; export with fixed shapes or simplify the model first"
        }
        "LSTM" | "GRU" | "RNN" => "recurrent layers are not imported",
        "NonMaxSuppression" | "TopK" | "RoiAlign" => "cut the graph before its post-processing",
        "SequenceConstruct" | "SequenceAt" | "SplitToSequence" | "ConcatFromSequence"
        | "Optional" => "sequences are not imported; export with fixed shapes",
        "RandomNormal" | "RandomNormalLike" | "RandomUniform" | "RandomUniformLike"
        | "Bernoulli" | "Multinomial" => {
            "random values are not imported; export the model in evaluation mode"
        }
        _ => "there is no lowering for it",
    }
}

/// Operators that disappear: what they compute must follow from constants and shapes.
pub const ON_CONSTANTS: &[&str] = &[
    "ConstantOfShape",
    "CumSum",
    "DequantizeLinear",
    "EyeLike",
    "GatherElements",
    "GatherND",
    "NonZero",
    "OneHot",
    "Range",
    "ScatterElements",
    "ScatterND",
    "Trilu",
];

macro_rules! operators {
    ($($name:literal [$($attribute:literal),*])*) => {
        /// The table.
        pub const OPERATORS: &[Operator] = &[$(Operator { name: $name, attributes: &[$($attribute),*] }),*];
    };
}

operators! {
    // Products.
    "Conv" ["auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"]
    "ConvTranspose" ["auto_pad", "dilations", "group", "kernel_shape", "output_padding", "pads", "strides"]
    "Einsum" ["equation"]
    "Gemm" ["alpha", "beta", "transA", "transB"]
    "MatMul" []
    // Pools.
    "AveragePool" ["auto_pad", "ceil_mode", "count_include_pad", "dilations", "kernel_shape", "pads", "strides"]
    "GlobalAveragePool" []
    "GlobalMaxPool" []
    "MaxPool" ["auto_pad", "ceil_mode", "dilations", "kernel_shape", "pads", "storage_order", "strides"]
    // Normalisations.
    "BatchNormalization" ["epsilon", "momentum", "spatial", "training_mode"]
    "GroupNormalization" ["epsilon", "num_groups", "stash_type"]
    "InstanceNormalization" ["epsilon"]
    "LayerNormalization" ["axis", "epsilon", "stash_type"]
    "LpNormalization" ["axis", "p"]
    "MeanVarianceNormalization" ["axes"]
    "RMSNormalization" ["axis", "epsilon", "stash_type"]
    "LogSoftmax" ["axis"]
    "Softmax" ["axis"]
    // Functions of one operand.
    "Abs" []
    "Ceil" []
    "Celu" ["alpha"]
    "Clip" ["max", "min"]
    "Cos" []
    "Elu" ["alpha"]
    "Erf" []
    "Exp" []
    "Floor" []
    "Gelu" ["approximate"]
    "HardSigmoid" ["alpha", "beta"]
    "HardSwish" []
    "IsInf" ["detect_negative", "detect_positive"]
    "IsNaN" []
    "LeakyRelu" ["alpha"]
    "Log" []
    "Mish" []
    "Neg" []
    "Not" []
    "Reciprocal" []
    "Relu" []
    "Round" []
    "Selu" ["alpha", "gamma"]
    "Shrink" ["bias", "lambd"]
    "Sigmoid" []
    "Sign" []
    "Sin" []
    "Softplus" []
    "Softsign" []
    "Sqrt" []
    "Swish" ["alpha"]
    "Tan" []
    "Tanh" []
    "ThresholdedRelu" ["alpha"]
    // Functions of two and more.
    "Add" []
    "And" []
    "Div" []
    "Equal" []
    "Greater" []
    "GreaterOrEqual" []
    "Less" []
    "LessOrEqual" []
    "Max" []
    "Mean" []
    "Min" []
    "Mod" ["fmod"]
    "Mul" []
    "Or" []
    "PRelu" []
    "Pow" []
    "Sub" []
    "Sum" []
    "Where" []
    "Xor" []
    // Reductions.
    "ArgMax" ["axis", "keepdims", "select_last_index"]
    "ArgMin" ["axis", "keepdims", "select_last_index"]
    "ReduceL1" ["axes", "keepdims", "noop_with_empty_axes"]
    "ReduceL2" ["axes", "keepdims", "noop_with_empty_axes"]
    "ReduceLogSum" ["axes", "keepdims", "noop_with_empty_axes"]
    "ReduceLogSumExp" ["axes", "keepdims", "noop_with_empty_axes"]
    "ReduceMax" ["axes", "keepdims", "noop_with_empty_axes"]
    "ReduceMean" ["axes", "keepdims", "noop_with_empty_axes"]
    "ReduceMin" ["axes", "keepdims", "noop_with_empty_axes"]
    "ReduceProd" ["axes", "keepdims", "noop_with_empty_axes"]
    "ReduceSum" ["axes", "keepdims", "noop_with_empty_axes"]
    "ReduceSumSquare" ["axes", "keepdims", "noop_with_empty_axes"]
    // Movement.
    "Concat" ["axis"]
    "DepthToSpace" ["blocksize", "mode"]
    "Expand" []
    "Flatten" ["axis"]
    "Gather" ["axis"]
    "Pad" ["mode", "pads", "value"]
    "Reshape" ["allowzero", "shape"]
    "Resize" ["antialias", "axes", "coordinate_transformation_mode", "cubic_coeff_a", "exclude_outside",
        "extrapolation_value", "keep_aspect_ratio_policy", "mode", "nearest_mode"]
    "Slice" ["axes", "ends", "starts"]
    "SpaceToDepth" ["blocksize"]
    "Split" ["axis", "num_outputs", "split"]
    "Squeeze" ["axes"]
    "Tile" []
    "Transpose" ["perm"]
    "Unsqueeze" ["axes"]
    "Upsample" ["mode", "scales"]
    // Types and what disappears.
    "Cast" ["saturate", "to"]
    "CastLike" ["saturate"]
    "Dropout" ["is_test", "ratio", "seed"]
    "Identity" []
    // Constants and shapes, and operators of which only they may be operands.
    "Constant" ["value", "value_float", "value_floats", "value_int", "value_ints"]
    "ConstantOfShape" ["value"]
    "CumSum" ["exclusive", "reverse"]
    "DequantizeLinear" ["axis"]
    "EyeLike" ["dtype", "k"]
    "GatherElements" ["axis"]
    "GatherND" ["batch_dims"]
    "NonZero" []
    "OneHot" ["axis"]
    "Range" []
    "ScatterElements" ["axis"]
    "ScatterND" ["reduction"]
    "Shape" ["end", "start"]
    "Size" []
    "Trilu" ["upper"]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_on_constants_are_in_the_table() {
        assert!(ON_CONSTANTS.iter().all(|name| find(name).is_some()));
    }

    #[test]
    fn every_operator_has_a_reader() {
        let register = crate::import::registry::framework().op_register;
        for o in OPERATORS {
            assert!(register.0.contains_key(o.name), "{}", o.name);
            assert_eq!(
                OPERATORS.iter().filter(|p| p.name == o.name).count(),
                1,
                "{}",
                o.name
            );
        }
    }
}
