//! Element-wise operators, with broadcasting for those of two and three operands.

use crate::{Ctx, Invalid, MAX_RANK, View, ViewMut};

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
        Unary { kind, alpha: 0.0, beta: 0.0 }
    }
}

impl UnaryKind {
    /// The function with this code in the file format.
    pub fn from_code(code: u8) -> Option<UnaryKind> {
        let _ = code;
        todo!()
    }

    /// Lower-case name for dumps: `relu`, `hard_swish` ...
    pub fn name(self) -> &'static str {
        todo!()
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
    /// The function with this code in the file format.
    pub fn from_code(code: u8) -> Option<BinaryKind> {
        let _ = code;
        todo!()
    }

    /// Lower-case name for dumps: `add`, `less_or_equal` ...
    pub fn name(self) -> &'static str {
        todo!()
    }

    /// Whether the result is Bool whatever the operands are.
    pub fn is_comparison(self) -> bool {
        todo!()
    }
}

/// How operands of one output spread over it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broadcast<const N: usize> {
    /// Number of dimensions used below; the output is row-major.
    pub rank: usize,
    /// Output dimensions, outermost first.
    pub dims: [usize; MAX_RANK],
    /// Elements to step in each operand along each dimension; 0 repeats.
    pub strides: [[usize; MAX_RANK]; N],
}

impl<const N: usize> Broadcast<N> {
    /// NumPy's rules: aligns shapes at the right; `None` if they do not match or exceed the rank.
    pub fn new(out: &[usize], operands: [&[usize]; N]) -> Option<Self> {
        let _ = (out, operands);
        todo!()
    }
}

/// `y = f(x)`: F32; Neg, Abs, Sign also I32 and I64; Identity any dtype; Not Bool.
pub fn unary(ctx: &mut Ctx<'_>, f: &Unary, x: View<'_>, y: ViewMut<'_>) -> Result<(), Invalid> {
    let _ = (ctx, f, x, y);
    todo!()
}

/// `y = activation(f(a, b))`: F32, I32, I64 (arithmetic and comparisons), Bool
/// (Equal, NotEqual, And, Or, Xor). The activation must be Identity unless `y` is F32.
pub fn binary(
    ctx: &mut Ctx<'_>,
    kind: BinaryKind,
    activation: &Unary,
    shape: &Broadcast<2>,
    a: View<'_>,
    b: View<'_>,
    y: ViewMut<'_>,
) -> Result<(), Invalid> {
    let _ = (ctx, kind, activation, shape, a, b, y);
    todo!()
}

/// `y = condition ? a : b`; `a`, `b`, `y` of one dtype, any.
pub fn select(
    ctx: &mut Ctx<'_>,
    shape: &Broadcast<3>,
    condition: &[u8],
    a: View<'_>,
    b: View<'_>,
    y: ViewMut<'_>,
) -> Result<(), Invalid> {
    let _ = (ctx, shape, condition, a, b, y);
    todo!()
}

/// Converts between any two dtypes as NumPy does, except that float to integer
/// saturates and NaN becomes 0; to Bool is `x != 0`; f32 to f16 rounds to nearest even.
pub fn cast(ctx: &mut Ctx<'_>, x: View<'_>, y: ViewMut<'_>) -> Result<(), Invalid> {
    let _ = (ctx, x, y);
    todo!()
}
