use super::*;
use crate::testing::Rng;
use bitvec::prelude::*;
use std::vec;
use std::vec::Vec;

const TERNARY: [Codec; 4] = [Codec::T2, Codec::T5, Codec::N12, Codec::N34];

/// Random weights that an integer codec holds.
fn integers(codec: Codec, len: usize, rng: &mut Rng) -> Vec<i8> {
    crate::testing::integers(codec, len, rng)
}

fn matrix(groups: usize, outputs: usize, taps: usize, channels: usize) -> Matrix {
    Matrix {
        groups,
        outputs,
        taps,
        channels,
    }
}

/// Shapes around every unit of the layouts.
fn shapes() -> Vec<Matrix> {
    let mut all = Vec::new();
    for outputs in [1, 10, 15, 16, 17, 33] {
        for (taps, channels) in [(1, 1), (1, 15), (9, 3), (1, 16), (4, 17), (3, 20), (49, 1)] {
            all.push(matrix(1 + outputs % 3, outputs, taps, channels));
        }
    }
    all
}

fn pack(codec: Codec, matrix: &Matrix, trits: &[i8]) -> Vec<u8> {
    let mut bytes = vec![0xff; codec.packed_len(matrix).unwrap()];
    codec.pack_i8(matrix, trits, &mut bytes).unwrap();
    bytes
}

/// `[group][output][tap][channel]` of each logical weight.
fn coordinates(m: &Matrix) -> impl Iterator<Item = [usize; 4]> + use<> {
    let m = *m;
    (0..m.groups).flat_map(move |g| {
        (0..m.outputs).flat_map(move |o| {
            (0..m.taps).flat_map(move |t| (0..m.channels).map(move |c| [g, o, t, c]))
        })
    })
}

#[test]
fn what_was_packed_unpacks() {
    let mut rng = Rng::new(1);
    for m in shapes() {
        for codec in TERNARY.into_iter().chain([Codec::I8]) {
            let apart = match codec {
                Codec::N12 => 2,
                Codec::N34 => 4,
                _ => 1,
            };
            if m.channels % apart > 0 {
                assert_eq!(codec.packed_len(&m), None);
                continue;
            }
            let trits = integers(codec, m.len().unwrap(), &mut rng);
            let bytes = pack(codec, &m, &trits);
            let mut back = vec![9; trits.len()];
            codec.unpack_i8(&m, &bytes, &mut back).unwrap();
            assert_eq!(back, trits, "{codec:?} {m:?}");
            let mut floats = vec![9.0; trits.len()];
            codec.unpack_f32(&m, &bytes, &mut floats).unwrap();
            assert!(floats.iter().zip(&trits).all(|(f, t)| *f == f32::from(*t)));
        }
        let values = rng.f32s(m.len().unwrap());
        for (codec, error) in [(Codec::F32, 0.0), (Codec::F16, 1.0 / 2048.0)] {
            let mut bytes = vec![0xff; codec.packed_len(&m).unwrap()];
            codec.pack_f32(&m, &values, &mut bytes).unwrap();
            let mut back = vec![9.0; values.len()];
            codec.unpack_f32(&m, &bytes, &mut back).unwrap();
            let close = |(a, b): (&f32, &f32)| (a - b).abs() <= error * a.abs() + error / 8192.0;
            assert!(values.iter().zip(&back).all(close), "{codec:?} {m:?}");
        }
    }
}

#[test]
fn t2_bits_lie_where_the_specification_says() {
    let mut rng = Rng::new(2);
    for m in shapes() {
        let trits = rng.trits(m.len().unwrap());
        let bytes = pack(Codec::T2, &m, &trits);
        let bits = bytes.view_bits::<Lsb0>();
        let blocks = m.outputs.div_ceil(16);
        let tap_len = m.channels.div_ceil(16) * 16;
        let panels = m.taps * tap_len / 16;
        assert_eq!(bytes.len(), m.groups * blocks * panels * 64);
        let mut expected = bitvec![u8, Lsb0; 0; bits.len()];
        expected.chunks_mut(2).for_each(|field| field.store_le(1u8));
        for ([g, o, t, c], trit) in coordinates(&m).zip(&trits) {
            let k = t * tap_len + c;
            let panel = (g * blocks + o / 16) * panels + k / 16;
            let byte = panel * 64 + o % 16 * 4 + k % 16 % 4;
            let bit = byte * 8 + k % 16 / 4 * 2;
            expected[bit..bit + 2].store_le((trit + 1) as u8);
        }
        assert_eq!(bits, expected, "{m:?}");
    }
}

