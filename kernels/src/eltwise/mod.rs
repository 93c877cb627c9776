//! Element-wise operators, with broadcasting for those of two and three operands.

mod broadcast;
mod cast;
mod kinds;
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

pub use broadcast::Broadcast;
pub use kinds::{BinaryKind, Unary, UnaryKind};

use crate::{Caps, Ctx, DType, Invalid, Variant, View, ViewMut, par};

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
