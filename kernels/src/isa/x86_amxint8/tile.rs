//! The tiles' registers.
//!
//! They keep what they hold from one block of assembly to the next: the compiler
//! has no type that lives in them, so it never uses them. Registers 0 to 3 are
//! sums, 4 to 6 rows of the input, 6 and 7 weights.

use super::panel::STEP;
use super::plan::CHUNK;
use core::arch::asm;

/// Tiles of 16 rows, released when dropped.
pub(super) struct Configured(());

/// What `ldtilecfg` reads: Intel's manual, volume 1, chapter 18.
#[repr(C, align(64))]
struct Config {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

impl Configured {
    /// For chunks of so many k, a multiple of [`STEP`] and at most [`CHUNK`].
    ///
    /// # Safety
    ///
    /// The CPU has AMX, and the process may use it.
    pub(super) unsafe fn new(k: usize) -> Configured {
        const ALL: usize = 16;
        let config = Config {
            palette: 1,
            start_row: 0,
            reserved: [0; 14],
            row_bytes: core::array::from_fn(|tile| match tile {
                4 | 5 => k as u16,
                0..8 => CHUNK as u16,
                _ => 0,
            }),
            rows: core::array::from_fn(|tile| match tile {
                6 | 7 => (k / STEP) as u8,
                0..8 => ALL as u8,
                _ => 0,
            }),
        };
        // SAFETY: 64 bytes, which describe tiles that palette 1 has.
        unsafe {
            asm!("ldtilecfg [{}]", in(reg) &raw const config, options(readonly, nostack, preserves_flags));
        }
        Configured(())
    }
}

impl Drop for Configured {
    fn drop(&mut self) {
        // SAFETY: tiles are configured, so the CPU has them.
        unsafe { asm!("tilerelease", options(nomem, nostack, preserves_flags)) };
    }
}

/// Makes all sums zero.
///
/// # Safety
///
/// Tiles are configured.
#[inline(always)]
pub(super) unsafe fn clear() {
    // SAFETY: the caller's promise.
    unsafe {
        asm!(
            "tilezero tmm0",
            "tilezero tmm1",
            "tilezero tmm2",
            "tilezero tmm3",
            options(nomem, nostack, preserves_flags)
        );
    }
}

/// Stores tmm`T`.
///
/// # Safety
///
/// Tiles are configured; there is room for 16 rows of a block, which begin
/// `stride` sums after each other.
#[inline(always)]
pub(super) unsafe fn store<const T: usize>(sums: *mut i32, stride: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        match T {
            0 => {
                asm!("tilestored [{} + {}], tmm0", in(reg) sums, in(reg) stride * size_of::<i32>(), options(nostack, preserves_flags))
            }
            1 => {
                asm!("tilestored [{} + {}], tmm1", in(reg) sums, in(reg) stride * size_of::<i32>(), options(nostack, preserves_flags))
            }
            2 => {
                asm!("tilestored [{} + {}], tmm2", in(reg) sums, in(reg) stride * size_of::<i32>(), options(nostack, preserves_flags))
            }
            _ => {
                asm!("tilestored [{} + {}], tmm3", in(reg) sums, in(reg) stride * size_of::<i32>(), options(nostack, preserves_flags))
            }
        }
    }
}
