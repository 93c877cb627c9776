//! Attribute types of the op table: how each is encoded, decoded, printed and parsed.

use core::fmt;
use tern_kernels::eltwise::{BinaryKind, Unary, UnaryKind};
use tern_kernels::movement::{PadMode, ResizeCoordinates, ResizeMode};
use tern_kernels::reduce::ReduceKind;

/// A value that can stand in an op record and in the text form.
pub trait Attr: Copy + PartialEq + fmt::Debug {
    /// Bytes in the record.
    const LEN: usize;
    /// Writes exactly `LEN` bytes, little-endian.
    fn put(&self, out: &mut [u8]);
    /// Reads exactly `LEN` bytes; `None` if they stand for no value.
    fn get(bytes: &[u8]) -> Option<Self>;
    /// Text form, without spaces.
    fn print(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result;
    /// The inverse of `print`.
    fn parse(text: &str) -> Option<Self>;
}

macro_rules! number {
    ($($t:ty),*) => {$(
        impl Attr for $t {
            const LEN: usize = size_of::<$t>();
            fn put(&self, out: &mut [u8]) { out[..Self::LEN].copy_from_slice(&self.to_le_bytes()); }
            fn get(bytes: &[u8]) -> Option<Self> { Some(<$t>::from_le_bytes(bytes.get(..Self::LEN)?.try_into().ok()?)) }
            fn print(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { write!(f, "{self:?}") }
            fn parse(text: &str) -> Option<Self> { text.parse().ok() }
        }
    )*};
}
number!(u8, u16, u32, i32, f32);

impl Attr for bool {
    const LEN: usize = 1;
    fn put(&self, out: &mut [u8]) {
        out[0] = *self as u8;
    }
    fn get(bytes: &[u8]) -> Option<Self> {
        match bytes.first()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
    fn print(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl<T: Attr + Default, const N: usize> Attr for [T; N] {
    const LEN: usize = N * T::LEN;
    fn put(&self, out: &mut [u8]) {
        for (v, o) in self.iter().zip(out.chunks_exact_mut(T::LEN)) {
            v.put(o);
        }
    }
    fn get(bytes: &[u8]) -> Option<Self> {
        let mut a = [T::default(); N];
        for (v, b) in a
            .iter_mut()
            .zip(bytes.get(..Self::LEN)?.chunks_exact(T::LEN))
        {
            *v = T::get(b)?;
        }
        Some(a)
    }
    fn print(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (i, v) in self.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            v.print(f)?;
        }
        f.write_str("]")
    }
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix('[')?.strip_suffix(']')?.split(',');
        let mut a = [T::default(); N];
        for v in &mut a {
            *v = T::parse(parts.next()?.trim())?;
        }
        parts.next().is_none().then_some(a)
    }
}

macro_rules! coded {
    ($($t:ty),*) => {$(
        impl Attr for $t {
            const LEN: usize = 1;
            fn put(&self, out: &mut [u8]) { out[0] = *self as u8; }
            fn get(bytes: &[u8]) -> Option<Self> { Self::from_code(*bytes.first()?) }
            fn print(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(self.name()) }
            fn parse(text: &str) -> Option<Self> {
                (0..=u8::MAX).filter_map(Self::from_code).find(|k| k.name() == text)
            }
        }
    )*};
}
coded!(BinaryKind, ReduceKind);

macro_rules! listed {
    ($($t:ident { $($variant:ident = $name:literal),* })*) => {$(
        impl Attr for $t {
            const LEN: usize = 1;
            fn put(&self, out: &mut [u8]) { out[0] = *self as u8; }
            fn get(bytes: &[u8]) -> Option<Self> {
                let code = *bytes.first()?;
                [$($t::$variant),*].into_iter().find(|v| *v as u8 == code)
            }
            fn print(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $($t::$variant => $name),* })
            }
            fn parse(text: &str) -> Option<Self> {
                match text { $($name => Some($t::$variant),)* _ => None }
            }
        }
    )*};
}
listed! {
    PadMode { Constant = "constant", Reflect = "reflect", Edge = "edge" }
    ResizeMode {
        NearestFloorTies = "nearest_prefer_floor", NearestCeilTies = "nearest_prefer_ceil",
        NearestFloor = "nearest_floor", NearestCeil = "nearest_ceil", Linear = "linear"
    }
    ResizeCoordinates {
        HalfPixel = "half_pixel", Asymmetric = "asymmetric",
        AlignCorners = "align_corners", PytorchHalfPixel = "pytorch_half_pixel"
    }
}

/// Printed as `relu` or `clip(0.0;6.0)`.
impl Attr for Unary {
    const LEN: usize = 12;
    fn put(&self, out: &mut [u8]) {
        out[..4].copy_from_slice(&[self.kind as u8, 0, 0, 0]);
        self.alpha.put(&mut out[4..8]);
        self.beta.put(&mut out[8..12]);
    }
    fn get(b: &[u8]) -> Option<Self> {
        let head = b.get(..4)?;
        if head[1..] != [0; 3] {
            return None;
        }
        Some(Unary {
            kind: UnaryKind::from_code(head[0])?,
            alpha: f32::get(b.get(4..8)?)?,
            beta: f32::get(b.get(8..12)?)?,
        })
    }
    fn print(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.name())?;
        if self.alpha.to_bits() != 0 || self.beta.to_bits() != 0 {
            write!(f, "({:?};{:?})", self.alpha, self.beta)?;
        }
        Ok(())
    }
    fn parse(text: &str) -> Option<Self> {
        let (name, params) = match text.split_once('(') {
            Some((name, rest)) => (name, rest.strip_suffix(')')?.split_once(';')?),
            None => (text, ("0", "0")),
        };
        let kind = (0..=u8::MAX)
            .filter_map(UnaryKind::from_code)
            .find(|k| k.name() == name)?;
        Some(Unary {
            kind,
            alpha: params.0.parse().ok()?,
            beta: params.1.parse().ok()?,
        })
    }
}
