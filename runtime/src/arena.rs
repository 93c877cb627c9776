//! From offsets to typed slices: all of this crate's `unsafe` but the thread
//! pool's is here.

use crate::Error;
use crate::format::SECTION_ALIGN;
use crate::format::tensor::{Place, Tensor};
use crate::ops::MAX_OUTPUTS;
use core::marker::PhantomData;
use core::ops::Range;
use core::slice;
use tern_kernels::{DType, View, ViewMut};

#[cfg(target_endian = "big")]
compile_error!("a .tern file is little-endian and is used in place; this target is big-endian");

/// Where a tensor's bytes are in its place; `None` where that leaves `usize`.
pub(crate) fn range(tensor: &Tensor) -> Option<Range<usize>> {
    let end = tensor.offset.checked_add(tensor.len)?;
    Some(usize::try_from(tensor.offset).ok()?..usize::try_from(end).ok()?)
}

/// Whether the ranges have a byte in common.
pub(crate) fn overlap(a: &Range<usize>, b: &Range<usize>) -> bool {
    a.start.max(b.start) < a.end.min(b.end)
}

/// The planned part of the arena while one op runs: the op's results, each
/// handed out once and mutably, and everything else, shared.
///
/// Invariants, established by [`new`](Self::new) and kept by all methods:
/// - `base` and `len` are a slice that is borrowed exclusively for `'a`, and
///   that only this value reaches;
/// - `results` lie inside of it, and no two of them have a byte in common;
/// - a shared slice that was handed out has no byte in common with any of
///   `results`; a mutable one is one of `results`, the `taken` flag of which
///   is set.
pub(crate) struct OpArena<'a> {
    base: *mut u8,
    len: usize,
    results: [Option<Range<usize>>; MAX_OUTPUTS],
    taken: [bool; MAX_OUTPUTS],
    lifetime: PhantomData<&'a mut [u8]>,
}

impl<'a> OpArena<'a> {
    /// `results` are where the op writes.
    ///
    /// # Errors
    /// [`Error::Bounds`] for a result outside of the arena,
    /// [`Error::Overlap`] for two that share bytes.
    pub(crate) fn new(
        arena: &'a mut [u8],
        results: [Option<Range<usize>>; MAX_OUTPUTS],
    ) -> Result<OpArena<'a>, Error> {
        for (i, result) in results.iter().enumerate() {
            let Some(result) = result else { continue };
            if result.start > result.end || result.end > arena.len() {
                return Err(Error::Bounds);
            }
            if results[..i].iter().flatten().any(|r| overlap(r, result)) {
                return Err(Error::Overlap);
            }
        }
        Ok(OpArena {
            base: arena.as_mut_ptr(),
            len: arena.len(),
            results,
            taken: [false; MAX_OUTPUTS],
            lifetime: PhantomData,
        })
    }

    /// The bytes of an operand.
    ///
    /// # Errors
    /// [`Error::Bounds`], or [`Error::Overlap`] where a result shares a byte.
    pub(crate) fn read(&self, range: Range<usize>) -> Result<&'a [u8], Error> {
        if range.start > range.end || range.end > self.len {
            return Err(Error::Bounds);
        }
        if self.results.iter().flatten().any(|r| overlap(r, &range)) {
            return Err(Error::Overlap);
        }
        // SAFETY: the range is inside of the arena, which is borrowed for 'a;
        // mutable slices of it are made of `results` alone, and no result has
        // a byte in common with the range.
        Ok(unsafe { slice::from_raw_parts(self.base.add(range.start), range.len()) })
    }

    /// The bytes of a result, once.
    ///
    /// # Errors
    /// [`Error::Overlap`] for a range that is not a result, or the second time.
    pub(crate) fn take(&mut self, range: Range<usize>) -> Result<&'a mut [u8], Error> {
        let found = self
            .results
            .iter()
            .zip(&mut self.taken)
            .find(|(r, taken)| r.as_ref() == Some(&range) && !**taken);
        let Some((_, taken)) = found else {
            return Err(Error::Overlap);
        };
        *taken = true;
        // SAFETY: the range is one of `results`, so it is inside of the arena,
        // which is borrowed exclusively for 'a, and it has no byte in common
        // with another result or a shared slice; its flag was not set, so this
        // is the only slice of it.
        Ok(unsafe { slice::from_raw_parts_mut(self.base.add(range.start), range.len()) })
    }
}

/// A number for which every bit pattern is a value.
///
/// # Safety
/// The type has no padding and no invalid bit pattern.
pub(crate) unsafe trait Element: Copy {}

macro_rules! element {
    ($($t:ty),*) => {$(
        // SAFETY: a primitive number has no padding, and all its bit patterns are values.
        unsafe impl Element for $t {}
    )*};
}
element!(f32, u16, i8, u8, i16, i32, i64);

/// The bytes as elements; `None` where they are not aligned or not a whole number of them.
pub(crate) fn elements<T: Element>(bytes: &[u8]) -> Option<&[T]> {
    let start = bytes.as_ptr().cast::<T>();
    if !start.is_aligned() || !bytes.len().is_multiple_of(size_of::<T>()) {
        return None;
    }
    // SAFETY: aligned, as long as the bytes, which any `T: Element` may be made
    // of, and borrowed as they are.
    Some(unsafe { slice::from_raw_parts(start, bytes.len() / size_of::<T>()) })
}

