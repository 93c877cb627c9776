//! Which instruction sets this CPU has.

use core::fmt;

/// A set of instruction-set extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Caps(u32);

/// Name and bit of every extension that a kernel variant may need, and what no
/// CPU has it without; the lesser of one architecture first.
const NAMES: [(&str, Caps, Caps); 10] = [
    ("sse4.1", Caps::SSE41, Caps::SCALAR),
    ("avx2", Caps::AVX2, Caps::SSE41),
    ("avxvnni", Caps::AVXVNNI, UP_TO_AVX2),
    ("avx512vnni", Caps::AVX512VNNI, UP_TO_AVX2),
    ("avx512vbmi", Caps::AVX512VBMI, UP_TO_AVX512VNNI),
    ("amxint8", Caps::AMXINT8, UP_TO_AVX512VBMI),
    ("neon", Caps::NEON, Caps::SCALAR),
    ("dotprod", Caps::DOTPROD, Caps::NEON),
    ("i8mm", Caps::I8MM, UP_TO_DOTPROD),
    ("simd128", Caps::SIMD128, Caps::SCALAR),
];
const UP_TO_AVX2: Caps = Caps::SSE41.union(Caps::AVX2);
const UP_TO_AVX512VNNI: Caps = UP_TO_AVX2.union(Caps::AVX512VNNI);
const UP_TO_AVX512VBMI: Caps = UP_TO_AVX512VNNI.union(Caps::AVX512VBMI);
const UP_TO_DOTPROD: Caps = Caps::NEON.union(Caps::DOTPROD);

impl Caps {
    /// Nothing but the portable code.
    pub const SCALAR: Caps = Caps(0);
    /// x86 SSE4.1 and SSSE3.
    pub const SSE41: Caps = Caps(1 << 0);
    /// x86 AVX2, FMA and F16C, with the operating system's support for the registers.
    pub const AVX2: Caps = Caps(1 << 1);
    /// AArch64 Advanced SIMD.
    pub const NEON: Caps = Caps(1 << 2);
    /// WebAssembly fixed-width SIMD.
    pub const SIMD128: Caps = Caps(1 << 3);
    /// AArch64 dot products of bytes (`sdot`).
    pub const DOTPROD: Caps = Caps(1 << 4);
    /// AArch64 matrix products of bytes (`smmla`).
    pub const I8MM: Caps = Caps(1 << 5);
    /// x86 AVX-VNNI, on top of AVX2.
    pub const AVXVNNI: Caps = Caps(1 << 6);
    /// x86 AVX-512 F, BW, DQ, VL and VNNI, on top of AVX2, with the operating
    /// system's support for the registers.
    pub const AVX512VNNI: Caps = Caps(1 << 7);
    /// x86 AVX-512 VBMI, on top of [`AVX512VNNI`](Self::AVX512VNNI).
    pub const AVX512VBMI: Caps = Caps(1 << 8);
    /// x86 AMX tiles of bytes, on top of [`AVX512VBMI`](Self::AVX512VBMI), where
    /// the operating system lets this process use them.
    pub const AMXINT8: Caps = Caps(1 << 9);

    /// Whether all of `needs` are present.
    pub const fn has(self, needs: Caps) -> bool {
        self.0 & needs.0 == needs.0
    }

    /// Both sets together.
    pub const fn union(self, other: Caps) -> Caps {
        Caps(self.0 | other.0)
    }

    /// What both sets have.
    pub const fn intersection(self, other: Caps) -> Caps {
        Caps(self.0 & other.0)
    }

    /// What this CPU and its operating system support. The first call asks the
    /// CPU, which can take microseconds in a virtual machine; later calls read
    /// what it said.
    ///
    /// On AArch64, `dotprod` and `i8mm` are found on Linux and Android from
    /// kernel 4.11 on, and on Apple's systems; elsewhere they count if the
    /// compiler was told that they are there.
    ///
    /// AMX's registers must be asked for on Linux, once for all threads of the
    /// process, which the first call does; elsewhere they do not count.
    pub fn detect() -> Caps {
        detect()
    }

