//! Elementary functions for `no_std`, the same bits on every CPU: plain f32 and
//! f64 arithmetic in a fixed order, never contracted to FMA.
//!
//! `exp`, `tanh`, `sigmoid` and `erf` use the single-precision approximations
//! of S. Moshier's Cephes library (their coefficients are facts from there);
//! the rest works in f64 with series whose error is far below an f32 ulp.
//! Relative errors, measured over dense sweeps by the tests: at most 3e-7.

/// 2 to the power `n`, for `n` in -126..=127.
fn power_of_two(n: i32) -> f32 {
    f32::from_bits(((n + 127) as u32) << 23)
}

/// Evaluates a polynomial, highest coefficient first.
fn polynomial(x: f32, coefficients: &[f32]) -> f32 {
    coefficients.iter().fold(0.0, |sum, &c| sum * x + c)
}

/// The largest integer that is not above `x`.
pub fn floor(x: f32) -> f32 {
    // From 2^23 on every f32 is whole.
    if x.is_nan() || x.abs() >= 8388608.0 {
        return x;
    }
    let whole = x as i32 as f32;
    (if whole > x { whole - 1.0 } else { whole }).copysign(x)
}

/// The smallest integer that is not below `x`.
pub fn ceil(x: f32) -> f32 {
    -floor(-x)
}

/// The nearest integer, half to even.
pub fn round_half_even(x: f32) -> f32 {
    if x.is_nan() || x.abs() >= 8388608.0 {
        return x;
    }
    // Adding 2^23 leaves no bits for a fraction, and the addition rounds half to even.
    ((x.abs() + 8388608.0) - 8388608.0).copysign(x)
}

/// e to the power x.
pub fn exp(x: f32) -> f32 {
    if x.is_nan() {
        return x;
    }
    if x > 88.722_84 {
        return f32::INFINITY;
    }
    if x < -103.972_08 {
        return 0.0;
    }
    // x = n ln 2 + r with |r| <= ln 2 / 2; ln 2 in two parts, the first exact in few bits.
    let n = round_half_even(x * core::f32::consts::LOG2_E);
    let r = (x - n * 0.693_359_4) - n * -2.121_944_4e-4;
    let p = polynomial(
        r,
        &[
            1.987_569_1e-4,
            1.398_199_9e-3,
            8.333_452e-3,
            4.166_579_6e-2,
            1.666_666_5e-1,
            5e-1,
        ],
    );
    let y = p * (r * r) + r + 1.0;
    // In two steps, so that neither power overflows and subnormals round once.
    let n = n as i32;
    let half = n >> 1;
    y * power_of_two(half) * power_of_two(n - half)
}

/// Natural logarithm in f64 of a positive, finite, normal number.
fn ln64(x: f64) -> f64 {
    let bits = x.to_bits();
    let mut e = ((bits >> 52) as i64 & 0x7ff) - 1023;
    let mut m = f64::from_bits((bits & 0x000f_ffff_ffff_ffff) | 0x3ff0_0000_0000_0000);
    if m > core::f64::consts::SQRT_2 {
        m *= 0.5;
        e += 1;
    }
    // ln m = 2 atanh(s), |s| < 0.172: the series to s^19 leaves less than 1e-16.
    let s = (m - 1.0) / (m + 1.0);
    let z = s * s;
    let mut sum = 0.0;
    for k in (0..10).rev() {
        sum = sum * z + 1.0 / (2 * k + 1) as f64;
    }
    2.0 * s * sum + e as f64 * core::f64::consts::LN_2
}

/// e to the power x in f64, for |x| < 700.
fn exp64(x: f64) -> f64 {
    let n = x * core::f64::consts::LOG2_E;
    let n = (n + if n < 0.0 { -0.5 } else { 0.5 }) as i64;
    let r = x - n as f64 * core::f64::consts::LN_2;
    let mut sum = 1.0;
    for k in (1..=14).rev() {
        sum = sum * r / k as f64 + 1.0;
    }
    sum * f64::from_bits(((n + 1023) as u64) << 52)
}

/// Natural logarithm; NaN below 0, -infinity at 0.
pub fn log(x: f32) -> f32 {
    if x == 0.0 {
        f32::NEG_INFINITY
    } else if x < 0.0 {
        f32::NAN
    } else if x.is_finite() {
        ln64(x as f64) as f32
    } else {
        x
    }
}

