//! Sums in registers of 256 and 512 bits against the scalar epilogue.

use crate::Caps;
use crate::epilogue::x86_avx512::{Columns, FloatTile, IntegerTile, LANES, Place, SumRows};
use crate::epilogue::*;
use crate::testing::{Buffer, OUTPUTS, Rng};
use core::arch::x86_64::*;
use std::println;
use std::vec;
use std::vec::Vec;

/// Sums of 3 rows, every kind of epilogue, and every count of outputs around the
/// 64, 32 and 16 of registers of 512 and 256 bits.
#[test]
fn registers_give_the_same_bits() {
    if !Caps::detect().has(Caps::AVX512VNNI) {
        println!("skipped: epilogue x86_avx512 needs {}", Caps::AVX512VNNI);
        return;
    }
    let mut rng = Rng::new(52);
    for outputs in [1, 15, 16, 17, 31, 32, 33, 48, 49, 63, 64, 65, 80, 127, 131] {
        for y in OUTPUTS {
            for activation in activations() {
                for residual in [None, Some(DType::F32), Some(DType::I16), Some(DType::I8)] {
                    Row::random(outputs, y, activation, residual, &mut rng).check();
                }
            }
        }
    }
}

/// Activations with bounds in and out of order, and some that are no bounds.
fn activations() -> Vec<Unary> {
    let clip = |alpha, beta| Unary {
        kind: UnaryKind::Clip,
        alpha,
        beta,
    };
    let mut all = vec![
        clip(0.0, 6.0),
        clip(-0.3, 0.7),
        clip(0.25, 0.25),
        clip(0.7, -0.3),
        clip(f32::NEG_INFINITY, 0.5),
        clip(f32::NAN, 0.5),
        clip(-0.5, f32::NAN),
    ];
    all.extend((0..=32).map(|code| Unary {
        kind: UnaryKind::from_code(code).unwrap(),
        alpha: -0.75,
        beta: 1.25,
    }));
    all
}

/// What f32 residuals have now and then.
const STRANGE: [f32; 6] = [
    f32::NAN,
    f32::INFINITY,
    f32::NEG_INFINITY,
    1e12,
    -1e12,
    -0.0,
];

/// Rows of sums and what an epilogue takes.
struct Row {
    outputs: usize,
    y: DType,
    epilogue: Epilogue<'static>,
    residual: Option<Buffer>,
    w_scale: Option<Vec<f32>>,
    bias: Option<Vec<f32>>,
    sums: Vec<i32>,
}

const ROWS: usize = 3;
/// Elements between the sums of two rows, beyond the outputs.
const GAP: usize = 5;

impl Row {
    fn random(
        outputs: usize,
        y: DType,
        activation: Unary,
        residual: Option<DType>,
        rng: &mut Rng,
    ) -> Row {
        let scales = [0.02, 0.02, 1e-4, -0.02, 0.0, f32::INFINITY, f32::NAN, 1e-45];
        Row {
            outputs,
            y,
            epilogue: Epilogue {
                x_scale: 0.01,
                x_qmax: 0,
                x_non_negative: false,
                bias: None,
                residual: None,
                activation,
                out_scale: rng.pick(&scales),
                qmax: match y {
                    DType::I8 => rng.pick(&[127, 63, 1]),
                    _ => rng.pick(&[32767, 1000]),
                },
            },
            residual: residual.map(|r| {
                let mut residual = Buffer::random(r, ROWS * outputs, rng);
                if let Buffer::F32(values) = &mut residual {
                    for value in values.iter_mut() {
                        if rng.below(16) == 0 {
                            *value = rng.pick(&STRANGE);
                        }
                    }
                }
                residual
            }),
            w_scale: (rng.below(4) > 0).then(|| rng.f32s(outputs)),
            bias: (rng.below(4) > 0).then(|| rng.f32s(outputs)),
            sums: (0..ROWS * (outputs + GAP))
                .map(|_| match rng.below(4) {
                    0 => rng.next() as i32,
                    1 => 0,
                    _ => rng.below(2000) as i32 - 1000,
                })
                .collect(),
        }
    }

