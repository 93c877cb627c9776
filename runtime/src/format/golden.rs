//! Golden cases: inputs with the outputs that they gave when the file was
//! made, so that any device can check itself.
//!
//! The section is empty, or starts with the number of cases (`u32`) and four
//! zero bytes. A case is a head of 16 bytes (its length in bytes as `u64`, the
//! entry point's index as `u32`, the tolerance as `f32`), then an item for each
//! input of the entry point and one for each output. An item is a head of 16
//! bytes (its kind as `u32`, four zero bytes, a value as `u64`), then for kind 0
//! as many bytes as the value says, padded with zeros to a multiple of 8.

use super::le::{put, u32_at, u64_at};
use crate::Error;
use tern_kernels::DType;

/// Bytes before the first case.
pub const HEAD: usize = 8;
/// Bytes of a case before its items.
pub const CASE_HEAD: usize = 16;
/// Bytes of an item before its data.
pub const ITEM_HEAD: usize = 16;

const RAW: u32 = 0;
const GENERATED: u32 = 1;

/// What an input or output of a case holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// The tensor's bytes, little-endian, row-major.
    Raw(&'a [u8]),
    /// The seed of [`fill`]; for inputs only.
    Generated(u64),
}

impl<'a> Item<'a> {
    /// Bytes that [`encode`](Self::encode) writes; `None` where that overflows.
    pub fn encoded_len(&self) -> Option<usize> {
        match self {
            Item::Raw(bytes) => bytes
                .len()
                .checked_next_multiple_of(8)?
                .checked_add(ITEM_HEAD),
            Item::Generated(_) => Some(ITEM_HEAD),
        }
    }

    /// Writes the item to the start of `out` and returns its length.
    ///
    /// # Errors
    /// [`Error::Length`] where `out` is too short.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, Error> {
        let len = self.encoded_len().ok_or(Error::Length)?;
        let out = out.get_mut(..len).ok_or(Error::Length)?;
        out.fill(0);
        let (kind, value) = match self {
            Item::Raw(bytes) => {
                put(out, ITEM_HEAD, bytes);
                (RAW, bytes.len() as u64)
            }
            Item::Generated(seed) => (GENERATED, *seed),
        };
        put(out, 0, &kind.to_le_bytes());
        put(out, 8, &value.to_le_bytes());
        Ok(len)
    }

    /// Reads the item at the start of `bytes`; also gives the bytes behind it.
    ///
    /// # Errors
    /// [`Error::Bounds`] or [`Error::Malformed`].
    pub fn decode(bytes: &'a [u8]) -> Result<(Item<'a>, &'a [u8]), Error> {
        let kind = u32_at(bytes, 0).ok_or(Error::Bounds)?;
        let reserved = u32_at(bytes, 4).ok_or(Error::Bounds)?;
        let value = u64_at(bytes, 8).ok_or(Error::Bounds)?;
        let rest = &bytes[ITEM_HEAD..];
        match (kind, reserved) {
            (RAW, 0) => {
                let len = usize::try_from(value).map_err(|_| Error::Bounds)?;
                let padded = len.checked_next_multiple_of(8).ok_or(Error::Bounds)?;
                let (data, rest) = rest.split_at_checked(padded).ok_or(Error::Bounds)?;
                Ok((Item::Raw(&data[..len]), rest))
            }
            (GENERATED, 0) => Ok((Item::Generated(value), rest)),
            _ => Err(Error::Malformed),
        }
    }

    /// Writes the item's values into `tensor`, the bytes of a tensor of `dtype`.
    ///
    /// # Errors
    /// [`Error::Length`] for raw bytes of another length.
    pub fn write(&self, dtype: DType, tensor: &mut [u8]) -> Result<(), Error> {
        match self {
            Item::Raw(bytes) if bytes.len() == tensor.len() => tensor.copy_from_slice(bytes),
            Item::Raw(_) => return Err(Error::Length),
            Item::Generated(seed) => fill(dtype, *seed, tensor),
        }
        Ok(())
    }
}

/// The bytes before the first case, for `count` cases.
pub fn encode_head(count: u32) -> [u8; HEAD] {
    let mut b = [0; HEAD];
    put(&mut b, 0, &count.to_le_bytes());
    b
}

