use crate::conv2d::Conv2dShape;
use crate::testing::{Buffer, Case, Family, OUTPUTS, Reversed, Rng, Threads};
use crate::{Codec, DType, Serial, max_k};

/// Input and output size, channels, outputs, padding, images: odd heights, one line,
/// widths around a tile's, padding on one side, none and more than the kernel has, outputs
/// that reach beyond the padding, channels that fill no chunk, outputs that fill no block,
/// and strips.
type Row = ([usize; 2], [usize; 2], usize, usize, [usize; 2], usize);
const ROWS: &[Row] = &[
    ([8, 8], [8, 8], 16, 33, [1, 1], 1),
    ([7, 7], [7, 7], 48, 64, [1, 1], 1),
    ([7, 5], [7, 5], 80, 70, [1, 1], 3),
    ([9, 13], [7, 11], 32, 40, [0, 0], 2),
    ([6, 6], [8, 8], 64, 17, [2, 2], 1),
    ([4, 4], [8, 9], 16, 130, [3, 3], 1),
    ([6, 7], [6, 8], 16, 50, [0, 1], 1),
    ([1, 60], [1, 60], 16, 32, [1, 1], 1),
    ([60, 1], [60, 1], 16, 32, [1, 1], 1),
    ([3, 3], [3, 3], 128, 96, [1, 1], 5),
    ([5, 6], [9, 10], 16, 48, [1, 1], 1),
    ([50, 40], [50, 40], 64, 80, [1, 1], 1),
    ([21, 64], [21, 64], 272, 20, [1, 1], 1),
];

fn shape(&(input, output, channels, outputs, pad, batch): &Row) -> Conv2dShape {
    Conv2dShape {
        batch,
        input,
        in_channels: channels,
        output,
        out_channels: outputs,
        kernel: [3, 3],
        stride: [1, 1],
        dilation: [1, 1],
        pad,
        groups: 1,
        transposed: false,
    }
}

/// The activations.
const XS: [DType; 3] = [DType::F32, DType::I16, DType::I8];

/// A random case whose activations, if they are integers, are not negative, and known to
/// be.
fn case(shape: Conv2dShape, x: DType, codec: Codec, y: DType, rng: &mut Rng) -> Case {
    let mut case = Case::random(Family::Conv2d, shape, x, codec, y, rng);
    if x != DType::F32 {
        let qmax = if x == DType::I8 { 127 } else { 32767 };
        case.x = Buffer::random(x, shape.input_len().unwrap(), rng);
        case.x.clamp(0, qmax);
        (case.x_qmax, case.x_non_negative) = (qmax, true);
    }
    case
}

#[test]
fn two_lines_at_a_time_agree() {
    let mut rng = Rng::new(40);
    for row in ROWS {
        for codec in [Codec::T2, Codec::T5, Codec::N12, Codec::N34] {
            for x in XS {
                let case = case(shape(row), x, codec, rng.pick(&OUTPUTS), &mut rng);
                case.check(&Threads(1 + rng.below(3)));
            }
        }
    }
}

/// The largest sums, and transformed activations and weights of both signs, with codes that
/// no writer writes.
#[test]
fn extremes_agree() {
    const CHANNELS: usize = 112;
    // Packed trits of -1, 1 and 2.
    const LEAST: u8 = 0x00;
    const MOST: u8 = 0xaa;
    const BEYOND: u8 = 0xff;
    /// Of each of the kernel's lines.
    const WEIGHTS: [[u8; 3]; 7] = [
        [LEAST; 3],
        [MOST; 3],
        [BEYOND; 3],
        [LEAST, BEYOND, LEAST],
        [BEYOND, LEAST, BEYOND],
        [BEYOND, LEAST, LEAST],
        [LEAST, LEAST, BEYOND],
    ];
    let mut rng = Rng::new(41);
    let shape = shape(&([9, 9], [9, 9], CHANNELS, 20, [1, 1], 1));
    for weights in WEIGHTS {
        // Which of four lines of input are large, again and again.
        for large in [0b1111, 0b0011, 0b0110, 0b1100, 0b1001, 0b0101, 0b1010] {
            for x in [DType::I16, DType::I8] {
                let mut case = case(shape, x, Codec::T2, DType::F32, &mut rng);
                let matrix = case.family.matrix(&shape);
                for (i, byte) in case.bytes.iter_mut().enumerate() {
                    // 64 bytes are 16 channels of a tap.
                    let tap = i / (CHANNELS / 16 * 64) % 9;
                    *byte = weights[tap / 3];
                }
                Codec::T2
                    .unpack_f32(&matrix, &case.bytes, &mut case.weights)
                    .unwrap();
                let is_large = |i: usize| large >> (i / (9 * CHANNELS) % 4) & 1 == 1;
                let value = |i: usize| if is_large(i) { case.x_qmax } else { 0 };
                let all = 0..81 * CHANNELS;
                case.x = match x {
                    DType::I8 => Buffer::I8(all.map(|i| value(i) as i8).collect()),
                    _ => Buffer::I16(all.map(|i| value(i) as i16).collect()),
                };
                case.check(&Serial);
            }
        }
    }
}

