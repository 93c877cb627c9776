//! matmul against plain sums in f64.

use crate::array::{Array, Random, broadcast_index, filled};
use crate::model::{Case, Operand, each_level};
use ternrt::DType;
use ternrt::ops::table::MatMul;

#[test]
fn matmul_equals_its_definition() {
    let shapes: [(&[usize], &[usize], &[usize]); 6] = [
        (&[], &[], &[]),
        (&[3], &[3], &[3]),
        (&[2, 3], &[2, 3], &[2, 3]),
        (&[2, 3], &[1, 1], &[2, 3]),
        (&[1], &[2, 3], &[2, 3]),
        (&[2, 1, 3], &[], &[2, 1, 3]),
    ];
    for (seed, (a_leading, b_leading, y_leading)) in shapes.into_iter().enumerate() {
        for (transpose_a, transpose_b) in
            [(false, false), (false, true), (true, false), (true, true)]
        {
            let mut r = Random(3000 + seed as u64);
            let (m, k, n) = (
                r.pick(&[1, 5, 8, 17]),
                r.pick(&[1, 7, 16, 33]),
                r.pick(&[1, 6, 16, 19]),
            );
            let matrix = |rows, columns, transposed| {
                if transposed {
                    [columns, rows]
                } else {
                    [rows, columns]
                }
            };
            let a_dims = [a_leading, &matrix(m, k, transpose_a)].concat();
            let b_dims = [b_leading, &matrix(k, n, transpose_b)].concat();
            let y_dims = [y_leading, &[m, n]].concat();
            let (a, b) = (
                Array::f32(&a_dims, |_| r.real()),
                Array::f32(&b_dims, |_| r.real()),
            );
            let wanted = filled(DType::F32, &y_dims, |at| {
                let (leading, &[row, column]) = at.split_last_chunk::<2>().unwrap();
                let element = |x: &Array, x_leading: &[usize], i, j, transposed| {
                    x.at(&[
                        &broadcast_index(leading, x_leading)[..],
                        &matrix(i, j, transposed),
                    ]
                    .concat())
                };
                (0..k)
                    .map(|i| {
                        element(&a, a_leading, row, i, transpose_a)
                            * element(&b, b_leading, i, column, transpose_b)
                    })
                    .sum()
            });
            let case = Case::new(
                MatMul {
                    transpose_a,
                    transpose_b,
                },
                [a, b].map(|x| Some(Operand::of(x))),
                [Operand::of(wanted.clone())],
            );
            each_level(&case, |level, results| {
                for (got, wanted) in results[0].values.iter().zip(&wanted.values) {
                    assert!(
                        (got - wanted).abs() < 1e-4,
                        "{level:?} {a_dims:?} {b_dims:?}: {got} for {wanted}"
                    );
                }
            });
        }
    }
}