/// The bytes of a case before its items. `len` is that of the whole case, this
/// head included.
pub fn encode_case_head(len: u64, entry: u32, tolerance: f32) -> [u8; CASE_HEAD] {
    let mut b = [0; CASE_HEAD];
    put(&mut b, 0, &len.to_le_bytes());
    put(&mut b, 8, &entry.to_le_bytes());
    put(&mut b, 12, &tolerance.to_le_bytes());
    b
}

/// A decoded case.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Case<'a> {
    /// Index of the entry point.
    pub entry: u32,
    /// Largest [`error`] that counts as equal.
    pub tolerance: f32,
    /// The items' bytes: inputs in order, then outputs.
    items: &'a [u8],
}

impl<'a> Case<'a> {
    /// The items: one for each input of the entry point, then one for each output.
    pub fn items(&self) -> Items<'a> {
        Items { rest: self.items }
    }
}

/// The items of a case.
#[derive(Clone, Copy, Debug)]
pub struct Items<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Items<'a> {
    type Item = Result<Item<'a>, Error>;

    /// The next item; after an error there is no more.
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let item = Item::decode(self.rest);
        self.rest = item.map_or(&[], |(_, rest)| rest);
        Some(item.map(|(item, _)| item))
    }
}

/// The cases of a section, in file order.
#[derive(Clone, Copy, Debug)]
pub struct Cases<'a> {
    rest: &'a [u8],
    left: u32,
}

impl<'a> Cases<'a> {
    /// Starts at the first case of a section.
    ///
    /// # Errors
    /// [`Error::Bounds`] for a section that is shorter than its first 8 bytes
    /// and not empty, [`Error::Unsupported`] where the reserved ones are not 0.
    pub fn new(section: &'a [u8]) -> Result<Cases<'a>, Error> {
        if section.is_empty() {
            return Ok(Cases {
                rest: section,
                left: 0,
            });
        }
        let (head, rest) = section.split_at_checked(HEAD).ok_or(Error::Bounds)?;
        let left = u32_at(head, 0).ok_or(Error::Bounds)?;
        match u32_at(head, 4) {
            Some(0) => Ok(Cases { rest, left }),
            _ => Err(Error::Unsupported),
        }
    }

    fn case(&mut self) -> Result<Case<'a>, Error> {
        let len = u64_at(self.rest, 0).ok_or(Error::Bounds)?;
        let entry = u32_at(self.rest, 8).ok_or(Error::Bounds)?;
        let tolerance = u32_at(self.rest, 12).ok_or(Error::Bounds)?;
        let len = usize::try_from(len).map_err(|_| Error::Bounds)?;
        if len < CASE_HEAD || !len.is_multiple_of(8) {
            return Err(Error::Malformed);
        }
        let (case, rest) = self.rest.split_at_checked(len).ok_or(Error::Bounds)?;
        let tolerance = f32::from_bits(tolerance);
        if !(tolerance.is_finite() && tolerance >= 0.0) {
            return Err(Error::Malformed);
        }
        self.rest = rest;
        Ok(Case {
            entry,
            tolerance,
            items: &case[CASE_HEAD..],
        })
    }
}

impl<'a> Iterator for Cases<'a> {
    type Item = Result<Case<'a>, Error>;

    /// The next case; after an error there is no more.
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let case = self.case();
        if case.is_err() {
            self.left = 0;
        }
        Some(case)
    }
}

/// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number
/// Generators, 2014): one number a call.
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ z >> 31
    }
}

/// Fills a tensor's bytes with what the seed stands for, one number `z` of
/// SplitMix64 an element, in row-major order:
///
/// - F32: `(z >> 40) / 2^23 - 1`, uniform in -1 (included) to 1 (excluded), exact;
/// - F16: `(z >> 53) / 2^10 - 1`, the same in steps of 2^-10, exact;
/// - integers: the top 8, 16, 32 or 64 bits of `z`;
/// - Bool: the top bit of `z`.
///
/// A rest of fewer bytes than an element is left as it is.
pub fn fill(dtype: DType, seed: u64, tensor: &mut [u8]) {
    let mut random = SplitMix64(seed);
    for element in tensor.chunks_exact_mut(dtype.size()) {
        let z = random.next();
        match dtype {
            DType::F32 => {
                let v = (z >> 40) as f32 / (1 << 23) as f32 - 1.0;
                element.copy_from_slice(&v.to_le_bytes());
            }
            DType::F16 => {
                let v = f16_of_1024ths((z >> 53) as i32 - 1024);
                element.copy_from_slice(&v.to_le_bytes());
            }
            DType::Bool => element[0] = (z >> 63) as u8,
            _ => element.copy_from_slice(&z.to_le_bytes()[8 - dtype.size()..]),
        }
    }
}

