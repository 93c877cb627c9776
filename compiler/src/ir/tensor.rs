//! Constant data.

use ternrt::DType;
use ternrt::kernels::{View, ViewMut};

macro_rules! data {
    ($($variant:ident($t:ty)),*) => {
        /// Elements of a dense tensor, row-major.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Data { $(#[doc = concat!("Elements of type `", stringify!($t), "`.")] $variant(Vec<$t>)),* }

        impl Data {
            /// Zeros (or false).
            pub fn zeros(dtype: DType, len: usize) -> Data {
                match dtype { $(DType::$variant => Data::$variant(vec![Default::default(); len])),* }
            }
            /// Number of elements.
            pub fn len(&self) -> usize { match self { $(Data::$variant(v) => v.len()),* } }
            /// Whether there are none.
            pub fn is_empty(&self) -> bool { self.len() == 0 }
            /// Element type.
            pub fn dtype(&self) -> DType { match self { $(Data::$variant(_) => DType::$variant),* } }
            /// As the kernels see them.
            pub fn view(&self) -> View<'_> { match self { $(Data::$variant(v) => View::$variant(v)),* } }
            /// As the kernels see them, to write.
            pub fn view_mut(&mut self) -> ViewMut<'_> { match self { $(Data::$variant(v) => ViewMut::$variant(v)),* } }
            /// The elements at these positions; panics on one out of range.
            pub fn pick(&self, positions: impl Iterator<Item = usize>) -> Data {
                match self { $(Data::$variant(v) => Data::$variant(positions.map(|i| v[i]).collect())),* }
            }
            /// Adds the elements of `other` at the end; panics if its dtype differs.
            pub fn append(&mut self, other: &Data) {
                match (self, other) {
                    $((Data::$variant(v), Data::$variant(o)) => v.extend_from_slice(o),)*
                    (s, o) => panic!("append {:?} to {:?}", o.dtype(), s.dtype()),
                }
            }
            /// Little-endian bytes, as in the file.
            pub fn to_le_bytes(&self) -> Vec<u8> {
                match self { $(Data::$variant(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect()),* }
            }
            /// The inverse of `to_le_bytes`; `None` for a length that is no multiple of the element's.
            pub fn from_le_bytes(dtype: DType, bytes: &[u8]) -> Option<Data> {
                if bytes.len() % dtype.size() != 0 { return None; }
                Some(match dtype { $(DType::$variant => Data::$variant(
                    bytes.chunks_exact(size_of::<$t>()).map(|c| <$t>::from_le_bytes(c.try_into().unwrap())).collect())),* })
            }
        }
    };
}
data!(
    F32(f32),
    F16(u16),
    I8(i8),
    U8(u8),
    I16(i16),
    I32(i32),
    I64(i64),
    Bool(u8)
);

/// A dense tensor. F16 elements are held as their bits.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Dimensions, outermost first.
    pub shape: Vec<usize>,
    /// As many elements as the shape says.
    pub data: Data,
}

impl Tensor {
    /// A tensor of these elements; panics if the shape does not fit them.
    pub fn new(shape: Vec<usize>, data: Data) -> Tensor {
        assert_eq!(
            shape.iter().product::<usize>(),
            data.len(),
            "shape {shape:?}"
        );
        Tensor { shape, data }
    }

    /// An f32 tensor.
    pub fn f32(shape: Vec<usize>, data: Vec<f32>) -> Tensor {
        Tensor::new(shape, Data::F32(data))
    }

    /// The f32 elements, if they are.
    pub fn as_f32(&self) -> Option<&[f32]> {
        match &self.data {
            Data::F32(v) => Some(v),
            _ => None,
        }
    }

    /// Element type.
    pub fn dtype(&self) -> DType {
        self.data.dtype()
    }
}

/// Integer weights: `value * scale[output]`. Ternary ones are -1, 0 or 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Scaled {
    /// Dimensions; the first is the outputs.
    pub shape: Vec<usize>,
    /// -127..=127, row-major.
    pub values: Vec<i8>,
    /// One an output.
    pub scale: Vec<f32>,
}

impl Scaled {
    /// Whether every weight is -1, 0 or 1 times its scale.
    pub fn is_ternary(&self) -> bool {
        self.values.iter().all(|v| (-1..=1).contains(v))
    }

    /// The weights as numbers.
    pub fn to_dense(&self) -> Tensor {
        let per_output = self.values.len() / self.scale.len().max(1);
        let values = self
            .values
            .iter()
            .enumerate()
            .map(|(i, &t)| t as f32 * self.scale[i / per_output])
            .collect();
        Tensor::f32(self.shape.clone(), values)
    }
}

/// What a constant value holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Constant {
    /// Numbers.
    Dense(Tensor),
    /// Integers and scales; only as the weights of a product.
    Scaled(Scaled),
}

impl Constant {
    /// Dimensions.
    pub fn shape(&self) -> &[usize] {
        match self {
            Constant::Dense(t) => &t.shape,
            Constant::Scaled(t) => &t.shape,
        }
    }
}
