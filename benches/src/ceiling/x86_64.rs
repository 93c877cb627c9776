//! The multiply loops of x86-64.

use super::Loop;
use std::arch::asm;
use tern_kernels::Caps;

/// Sums that are independent of each other: more than latency (at most 5
/// cycles) times instructions a cycle (at most 2).
const SUMS: u64 = 12;

/// Factors in register 12, sums in 0 to 11, a product on its way in 14.
macro_rules! multiply_loop {
    ($name:ident, $factors:literal, $clear:literal, $step:literal) => {
        unsafe fn $name(repetitions: u64) {
            // SAFETY: touches no memory, and no registers but those named; the
            // caller has asked the CPU for the instruction.
            unsafe {
                asm!(
                    $factors,
                    ".irp r, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11",
                    $clear,
                    ".endr",
                    "2:",
                    ".irp r, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11",
                    $step,
                    ".endr",
                    "dec {left}",
                    "jnz 2b",
                    "vzeroupper",
                    left = inout(reg) repetitions => _,
                    out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _,
                    out("xmm4") _, out("xmm5") _, out("xmm6") _, out("xmm7") _,
                    out("xmm8") _, out("xmm9") _, out("xmm10") _, out("xmm11") _,
                    out("xmm12") _, out("xmm14") _,
                    options(nomem, nostack),
                );
            }
        }
    };
}

// Factors are 1.0, with which no sum becomes subnormal or infinite, or all bits set.
multiply_loop!(
    fma_256,
    "vpcmpeqd ymm12, ymm12, ymm12\nvpslld ymm12, ymm12, 25\nvpsrld ymm12, ymm12, 2",
    "vpxor ymm\\r, ymm\\r, ymm\\r",
    "vfmadd231ps ymm\\r, ymm12, ymm12"
);
multiply_loop!(
    fma_512,
    "vpternlogd zmm12, zmm12, zmm12, 255\nvpslld zmm12, zmm12, 25\nvpsrld zmm12, zmm12, 2",
    "vpxord zmm\\r, zmm\\r, zmm\\r",
    "vfmadd231ps zmm\\r, zmm12, zmm12"
);
multiply_loop!(
    maddwd_256,
    "vpcmpeqd ymm12, ymm12, ymm12",
    "vpxor ymm\\r, ymm\\r, ymm\\r",
    "vpmaddwd ymm14, ymm12, ymm12\nvpaddd ymm\\r, ymm\\r, ymm14"
);
multiply_loop!(
    dpwssd_512,
    "vpternlogd zmm12, zmm12, zmm12, 255",
    "vpxord zmm\\r, zmm\\r, zmm\\r",
    "vpdpwssd zmm\\r, zmm12, zmm12"
);
multiply_loop!(
    maddubsw_256,
    "vpcmpeqd ymm12, ymm12, ymm12",
    "vpxor ymm\\r, ymm\\r, ymm\\r",
    "vpmaddubsw ymm14, ymm12, ymm12\nvpaddw ymm\\r, ymm\\r, ymm14"
);
multiply_loop!(
    dpbusd_256,
    "vpcmpeqd ymm12, ymm12, ymm12",
    "vpxor ymm\\r, ymm\\r, ymm\\r",
    "{{vex}} vpdpbusd ymm\\r, ymm12, ymm12"
);
multiply_loop!(
    dpbusd_512,
    "vpternlogd zmm12, zmm12, zmm12, 255",
    "vpxord zmm\\r, zmm\\r, zmm\\r",
    "vpdpbusd zmm\\r, zmm12, zmm12"
);

/// Sums in tiles 0 to 3, factors in 4 to 7.
unsafe fn tdpbssd(repetitions: u64) {
    /// Eight tiles of 16 rows of 64 bytes, as `ldtilecfg` reads it.
    #[repr(align(64))]
    struct Config([u8; 64]);
    let mut config = Config([0; 64]);
    config.0[0] = 1;
    for tile in 0..8 {
        config.0[16 + 2 * tile] = 64;
        config.0[48 + tile] = 16;
    }
    // SAFETY: reads the configuration, and touches no registers but tiles; the
    // caller has asked the CPU for the instructions.
    unsafe {
        asm!(
            "ldtilecfg [{config}]",
            "2:",
            "tdpbssd tmm0, tmm4, tmm6",
            "tdpbssd tmm1, tmm4, tmm7",
            "tdpbssd tmm2, tmm5, tmm6",
            "tdpbssd tmm3, tmm5, tmm7",
            "dec {left}",
            "jnz 2b",
            "tilerelease",
            config = in(reg) &config,
            left = inout(reg) repetitions => _,
            options(nostack),
        );
    }
}

pub(super) static LOOPS: &[Loop] = &[
    Loop {
        activations: "f32",
        instruction: "vfmadd231ps 256",
        macs: 8 * SUMS,
        needs: Caps::AVX2,
        run: fma_256,
    },
    Loop {
        activations: "f32",
        instruction: "vfmadd231ps 512",
        macs: 16 * SUMS,
        needs: Caps::AVX512VNNI,
        run: fma_512,
    },
    Loop {
        activations: "i16",
        instruction: "vpmaddwd + vpaddd 256",
        macs: 16 * SUMS,
        needs: Caps::AVX2,
        run: maddwd_256,
    },
    Loop {
        activations: "i16",
        instruction: "vpdpwssd 512",
        macs: 32 * SUMS,
        needs: Caps::AVX512VNNI,
        run: dpwssd_512,
    },
    Loop {
        activations: "i8",
        instruction: "vpmaddubsw + vpaddw 256",
        macs: 32 * SUMS,
        needs: Caps::AVX2,
        run: maddubsw_256,
    },
    Loop {
        activations: "i8",
        instruction: "vpdpbusd 256",
        macs: 32 * SUMS,
        needs: Caps::AVXVNNI,
        run: dpbusd_256,
    },
    Loop {
        activations: "i8",
        instruction: "vpdpbusd 512",
        macs: 64 * SUMS,
        needs: Caps::AVX512VNNI,
        run: dpbusd_512,
    },
    Loop {
        activations: "i8",
        instruction: "tdpbssd, tiles of 1 KiB",
        macs: 4 * 16 * 16 * 64,
        needs: Caps::AMXINT8,
        run: tdpbssd,
    },
];
