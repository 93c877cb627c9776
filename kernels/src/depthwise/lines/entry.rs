//! Where the lines of a band are.

/// In place of an offset: a line outside of the input.
const OUTSIDE: usize = usize::MAX;

/// What is known of a band: how many output lines it has, where the first one
/// begins, and where each input line begins.
pub(super) struct Entry(pub(super) *mut usize);

impl Entry {
    /// Words in front of the input lines.
    pub(super) const HEAD: usize = 2;

    /// # Safety
    ///
    /// There is such an entry, here and below, and it was written.
    pub(super) unsafe fn get(&self) -> (usize, usize) {
        // SAFETY: the caller's promise, here and below.
        unsafe { (self.0.read(), self.0.wrapping_add(1).read()) }
    }

    /// # Safety
    ///
    /// As for [`get`](Self::get).
    pub(super) unsafe fn input(&self, row: usize) -> Option<usize> {
        // SAFETY: as above.
        let from = unsafe { self.0.wrapping_add(Self::HEAD + row).read() };
        (from != OUTSIDE).then_some(from)
    }

    /// # Safety
    ///
    /// There is room for the entry, here and below.
    pub(super) unsafe fn put(&self, lines: usize, to: usize) {
        // SAFETY: as above.
        unsafe {
            self.0.write(lines);
            self.0.wrapping_add(1).write(to);
        }
    }

    /// # Safety
    ///
    /// As for [`put`](Self::put).
    pub(super) unsafe fn put_input(&self, row: usize, from: Option<usize>) {
        // SAFETY: as above.
        unsafe {
            self.0
                .wrapping_add(Self::HEAD + row)
                .write(from.unwrap_or(OUTSIDE));
        }
    }
}