    /// Runs `f` with the epilogue bound to an output; tells what that then is.
    fn with(&self, f: impl FnOnce(&Finish<'_>)) -> Buffer {
        let len = ROWS * self.outputs;
        let mut y = match self.y {
            DType::F32 => Buffer::F32(vec![1e30; len]),
            DType::I16 => Buffer::I16(vec![i16::MIN; len]),
            _ => Buffer::I8(vec![i8::MIN; len]),
        };
        let epilogue = Epilogue {
            bias: self.bias.as_deref(),
            residual: self.residual.as_ref().map(|values| Residual {
                values: values.view(),
                scale: 0.3,
            }),
            ..self.epilogue
        };
        let w_scale = self.w_scale.as_deref();
        let y_view = y.view_mut();
        let finish = Finish::new(&epilogue, w_scale, DType::I8, ROWS, self.outputs, y_view);
        f(&finish.unwrap());
        y
    }

    /// Compares the ways to finish the rows with the scalar one: sums as integers,
    /// as bits of floats some of which are no numbers, and in registers.
    fn check(&self) {
        let stride = self.outputs + GAP;
        let floats: Vec<f32> = self
            .sums
            .iter()
            .map(|&sum| match sum.rem_euclid(50) {
                1 => f32::NAN,
                2 => f32::INFINITY,
                3 => f32::NEG_INFINITY,
                4 => -0.0,
                _ => sum as f32 * 0.37,
            })
            .collect();
        let integers: Vec<f32> = self.sums.iter().map(|&sum| sum as f32).collect();
        let scalar = |sums: &[f32]| {
            self.with(|finish| {
                for row in 0..ROWS {
                    let mut sums = sums[row * stride..][..self.outputs].to_vec();
                    // SAFETY: there is one task.
                    unsafe { finish.scalar(row, 0, &mut sums) };
                }
            })
        };
        let (expected, expected_floats) = (scalar(&integers), scalar(&floats));
        // SAFETY, to the end: the CPU has AVX-512, and there is one task.
        let found = self.with(|finish| unsafe {
            let sums = self.sums.as_ptr();
            finish.x86_avx512_rows::<true>(0..ROWS, 0..self.outputs, sums, stride);
        });
        self.compare(&found, &expected, "integers");
        let found = self.with(|finish| unsafe {
            let sums = floats.as_ptr().cast();
            // In two parts, the first of 7 outputs if there are as many.
            let cut = self.outputs.min(7);
            finish.x86_avx512_rows::<false>(0..ROWS, 0..cut, sums, stride);
            let sums = sums.add(cut);
            finish.x86_avx512_rows::<false>(0..ROWS, cut..self.outputs, sums, stride);
        });
        self.compare(&found, &expected_floats, "floats");
        // Known for sure: there is a way for what networks have most.
        let simple = self.epilogue.activation.kind == UnaryKind::Identity
            && self.epilogue.out_scale == 0.02
            && !matches!(self.residual, Some(Buffer::I16(_)));
        let most = largest(&integers);
        let found = self.with(|finish| unsafe {
            let all = straight::<true>(finish, self.outputs, &self.sums, stride, most);
            assert!(all || !simple || self.y == DType::I16 || most > 1e6);
        });
        self.compare(&found, &expected, "integers, straight");
        let found = self.with(|finish| unsafe {
            let bits: Vec<i32> = floats.iter().map(|sum| sum.to_bits() as i32).collect();
            straight::<false>(finish, self.outputs, &bits, stride, 0.0);
        });
        self.compare(&found, &expected_floats, "floats, straight");
        for copies in [1, 2, 4] {
            for (sums, expected, whole) in [
                (&floats, &expected_floats, false),
                (&integers, &expected, true),
            ] {
                let found = self.with(|finish| unsafe {
                    unpacked::<1>(finish, copies, self.outputs, sums, stride, whole);
                });
                self.compare(&found, expected, "from registers");
                let found = self.with(|finish| unsafe {
                    unpacked::<2>(finish, copies, self.outputs, sums, stride, whole);
                });
                self.compare(&found, expected, "unpacked words");
                let found = self.with(|finish| unsafe {
                    unpacked::<4>(finish, copies, self.outputs, sums, stride, whole);
                });
                self.compare(&found, expected, "unpacked bytes");
                if copies > 2 || self.outputs < 16 {
                    continue;
                }
                let found = self.with(|finish| unsafe {
                    lines::<1>(finish, copies, self.outputs, sums, stride, whole);
                });
                self.compare(&found, expected, "lines");
                let found = self.with(|finish| unsafe {
                    lines::<2>(finish, copies, self.outputs, sums, stride, whole);
                });
                self.compare(&found, expected, "lines of unpacked words");
                let found = self.with(|finish| unsafe {
                    lines::<4>(finish, copies, self.outputs, sums, stride, whole);
                });
                self.compare(&found, expected, "lines of unpacked bytes");
            }
        }
    }

    fn compare(&self, found: &Buffer, expected: &Buffer, how: &str) {
        let same = |i: usize| {
            let (a, b) = (found.get(i), expected.get(i));
            a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan()
        };
        for i in 0..expected.view().len() {
            assert!(
                same(i),
                "{how}: {} outputs {:?}, {:?}, residual {:?}: y[{i}] = {}, expected {}",
                self.outputs,
                self.y,
                self.epilogue,
                self.residual.as_ref().map(|r| r.view().dtype()),
                found.get(i),
                expected.get(i),
            );
        }
    }
}

/// Finishes rows straight from registers of sums, integers up to `most` in magnitude or the
/// bits of floats, where there is that way; tells whether there was for all of them.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
unsafe fn straight<const INTEGER: bool>(
    finish: &Finish<'_>,
    outputs: usize,
    sums: &[i32],
    stride: usize,
    most: f32,
) -> bool {
    // The last registers reach beyond the sums.
    let mut padded = sums.to_vec();
    padded.resize(sums.len() + 4 * LANES, 0);
    let mut all = true;
    for first in (0..outputs).step_by(4 * LANES) {
        let left = (outputs - first).min(4 * LANES);
        let sums = &padded[first..];
        // SAFETY: the caller's promises.
        unsafe {
            let done = match left.div_ceil(LANES) {
                1 => straight_part::<INTEGER, 1, 1>(finish, first, left, sums, stride, most),
                2 => straight_part::<INTEGER, 2, 2>(finish, first, left, sums, stride, most),
                3 => straight_part::<INTEGER, 3, 4>(finish, first, left, sums, stride, most),
                _ => straight_part::<INTEGER, 4, 4>(finish, first, left, sums, stride, most),
            };
            if !done {
                let outputs = first..first + left;
                finish.x86_avx512_rows::<INTEGER>(0..ROWS, outputs, sums.as_ptr(), stride);
                all = false;
            }
        }
    }
    all
}

/// As [`straight`], for `B` registers, of outputs `first..first + left`.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
unsafe fn straight_part<const INTEGER: bool, const B: usize, const N: usize>(
    finish: &Finish<'_>,
    first: usize,
    left: usize,
    sums: &[i32],
    stride: usize,
    most: f32,
) -> bool {
    let columns = Columns::<N>::new(finish, first, left);
    // SAFETY: 16 sums each; the caller's promises.
    unsafe {
        let sums: [[__m512i; B]; ROWS] = core::array::from_fn(|r| {
            core::array::from_fn(|b| {
                _mm512_loadu_si512(sums[r * stride + b * LANES..][..LANES].as_ptr().cast())
            })
        });
        if INTEGER {
            finish_straight(IntegerTile::<B>::new(&columns, most), &sums)
        } else {
            finish_straight(FloatTile::<B>::new(&columns, most), &sums)
        }
    }
}

/// Finishes rows from 0 on, if there is a way.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
unsafe fn finish_straight<const B: usize>(
    finish: Option<impl SumRows<B>>,
    sums: &[[__m512i; B]; ROWS],
) -> bool {
    let Some(finish) = finish else {
        return false;
    };
    // SAFETY: the caller's promises.
    unsafe { finish.any_rows(0, sums) };
    true
}

/// Finishes rows from four registers in the order that `U` says, which hold as many
/// rows side by side as `copies` says, and sums that are integers or not.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
unsafe fn unpacked<const U: usize>(
    finish: &Finish<'_>,
    copies: usize,
    outputs: usize,
    sums: &[f32],
    stride: usize,
    integers: bool,
) {
    let width = 64 / copies;
    // Whole columns overlap those in front of them; what is left of fewer outputs
    // than that takes the only way that masks its preparations as well.
    let mut done = 0;
    while done < outputs {
        let whole = outputs >= width;
        if copies > 1 && !whole {
            // SAFETY: the caller's promises.
            return unsafe { unpacked::<U>(finish, 1, outputs, sums, stride, integers) };
        }
        let first = if whole {
            done.min(outputs - width)
        } else {
            done
        };
        let (skip, count) = (done - first, (outputs - first).min(width));
        let columns = if whole {
            Columns::<4, U>::of_rows(finish, first, copies)
        } else {
            Columns::<4, U>::new(finish, first, count)
        };
        for row in (0..ROWS).step_by(copies) {
            let mut natural = [0.0; 64];
            let mut place = Place {
                at: [0; 4],
                mask: 0,
            };
            for copy in 0..copies.min(ROWS - row) {
                let from = &sums[(row + copy) * stride + first..][..count];
                natural[copy * width..][..count].copy_from_slice(from);
                for n in 0..width / 16 {
                    let at = (row + copy) * outputs + first + 16 * n;
                    place.at[copy * width / 16 + n] = at;
                }
                let outputs = (u64::MAX >> (64 - count)) & (u64::MAX << skip);
                place.mask |= outputs << (copy * width);
            }
            let order = |n: usize, i: usize| {
                let (group, lane) = (n / U * U * 16, U * (i / 4) + n % U);
                natural[group + 4 * lane + i % 4]
            };
            let t = core::array::from_fn(|n| {
                let register: [f32; 16] = core::array::from_fn(|i| order(n, i));
                // SAFETY: 16 floats.
                unsafe { _mm512_loadu_ps(register.as_ptr()) }
            });
            // SAFETY: the caller's promises.
            unsafe {
                if copies == 1 && skip == 0 && row == 1 {
                    let known = finish.common().is_some_and(|kind| {
                        common!(kind, true, C => columns.common_row::<C>(row, t))
                            || common!(kind, false, C => columns.common_row::<C>(row, t))
                    });
                    if !known {
                        columns.row(row, t);
                    }
                    continue;
                }
                // Both parts of the sum matter.
                let offset = row % 3;
                place.at = place.at.map(|at| at.wrapping_sub(offset));
                let line = columns.to(&place);
                let (way, whole) = (columns.way(largest(sums)), columns.whole([place.mask]));
                match (way, whole && row % 2 == 0) {
                    (PACKED, true) if integers => {
                        columns.line::<PACKED, true>(&line, offset, t);
                    }
                    (PACKED, _) if integers => columns.line::<PACKED, false>(&line, offset, t),
                    (FLOATS, true) => columns.line::<FLOATS, true>(&line, offset, t),
                    (FLOATS, _) => columns.line::<FLOATS, false>(&line, offset, t),
                    _ => columns.line::<ANY, false>(&line, offset, t),
                }
            }
        }
        done = first + count;
    }
}

/// As [`unpacked`], from registers of 256 bits, and 16 outputs or more.
#[target_feature(enable = "avx2")]
unsafe fn lines<const U: usize>(
    finish: &Finish<'_>,
    copies: usize,
    outputs: usize,
    sums: &[f32],
    stride: usize,
    integers: bool,
) {
    let width = 32 / copies;
    if outputs < width {
        // SAFETY: the caller's promises.
        return unsafe { lines::<U>(finish, 2, outputs, sums, stride, integers) };
    }
    let mut done = 0;
    while done < outputs {
        let first = done.min(outputs - width);
        let skip = done - first;
        let columns = Lines::<U>::new(finish, first, copies);
        for row in (0..ROWS).step_by(copies) {
            let (mut natural, mut at, mut mask) = ([0.0; 32], [0; 2], 0);
            for copy in 0..copies.min(ROWS - row) {
                let from = &sums[(row + copy) * stride + first..][..width];
                natural[copy * width..][..width].copy_from_slice(from);
                for n in 0..width / 16 {
                    at[copy + n] = (row + copy) * outputs + first + 16 * n;
                }
                mask |= ((u64::MAX >> (64 - width)) & (u64::MAX << skip)) << (copy * width);
            }
            let t = core::array::from_fn(|n| {
                let register: [f32; 8] = core::array::from_fn(|i| {
                    natural[n / U * U * 8 + 4 * (U * (i / 4) + n % U) + i % 4]
                });
                // SAFETY: eight floats.
                unsafe { _mm256_loadu_ps(register.as_ptr()) }
            });
            // Both parts of the sum matter.
            let offset = row % 3;
            let line = columns.to(at.map(|at| at.wrapping_sub(offset)), mask);
            let whole = columns.whole([mask]) && row % 2 == 0;
            // SAFETY: the caller's promises.
            unsafe {
                match (columns.way(largest(sums), [mask]), whole) {
                    (PACKED, true) if integers => {
                        columns.line::<PACKED, true>(&line, offset, t);
                    }
                    (PACKED, _) if integers => columns.line::<PACKED, false>(&line, offset, t),
                    (FLOATS, true) => columns.line::<FLOATS, true>(&line, offset, t),
                    (FLOATS, _) => columns.line::<FLOATS, false>(&line, offset, t),
                    _ => columns.line::<ANY, false>(&line, offset, t),
                }
            }
        }
        done = first + width;
    }
}

/// What [`Columns::way`] and [`Lines::way`] are told of sums.
fn largest(sums: &[f32]) -> f32 {
    sums.iter().fold(0.0, |largest, sum| sum.abs().max(largest))
}