/// The bits of `n / 1024` as binary16, for |n| of at most 1024.
fn f16_of_1024ths(n: i32) -> u16 {
    let sign = if n < 0 { 0x8000 } else { 0 };
    let magnitude = n.unsigned_abs();
    match magnitude.checked_ilog2() {
        None => 0,
        // 1.m * 2^(e - 10), biased by 15.
        Some(e) => {
            let fraction = (magnitude << (10 - e)) & 0x3FF;
            sign | (e as u16 + 5) << 10 | fraction as u16
        }
    }
}

/// How far `actual` is from `expected`, both the bytes of a tensor of `dtype`:
/// the largest absolute difference over the largest magnitude of `expected`
/// (over 1 where that is 0). NaN equals NaN and an infinity equals itself; any
/// other difference that involves one is infinite.
///
/// # Errors
/// [`Error::Length`] where the lengths differ.
pub fn error(dtype: DType, actual: &[u8], expected: &[u8]) -> Result<f32, Error> {
    if actual.len() != expected.len() {
        return Err(Error::Length);
    }
    let size = dtype.size();
    let (mut difference, mut magnitude) = (0f64, 0f64);
    for (a, e) in actual.chunks_exact(size).zip(expected.chunks_exact(size)) {
        let same_bits = a == e;
        let (a, e) = (value(dtype, a), value(dtype, e));
        if e.is_finite() {
            magnitude = magnitude.max(e.abs());
        }
        let d = match dtype {
            _ if same_bits => 0.0,
            DType::F32 | DType::F16 if a == e || a.is_nan() && e.is_nan() => 0.0,
            DType::F32 | DType::F16 if !a.is_finite() || !e.is_finite() => f64::INFINITY,
            DType::F32 | DType::F16 => (a - e).abs(),
            // Neighbours beyond 2^53 are one f64.
            _ => (a - e).abs().max(1.0),
        };
        difference = difference.max(d);
    }
    let relative = if magnitude > 0.0 {
        difference / magnitude
    } else {
        difference
    };
    // A difference never rounds to none.
    let floor = if difference > 0.0 {
        f32::MIN_POSITIVE
    } else {
        0.0
    };
    Ok((relative as f32).max(floor))
}

/// One element as f64. Exact but for I64 beyond 2^53.
fn value(dtype: DType, element: &[u8]) -> f64 {
    let mut bytes = [0; 8];
    put(&mut bytes, 0, element);
    let bits = u64::from_le_bytes(bytes);
    match dtype {
        DType::F32 => f32::from_bits(bits as u32).into(),
        DType::F16 => f16_value(bits as u16),
        DType::I8 => (bits as i8).into(),
        DType::U8 | DType::Bool => (bits as u8).into(),
        DType::I16 => (bits as i16).into(),
        DType::I32 => (bits as i32).into(),
        DType::I64 => bits as i64 as f64,
    }
}

