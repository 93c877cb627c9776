//! quantize and dequantize against their formulas.

use crate::array::{Array, Random};
use crate::model::{Case, Operand, each_level};
use crate::pointwise::check;
use ternrt::DType;
use ternrt::ops::table::{Dequantize, Quantize};

#[test]
fn quantize_rounds_half_to_even_and_saturates() {
    let values = [
        0.0,
        0.5,
        1.5,
        -0.5,
        -2.5,
        3.2,
        62.7,
        63.5,
        126.9,
        127.5,
        1e9,
        -1e9,
        40000.0,
        f64::NAN,
    ];
    for (dtype, qmax) in [(DType::I8, 63.0), (DType::I8, 127.0), (DType::I16, 32767.0)] {
        let x = Array::f32(&[values.len()], |i| values[i] / 4.0);
        let wanted = Array::new(dtype, &x.dims, |i| {
            let v = values[i].clamp(-qmax, qmax).round_ties_even();
            if v.is_nan() { -qmax } else { v }
        });
        let q = Operand::of(wanted.clone()).quantised(0.25, qmax as u32, true);
        check(
            Case::new(Quantize {}, [Some(Operand::of(x))], [q]),
            &wanted,
            0.0,
        );
    }
}

#[test]
fn quantize_computes_its_scale_and_dequantize_takes_it() {
    for (dtype, qmax) in [(DType::I8, 63u32), (DType::I8, 127), (DType::I16, 32767)] {
        let mut r = Random(3);
        let x = Array::f32(&[5, 41], |_| r.real() * 3.0);
        let largest = x.values.iter().fold(0f32, |m, &v| m.max((v as f32).abs()));
        let scale = largest / qmax as f32;
        let wanted = Array::new(dtype, &x.dims, |i| {
            (x.values[i] as f32 * (1.0 / scale))
                .round_ties_even()
                .into()
        });
        let q = Operand::of(wanted.clone()).quantised(scale, qmax, false);
        let case = Case::new(
            Quantize {},
            [Some(Operand::of(x.clone()))],
            [q.clone(), Operand::of(Array::f32(&[1], |_| 0.0))],
        );
        each_level(&case, |level, results| {
            assert_eq!(results[0], wanted, "{level:?}");
            assert_eq!(results[1].values, [f64::from(scale)], "{level:?}");
        });
        let back = Array::f32(&x.dims, |i| (wanted.values[i] as f32 * scale).into());
        check(
            Case::new(Dequantize {}, [Some(q)], [Operand::of(back.clone())]),
            &back,
            0.0,
        );
    }
    // Of zeros the scale is 1.
    let zeros = Array::f32(&[3], |_| 0.0);
    let q = Operand::of(Array::new(DType::I8, &[3], |_| 0.0)).quantised(9.0, 127, false);
    let case = Case::new(
        Quantize {},
        [Some(Operand::of(zeros))],
        [q, Operand::of(Array::f32(&[1], |_| 0.0))],
    );
    each_level(&case, |_, results| {
        assert_eq!(
            (&results[0].values[..], &results[1].values[..]),
            (&[0.0; 3][..], &[1.0][..])
        )
    });
}
