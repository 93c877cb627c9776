//! The reference: one element at a time. The loops are `inline(always)` so that
//! the variants for an instruction set can compile the same source for it; as
//! nothing is ever contracted to FMA, the bits are the same.

use super::{BinaryKind, Unary, UnaryKind};
use crate::math;

/// x where x > lo, else lo (also for NaN), then at most hi: what `maxps` and `minps` do.
#[inline(always)]
fn clamp(x: f32, lo: f32, hi: f32) -> f32 {
    let x = if x > lo { x } else { lo };
    if x < hi { x } else { hi }
}

/// The function's value at `x`.
#[inline(always)]
pub fn apply(f: &Unary, x: f32) -> f32 {
    let Unary { kind, alpha, beta } = *f;
    match kind {
        UnaryKind::Identity => x,
        UnaryKind::Relu => {
            if x > 0.0 {
                x
            } else {
                0.0
            }
        }
        UnaryKind::Clip => clamp(x, alpha, beta),
        UnaryKind::HardSwish => x * clamp(x * (1.0 / 6.0) + 0.5, 0.0, 1.0),
        UnaryKind::HardSigmoid => clamp(alpha * x + beta, 0.0, 1.0),
        UnaryKind::Silu => x * math::sigmoid(x),
        UnaryKind::Gelu => x * (0.5 * (1.0 + math::erf(x * core::f32::consts::FRAC_1_SQRT_2))),
        UnaryKind::GeluTanh => {
            // sqrt(2 / pi) (x + 0.044715 x^3)
            let inner = 0.797_884_6 * (x + 0.044_715 * (x * x * x));
            x * (0.5 * (1.0 + math::tanh(inner)))
        }
        UnaryKind::Sigmoid => math::sigmoid(x),
        UnaryKind::Tanh => math::tanh(x),
        UnaryKind::LeakyRelu => {
            if x < 0.0 {
                alpha * x
            } else {
                x
            }
        }
        UnaryKind::Elu => {
            if x < 0.0 {
                alpha * (math::exp(x) - 1.0)
            } else {
                x
            }
        }
        UnaryKind::Softplus => math::softplus(x),
        UnaryKind::Mish => x * math::tanh(math::softplus(x)),
        UnaryKind::Softsign => x / (1.0 + x.abs()),
        UnaryKind::Abs => x.abs(),
        UnaryKind::Neg => -x,
        UnaryKind::Exp => math::exp(x),
        UnaryKind::Log => math::log(x),
        UnaryKind::Sqrt => math::sqrt(x),
        UnaryKind::Rsqrt => math::rsqrt(x),
        UnaryKind::Reciprocal => 1.0 / x,
        UnaryKind::Square => x * x,
        UnaryKind::Erf => math::erf(x),
        UnaryKind::Floor => math::floor(x),
        UnaryKind::Ceil => math::ceil(x),
        UnaryKind::Round => math::round_half_even(x),
        UnaryKind::Sign => {
            if x > 0.0 {
                1.0
            } else if x < 0.0 {
                -1.0
            } else {
                x
            }
        }
        UnaryKind::Sin => math::sin(x),
        UnaryKind::Cos => math::cos(x),
        UnaryKind::Not => {
            if x == 0.0 {
                1.0
            } else {
                0.0
            }
        }
        UnaryKind::ThresholdedRelu => {
            if x > alpha {
                x
            } else {
                0.0
            }
        }
        UnaryKind::Selu => {
            beta * if x < 0.0 {
                alpha * (math::exp(x) - 1.0)
            } else {
                x
            }
        }
    }
}

/// `y[i] = f(x[i])`.
#[inline(always)]
pub(super) fn unary(f: &Unary, x: &[f32], y: &mut [f32]) {
    /// A loop over one function, so that it is compiled without the match.
    macro_rules! each {
        ($($kind:ident),*) => {
            match f.kind {
                $(UnaryKind::$kind => {
                    let f = Unary { kind: UnaryKind::$kind, ..*f };
                    y.iter_mut().zip(x).for_each(|(y, &x)| *y = apply(&f, x));
                })*
                _ => y.iter_mut().zip(x).for_each(|(y, &x)| *y = apply(f, x)),
            }
        };
    }
    each!(
        Identity,
        Relu,
        Clip,
        HardSwish,
        HardSigmoid,
        LeakyRelu,
        Abs,
        Neg,
        Reciprocal,
        Square
    )
}

/// The arithmetic functions of two f32.
#[inline(always)]
pub(super) fn arithmetic(kind: BinaryKind, a: f32, b: f32) -> f32 {
    match kind {
        BinaryKind::Add => a + b,
        BinaryKind::Sub => a - b,
        BinaryKind::Mul => a * b,
        BinaryKind::Div => a / b,
        BinaryKind::Pow => math::pow(a, b),
        BinaryKind::Min => {
            if a < b || a.is_nan() {
                a
            } else {
                b
            }
        }
        BinaryKind::Max => {
            if a > b || a.is_nan() {
                a
            } else {
                b
            }
        }
        BinaryKind::Mod => {
            let r = a % b;
            if r != 0.0 && (r < 0.0) != (b < 0.0) {
                r + b
            } else {
                r
            }
        }
        BinaryKind::Fmod => a % b,
        _ => f32::NAN,
    }
}

/// `y[i] = activation(f(a[i * step_a], b[i * step_b]))`, steps 0 or 1.
#[inline(always)]
pub(super) fn binary(
    kind: BinaryKind,
    activation: &Unary,
    a: &[f32],
    b: &[f32],
    steps: [usize; 2],
    y: &mut [f32],
) {
    #[inline(always)]
    fn each(a: &[f32], b: &[f32], steps: [usize; 2], y: &mut [f32], f: impl Fn(f32, f32) -> f32) {
        match steps {
            [0, 0] => y.fill(f(a[0], b[0])),
            [0, _] => y.iter_mut().zip(b).for_each(|(y, &b)| *y = f(a[0], b)),
            [_, 0] => y.iter_mut().zip(a).for_each(|(y, &a)| *y = f(a, b[0])),
            _ => y
                .iter_mut()
                .zip(a.iter().zip(b))
                .for_each(|(y, (&a, &b))| *y = f(a, b)),
        }
    }
    match kind {
        BinaryKind::Add => each(a, b, steps, y, |a, b| a + b),
        BinaryKind::Sub => each(a, b, steps, y, |a, b| a - b),
        BinaryKind::Mul => each(a, b, steps, y, |a, b| a * b),
        BinaryKind::Div => each(a, b, steps, y, |a, b| a / b),
        _ => each(a, b, steps, y, |a, b| arithmetic(kind, a, b)),
    }
    match activation.kind {
        UnaryKind::Identity => {}
        UnaryKind::Relu => y
            .iter_mut()
            .for_each(|y| *y = apply(&Unary::new(UnaryKind::Relu), *y)),
        _ => y.iter_mut().for_each(|y| *y = apply(activation, *y)),
    }
}