#[test]
fn t5_digits_lie_where_the_specification_says() {
    let mut rng = Rng::new(3);
    for m in shapes() {
        let trits = rng.trits(m.len().unwrap());
        let bytes = pack(Codec::T5, &m, &trits);
        let blocks = m.outputs.div_ceil(16);
        let tap_len = m.channels.div_ceil(16) * 16;
        let panels = (m.taps * tap_len).div_ceil(20);
        assert_eq!(bytes.len(), m.groups * blocks * panels * 64);
        // Digits of every byte, written out; then composed again.
        let mut digits = vec![[1u32; 5]; bytes.len()];
        for ([g, o, t, c], trit) in coordinates(&m).zip(&trits) {
            let k = t * tap_len + c;
            let panel = (g * blocks + o / 16) * panels + k / 20;
            digits[panel * 64 + o % 16 * 4 + k % 20 % 4][k % 20 / 4] = (trit + 1) as u32;
        }
        for (at, (byte, d)) in bytes.iter().zip(digits).enumerate() {
            let value = d[0] + 3 * (d[1] + 3 * (d[2] + 3 * (d[3] + 3 * d[4])));
            assert_eq!(u32::from(*byte), value, "{m:?} byte {at}");
        }
    }
}

#[test]
fn n12_pairs_lie_where_the_specification_says() {
    let mut rng = Rng::new(4);
    for m in shapes().into_iter().filter(|m| m.channels % 2 == 0) {
        let trits = integers(Codec::N12, m.len().unwrap(), &mut rng);
        let bytes = pack(Codec::N12, &m, &trits);
        let bits = bytes.view_bits::<Lsb0>();
        let blocks = m.outputs.div_ceil(16);
        let tap_len = m.channels.div_ceil(16) * 16;
        let panels = (m.taps * tap_len).div_ceil(32);
        assert_eq!(bytes.len(), m.groups * blocks * panels * 64);
        let mut expected = bitvec![u8, Lsb0; 0; bits.len()];
        for ([g, o, t, c], trit) in coordinates(&m).zip(&trits) {
            let k = t * tap_len + c;
            let panel = (g * blocks + o / 16) * panels + k / 32;
            let byte = panel * 64 + o % 16 * 4 + k % 32 / 8;
            let bit = byte * 8 + k % 8 / 2 * 2;
            if *trit != 0 {
                expected.set(bit, c % 2 == 1);
                expected.set(bit + 1, *trit < 0);
            }
        }
        assert_eq!(bits, expected, "{m:?}");
    }
}

#[test]
fn n12_takes_one_of_each_pair_only() {
    let m = matrix(1, 1, 1, 4);
    let mut out = vec![0; Codec::N12.packed_len(&m).unwrap()];
    assert_eq!(Codec::N12.pack_i8(&m, &[0, 1, -1, 0], &mut out), Ok(()));
    assert_eq!(out[0], 0b10_01);
    for wrong in [[0, 0, 1, 0], [1, -1, 1, 0], [0, 1, 0, 2]] {
        assert_eq!(Codec::N12.pack_i8(&m, &wrong, &mut out), Err(Invalid));
    }
    // A pair in the filler that is not code 0.
    out[3] = 1;
    let mut trits = [0; 4];
    assert_eq!(Codec::N12.unpack_i8(&m, &out, &mut trits), Err(Invalid));
}

#[test]
fn n34_fours_lie_where_the_specification_says() {
    let mut rng = Rng::new(5);
    for m in shapes().into_iter().filter(|m| m.channels % 4 == 0) {
        let trits = integers(Codec::N34, m.len().unwrap(), &mut rng);
        let bytes = pack(Codec::N34, &m, &trits);
        let bits = bytes.view_bits::<Lsb0>();
        let blocks = m.outputs.div_ceil(16);
        let tap_len = m.channels.div_ceil(16) * 16;
        let panels = (m.taps * tap_len).div_ceil(32);
        assert_eq!(bytes.len(), m.groups * blocks * panels * 80);
        let mut expected = bitvec![u8, Lsb0; 0; bits.len()];
        let fours = trits.as_chunks::<4>().0;
        for ([g, o, t, c], four) in coordinates(&m).step_by(4).zip(fours) {
            let k = t * tap_len + c;
            let panel = ((g * blocks + o / 16) * panels + k / 32) * 80;
            let (four_of_panel, o) = (k % 32 / 4, o % 16);
            let nibble = (panel + 4 * o + four_of_panel / 2) * 8 + four_of_panel % 2 * 4;
            let place = four.iter().position(|t| *t == 0).unwrap();
            let negative = |d: usize| four[(place + d) % 4] < 0;
            expected.set(nibble, negative(1));
            expected.set(nibble + 1, negative(2));
            expected[nibble + 2..nibble + 4].store_le(place as u8);
            expected.set((panel + 64 + o) * 8 + four_of_panel, negative(3));
        }
        assert_eq!(bits, expected, "{m:?}");
    }
}