    /// Reads a list as [`Display`](fmt::Display) writes it: `scalar`, or names
    /// of extensions with commas between them. A name brings along what its
    /// extension builds on, as `avx2` does with `sse4.1`. `None` for anything
    /// else. Says nothing about what this CPU has.
    ///
    /// ```
    /// use tern_kernels::Caps;
    /// assert_eq!(Caps::parse("scalar"), Some(Caps::SCALAR));
    /// assert_eq!(Caps::parse("avx2"), Some(Caps::SSE41.union(Caps::AVX2)));
    /// assert_eq!(Caps::parse("mmx"), None);
    /// ```
    pub fn parse(list: &str) -> Option<Caps> {
        list.split(',').try_fold(Caps::SCALAR, |all, name| {
            let name = name.trim();
            if name == "scalar" {
                return Some(all);
            }
            let (_, caps, implied) = NAMES.into_iter().find(|(n, ..)| *n == name)?;
            Some(all.union(caps).union(implied))
        })
    }

    /// The sets worth running separately: nothing first, then one extension
    /// more each time, up to all of `self`. On a CPU with AVX2: `scalar`,
    /// `sse4.1`, `sse4.1,avx2`.
    pub fn levels(self) -> impl Iterator<Item = Caps> {
        let extensions = NAMES.into_iter().map(|(_, caps, _)| caps);
        let more =
            extensions
                .filter(move |caps| self.has(*caps))
                .scan(Caps::SCALAR, |level, caps| {
                    *level = level.union(caps);
                    Some(*level)
                });
        core::iter::once(Caps::SCALAR).chain(more)
    }
}

impl fmt::Display for Caps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Caps::SCALAR {
            return f.write_str("scalar");
        }
        let names = NAMES.into_iter().filter(|(_, caps, _)| self.has(*caps));
        for (i, (name, ..)) in names.enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            f.write_str(name)?;
        }
        Ok(())
    }
}

#[cfg(all(
    any(target_arch = "x86", target_arch = "x86_64", target_arch = "aarch64"),
    not(miri)
))]
fn detect() -> Caps {
    use core::sync::atomic::{AtomicU32, Ordering};

    /// The result, with `KNOWN` set once it is there. Threads that race here
    /// store the same value.
    static FOUND: AtomicU32 = AtomicU32::new(0);
    const KNOWN: u32 = 1 << 31;

    let found = FOUND.load(Ordering::Relaxed);
    if found & KNOWN != 0 {
        return Caps(found & !KNOWN);
    }
    let caps = ask();
    FOUND.store(caps.0 | KNOWN, Ordering::Relaxed);
    caps
}

