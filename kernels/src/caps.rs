//! Which instruction sets this CPU has.

/// A set of instruction-set extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Caps(u32);

/// Name and bit of every extension that a kernel variant may need.
const NAMES: [(&str, Caps); 4] = [
    ("sse4.1", Caps::SSE41),
    ("avx2", Caps::AVX2),
    ("neon", Caps::NEON),
    ("simd128", Caps::SIMD128),
];

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
}