#[test]
fn n34_takes_three_of_each_four_only() {
    let m = matrix(1, 2, 1, 8);
    let mut out = vec![0xff; Codec::N34.packed_len(&m).unwrap()];
    // Output 1: the zero at 2, the signs of 3, 0 and 1; the zero at 3, those of 0, 1 and 2.
    let trits = [0, 1, 1, 1, 1, 0, 1, 1, 1, -1, 0, -1, -1, 1, -1, 0];
    assert_eq!(Codec::N34.pack_i8(&m, &trits, &mut out), Ok(()));
    let mut expected = vec![0; 80];
    (expected[0], expected[4], expected[65]) = (0b0100_0000, 0b1101_1001, 0b11);
    assert_eq!(out, expected);
    for (at, wrong) in [(0, 1), (0, -1), (1, 0), (3, 2), (3, -2)] {
        let mut trits = trits;
        trits[at] = wrong;
        assert_eq!(Codec::N34.pack_i8(&m, &trits, &mut out), Err(Invalid));
    }
    // Every code is valid; filler, which the test's four bytes and two signs of each
    // output do not reach, is 0.
    let mut back = [0; 16];
    for at in 0..out.len() {
        for value in 1..=255u8 {
            let mut bytes = vec![0; out.len()];
            bytes[at] = value;
            let inside = match at {
                0 | 4 => true,
                64 | 65 => value < 4,
                _ => false,
            };
            let unpacked = Codec::N34.unpack_i8(&m, &bytes, &mut back);
            assert_eq!(unpacked.is_ok(), inside, "byte {at} = {value}");
            if inside {
                assert_eq!(pack(Codec::N34, &m, &back), bytes);
            }
        }
    }
}

#[test]
fn dense_rows_lie_where_the_specification_says() {
    let mut rng = Rng::new(4);
    for m in shapes() {
        let k_len = m.taps * m.channels;
        let blocks = m.outputs.div_ceil(16);
        let values = rng.f32s(m.len().unwrap());
        for (codec, size) in [(Codec::F32, 4), (Codec::F16, 2)] {
            let mut bytes = vec![0xff; codec.packed_len(&m).unwrap()];
            codec.pack_f32(&m, &values, &mut bytes).unwrap();
            let mut expected = vec![0; m.groups * blocks * k_len * 16 * size];
            for ([g, o, t, c], value) in coordinates(&m).zip(&values) {
                let row = (g * blocks + o / 16) * k_len + t * m.channels + c;
                let at = (row * 16 + o % 16) * size;
                match codec {
                    Codec::F32 => expected[at..at + 4].copy_from_slice(&value.to_le_bytes()),
                    _ => expected[at..at + 2]
                        .copy_from_slice(&crate::math::f32_to_f16(*value).to_le_bytes()),
                }
            }
            assert_eq!(bytes, expected, "{codec:?} {m:?}");
        }
    }
}

#[test]
fn golden_bytes() {
    let three = matrix(1, 1, 1, 3);
    let mut t2 = [0x55; 64];
    t2[..4].copy_from_slice(&[0x54, 0x55, 0x56, 0x55]);
    assert_eq!(pack(Codec::T2, &three, &[-1, 0, 1]), t2);
    let mut t5 = [121; 64];
    t5[..4].copy_from_slice(&[120, 121, 122, 121]);
    assert_eq!(pack(Codec::T5, &three, &[-1, 0, 1]), t5);

    // Output 3 alone, k = 0, 1, ..., 15: -1 1 1 0, 0 -1 1 1, 1 0 -1 1, 1 1 0 -1.
    let mut trits = [0; 64];
    trits[48..].copy_from_slice(&[-1, 1, 1, 0, 0, -1, 1, 1, 1, 0, -1, 1, 1, 1, 0, -1]);
    let four = matrix(1, 4, 1, 16);
    let mut t2 = [0x55; 64];
    t2[12..16].copy_from_slice(&[0b10_10_01_00, 0b10_01_00_10, 0b01_00_10_10, 0b00_10_10_01]);
    assert_eq!(pack(Codec::T2, &four, &trits), t2);
    let mut t5 = [121; 64];
    // 121 + (-1, 0, 1, 1) . (1, 3, 9, 27) and so on; digit 4 is filler.
    t5[12..16].copy_from_slice(&[156, 146, 116, 106]);
    assert_eq!(pack(Codec::T5, &four, &trits), t5);

    let mut f32 = [0; 64];
    f32[..8].copy_from_slice(&[0, 0, 0x80, 0x3f, 0, 0, 0x20, 0xc0]);
    let two = matrix(1, 2, 1, 1);
    let mut bytes = [0xff; 64];
    Codec::F32.pack_f32(&two, &[1.0, -2.5], &mut bytes).unwrap();
    assert_eq!(bytes, f32);
    let mut f16 = [0; 32];
    f16[..4].copy_from_slice(&[0, 0x3c, 0, 0xc1]);
    let mut bytes = [0xff; 32];
    Codec::F16.pack_f32(&two, &[1.0, -2.5], &mut bytes).unwrap();
    assert_eq!(bytes, f16);
}