/// The bits are those of Intel's manual, volume 2A, CPUID.
#[cfg(all(any(target_arch = "x86", target_arch = "x86_64"), not(miri)))]
fn ask() -> Caps {
    #[cfg(target_arch = "x86")]
    use core::arch::x86::{__cpuid, __cpuid_count, _xgetbv};
    #[cfg(target_arch = "x86_64")]
    use core::arch::x86_64::{__cpuid, __cpuid_count, _xgetbv};

    const SSSE3: u32 = 1 << 9;
    const FMA: u32 = 1 << 12;
    const SSE41: u32 = 1 << 19;
    const OSXSAVE: u32 = 1 << 27;
    const AVX: u32 = 1 << 28;
    const F16C: u32 = 1 << 29;
    const AVX2: u32 = 1 << 5;
    const AVX512: u32 = F | DQ | BW | VL;
    const F: u32 = 1 << 16;
    const DQ: u32 = 1 << 17;
    const BW: u32 = 1 << 30;
    const VL: u32 = 1 << 31;
    const VBMI: u32 = 1 << 1;
    const VNNI: u32 = 1 << 11;
    const AVXVNNI: u32 = 1 << 4;
    const AMX_TILE: u32 = 1 << 24;
    const AMX_INT8: u32 = 1 << 25;
    /// The operating system saves the XMM and the YMM registers.
    const XMM_YMM: u64 = 0b110;
    /// It saves the mask registers, the upper halves of ZMM0..16, and ZMM16..32.
    const MASKS_ZMM: u64 = 0b1110_0000;
    /// It saves the tiles' configuration and data.
    const TILES: u64 = 0b11 << 17;

    let has = |word: u32, bits: u32| word & bits == bits;
    let last_leaf = __cpuid(0).eax;
    let features = if last_leaf >= 1 { __cpuid(1).ecx } else { 0 };
    // Of leaf 7: EBX, ECX and EDX of its first part, EAX of its second.
    let mut extended = [0; 4];
    if last_leaf >= 7 {
        let first = __cpuid_count(7, 0);
        (extended[0], extended[1], extended[3]) = (first.ebx, first.ecx, first.edx);
        if first.eax >= 1 {
            extended[2] = __cpuid_count(7, 1).eax;
        }
    }

    let mut caps = Caps::SCALAR;
    if has(features, SSSE3 | SSE41) {
        caps = caps.union(Caps::SSE41);
    }
    if has(features, SSSE3 | SSE41 | FMA | OSXSAVE | AVX | F16C) && has(extended[0], AVX2) {
        // SAFETY: OSXSAVE says that the operating system has enabled xgetbv.
        let saved = unsafe { _xgetbv(0) };
        if saved & XMM_YMM == XMM_YMM {
            caps = caps.union(Caps::AVX2);
            if has(extended[2], AVXVNNI) {
                caps = caps.union(Caps::AVXVNNI);
            }
            let all_saved = saved & MASKS_ZMM == MASKS_ZMM;
            if all_saved && has(extended[0], AVX512) && has(extended[1], VNNI) {
                caps = caps.union(Caps::AVX512VNNI);
                if has(extended[1], VBMI) {
                    caps = caps.union(Caps::AVX512VBMI);
                    if saved & TILES == TILES
                        && has(extended[3], AMX_TILE | AMX_INT8)
                        && tiles_allowed()
                    {
                        caps = caps.union(Caps::AMXINT8);
                    }
                }
            }
        }
    }
    caps
}

/// Asks Linux for the tiles' data, which it does not give to processes that did
/// not: `arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA)`, from Linux 5.16 on
/// (Documentation/arch/x86/xstate.rst). It refuses where a signal stack would be
/// too small for them.
#[cfg(all(target_arch = "x86_64", target_os = "linux", not(miri)))]
fn tiles_allowed() -> bool {
    const ARCH_PRCTL: usize = 158;
    const ARCH_REQ_XCOMP_PERM: usize = 0x1023;
    const XFEATURE_XTILEDATA: usize = 18;
    let result: isize;
    // SAFETY: the call takes two numbers and no memory; `syscall` changes the
    // registers that are named here.
    unsafe {
        core::arch::asm!(
            "syscall",
            inlateout("rax") ARCH_PRCTL => result,
            in("rdi") ARCH_REQ_XCOMP_PERM,
            in("rsi") XFEATURE_XTILEDATA,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result == 0
}

#[cfg(all(
    any(target_arch = "x86", target_arch = "x86_64"),
    not(all(target_arch = "x86_64", target_os = "linux")),
    not(miri)
))]
fn tiles_allowed() -> bool {
    false
}

#[cfg(all(target_arch = "aarch64", not(miri)))]
fn ask() -> Caps {
    let [dotprod, i8mm] = aarch64::ask();
    let mut caps = Caps::NEON;
    if dotprod || cfg!(target_feature = "dotprod") {
        caps = caps.union(Caps::DOTPROD);
        if i8mm || cfg!(target_feature = "i8mm") {
            caps = caps.union(Caps::I8MM);
        }
    }
    caps
}

/// Asks for dot products and byte matrices. The registers that tell are the
/// operating system's.
#[cfg(all(target_arch = "aarch64", not(miri)))]
mod aarch64;

