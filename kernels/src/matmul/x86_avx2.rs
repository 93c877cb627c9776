//! AVX2: 16 columns of `b` are copied, 128 k at a time, to a panel
//! `[k][16]` on the stack, zeros beyond the last column; a tile of 6 rows of `a`
//! is multiplied with it. Sums wait in `y` between panels. One fused
//! multiply-add a product, k ascending.

use super::{Kernel, Product, Tile};
use crate::{Caps, Variant};
use core::arch::x86_64::*;
use core::array::from_fn;

/// Row of the family's table.
pub(super) const VARIANT: Variant<Kernel> = Variant {
    name: "x86_avx2",
    needs: Caps::AVX2,
    run,
};

const COLUMNS: usize = 16;
const ROWS: usize = 6;
/// k values of a panel: 8 KiB of stack.
const PANEL_K: usize = 128;

type Panel = [[f32; COLUMNS]; PANEL_K];

/// # Safety
///
/// The CPU has AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
unsafe fn run(p: &Product<'_>, tile: &mut Tile<'_>) {
    let mut panel = [[0.0; COLUMNS]; PANEL_K];
    for column in tile.columns.clone().step_by(COLUMNS) {
        let count = COLUMNS.min(tile.columns.end - column);
        for i in tile.rows.clone() {
            tile.row(i, column, count).fill(0.0);
        }
        for first in (0..p.k).step_by(PANEL_K) {
            let len = PANEL_K.min(p.k - first);
            pack(p, first, &mut panel[..len], column, count);
            for i in tile.rows.clone().step_by(ROWS) {
                // SAFETY: the caller's promise; rows i.. are there.
                unsafe {
                    match ROWS.min(tile.rows.end - i) {
                        1 => multiply::<1>(p, tile, &panel, [i, first, len, column]),
                        2 => multiply::<2>(p, tile, &panel, [i, first, len, column]),
                        3 => multiply::<3>(p, tile, &panel, [i, first, len, column]),
                        4 => multiply::<4>(p, tile, &panel, [i, first, len, column]),
                        5 => multiply::<5>(p, tile, &panel, [i, first, len, column]),
                        _ => multiply::<ROWS>(p, tile, &panel, [i, first, len, column]),
                    }
                }
            }
        }
    }
}

/// Copies `panel.len()` k from `first` on of `count` columns.
fn pack(p: &Product<'_>, first: usize, panel: &mut [[f32; COLUMNS]], column: usize, count: usize) {
    let [k_step, column_step] = p.b_steps;
    if column_step == 1 {
        for (k, to) in (first..).zip(panel) {
            let (used, rest) = to.split_at_mut(count);
            used.copy_from_slice(&p.b[k * k_step + column..][..count]);
            rest.fill(0.0);
        }
    } else {
        for (k, to) in (first..).zip(panel) {
            for (j, to) in to.iter_mut().enumerate() {
                *to = if j < count {
                    p.b[k * k_step + (column + j) * column_step]
                } else {
                    0.0
                };
            }
        }
    }
}

/// Adds the products of rows `i..i + R` with `len` k from `first` on to 16
/// columns of `y`.
///
/// # Safety
///
/// The CPU has AVX2 and FMA; the rows and k lie in `a`, `len` in the panel.
#[target_feature(enable = "avx2,fma")]
unsafe fn multiply<const R: usize>(
    p: &Product<'_>,
    tile: &mut Tile<'_>,
    panel: &Panel,
    [i, first, len, column]: [usize; 4],
) {
    let mut y = [[0.0f32; COLUMNS]; R];
    for (r, y) in y.iter_mut().enumerate() {
        let row = tile.row(i + r, column, COLUMNS);
        y[..row.len()].copy_from_slice(row);
    }
    // SAFETY: 16 floats a row.
    let mut sum: [[__m256; 2]; R] = from_fn(|r| unsafe {
        let y = y[r].as_ptr();
        [_mm256_loadu_ps(y), _mm256_loadu_ps(y.add(8))]
    });
    let [row_step, k_step] = p.a_steps;
    let corner = p.a.as_ptr().wrapping_add(i * row_step + first * k_step);
    let a: [*const f32; R] = from_fn(|r| corner.wrapping_add(r * row_step));
    for (k, w) in panel[..len].iter().enumerate() {
        let w = w.as_ptr();
        // SAFETY: 16 floats.
        let w = unsafe { [_mm256_loadu_ps(w), _mm256_loadu_ps(w.add(8))] };
        for r in 0..R {
            // SAFETY: row `i + r` and k `first + k` lie in `a`.
            let x = unsafe { _mm256_set1_ps(*a[r].add(k * k_step)) };
            sum[r][0] = _mm256_fmadd_ps(x, w[0], sum[r][0]);
            sum[r][1] = _mm256_fmadd_ps(x, w[1], sum[r][1]);
        }
    }
    for (r, y) in y.iter_mut().enumerate() {
        // SAFETY: 16 floats.
        unsafe {
            _mm256_storeu_ps(y.as_mut_ptr(), sum[r][0]);
            _mm256_storeu_ps(y.as_mut_ptr().add(8), sum[r][1]);
        }
        let row = tile.row(i + r, column, COLUMNS);
        row.copy_from_slice(&y[..row.len()]);
    }
}
