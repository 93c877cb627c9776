//! Arrays of any dtype for tests: every element is held as an f64, which is
//! exact for all values that the tests use.

use std::collections::HashMap;
use std::sync::LazyLock;
use ternrt::DType;

#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    pub dtype: DType,
    pub dims: Vec<usize>,
    pub values: Vec<f64>,
}

impl Array {
    /// Elements are computed in `dtype`, so that reading them back gives the same.
    pub fn new(dtype: DType, dims: &[usize], mut value: impl FnMut(usize) -> f64) -> Array {
        let len = dims.iter().product();
        let raw = Array {
            dtype,
            dims: dims.to_vec(),
            values: (0..len).map(&mut value).collect(),
        };
        Array::from_bytes(dtype, dims, &raw.bytes())
    }

    pub fn f32(dims: &[usize], value: impl FnMut(usize) -> f64) -> Array {
        Array::new(DType::F32, dims, value)
    }

    /// Little-endian elements.
    pub fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for &v in &self.values {
            match self.dtype {
                DType::F32 => out.extend((v as f32).to_le_bytes()),
                DType::F16 => out.extend(f16_bits(v).to_le_bytes()),
                DType::I8 => out.extend((v as i8).to_le_bytes()),
                DType::U8 => out.extend((v as u8).to_le_bytes()),
                DType::I16 => out.extend((v as i16).to_le_bytes()),
                DType::I32 => out.extend((v as i32).to_le_bytes()),
                DType::I64 => out.extend((v as i64).to_le_bytes()),
                DType::Bool => out.push((v != 0.0) as u8),
            }
        }
        out
    }

    pub fn from_bytes(dtype: DType, dims: &[usize], bytes: &[u8]) -> Array {
        let value = |b: &[u8]| match dtype {
            DType::F32 => f32::from_le_bytes(b.try_into().unwrap()).into(),
            DType::F16 => f16_value(u16::from_le_bytes(b.try_into().unwrap())),
            DType::I8 => (b[0] as i8).into(),
            DType::U8 | DType::Bool => b[0].into(),
            DType::I16 => i16::from_le_bytes(b.try_into().unwrap()).into(),
            DType::I32 => i32::from_le_bytes(b.try_into().unwrap()).into(),
            DType::I64 => i64::from_le_bytes(b.try_into().unwrap()) as f64,
        };
        let values: Vec<f64> = bytes.chunks_exact(dtype.size()).map(value).collect();
        assert_eq!(values.len(), dims.iter().product::<usize>());
        Array {
            dtype,
            dims: dims.to_vec(),
            values,
        }
    }

    /// The element at an index, one number a dimension.
    pub fn at(&self, index: &[usize]) -> f64 {
        assert_eq!(index.len(), self.dims.len());
        let flat = index.iter().zip(&self.dims).fold(0, |flat, (&i, &d)| {
            assert!(i < d);
            flat * d + i
        });
        self.values[flat]
    }
}

/// An array of `dtype` whose element at each index is `value(index)`.
pub fn filled(dtype: DType, dims: &[usize], mut value: impl FnMut(&[usize]) -> f64) -> Array {
    Array::new(dtype, dims, |flat| value(&unflatten(flat, dims)))
}

/// The index of element number `flat` of a row-major array.
pub fn unflatten(mut flat: usize, dims: &[usize]) -> Vec<usize> {
    let mut index = vec![0; dims.len()];
    for (i, &d) in index.iter_mut().zip(dims).rev() {
        (*i, flat) = (flat % d, flat / d);
    }
    index
}

/// Where an operand's element lies that NumPy's broadcasting pairs with `index`.
pub fn broadcast_index(index: &[usize], dims: &[usize]) -> Vec<usize> {
    let skipped = index.len() - dims.len();
    index[skipped..]
        .iter()
        .zip(dims)
        .map(|(&i, &d)| if d == 1 { 0 } else { i })
        .collect()
}

/// The value of an IEEE binary16.
pub fn f16_value(bits: u16) -> f64 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f64::from(bits & 1023));
    sign * match exponent {
        0 => fraction * 2f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        e => (1024.0 + fraction) * 2f64.powi(e - 25),
    }
}

/// The binary16 of a value that has one.
fn f16_bits(value: f64) -> u16 {
    static BITS: LazyLock<HashMap<u64, u16>> = LazyLock::new(|| {
        (0..=u16::MAX)
            .map(|b| (f16_value(b).to_bits(), b))
            .collect()
    });
    *BITS
        .get(&value.to_bits())
        .unwrap_or_else(|| panic!("{value} is no f16"))
}

/// Random numbers from a seed (SplitMix64).
pub struct Random(pub u64);

impl Random {
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// One of `low..=high`.
    pub fn within(&mut self, low: usize, high: usize) -> usize {
        low + (self.bits() % (high - low + 1) as u64) as usize
    }

    pub fn chance(&mut self, percent: u64) -> bool {
        self.bits() % 100 < percent
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.within(0, from.len() - 1)]
    }

    /// A multiple of 2^-20 from -1 up to 1.
    pub fn real(&mut self) -> f64 {
        (self.bits() % (1 << 21)) as f64 / f64::from(1 << 20) - 1.0
    }

    /// An integer of -bound ..= bound.
    pub fn integer(&mut self, bound: usize) -> f64 {
        self.within(0, 2 * bound) as f64 - bound as f64
    }
}