#[test]
fn codes_that_are_no_trits_are_refused_and_read_as_two() {
    let m = matrix(1, 3, 2, 5);
    let mut back = vec![0; m.len().unwrap()];
    for codec in [Codec::T2, Codec::T5] {
        let good = pack(codec, &m, &vec![0; back.len()]);
        assert_eq!(codec.unpack_i8(&m, &good, &mut back), Ok(()));
        for at in 0..good.len() {
            for value in 0..=255u8 {
                let mut bytes = good.clone();
                bytes[at] = value;
                let valid = match codec {
                    Codec::T2 => (0..4).all(|i| value >> (2 * i) & 3 < 3),
                    _ => value < 243,
                };
                let unpacked = codec.unpack_i8(&m, &bytes, &mut back);
                if unpacked.is_ok() {
                    // What is accepted is what packing gives.
                    assert_eq!(pack(codec, &m, &back), bytes);
                }
                assert!(valid || unpacked.is_err(), "{codec:?} byte {at} = {value}");
            }
        }
        let mut bytes = good;
        bytes[0] = 0xff;
        let mut values = vec![0.0; back.len()];
        codec.unpack_f32(&m, &bytes, &mut values).unwrap();
        // t2: every field is 3. t5: 255 = 0 + 3 * 1 + 9 * 1 + 27 * 0 + 81 * 3.
        let expected = if codec == Codec::T2 { 2.0 } else { -1.0 };
        assert_eq!(
            (values[0], values[4]),
            (expected, if codec == Codec::T2 { 2.0 } else { 0.0 })
        );
    }
}

#[test]
fn lengths_that_do_not_fit_are_refused() {
    let m = matrix(2, 17, 9, 3);
    let len = m.len().unwrap();
    for codec in Codec::ALL {
        if matches!(codec, Codec::N12 | Codec::N34) {
            continue;
        }
        let Some(packed) = codec.packed_len(&m) else {
            assert_eq!(codec, Codec::Plain);
            continue;
        };
        for (values, bytes) in [(len, packed - 1), (len, packed + 1), (len - 1, packed)] {
            let mut out = vec![0; bytes];
            assert_eq!(codec.pack_i8(&m, &vec![0; values], &mut out), Err(Invalid));
            assert_eq!(
                codec.pack_f32(&m, &vec![0.0; values], &mut out),
                Err(Invalid)
            );
            assert_eq!(
                codec.unpack_i8(&m, &out, &mut vec![0; values]),
                Err(Invalid)
            );
            assert_eq!(
                codec.unpack_f32(&m, &out, &mut vec![0.0; values]),
                Err(Invalid)
            );
        }
        let mut out = vec![0; packed];
        let trits = codec.pack_i8(&m, &vec![0; len], &mut out);
        let floats = codec.pack_f32(&m, &vec![0.0; len], &mut out);
        assert_eq!(trits.is_ok(), codec.largest().is_some());
        assert_eq!(floats.is_ok(), codec.largest().is_none());
        let mut wrong = vec![0; len];
        wrong[len - 1] = if codec == Codec::I8 { i8::MIN } else { 2 };
        assert_eq!(codec.pack_i8(&m, &wrong, &mut out), Err(Invalid));
    }
}

#[test]
fn sizes_that_overflow_have_no_length() {
    let huge = [
        usize::MAX,
        usize::MAX / 2,
        usize::MAX >> 2,
        1 << (usize::BITS - 2),
    ];
    for codec in Codec::ALL {
        for n in huge {
            for m in [
                matrix(n, n, 1, 1),
                matrix(1, n, n, 1),
                matrix(1, 1, n, n),
                matrix(n, 16, 16, n),
            ] {
                assert_eq!(codec.packed_len(&m), None, "{codec:?} {m:?}");
                assert_eq!(codec.pack_i8(&m, &[], &mut []), Err(Invalid));
            }
        }
        // Nothing to store, whatever the other sides are.
        let empty = matrix(0, 1, 1, 4);
        let expected = (codec != Codec::Plain).then_some(0);
        assert_eq!(codec.packed_len(&empty), expected);
    }
}

#[test]
fn values_beyond_f16_are_refused() {
    let m = matrix(1, 1, 1, 1);
    let mut out = [0; 32];
    assert_eq!(Codec::F16.pack_f32(&m, &[65520.0], &mut out), Err(Invalid));
    assert_eq!(Codec::F16.pack_f32(&m, &[f32::INFINITY], &mut out), Ok(()));
}