/// The deepest shape that is served with 16 bits.
fn deepest() -> Conv2dShape {
    let channels = max_k(DType::I16, Codec::T2) / 2 / 9 / 16 * 16;
    shape(&([4, 8], [4, 8], channels, 16, [1, 1], 1))
}

/// Twice a sum still fits where sums are the largest there are, those of codes that no
/// writer writes included.
#[test]
fn the_deepest_sums_agree() {
    let mut rng = Rng::new(43);
    let shape = deepest();
    for byte in [0x00, 0xaa, 0xff] {
        let mut case = case(shape, DType::I16, Codec::T2, DType::F32, &mut rng);
        let matrix = case.family.matrix(&shape);
        case.bytes.fill(byte);
        Codec::T2
            .unpack_f32(&matrix, &case.bytes, &mut case.weights)
            .unwrap();
        case.x = Buffer::I16([32767].repeat(32 * shape.in_channels));
        case.check(&Serial);
    }
}

/// Results are of no use then, and nothing else happens.
#[test]
fn a_broken_promise_does_no_harm() {
    let mut rng = Rng::new(44);
    for (row, x) in ROWS.iter().flat_map(|row| XS.map(|x| (row, x))) {
        let shape = shape(row);
        let mut case = case(shape, x, Codec::T2, DType::F32, &mut rng);
        case.x = Buffer::random(x, shape.input_len().unwrap(), &mut rng);
        for caps in case.family.caps() {
            let Buffer::F32(y) = case.run(caps, &Threads(2)) else {
                unreachable!();
            };
            assert!(y.iter().all(|y| !y.is_nan()), "{caps}, {row:?} {x:?}");
        }
    }
}

#[test]
fn threads_do_not_change_results() {
    let mut rng = Rng::new(42);
    for (row, x) in ROWS.iter().flat_map(|row| XS.map(|x| (row, x))) {
        let case = case(shape(row), x, Codec::T2, rng.pick(&OUTPUTS), &mut rng);
        for caps in case.family.caps() {
            let alone = case.run(caps, &Serial);
            for threads in [2, 3, 7] {
                assert_eq!(
                    case.run(caps, &Reversed(threads)),
                    alone,
                    "{caps}, {row:?} {x:?}"
                );
            }
            assert_eq!(case.run(caps, &Threads(2)), alone, "{caps}, {row:?} {x:?}");
        }
    }
}

/// The tests above are of this way, and others are of shapes that it does not serve.
#[cfg(target_arch = "x86_64")]
#[test]
fn serves_three_by_three_kernels_of_trits() {
    use super::plan::Plan;
    use crate::conv2d::ImageRows;
    use crate::isa::x86_avx2::pairs::{BytePairs, FloatPairs, WordPairs};
    use crate::product::Size;
    let plan = |shape: &Conv2dShape, codec: Codec, x: DType| {
        let rows = ImageRows::new(shape).unwrap();
        let count = shape.output_rows().unwrap();
        let size = Size::new(shape.matrix(), count, x, codec).unwrap();
        match x {
            DType::I8 => Plan::new::<BytePairs, _>(&size, &rows, 2),
            DType::I16 => Plan::new::<WordPairs, _>(&size, &rows, 2),
            _ => Plan::new::<FloatPairs, _>(&size, &rows, 2),
        }
    };
    for row in ROWS {
        for x in XS {
            assert!(plan(&shape(row), Codec::T2, x).is_some(), "{row:?} {x:?}");
        }
    }
    // Sums that wait for further chunks of channels, the last of which is shorter.
    let waits = |x: DType| {
        let chunk = |row| plan(&shape(row), Codec::T2, x).unwrap().chunk;
        ROWS.iter()
            .any(|row| row.2 > chunk(row) && row.2 % chunk(row) > 0)
    };
    assert_eq!(XS.map(waits), [true, true, false]);

    let deepest = deepest();
    assert!(plan(&deepest, Codec::T2, DType::I16).is_some());
    let deeper = Conv2dShape {
        in_channels: deepest.in_channels + 16,
        ..deepest
    };
    assert!(plan(&deeper, Codec::T2, DType::I16).is_none());

    let good = shape(&ROWS[1]);
    assert!(plan(&good, Codec::N12, DType::I8).is_some());
    assert!(plan(&good, Codec::I8, DType::I8).is_none());
    assert!(plan(&good, Codec::F32, DType::F32).is_none());
    let bad = [
        Conv2dShape {
            stride: [2, 1],
            ..good
        },
        Conv2dShape {
            dilation: [1, 2],
            ..good
        },
        Conv2dShape {
            kernel: [3, 1],
            ..good
        },
        Conv2dShape {
            in_channels: 40,
            ..good
        },
        Conv2dShape {
            groups: 2,
            in_channels: 96,
            ..good
        },
        Conv2dShape {
            transposed: true,
            ..good
        },
        // Few places, and lines too long.
        Conv2dShape {
            output: [4, 4],
            ..good
        },
        Conv2dShape {
            output: [2, 5000],
            ..good
        },
    ];
    for shape in bad {
        assert!(plan(&shape, Codec::T2, DType::I8).is_none(), "{shape:?}");
    }
}
