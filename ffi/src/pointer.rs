//! What comes over the border: pointers that are checked for what can be told.

use crate::Status;
use std::ffi::{CStr, c_char};

/// What a handle points to.
///
/// # Safety
/// `handle` is null, or valid and not written to for `'a`.
pub(crate) unsafe fn shared<'a, T>(handle: *const T) -> Result<&'a T, Status> {
    if !handle.is_aligned() {
        return Err(Status::NullPointer);
    }
    // SAFETY: aligned, and null or valid by the caller's promise.
    unsafe { handle.as_ref() }.ok_or(Status::NullPointer)
}

/// As [`shared`], mutably.
///
/// # Safety
/// `handle` is null, or valid and used by nobody else for `'a`.
pub(crate) unsafe fn exclusive<'a, T>(handle: *mut T) -> Result<&'a mut T, Status> {
    if !handle.is_aligned() {
        return Err(Status::NullPointer);
    }
    // SAFETY: aligned, and null or valid by the caller's promise.
    unsafe { handle.as_mut() }.ok_or(Status::NullPointer)
}

/// A place for a result.
#[derive(Clone, Copy)]
pub(crate) struct Out<T>(*mut T);

impl<T> Out<T> {
    /// # Safety
    /// `place` is null, or valid for a write of a `T` until [`put`](Self::put).
    pub(crate) unsafe fn new(place: *mut T) -> Result<Out<T>, Status> {
        if place.is_null() || !place.is_aligned() {
            return Err(Status::NullPointer);
        }
        Ok(Out(place))
    }

    pub(crate) fn put(self, value: T) {
        // SAFETY: `new` has checked for null and alignment, and was promised the rest.
        unsafe { self.0.write(value) }
    }
}

/// A string of the caller's.
///
/// # Safety
/// `text` is null, or ends in a NUL and is not written to for `'a`.
pub(crate) unsafe fn text<'a>(text: *const c_char) -> Result<&'a CStr, Status> {
    if text.is_null() {
        return Err(Status::NullPointer);
    }
    // SAFETY: not null, and the rest by the caller's promise.
    Ok(unsafe { CStr::from_ptr(text) })
}

/// Whether `len` bytes may start at this address.
pub(crate) fn check_buffer(start: *const u8, len: usize) -> Result<(), Status> {
    if start.is_null() {
        return Err(Status::NullPointer);
    }
    if len > isize::MAX as usize || (start as usize).checked_add(len).is_none() {
        return Err(Status::Length);
    }
    Ok(())
}