/// binary16 to f64, exactly.
fn f16_value(bits: u16) -> f64 {
    let (exponent, fraction) = (u64::from(bits >> 10 & 31), u64::from(bits & 0x3FF));
    let magnitude = match exponent {
        0 => fraction as f64 / (1 << 24) as f64,
        31 if fraction == 0 => f64::INFINITY,
        31 => f64::NAN,
        // The exponent's bias is 1023 in f64 and 15 in binary16.
        _ => f64::from_bits((exponent + 1008) << 52 | fraction << 42),
    };
    if bits >> 15 == 0 {
        magnitude
    } else {
        -magnitude
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of a C program that follows the paper, for seed 1234567.
    #[test]
    fn generator_is_splitmix64() {
        let mut random = SplitMix64(1_234_567);
        assert_eq!(random.next(), 6_457_827_717_110_365_317);
        assert_eq!(random.next(), 3_203_168_211_198_807_973);
        assert_eq!(random.next(), 9_817_491_932_198_370_423);
        assert_eq!(random.next(), 4_593_380_528_125_082_431);
        assert_eq!(random.next(), 16_408_922_859_458_223_821);
    }

    #[test]
    fn fill_is_in_range_and_depends_on_the_seed_alone() {
        for dtype in DType::ALL {
            let (mut a, mut b, mut c) = ([0; 4096], [7; 4096], [0; 4096]);
            fill(dtype, 5, &mut a);
            fill(dtype, 5, &mut b);
            fill(dtype, 6, &mut c);
            assert_eq!(a, b);
            assert_ne!(a, c);
            for element in a.chunks_exact(dtype.size()) {
                let v = value(dtype, element);
                match dtype {
                    DType::F32 | DType::F16 => assert!((-1.0..1.0).contains(&v)),
                    DType::Bool => assert!(v == 0.0 || v == 1.0),
                    _ => {}
                }
            }
        }
        let mut first = [0; 4];
        fill(DType::F32, 1_234_567, &mut first);
        let expected = (6_457_827_717_110_365_317u64 >> 40) as f32 / 8_388_608.0 - 1.0;
        assert_eq!(f32::from_le_bytes(first), expected);
    }

    #[test]
    fn f16_both_ways() {
        for n in -1024..=1024 {
            assert_eq!(f16_value(f16_of_1024ths(n)), f64::from(n) / 1024.0);
        }
        assert_eq!(f16_value(0x0001), 1.0 / 16_777_216.0);
        assert_eq!(f16_value(0x7BFF), 65504.0);
        assert_eq!(f16_value(0xFC00), f64::NEG_INFINITY);
        assert!(f16_value(0x7E00).is_nan());
    }

    #[test]
    fn error_is_relative_to_the_largest() {
        let bytes = |v: [f32; 3]| {
            let mut b = [0; 12];
            v.iter()
                .zip(b.chunks_exact_mut(4))
                .for_each(|(v, b)| b.copy_from_slice(&v.to_le_bytes()));
            b
        };
        let e = |a, b| error(DType::F32, &bytes(a), &bytes(b)).unwrap();
        assert_eq!(e([1.0, 2.0, 4.0], [1.0, 2.0, 4.0]), 0.0);
        assert_eq!(e([1.0, 2.5, 4.0], [1.0, 2.0, 4.0]), 0.125);
        assert_eq!(e([0.5, 0.0, 0.0], [0.0; 3]), 0.5);
        assert_eq!(e([f32::NAN, 1.0, 1.0], [f32::NAN, 1.0, 1.0]), 0.0);
        assert_eq!(e([1.0, f32::NAN, 1.0], [1.0; 3]), f32::INFINITY);
        assert_eq!(e([1.0; 3], [1.0, f32::INFINITY, 1.0]), f32::INFINITY);
        assert_eq!(e([f32::INFINITY; 3], [f32::INFINITY; 3]), 0.0);
        assert_eq!(
            e([f32::MIN_POSITIVE, 1e38, 0.0], [0.0, 1e38, 0.0]),
            f32::MIN_POSITIVE
        );
        let (a, b) = (i64::MAX.to_le_bytes(), (i64::MAX - 1).to_le_bytes());
        assert!(error(DType::I64, &a, &b).unwrap() > 0.0);
        assert_eq!(error(DType::U8, &[1], &[1, 2]), Err(Error::Length));
    }

    #[test]
    fn items_both_ways() {
        let mut b = [0xFF; 64];
        let raw = Item::Raw(&[1, 2, 3]);
        assert_eq!(raw.encode(&mut b), Ok(24));
        assert_eq!(Item::Generated(9).encode(&mut b[24..]), Ok(16));
        let (first, rest) = Item::decode(&b).unwrap();
        let (second, _) = Item::decode(rest).unwrap();
        assert_eq!((first, second), (raw, Item::Generated(9)));
        assert_eq!(raw.encode(&mut b[..23]), Err(Error::Length));
        assert_eq!(Item::decode(&b[..23]), Err(Error::Bounds));
    }
}
