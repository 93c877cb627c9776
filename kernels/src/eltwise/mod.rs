//! Element-wise operators, with broadcasting for those of two and three operands.

mod cast;
#[cfg(any(
    target_arch = "x86_64",
    target_arch = "aarch64",
    target_arch = "wasm32"
))]
mod portable_simd;
pub mod scalar;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
pub(crate) mod x86_avx2;

use crate::{Caps, Ctx, DType, Invalid, MAX_RANK, Variant, View, ViewMut, par};

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
    /// NumPy's rules: aligns shapes at the right; `None` if they do not match,
    /// exceed the rank, or have more elements than an address can count.
    pub fn new(out: &[usize], operands: [&[usize]; N]) -> Option<Self> {
        let mut shape = Broadcast {
            rank: out.len(),
            dims: [1; MAX_RANK],
            strides: [[0; MAX_RANK]; N],
        };
        shape.dims.get_mut(..out.len())?.copy_from_slice(out);
        out.iter().try_fold(1usize, |n, &d| n.checked_mul(d))?;
        for (dims, strides) in operands.iter().zip(&mut shape.strides) {
            let skip = out.len().checked_sub(dims.len())?;
            let mut step = 1usize;
            for (i, &d) in dims.iter().enumerate().rev() {
                match d {
                    1 => {}
                    d if d == out[skip + i] => strides[skip + i] = step,
                    _ => return None,
                }
                step = step.checked_mul(d)?;
            }
        }
        Some(shape)
    }

    /// Elements of the output.
    fn len(&self) -> Option<usize> {
        self.dims.iter().try_fold(1usize, |n, &d| n.checked_mul(d))
    }

    /// Whether every offset that operand `i` is read at lies below `len`.
    fn reads_within(&self, i: usize, len: usize) -> bool {
        if self.len() == Some(0) {
            return true;
        }
        let last = self
            .dims
            .iter()
            .zip(&self.strides[i])
            .try_fold(0usize, |sum, (&d, &s)| {
                sum.checked_add((d - 1).checked_mul(s)?)
            });
        last.is_some_and(|last| last < len)
    }

    /// The length of the output's innermost run over which every operand's
    /// step is either 0 throughout or that of a contiguous array, and those steps.
    fn run(&self) -> (usize, [usize; N]) {
        let mut run = 1;
        let mut steps = [0; N];
        for axis in (0..self.rank).rev() {
            let d = self.dims[axis];
            if d == 1 {
                continue;
            }
            let fits = run == 1 || (0..N).all(|i| self.strides[i][axis] == steps[i] * run);
            if !fits || (run == 1 && (0..N).any(|i| self.strides[i][axis] > 1)) {
                break;
            }
            if run == 1 {
                steps = core::array::from_fn(|i| self.strides[i][axis]);
            }
            run *= d;
        }
        (run, steps)
    }

    /// Calls `f` with the output offset and the operands' offsets of each run
    /// of [`run`](Self::run), for the runs numbered `range`.
    fn each_run(
        &self,
        run: usize,
        range: core::ops::Range<usize>,
        mut f: impl FnMut(usize, [usize; N]),
    ) {
        for number in range {
            let mut rest = number * run;
            let mut offsets = [0; N];
            for axis in (0..self.rank).rev() {
                let at = rest % self.dims[axis];
                rest /= self.dims[axis];
                for (offset, strides) in offsets.iter_mut().zip(&self.strides) {
                    *offset += at * strides[axis];
                }
            }
            f(number * run, offsets);
        }
    }
}

/// `y[i] = f(x[i])`.
type UnaryLoop = fn(&Unary, &[f32], &mut [f32]);
/// `y[i] = activation(f(a[i * steps[0]], b[i * steps[1]]))`, steps 0 or 1.
type BinaryLoop = fn(BinaryKind, &Unary, &[f32], &[f32], [usize; 2], &mut [f32]);

/// The loops of one variant over f32 runs.
#[derive(Clone, Copy)]
struct Kernels {
    unary: UnaryLoop,
    binary: BinaryLoop,
}

/// Best first, scalar last.
const VARIANTS: &[Variant<Kernels>] = &[
    #[cfg(target_arch = "x86_64")]
    Variant {
        name: "x86_avx2",
        needs: Caps::AVX2,
        run: Kernels {
            unary: x86_avx2::unary,
            binary: x86_avx2::binary,
        },
    },
    // What a target's baseline has; left out where the caller asks for scalar code alone.
    #[cfg(target_arch = "x86_64")]
    Variant {
        name: "portable_simd",
        needs: Caps::SSE41,
        run: Kernels {
            unary: portable_simd::unary,
            binary: scalar::binary,
        },
    },
    #[cfg(target_arch = "aarch64")]
    Variant {
        name: "portable_simd",
        needs: Caps::NEON,
        run: Kernels {
            unary: portable_simd::unary,
            binary: scalar::binary,
        },
    },
    #[cfg(target_arch = "wasm32")]
    Variant {
        name: "portable_simd",
        needs: Caps::SIMD128,
        run: Kernels {
            unary: portable_simd::unary,
            binary: scalar::binary,
        },
    },
    Variant {
        name: "scalar",
        needs: Caps::SCALAR,
        run: Kernels {
            unary: scalar::unary,
            binary: scalar::binary,
        },
    },
];

