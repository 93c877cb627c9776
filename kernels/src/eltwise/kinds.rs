//! Which functions there are: their codes, names and parameters.

/// Which function of one operand. Codes are those of the file format, append-only.
/// Names are ONNX's; `alpha` and `beta` are ONNX's attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum UnaryKind {
    /// x
    Identity = 0,
    /// max(x, 0)
    Relu = 1,
    /// min(max(x, alpha), beta)
    Clip = 2,
    /// x * min(max(x / 6 + 0.5, 0), 1)
    HardSwish = 3,
    /// min(max(alpha * x + beta, 0), 1)
    HardSigmoid = 4,
    /// x * sigmoid(x)
    Silu = 5,
    /// x * 0.5 * (1 + erf(x / sqrt 2))
    Gelu = 6,
    /// tanh approximation of GELU
    GeluTanh = 7,
    /// 1 / (1 + exp(-x))
    Sigmoid = 8,
    /// Hyperbolic tangent.
    Tanh = 9,
    /// x < 0 ? alpha * x : x
    LeakyRelu = 10,
    /// x < 0 ? alpha * (exp(x) - 1) : x
    Elu = 11,
    /// log(1 + exp(x))
    Softplus = 12,
    /// x * tanh(softplus(x))
    Mish = 13,
    /// x / (1 + |x|)
    Softsign = 14,
    /// |x|
    Abs = 15,
    /// -x
    Neg = 16,
    /// e^x
    Exp = 17,
    /// Natural logarithm.
    Log = 18,
    /// Square root.
    Sqrt = 19,
    /// 1 / sqrt(x)
    Rsqrt = 20,
    /// 1 / x
    Reciprocal = 21,
    /// x * x
    Square = 22,
    /// Error function.
    Erf = 23,
    /// Largest integer not above x.
    Floor = 24,
    /// Smallest integer not below x.
    Ceil = 25,
    /// Nearest integer, half to even.
    Round = 26,
    /// -1, 0 or 1.
    Sign = 27,
    /// Sine.
    Sin = 28,
    /// Cosine.
    Cos = 29,
    /// Logical negation, of Bool.
    Not = 30,
    /// x > alpha ? x : 0
    ThresholdedRelu = 31,
    /// beta * (x < 0 ? alpha * (exp(x) - 1) : x)
    Selu = 32,
}

/// A function of one operand with its parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Unary {
    /// Which function.
    pub kind: UnaryKind,
    /// First parameter, where the function has one; else 0.
    pub alpha: f32,
    /// Second parameter, where the function has one; else 0.
    pub beta: f32,
}

impl Unary {
    /// The function that changes nothing.
    pub const IDENTITY: Unary = Unary::new(UnaryKind::Identity);

    /// A function without parameters.
    pub const fn new(kind: UnaryKind) -> Unary {
        Unary {
            kind,
            alpha: 0.0,
            beta: 0.0,
        }
    }
}

impl UnaryKind {
    /// All of them, in code order.
    pub const ALL: &'static [UnaryKind] = &[
        UnaryKind::Identity,
        UnaryKind::Relu,
        UnaryKind::Clip,
        UnaryKind::HardSwish,
        UnaryKind::HardSigmoid,
        UnaryKind::Silu,
        UnaryKind::Gelu,
        UnaryKind::GeluTanh,
        UnaryKind::Sigmoid,
        UnaryKind::Tanh,
        UnaryKind::LeakyRelu,
        UnaryKind::Elu,
        UnaryKind::Softplus,
        UnaryKind::Mish,
        UnaryKind::Softsign,
        UnaryKind::Abs,
        UnaryKind::Neg,
        UnaryKind::Exp,
        UnaryKind::Log,
        UnaryKind::Sqrt,
        UnaryKind::Rsqrt,
        UnaryKind::Reciprocal,
        UnaryKind::Square,
        UnaryKind::Erf,
        UnaryKind::Floor,
        UnaryKind::Ceil,
        UnaryKind::Round,
        UnaryKind::Sign,
        UnaryKind::Sin,
        UnaryKind::Cos,
        UnaryKind::Not,
        UnaryKind::ThresholdedRelu,
        UnaryKind::Selu,
    ];

    /// The function with this code in the file format.
    pub fn from_code(code: u8) -> Option<UnaryKind> {
        Self::ALL.get(code as usize).copied()
    }

    /// Lower-case name for dumps, words joined by `_`.
    pub fn name(self) -> &'static str {
        match self {
            UnaryKind::Identity => "identity",
            UnaryKind::Relu => "relu",
            UnaryKind::Clip => "clip",
            UnaryKind::HardSwish => "hard_swish",
            UnaryKind::HardSigmoid => "hard_sigmoid",
            UnaryKind::Silu => "silu",
            UnaryKind::Gelu => "gelu",
            UnaryKind::GeluTanh => "gelu_tanh",
            UnaryKind::Sigmoid => "sigmoid",
            UnaryKind::Tanh => "tanh",
            UnaryKind::LeakyRelu => "leaky_relu",
            UnaryKind::Elu => "elu",
            UnaryKind::Softplus => "softplus",
            UnaryKind::Mish => "mish",
            UnaryKind::Softsign => "softsign",
            UnaryKind::Abs => "abs",
            UnaryKind::Neg => "neg",
            UnaryKind::Exp => "exp",
            UnaryKind::Log => "log",
            UnaryKind::Sqrt => "sqrt",
            UnaryKind::Rsqrt => "rsqrt",
            UnaryKind::Reciprocal => "reciprocal",
            UnaryKind::Square => "square",
            UnaryKind::Erf => "erf",
            UnaryKind::Floor => "floor",
            UnaryKind::Ceil => "ceil",
            UnaryKind::Round => "round",
            UnaryKind::Sign => "sign",
            UnaryKind::Sin => "sin",
            UnaryKind::Cos => "cos",
            UnaryKind::Not => "not",
            UnaryKind::ThresholdedRelu => "thresholded_relu",
            UnaryKind::Selu => "selu",
        }
    }
}