/// `x` to the power `y`, with IEEE 754's special cases (C's `powf`).
pub fn pow(x: f32, y: f32) -> f32 {
    if y == 0.0 || x == 1.0 {
        return 1.0;
    }
    if x.is_nan() || y.is_nan() {
        return f32::NAN;
    }
    let whole = floor(y) == y;
    let odd = whole && y.abs() < 16777216.0 && (y as i32) & 1 != 0;
    let magnitude = x.abs();
    if y.is_infinite() {
        return if magnitude == 1.0 {
            1.0
        } else if (magnitude > 1.0) == (y > 0.0) {
            f32::INFINITY
        } else {
            0.0
        };
    }
    let unsigned = if magnitude == 0.0 || magnitude.is_infinite() {
        if (magnitude == 0.0) == (y > 0.0) {
            0.0
        } else {
            f32::INFINITY
        }
    } else if x < 0.0 && !whole {
        return f32::NAN;
    } else {
        let t = y as f64 * ln64(magnitude as f64);
        if t > 100.0 {
            f32::INFINITY
        } else if t < -120.0 {
            0.0
        } else {
            exp64(t) as f32
        }
    };
    if odd && x.is_sign_negative() {
        -unsigned
    } else {
        unsigned
    }
}

/// Square root, correctly rounded; NaN below 0.
pub fn sqrt(x: f32) -> f32 {
    if x < 0.0 {
        return f32::NAN;
    }
    if x == 0.0 || !x.is_finite() {
        return x;
    }
    let v = x as f64;
    // Half the exponent as a first guess (within 6%), then Newton's iteration,
    // which doubles the digits each time.
    let mut y = f64::from_bits((v.to_bits() >> 1) + 0x1ff7_a3be_a91d_9b1b);
    for _ in 0..4 {
        y = 0.5 * (y + v / y);
    }
    y as f32
}

/// 1 / sqrt(x).
pub fn rsqrt(x: f32) -> f32 {
    1.0 / sqrt(x)
}

/// 1 / (1 + exp(-x)).
pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// Hyperbolic tangent.
// The coefficients have the digits that their source prints.
#[allow(clippy::excessive_precision)]
pub fn tanh(x: f32) -> f32 {
    let a = x.abs();
    if a < 0.625 {
        let z = x * x;
        let p = polynomial(
            z,
            &[
                -5.704_988_7e-3,
                2.063_908_9e-2,
                -5.373_971_6e-2,
                1.333_144_2e-1,
                -3.333_328e-1,
            ],
        );
        return p * z * x + x;
    }
    if a > 9.1 {
        return 1f32.copysign(x);
    }
    if a.is_nan() {
        return x;
    }
    (1.0 - 2.0 / (exp(a + a) + 1.0)).copysign(x)
}

/// Error function.
// The coefficients have the digits that their source prints; one is near 2 / sqrt(pi).
#[allow(clippy::excessive_precision, clippy::approx_constant)]
pub fn erf(x: f32) -> f32 {
    let a = x.abs();
    if a <= 1.0 {
        let t = [
            7.853_861_4e-5,
            -8.010_193_6e-4,
            5.188_327_7e-3,
            -2.685_381_2e-2,
            1.128_358_5e-1,
            -3.761_262_6e-1,
            1.128_379_2,
        ];
        return x * polynomial(x * x, &t);
    }
    if a.is_nan() {
        return x;
    }
    if a > 4.0 {
        return 1f32.copysign(x);
    }
    let q = 1.0 / a;
    let z = q * q;
    let p = if a < 2.0 {
        polynomial(
            z,
            &[
                2.326_82e-2,
                -1.387_039_4e-1,
                3.687_424_7e-1,
                -5.824_733e-1,
                6.210_004_6e-1,
                -4.944_515_3e-1,
                3.404_879_9e-1,
                -2.741_127e-1,
                5.638_259_4e-1,
            ],
        )
    } else {
        polynomial(
            z,
            &[
                -1.047_766_4e1,
                1.297_719_96e1,
                -7.495_518_7,
                2.921_019,
                -1.015_265_3,
                4.218_463_4e-1,
                -2.820_767_4e-1,
                5.641_895e-1,
            ],
        )
    };
    (1.0 - exp(-a * a) * q * p).copysign(x)
}

/// Sine and cosine in f64 of `x` reduced by multiples of pi / 2; good to |x| about 1e6.
fn sin_cos(x: f32) -> (f64, f64) {
    let v = x as f64;
    let n = v * core::f64::consts::FRAC_2_PI;
    let n = (n + if n < 0.0 { -0.5 } else { 0.5 }) as i64;
    // pi / 2 in two parts; the first has zeros at its end, so that n * part is exact.
    let r = (v - n as f64 * 1.570_796_325_802_803) - n as f64 * 9.920_935_739_593_517e-10;
    let z = r * r;
    let (mut sine, mut cosine) = (0.0, 0.0);
    for k in (1..=8).rev() {
        let k2 = (2 * k) as f64;
        sine = (1.0 + sine) * -z / (k2 * (k2 + 1.0));
        cosine = (1.0 + cosine) * -z / ((k2 - 1.0) * k2);
    }
    let (sine, cosine) = (r * (1.0 + sine), 1.0 + cosine);
    match n & 3 {
        0 => (sine, cosine),
        1 => (cosine, -sine),
        2 => (-sine, -cosine),
        _ => (-cosine, sine),
    }
}