/// As [`elements`], mutably.
pub(crate) fn elements_mut<T: Element>(bytes: &mut [u8]) -> Option<&mut [T]> {
    let start = bytes.as_mut_ptr().cast::<T>();
    if !start.is_aligned() || !bytes.len().is_multiple_of(size_of::<T>()) {
        return None;
    }
    // SAFETY: as in `elements`, and any `T: Element` leaves valid bytes behind.
    Some(unsafe { slice::from_raw_parts_mut(start, bytes.len() / size_of::<T>()) })
}

macro_rules! typed {
    ($dtype:expr, $bytes:expr, $view:ident, $elements:ident) => {{
        let bytes = $bytes;
        match $dtype {
            DType::F32 => $elements(bytes).map($view::F32),
            DType::F16 => $elements(bytes).map($view::F16),
            DType::I8 => $elements(bytes).map($view::I8),
            DType::U8 => Some($view::U8(bytes)),
            DType::I16 => $elements(bytes).map($view::I16),
            DType::I32 => $elements(bytes).map($view::I32),
            DType::I64 => $elements(bytes).map($view::I64),
            DType::Bool => Some($view::Bool(bytes)),
        }
        .ok_or(Error::Misaligned)
    }};
}

/// The bytes as elements of `dtype`.
///
/// # Errors
/// [`Error::Misaligned`].
pub(crate) fn view(dtype: DType, bytes: &[u8]) -> Result<View<'_>, Error> {
    typed!(dtype, bytes, View, elements)
}

/// As [`view`], mutably.
pub(crate) fn view_mut(dtype: DType, bytes: &mut [u8]) -> Result<ViewMut<'_>, Error> {
    typed!(dtype, bytes, ViewMut, elements_mut)
}

/// The bytes of a constant.
///
/// # Errors
/// [`Error::Bounds`], also for a tensor in the arena.
pub(crate) fn constant<'m>(data: &'m [u8], tensor: &Tensor) -> Result<&'m [u8], Error> {
    range(tensor)
        .filter(|_| tensor.place == Place::Data)
        .and_then(|r| data.get(r))
        .ok_or(Error::Bounds)
}

/// Bytes that a slice may lose at its start until it is aligned as tensors are.
pub(crate) const SLACK: usize = SECTION_ALIGN - 1;

/// The slice from its first byte whose address is a multiple of 64.
pub(crate) fn aligned(arena: &mut [u8]) -> &mut [u8] {
    let lost = arena.as_ptr().align_offset(SECTION_ALIGN);
    arena.get_mut(lost..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_handed_out_once_and_apart() {
        let mut bytes = [0; 64];
        let mut arena = OpArena::new(&mut bytes, [Some(0..8), Some(8..16)]).unwrap();
        let a = arena.take(0..8).unwrap();
        let b = arena.take(8..16).unwrap();
        let rest = arena.read(16..64).unwrap();
        a.fill(1);
        b.fill(2);
        assert_eq!(rest, [0; 48]);
        assert_eq!(arena.take(0..8), Err(Error::Overlap));
        assert_eq!(arena.take(16..24), Err(Error::Overlap));
        assert_eq!(arena.read(15..20), Err(Error::Overlap));
        assert_eq!(arena.read(60..65), Err(Error::Bounds));
        assert_eq!(arena.read(16..16), Ok(&[][..]));
        assert_eq!((bytes[7], bytes[8]), (1, 2));
    }

    #[test]
    fn refuses_results_that_do_not_fit() {
        let mut bytes = [0; 16];
        let mut new = |r: [Option<Range<usize>>; 2]| OpArena::new(&mut bytes, r).err();
        assert_eq!(new([Some(0..8), Some(7..9)]), Some(Error::Overlap));
        assert_eq!(new([Some(0..17), None]), Some(Error::Bounds));
        #[allow(clippy::reversed_empty_ranges)]
        let reversed = 5..3;
        assert_eq!(new([Some(reversed), None]), Some(Error::Bounds));
        assert_eq!(new([None, None]), None);
    }

    #[test]
    fn elements_need_alignment_and_whole_numbers() {
        let mut words = [0u64; 2];
        let bytes = elements_mut::<u8>(bytes_of(&mut words)).unwrap();
        assert_eq!(elements::<f32>(bytes).map(<[f32]>::len), Some(4));
        assert!(elements::<f32>(&bytes[1..5]).is_none());
        assert!(elements::<f32>(&bytes[..6]).is_none());
        assert!(view_mut(DType::I64, &mut bytes[4..12]).is_err());
        assert_eq!(view(DType::Bool, &bytes[1..4]).map(|v| v.len()), Ok(3));
    }

    fn bytes_of(words: &mut [u64; 2]) -> &mut [u8] {
        // SAFETY: the bytes of two numbers, borrowed as they are.
        unsafe { slice::from_raw_parts_mut(words.as_mut_ptr().cast(), 16) }
    }
}
