//! Conversions: every dtype is read as a whole number or as f32, and written
//! from either.

use crate::math::{f16_to_f32, f32_to_f16};
use crate::{Ctx, View, ViewMut, par};

/// An element on its way: integers stay exact, floats stay f32.
#[derive(Clone, Copy)]
enum Number {
    Whole(i64),
    Real(f32),
}

pub(super) fn run(ctx: &Ctx<'_>, x: View<'_>, y: ViewMut<'_>) {
    macro_rules! read {
        ($x:ident => $number:expr, $s:ident) => {
            write(ctx, y, &|i| {
                let $x = $s[i];
                $number
            })
        };
    }
    match x {
        View::F32(s) => read!(v => Number::Real(v), s),
        View::F16(s) => read!(v => Number::Real(f16_to_f32(v)), s),
        View::I8(s) => read!(v => Number::Whole(v.into()), s),
        View::U8(s) => read!(v => Number::Whole(v.into()), s),
        View::I16(s) => read!(v => Number::Whole(v.into()), s),
        View::I32(s) => read!(v => Number::Whole(v.into()), s),
        View::I64(s) => read!(v => Number::Whole(v), s),
        View::Bool(s) => read!(v => Number::Whole((v != 0) as i64), s),
    }
}

#[inline(always)]
fn write(ctx: &Ctx<'_>, y: ViewMut<'_>, x: &(impl Fn(usize) -> Number + Sync)) {
    macro_rules! fill {
        ($y:ident, $whole:expr, $real:expr) => {
            par::for_rows(ctx.par, $y, 1, &|range, y| {
                for (y, i) in y.iter_mut().zip(range) {
                    *y = match x(i) {
                        Number::Whole(v) => $whole(v),
                        Number::Real(v) => $real(v),
                    };
                }
            })
        };
    }
    // `as` from float saturates and turns NaN into 0; between integers it wraps.
    match y {
        ViewMut::F32(y) => fill!(y, |v: i64| v as f32, |v: f32| v),
        ViewMut::F16(y) => fill!(y, |v: i64| f32_to_f16(v as f32), f32_to_f16),
        ViewMut::I8(y) => fill!(y, |v: i64| v as i8, |v: f32| v as i8),
        ViewMut::U8(y) => fill!(y, |v: i64| v as u8, |v: f32| v as u8),
        ViewMut::I16(y) => fill!(y, |v: i64| v as i16, |v: f32| v as i16),
        ViewMut::I32(y) => fill!(y, |v: i64| v as i32, |v: f32| v as i32),
        ViewMut::I64(y) => fill!(y, |v: i64| v, |v: f32| v as i64),
        ViewMut::Bool(y) => fill!(y, |v: i64| (v != 0) as u8, |v: f32| (v != 0.0) as u8),
    }
}