/// Sine; NaN for infinities.
pub fn sin(x: f32) -> f32 {
    if x.is_finite() {
        sin_cos(x).0 as f32
    } else {
        f32::NAN
    }
}

/// Cosine; NaN for infinities.
pub fn cos(x: f32) -> f32 {
    if x.is_finite() {
        sin_cos(x).1 as f32
    } else {
        f32::NAN
    }
}

/// log(1 + exp(x)).
pub fn softplus(x: f32) -> f32 {
    if x.is_nan() {
        return x;
    }
    // exp(-|x|) <= 1, so nothing overflows; ln(1 + t) in f64 keeps small t.
    let t = exp(-x.abs()) as f64;
    let l = if t < 1e-9 { t } else { ln64(1.0 + t) };
    (if x > 0.0 { x as f64 } else { 0.0 } + l) as f32
}

/// The f32 value of binary16 bits.
pub fn f16_to_f32(h: u16) -> f32 {
    let sign = ((h & 0x8000) as u32) << 16;
    let exponent = (h >> 10) & 0x1f;
    let fraction = (h & 0x3ff) as u32;
    match exponent {
        0 => {
            // Subnormal: fraction * 2^-24, exact in f32.
            let magnitude = fraction as f32 * power_of_two(-24);
            f32::from_bits(magnitude.to_bits() | sign)
        }
        31 => f32::from_bits(sign | 0x7f80_0000 | fraction << 13),
        e => f32::from_bits(sign | (e as u32 + 112) << 23 | fraction << 13),
    }
}

