//! Whether an AArch64 CPU has dot products and byte matrices: `[dotprod, i8mm]`.
//!
//! What tells are registers of the operating system. Linux lets programs read
//! them since 4.11 and shows what all cores have in common; in older kernels
//! the read is an illegal instruction, so the version is asked first. Both work
//! without a C library, and where files of `/proc` are closed, as for
//! applications on Android. Apple's C library, which every program there has,
//! has a function for it.

/// By the version of the kernel and ID_AA64ISAR0_EL1, ID_AA64ISAR1_EL1 (Arm's
/// Architecture Reference Manual; Documentation/arch/arm64/cpu-feature-registers).
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn ask() -> [bool; 2] {
    use core::arch::asm;

    const DOTPROD: u32 = 44;
    const I8MM: u32 = 52;

    if kernel() < [4, 11] {
        return [false; 2];
    }
    let (isar0, isar1): (u64, u64);
    // SAFETY: this kernel answers the reads, which change nothing.
    unsafe {
        asm!("mrs {}, ID_AA64ISAR0_EL1", out(reg) isar0, options(pure, nomem, nostack));
        asm!("mrs {}, ID_AA64ISAR1_EL1", out(reg) isar1, options(pure, nomem, nostack));
    }
    let field = |register: u64, at: u32| register >> at & 15 != 0;
    [field(isar0, DOTPROD), field(isar1, I8MM)]
}

/// The first two numbers of the kernel's version; zeros where they are not to
/// be had.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn kernel() -> [u32; 2] {
    use core::arch::asm;

    const UNAME: usize = 160;
    /// Six strings of 65 bytes, of which the third is the release.
    const STRING: usize = 65;

    let mut names = [0u8; 6 * STRING];
    let result: isize;
    // SAFETY: uname writes 390 bytes and nothing else.
    unsafe {
        asm!(
            "svc 0",
            in("x8") UNAME,
            inlateout("x0") names.as_mut_ptr() => result,
            options(nostack),
        );
    }
    if result == 0 {
        version(&names[2 * STRING..3 * STRING])
    } else {
        [0; 2]
    }
}

/// Reads `6.12.0-rc1`, for example.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn version(release: &[u8]) -> [u32; 2] {
    let mut numbers = [0u32; 2];
    let mut at = 0;
    for byte in release {
        match byte {
            b'0'..=b'9' => {
                numbers[at] = numbers[at].saturating_mul(10);
                numbers[at] = numbers[at].saturating_add(u32::from(byte - b'0'));
            }
            b'.' if at == 0 => at = 1,
            _ => break,
        }
    }
    numbers
}

/// By `sysctlbyname`; what an older system does not know is not there.
#[cfg(target_vendor = "apple")]
pub(super) fn ask() -> [bool; 2] {
    use core::ffi::{CStr, c_char, c_int, c_void};
    use core::ptr::{from_mut, null_mut};

    unsafe extern "C" {
        fn sysctlbyname(
            name: *const c_char,
            old: *mut c_void,
            old_len: *mut usize,
            new: *mut c_void,
            new_len: usize,
        ) -> c_int;
    }

    let has = |name: &CStr| {
        let (mut value, mut len): (c_int, usize) = (0, size_of::<c_int>());
        // SAFETY: the name ends with a zero, and the function writes at most
        // `len` bytes to `value`.
        let result = unsafe {
            let value = from_mut(&mut value).cast();
            sysctlbyname(name.as_ptr(), value, &mut len, null_mut(), 0)
        };
        result == 0 && value != 0
    };
    [
        has(c"hw.optional.arm.FEAT_DotProd"),
        has(c"hw.optional.arm.FEAT_I8MM"),
    ]
}

/// Nothing is known.
#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
pub(super) fn ask() -> [bool; 2] {
    [false; 2]
}

#[cfg(all(test, any(target_os = "linux", target_os = "android")))]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        for (release, expected) in [
            ("4.9.337-perf+\0\0", [4, 9]),
            ("4.11.0", [4, 11]),
            ("6.12-rc1", [6, 12]),
            ("5", [5, 0]),
            ("10.", [10, 0]),
            ("", [0, 0]),
            ("none", [0, 0]),
            ("99999999999.1", [u32::MAX, 1]),
        ] {
            assert_eq!(version(release.as_bytes()), expected, "{release}");
        }
        assert!(kernel() > [2, 6]);
    }
}