/// Which function of two operands. Codes are those of the file format, append-only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum BinaryKind {
    /// a + b (F32, I32, I64; integers wrap)
    Add = 0,
    /// a - b
    Sub = 1,
    /// a * b
    Mul = 2,
    /// a / b (integers: toward zero; division by zero gives 0)
    Div = 3,
    /// a to the power b (F32)
    Pow = 4,
    /// The smaller.
    Min = 5,
    /// The larger.
    Max = 6,
    /// Remainder with the divisor's sign (ONNX Mod, fmod = 0); by zero gives 0
    Mod = 7,
    /// Remainder with the dividend's sign (ONNX Mod, fmod = 1); by zero gives NaN or 0
    Fmod = 8,
    /// a == b, gives Bool, as all comparisons do
    Equal = 9,
    /// a < b
    Less = 10,
    /// a <= b
    LessOrEqual = 11,
    /// a > b
    Greater = 12,
    /// a >= b
    GreaterOrEqual = 13,
    /// Both, of Bool.
    And = 14,
    /// Either, of Bool.
    Or = 15,
    /// Not both and not neither, of Bool.
    Xor = 16,
    /// a != b
    NotEqual = 17,
}

impl BinaryKind {
    /// All of them, in code order.
    pub const ALL: &'static [BinaryKind] = &[
        BinaryKind::Add,
        BinaryKind::Sub,
        BinaryKind::Mul,
        BinaryKind::Div,
        BinaryKind::Pow,
        BinaryKind::Min,
        BinaryKind::Max,
        BinaryKind::Mod,
        BinaryKind::Fmod,
        BinaryKind::Equal,
        BinaryKind::Less,
        BinaryKind::LessOrEqual,
        BinaryKind::Greater,
        BinaryKind::GreaterOrEqual,
        BinaryKind::And,
        BinaryKind::Or,
        BinaryKind::Xor,
        BinaryKind::NotEqual,
    ];

    /// The function with this code in the file format.
    pub fn from_code(code: u8) -> Option<BinaryKind> {
        Self::ALL.get(code as usize).copied()
    }

    /// Lower-case name for dumps, words joined by `_`.
    pub fn name(self) -> &'static str {
        match self {
            BinaryKind::Add => "add",
            BinaryKind::Sub => "sub",
            BinaryKind::Mul => "mul",
            BinaryKind::Div => "div",
            BinaryKind::Pow => "pow",
            BinaryKind::Min => "min",
            BinaryKind::Max => "max",
            BinaryKind::Mod => "mod",
            BinaryKind::Fmod => "fmod",
            BinaryKind::Equal => "equal",
            BinaryKind::Less => "less",
            BinaryKind::LessOrEqual => "less_or_equal",
            BinaryKind::Greater => "greater",
            BinaryKind::GreaterOrEqual => "greater_or_equal",
            BinaryKind::And => "and",
            BinaryKind::Or => "or",
            BinaryKind::Xor => "xor",
            BinaryKind::NotEqual => "not_equal",
        }
    }

    /// Whether the result is Bool whatever the operands are.
    pub fn is_comparison(self) -> bool {
        use BinaryKind::*;
        matches!(
            self,
            Equal | Less | LessOrEqual | Greater | GreaterOrEqual | NotEqual
        )
    }
}