/// `y = f(x)`: F32; Neg, Abs, Sign also I32 and I64; Identity any dtype; Not Bool.
pub fn unary(ctx: &mut Ctx<'_>, f: &Unary, x: View<'_>, y: ViewMut<'_>) -> Result<(), Invalid> {
    if x.len() != y.len() || x.dtype() != y.dtype() {
        return Err(Invalid);
    }
    match (x, y) {
        (View::Bool(x), ViewMut::Bool(y)) if f.kind == UnaryKind::Not => {
            y.iter_mut().zip(x).for_each(|(y, &x)| *y = (x == 0) as u8);
        }
        (x, y) if f.kind == UnaryKind::Identity => y.copy_from(x)?,
        (View::F32(x), ViewMut::F32(y)) if f.kind != UnaryKind::Not => {
            let run = Variant::select(VARIANTS, ctx.caps)
                .ok_or(Invalid)?
                .run
                .unary;
            par::for_rows(ctx.par, y, 1, &|range, y| run(f, &x[range], y));
        }
        (View::I32(x), ViewMut::I32(y)) => integers(
            f.kind,
            x,
            y,
            i32::wrapping_neg,
            i32::wrapping_abs,
            i32::signum,
        )?,
        (View::I64(x), ViewMut::I64(y)) => integers(
            f.kind,
            x,
            y,
            i64::wrapping_neg,
            i64::wrapping_abs,
            i64::signum,
        )?,
        _ => return Err(Invalid),
    }
    Ok(())
}

fn integers<T: Copy>(
    kind: UnaryKind,
    x: &[T],
    y: &mut [T],
    neg: fn(T) -> T,
    abs: fn(T) -> T,
    sign: fn(T) -> T,
) -> Result<(), Invalid> {
    let f = match kind {
        UnaryKind::Neg => neg,
        UnaryKind::Abs => abs,
        UnaryKind::Sign => sign,
        _ => return Err(Invalid),
    };
    y.iter_mut().zip(x).for_each(|(y, &x)| *y = f(x));
    Ok(())
}

/// Runs `f(a, b)` over an output, element by element, with broadcasting.
fn each_pair<A: Copy + Sync, Y: Send>(
    ctx: &Ctx<'_>,
    shape: &Broadcast<2>,
    a: &[A],
    b: &[A],
    y: &mut [Y],
    f: impl Fn(A, A) -> Y + Sync,
) {
    let (run, steps) = shape.run();
    par::for_rows(ctx.par, y, run, &|runs, y| {
        let first = runs.start * run;
        shape.each_run(run, runs, |at, [at_a, at_b]| {
            let y = &mut y[at - first..at - first + run];
            for (i, y) in y.iter_mut().enumerate() {
                *y = f(a[at_a + i * steps[0]], b[at_b + i * steps[1]]);
            }
        });
    });
}

macro_rules! integer_arithmetic {
    ($name:ident, $t:ty) => {
        fn $name(kind: BinaryKind) -> Option<fn($t, $t) -> $t> {
            Some(match kind {
                BinaryKind::Add => <$t>::wrapping_add,
                BinaryKind::Sub => <$t>::wrapping_sub,
                BinaryKind::Mul => <$t>::wrapping_mul,
                BinaryKind::Div => |a, b| if b == 0 { 0 } else { a.wrapping_div(b) },
                BinaryKind::Min => <$t as Ord>::min,
                BinaryKind::Max => <$t as Ord>::max,
                BinaryKind::Mod => |a, b| {
                    let r = if b == 0 { 0 } else { a.wrapping_rem(b) };
                    if r != 0 && (r < 0) != (b < 0) {
                        r + b
                    } else {
                        r
                    }
                },
                BinaryKind::Fmod => |a, b| if b == 0 { 0 } else { a.wrapping_rem(b) },
                _ => return None,
            })
        }
    };
}
integer_arithmetic!(arithmetic_i32, i32);
integer_arithmetic!(arithmetic_i64, i64);

