//! max_pool and average_pool.

use super::*;
use crate::ops::table::{AveragePool, MaxPool};

const MAX: MaxPool = MaxPool {
    kernel: [3, 3],
    stride: [2, 2],
    dilation: [1, 1],
    pads: [1, 1, 1, 1],
};

fn average() -> AveragePool {
    AveragePool {
        kernel: [3, 3],
        stride: [2, 2],
        dilation: [1, 1],
        pads: [1; 4],
        count_include_pad: true,
    }
}

#[test]
fn pools_accept_floor_and_ceil_sizes() {
    // Padded 10: windows at 0, 2, 4, 6 fit; the one at 8 starts inside (8 < 8 + 1).
    for (out, fits) in [(3, false), (4, true), (5, true), (6, false)] {
        let case = Case::new(MAX, &[f32(&[1, 8, 8, 5])], f32(&[1, out, 4, 5]));
        assert_eq!(case.op.check(&case.operands()).is_ok(), fits, "{out}");
        let case = Case::new(average(), &[f32(&[1, 8, 8, 5])], f32(&[1, 4, out, 5]));
        assert_eq!(case.op.check(&case.operands()).is_ok(), fits, "{out}");
    }
    // Padded 4 with kernel 1, stride 3 fits exactly: there is no window more.
    let op = MaxPool {
        kernel: [1, 1],
        stride: [3, 3],
        dilation: [1, 1],
        pads: [0; 4],
    };
    Case::new(op, &[f32(&[1, 4, 4, 1])], f32(&[1, 2, 2, 1]))
        .passes()
        .refuses(|c| c.y().set_dims(&[1, 3, 2, 1]));
    // Padded 4 + 2 at the end, kernel 2, stride 4: a second window would start at 4, in the padding after the input.
    let op = MaxPool {
        kernel: [3, 1],
        stride: [4, 1],
        dilation: [1, 1],
        pads: [0, 0, 2, 0],
    };
    Case::new(op, &[f32(&[1, 4, 4, 1])], f32(&[1, 1, 4, 1]))
        .passes()
        .refuses(|c| c.y().set_dims(&[1, 2, 4, 1]));
}

#[test]
fn max_pool_keeps_type_and_channels() {
    for x in [
        f32(&[2, 8, 8, 5]),
        plain(DType::I8, &[2, 8, 8, 5]),
        quantised(DType::I8, &[2, 8, 8, 5]),
        quantised(DType::I16, &[2, 8, 8, 5]),
    ] {
        let mut y = x;
        y.set_dims(&[2, 4, 4, 5]);
        Case::new(MAX, &[x], y)
            .passes()
            .refuses_common_faults(&[0])
            .refuses(|c| c.y().set_dims(&[2, 4, 4, 10]))
            .refuses(|c| c.y().set_dims(&[1, 4, 4, 5]))
            .refuses(|c| c.x(0).set_dims(&[8, 8, 5]))
            .refuses(|c| c.y().set_dtype(DType::I32))
            .refuses(|c| {
                c.op = MaxPool {
                    stride: [0, 2],
                    ..MAX
                }
                .into()
            })
            .refuses(|c| {
                c.op = MaxPool {
                    dilation: [1, 0],
                    ..MAX
                }
                .into()
            })
            .refuses(|c| {
                c.op = MaxPool {
                    kernel: [0, 3],
                    ..MAX
                }
                .into()
            })
            .refuses(|c| {
                c.op = MaxPool {
                    kernel: [3, 11],
                    ..MAX
                }
                .into()
            })
            .accepts(|c| {
                c.op = MaxPool {
                    dilation: [4, 4],
                    ..MAX
                }
                .into();
                c.y().set_dims(&[2, 1, 1, 5]);
            })
            .refuses(|c| {
                c.op = MaxPool {
                    dilation: [5, 4],
                    ..MAX
                }
                .into();
                c.y().set_dims(&[2, 1, 1, 5]);
            });
    }
    Case::new(
        MAX,
        &[quantised(DType::I8, &[2, 8, 8, 5])],
        quantised(DType::I8, &[2, 4, 4, 5]),
    )
    .refuses(|c| c.y().scale().offset = 64)
    .refuses(|c| c.y().tensor.qmax = 63);
    Case::new(
        MAX,
        &[plain(DType::I32, &[2, 8, 8, 5])],
        plain(DType::I32, &[2, 4, 4, 5]),
    )
    .refuses(|_| ());
}

#[test]
fn average_pool_is_f32() {
    Case::new(average(), &[f32(&[2, 8, 8, 5])], f32(&[2, 4, 4, 5]))
        .passes()
        .refuses_common_faults(&[0])
        .refuses(|c| c.y().set_dims(&[2, 4, 4, 6]))
        .refuses(|c| c.y().set_dtype(DType::I32))
        .refuses(|c| *c.x(0) = quantised(DType::I8, &[2, 8, 8, 5]));
}

#[test]
fn images_beyond_the_coordinate_limit_are_refused() {
    let op = MaxPool {
        kernel: [1, 1],
        stride: [1, 1],
        dilation: [1, 1],
        pads: [0; 4],
    };
    let image = |width| plain(DType::I8, &[1, 1, width, 1]);
    Case::new(op, &[image((1 << 30) - 1)], image((1 << 30) - 1)).passes();
    Case::new(op, &[image(1 << 30)], image(1 << 30)).refuses(|_| ());
}