#[cfg(all(target_arch = "wasm32", target_feature = "simd128", not(miri)))]
fn detect() -> Caps {
    Caps::SIMD128
}

#[cfg(any(
    miri,
    not(any(
        target_arch = "x86",
        target_arch = "x86_64",
        target_arch = "aarch64",
        all(target_arch = "wasm32", target_feature = "simd128")
    ))
))]
fn detect() -> Caps {
    Caps::SCALAR
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;
    use std::vec::Vec;

    #[test]
    fn names_parse_back() {
        for subset in 0..1 << NAMES.len() {
            let (mut caps, mut expected) = (Caps::SCALAR, Caps::SCALAR);
            for (i, (_, extension, implied)) in NAMES.into_iter().enumerate() {
                if subset >> i & 1 == 1 {
                    caps = caps.union(extension);
                    expected = expected.union(extension).union(implied);
                }
            }
            let parsed = Caps::parse(&caps.to_string());
            assert_eq!(parsed, Some(expected), "{caps}");
        }
        let vbmi = UP_TO_AVX512VNNI.union(Caps::AVX512VBMI);
        assert_eq!(Caps::parse("avx512vbmi"), Some(vbmi));
        assert_eq!(vbmi.to_string(), "sse4.1,avx2,avx512vnni,avx512vbmi");
        let i8mm = UP_TO_DOTPROD.union(Caps::I8MM);
        assert_eq!(Caps::parse("i8mm"), Some(i8mm));
        assert_eq!(i8mm.to_string(), "neon,dotprod,i8mm");
        assert_eq!(Caps::parse(" sse4.1 , avx2"), Caps::parse("sse4.1,avx2"));
        for bad in ["", ",", "avx2,", "AVX2", "avx", "scalar;avx2"] {
            assert_eq!(Caps::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn levels_grow_from_scalar_to_everything() {
        let x86 = Caps::SSE41.union(Caps::AVX2);
        let levels: Vec<Caps> = x86.levels().collect();
        assert_eq!(levels, [Caps::SCALAR, Caps::SSE41, x86]);
        assert_eq!(Caps::SCALAR.levels().collect::<Vec<_>>(), [Caps::SCALAR]);
        assert_eq!(
            UP_TO_DOTPROD.levels().collect::<Vec<_>>(),
            [Caps::SCALAR, Caps::NEON, UP_TO_DOTPROD]
        );
    }

    #[cfg(all(target_arch = "x86_64", not(miri)))]
    #[test]
    fn detection_agrees_with_the_standard_library() {
        use std::is_x86_feature_detected;
        let sse41 = is_x86_feature_detected!("sse4.1") && is_x86_feature_detected!("ssse3");
        let avx2 = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("f16c");
        let avxvnni = avx2 && is_x86_feature_detected!("avxvnni");
        let avx512vnni = avx2
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512vnni");
        let avx512vbmi = avx512vnni && is_x86_feature_detected!("avx512vbmi");
        for _ in 0..2 {
            assert_eq!(Caps::detect().has(Caps::SSE41), sse41);
            assert_eq!(Caps::detect().has(Caps::AVX2), avx2);
            assert_eq!(Caps::detect().has(Caps::AVXVNNI), avxvnni);
            assert_eq!(Caps::detect().has(Caps::AVX512VNNI), avx512vnni);
            assert_eq!(Caps::detect().has(Caps::AVX512VBMI), avx512vbmi);
        }
    }
    #[cfg(all(target_arch = "aarch64", not(miri)))]
    #[test]
    fn detection_agrees_with_the_standard_library() {
        use std::arch::is_aarch64_feature_detected;
        for _ in 0..2 {
            let caps = Caps::detect();
            assert!(caps.has(Caps::NEON));
            assert_eq!(
                caps.has(Caps::DOTPROD),
                is_aarch64_feature_detected!("dotprod")
            );
            assert_eq!(caps.has(Caps::I8MM), is_aarch64_feature_detected!("i8mm"));
        }
    }
}
