//! Typed borrowed buffers: what an operator hands to a kernel.

/// Element type of a tensor. The codes are those of the file format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum DType {
    /// IEEE 754 binary32.
    F32 = 1,
    /// IEEE 754 binary16, held as its bits in a `u16`.
    F16 = 2,
    /// Signed 8-bit integer.
    I8 = 3,
    /// Unsigned 8-bit integer.
    U8 = 4,
    /// Signed 16-bit integer.
    I16 = 5,
    /// Signed 32-bit integer.
    I32 = 6,
    /// Signed 64-bit integer.
    I64 = 7,
    /// One byte, 0 or 1.
    Bool = 8,
}

impl DType {
    /// All element types, in code order.
    pub const ALL: [DType; 8] = [
        DType::F32,
        DType::F16,
        DType::I8,
        DType::U8,
        DType::I16,
        DType::I32,
        DType::I64,
        DType::Bool,
    ];

    /// The type with this code in the file format.
    pub fn from_code(code: u8) -> Option<DType> {
        Self::ALL.get(usize::from(code).checked_sub(1)?).copied()
    }

    /// Bytes of one element.
    pub const fn size(self) -> usize {
        match self {
            DType::I8 | DType::U8 | DType::Bool => 1,
            DType::F16 | DType::I16 => 2,
            DType::F32 | DType::I32 => 4,
            DType::I64 => 8,
        }
    }

    /// Lower-case name as in NumPy: `f32`, `i8`, `bool` ...
    pub const fn name(self) -> &'static str {
        match self {
            DType::F32 => "f32",
            DType::F16 => "f16",
            DType::I8 => "i8",
            DType::U8 => "u8",
            DType::I16 => "i16",
            DType::I32 => "i32",
            DType::I64 => "i64",
            DType::Bool => "bool",
        }
    }
}

macro_rules! views {
    ($($variant:ident($t:ty)),*) => {
        /// A borrowed tensor's elements.
        #[derive(Clone, Copy, Debug)]
        pub enum View<'a> { $(#[doc = concat!("Elements of type `", stringify!($t), "`.")] $variant(&'a [$t])),* }

        /// A mutably borrowed tensor's elements.
        #[derive(Debug)]
        pub enum ViewMut<'a> { $(#[doc = concat!("Elements of type `", stringify!($t), "`.")] $variant(&'a mut [$t])),* }

        impl View<'_> {
            /// Number of elements.
            pub fn len(&self) -> usize { match self { $(View::$variant(s) => s.len()),* } }
            /// Whether there are none.
            pub fn is_empty(&self) -> bool { self.len() == 0 }
            /// Element type.
            pub fn dtype(&self) -> DType { match self { $(View::$variant(_) => DType::$variant),* } }
        }

        impl ViewMut<'_> {
            /// Number of elements.
            pub fn len(&self) -> usize { match self { $(ViewMut::$variant(s) => s.len()),* } }
            /// Whether there are none.
            pub fn is_empty(&self) -> bool { self.len() == 0 }
            /// Element type.
            pub fn dtype(&self) -> DType { match self { $(ViewMut::$variant(_) => DType::$variant),* } }
            /// The same elements for a shorter time.
            pub fn reborrow(&mut self) -> ViewMut<'_> { match self { $(ViewMut::$variant(s) => ViewMut::$variant(s)),* } }
        }
    };
}
views!(
    F32(f32),
    F16(u16),
    I8(i8),
    U8(u8),
    I16(i16),
    I32(i32),
    I64(i64),
    Bool(u8)
);

/// Runs a block with the slices of views that must have one dtype, or gives
/// `Err(Invalid)`: for operators that move elements whatever they are.
macro_rules! same_dtype {
    (($x:expr), $y:expr, |$a:ident, $o:ident| $body:block) => {
        match ($x, $y) {
            ($crate::View::F32($a), $crate::ViewMut::F32($o)) => $body
            ($crate::View::F16($a), $crate::ViewMut::F16($o)) => $body
            ($crate::View::I8($a), $crate::ViewMut::I8($o)) => $body
            ($crate::View::U8($a), $crate::ViewMut::U8($o)) => $body
            ($crate::View::I16($a), $crate::ViewMut::I16($o)) => $body
            ($crate::View::I32($a), $crate::ViewMut::I32($o)) => $body
            ($crate::View::I64($a), $crate::ViewMut::I64($o)) => $body
            ($crate::View::Bool($a), $crate::ViewMut::Bool($o)) => $body
            _ => Err($crate::Invalid),
        }
    };
    (($x:expr, $z:expr), $y:expr, |$a:ident, $b:ident, $o:ident| $body:block) => {
        match ($x, $z, $y) {
            ($crate::View::F32($a), $crate::View::F32($b), $crate::ViewMut::F32($o)) => $body
            ($crate::View::F16($a), $crate::View::F16($b), $crate::ViewMut::F16($o)) => $body
            ($crate::View::I8($a), $crate::View::I8($b), $crate::ViewMut::I8($o)) => $body
            ($crate::View::U8($a), $crate::View::U8($b), $crate::ViewMut::U8($o)) => $body
            ($crate::View::I16($a), $crate::View::I16($b), $crate::ViewMut::I16($o)) => $body
            ($crate::View::I32($a), $crate::View::I32($b), $crate::ViewMut::I32($o)) => $body
            ($crate::View::I64($a), $crate::View::I64($b), $crate::ViewMut::I64($o)) => $body
            ($crate::View::Bool($a), $crate::View::Bool($b), $crate::ViewMut::Bool($o)) => $body
            _ => Err($crate::Invalid),
        }
    };
}
pub(crate) use same_dtype;

impl ViewMut<'_> {
    /// Copies elements of the same dtype and number.
    pub(crate) fn copy_from(self, x: View<'_>) -> Result<(), crate::Invalid> {
        if x.len() != self.len() {
            return Err(crate::Invalid);
        }
        same_dtype!((x), self, |x, y| {
            y.copy_from_slice(x);
            Ok(())
        })
    }
}