fn compare<T: PartialOrd>(kind: BinaryKind) -> Option<fn(T, T) -> u8> {
    Some(match kind {
        BinaryKind::Equal => |a, b| (a == b) as u8,
        BinaryKind::NotEqual => |a, b| (a != b) as u8,
        BinaryKind::Less => |a, b| (a < b) as u8,
        BinaryKind::LessOrEqual => |a, b| (a <= b) as u8,
        BinaryKind::Greater => |a, b| (a > b) as u8,
        BinaryKind::GreaterOrEqual => |a, b| (a >= b) as u8,
        _ => return None,
    })
}

fn logic(kind: BinaryKind) -> Option<fn(u8, u8) -> u8> {
    Some(match kind {
        BinaryKind::And => |a, b| (a != 0 && b != 0) as u8,
        BinaryKind::Or => |a, b| (a != 0 || b != 0) as u8,
        BinaryKind::Xor | BinaryKind::NotEqual => |a, b| ((a != 0) != (b != 0)) as u8,
        BinaryKind::Equal => |a, b| ((a != 0) == (b != 0)) as u8,
        _ => return None,
    })
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
    let fits = shape.len() == Some(y.len())
        && shape.reads_within(0, a.len())
        && shape.reads_within(1, b.len());
    if !fits || (activation.kind != UnaryKind::Identity && y.dtype() != DType::F32) {
        return Err(Invalid);
    }
    match (a, b, y) {
        (View::F32(a), View::F32(b), ViewMut::F32(y)) => {
            if kind.is_comparison() || logic(kind).is_some() {
                return Err(Invalid);
            }
            let kernel = Variant::select(VARIANTS, ctx.caps)
                .ok_or(Invalid)?
                .run
                .binary;
            let (run, steps) = shape.run();
            // One long run is cut up, so that threads share it.
            if run == y.len() {
                par::for_rows(ctx.par, y, 1, &|range, y| {
                    if !y.is_empty() {
                        let cut = |i: usize| {
                            range.start * steps[i]..if steps[i] == 0 { 1 } else { range.end }
                        };
                        kernel(kind, activation, &a[cut(0)], &b[cut(1)], steps, y);
                    }
                });
            } else {
                par::for_rows(ctx.par, y, run, &|runs, y| {
                    let first = runs.start * run;
                    shape.each_run(run, runs, |at, [at_a, at_b]| {
                        let y = &mut y[at - first..at - first + run];
                        kernel(kind, activation, &a[at_a..], &b[at_b..], steps, y);
                    });
                });
            }
        }
        (View::I32(a), View::I32(b), ViewMut::I32(y)) => {
            each_pair(ctx, shape, a, b, y, arithmetic_i32(kind).ok_or(Invalid)?)
        }
        (View::I64(a), View::I64(b), ViewMut::I64(y)) => {
            each_pair(ctx, shape, a, b, y, arithmetic_i64(kind).ok_or(Invalid)?)
        }
        (View::F32(a), View::F32(b), ViewMut::Bool(y)) => {
            each_pair(ctx, shape, a, b, y, compare(kind).ok_or(Invalid)?)
        }
        (View::I32(a), View::I32(b), ViewMut::Bool(y)) => {
            each_pair(ctx, shape, a, b, y, compare(kind).ok_or(Invalid)?)
        }
        (View::I64(a), View::I64(b), ViewMut::Bool(y)) => {
            each_pair(ctx, shape, a, b, y, compare(kind).ok_or(Invalid)?)
        }
        (View::Bool(a), View::Bool(b), ViewMut::Bool(y)) => {
            each_pair(ctx, shape, a, b, y, logic(kind).ok_or(Invalid)?)
        }
        _ => return Err(Invalid),
    }
    Ok(())
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
    let fits = shape.len() == Some(y.len())
        && shape.reads_within(0, condition.len())
        && shape.reads_within(1, a.len())
        && shape.reads_within(2, b.len());
    if !fits {
        return Err(Invalid);
    }
    let (run, steps) = shape.run();
    crate::view::same_dtype!((a, b), y, |a, b, y| {
        par::for_rows(ctx.par, y, run, &|runs, y| {
            let first = runs.start * run;
            shape.each_run(run, runs, |at, [at_c, at_a, at_b]| {
                for (i, y) in y[at - first..at - first + run].iter_mut().enumerate() {
                    let chosen = condition[at_c + i * steps[0]] != 0;
                    *y = if chosen {
                        a[at_a + i * steps[1]]
                    } else {
                        b[at_b + i * steps[2]]
                    };
                }
            });
        });
        Ok(())
    })
}

/// Converts between any two dtypes as NumPy does, except that float to integer
/// saturates and NaN becomes 0; to Bool is `x != 0`; f32 to f16 rounds to nearest even.
pub fn cast(ctx: &mut Ctx<'_>, x: View<'_>, y: ViewMut<'_>) -> Result<(), Invalid> {
    if x.len() != y.len() {
        return Err(Invalid);
    }
    cast::run(ctx, x, y);
    Ok(())
}