/// The binary16 bits nearest to an f32 value, half to even; overflow gives infinity.
pub fn f32_to_f16(x: f32) -> u16 {
    let bits = x.to_bits();
    let sign = (bits >> 16 & 0x8000) as u16;
    let magnitude = bits & 0x7fff_ffff;
    if magnitude > 0x7f80_0000 {
        return sign | 0x7e00; // NaN
    }
    if magnitude >= 0x477f_f000 {
        return sign | 0x7c00; // rounds to 65536 or more, or is infinite
    }
    if magnitude < 0x3880_0000 {
        // Below 2^-14: a multiple of 2^-24. Adding 2^-1 puts that unit last.
        let sum = f32::from_bits(magnitude) + 0.5;
        return sign | (sum.to_bits() - 0x3f00_0000) as u16;
    }
    let round = 0xfff + (magnitude >> 13 & 1);
    sign | ((magnitude - 0x3800_0000 + round) >> 13) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Largest error over a dense sweep of all f32 in a range, relative to the
    /// larger of the result and `floor`.
    fn sweep(
        name: &str,
        ours: fn(f32) -> f32,
        exact: fn(f64) -> f64,
        range: [f32; 2],
        absolute: f64,
    ) {
        let mut worst = (0f64, 0f32);
        let steps = 400_000;
        for i in 0..=steps {
            let x = range[0] + (range[1] - range[0]) * (i as f32 / steps as f32);
            let e = exact(x as f64);
            let error = (ours(x) as f64 - e).abs() / e.abs().max(absolute);
            if error.is_nan() || error > worst.0 {
                worst = (error, x);
            }
        }
        std::println!("{name}: {:.1e} at {}", worst.0, worst.1);
        assert!(worst.0 <= 3e-7, "{name}: {} at {}", worst.0, worst.1);
    }

    /// erf by its Taylor series in f64, which converges for any x; fine to |x| = 4.
    fn erf_series(x: f64) -> f64 {
        let (mut term, mut sum) = (x, x);
        for n in 1..200 {
            term *= -x * x / n as f64;
            sum += term / (2 * n + 1) as f64;
        }
        sum * 2.0 / core::f64::consts::PI.sqrt()
    }

    #[test]
    fn functions_are_near_exact() {
        sweep("exp", exp, f64::exp, [-87.0, 88.7], 0.0);
        sweep("log", log, f64::ln, [1e-30, 1e-3], 0.0);
        sweep("log", log, f64::ln, [1e-3, 1e4], 1e-3);
        sweep("tanh", tanh, f64::tanh, [-12.0, 12.0], 1e-30);
        sweep(
            "sigmoid",
            sigmoid,
            |x| 1.0 / (1.0 + (-x).exp()),
            [-80.0, 80.0],
            1e-30,
        );
        sweep("erf", erf, erf_series, [-4.0, 4.0], 1e-30);
        sweep("sin", sin, f64::sin, [-1000.0, 1000.0], 1e-2);
        sweep("cos", cos, f64::cos, [-1e5, 1e5], 1e-2);
        sweep("sqrt", sqrt, f64::sqrt, [0.0, 1e9], 1e-30);
        sweep(
            "softplus",
            softplus,
            |x| x.exp().ln_1p(),
            [-80.0, 80.0],
            1e-30,
        );
        sweep(
            "pow 2.5",
            |x| pow(x, 2.5),
            |x| x.powf(2.5),
            [0.0, 1e4],
            1e-30,
        );
        sweep(
            "pow -3",
            |x| pow(x, -3.0),
            |x| x.powf(-3.0),
            [-50.0, -0.01],
            0.0,
        );
    }

    #[test]
    fn rounding_equals_std() {
        for i in -100_000..100_000 {
            let x = i as f32 / 64.0;
            assert_eq!(floor(x).to_bits(), x.floor().to_bits(), "{x}");
            assert_eq!(
                round_half_even(x).to_bits(),
                x.round_ties_even().to_bits(),
                "{x}"
            );
            assert_eq!(ceil(x), x.ceil(), "{x}");
        }
        for bits in (0..=u32::MAX).step_by(65_537) {
            let x = f32::from_bits(bits);
            let (r, f) = (round_half_even(x), floor(x));
            assert!(r == x.round_ties_even() || x.is_nan() && r.is_nan(), "{x}");
            assert!(f == x.floor() || x.is_nan() && f.is_nan(), "{x}");
            let s = sqrt(x);
            assert!(s == x.sqrt() || s.is_nan() && x.sqrt().is_nan(), "{x}");
        }
    }

    #[test]
    fn special_values() {
        let inf = f32::INFINITY;
        assert_eq!((exp(inf), exp(-inf), exp(0.0)), (inf, 0.0, 1.0));
        assert!(exp(-100.0) > 0.0 && exp(88.7) < inf);
        assert_eq!(
            (tanh(inf), tanh(-inf), sigmoid(inf), sigmoid(-inf)),
            (1.0, -1.0, 1.0, 0.0)
        );
        assert_eq!(
            (log(0.0), log(inf), erf(inf), erf(-inf)),
            (-inf, inf, 1.0, -1.0)
        );
        assert_eq!((softplus(-inf), softplus(inf)), (0.0, inf));
        for f in [
            exp,
            log,
            tanh,
            sigmoid,
            erf,
            sin,
            cos,
            sqrt,
            floor,
            ceil,
            round_half_even,
            softplus,
        ] {
            assert!(f(f32::NAN).is_nan());
        }
        assert!(log(-1.0).is_nan() && sqrt(-1.0).is_nan() && sin(inf).is_nan());
        let values = [
            -inf,
            -3.0,
            -2.5,
            -1.0,
            -0.5,
            -0.0,
            0.0,
            0.5,
            1.0,
            2.0,
            3.0,
            1e30,
            inf,
            f32::NAN,
        ];
        for x in values {
            for y in values {
                let (ours, exact) = (pow(x, y), x.powf(y));
                assert!(
                    ours == exact && ours.is_sign_negative() == exact.is_sign_negative()
                        || ours.is_nan() && exact.is_nan()
                        || (ours - exact).abs() <= 3e-7 * exact.abs(),
                    "{x} ^ {y}: {ours}, not {exact}"
                );
            }
        }
    }

    #[test]
    fn half_precision_round_trips_and_rounds() {
        for h in 0..=u16::MAX {
            let x = f16_to_f32(h);
            if x.is_nan() {
                assert!(f16_to_f32(f32_to_f16(x)).is_nan());
            } else {
                assert_eq!(f32_to_f16(x), h);
            }
            // The point between this value and the next goes to the even one,
            // its neighbours to the nearer.
            if h & 0x7fff < 0x7bff {
                let next = f16_to_f32(h + 1);
                let middle = (x + next) / 2.0;
                let even = if h & 1 == 0 { h } else { h + 1 };
                assert_eq!(f32_to_f16(middle), even, "{middle}");
                assert_eq!(f32_to_f16(f32::from_bits(middle.to_bits() - 1)), h);
                assert_eq!(f32_to_f16(f32::from_bits(middle.to_bits() + 1)), h + 1);
            }
        }
        assert_eq!(f32_to_f16(65519.0), 0x7bff);
        assert_eq!(f32_to_f16(65520.0), 0x7c00);
        assert_eq!(f32_to_f16(-1e9), 0xfc00);
    }
}
