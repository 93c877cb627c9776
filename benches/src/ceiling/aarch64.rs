//! The multiply loops of AArch64.

use super::Loop;
use std::arch::{asm, is_aarch64_feature_detected as has};

/// Sums that are independent of each other: more than latency (at most 4
/// cycles) times instructions a cycle (at most 4).
const SUMS: u64 = 24;

/// Factors in register 24, sums in 0 to 23.
macro_rules! multiply_loop {
    ($name:ident, $factors:literal, $step:literal) => {
        unsafe fn $name(repetitions: u64) {
            // SAFETY: touches no memory, and no registers but those named; the
            // caller has asked the CPU for the instruction.
            unsafe {
                asm!(
                    ".arch_extension dotprod",
                    $factors,
                    ".irp r, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23",
                    "movi v\\r\\().16b, #0",
                    ".endr",
                    "2:",
                    ".irp r, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23",
                    $step,
                    ".endr",
                    "subs {left}, {left}, #1",
                    "b.ne 2b",
                    left = inout(reg) repetitions => _,
                    out("v0") _, out("v1") _, out("v2") _, out("v3") _, out("v4") _,
                    out("v5") _, out("v6") _, out("v7") _, out("v8") _, out("v9") _,
                    out("v10") _, out("v11") _, out("v12") _, out("v13") _, out("v14") _,
                    out("v15") _, out("v16") _, out("v17") _, out("v18") _, out("v19") _,
                    out("v20") _, out("v21") _, out("v22") _, out("v23") _, out("v24") _,
                    options(nomem, nostack),
                );
            }
        }
    };
}

// Factors are 1.0, with which no sum becomes subnormal or infinite, or all bits set.
multiply_loop!(
    fmla,
    "fmov v24.4s, #1.0",
    "fmla v\\r\\().4s, v24.4s, v24.4s"
);
multiply_loop!(
    smlal_i16,
    "movi v24.16b, #255",
    "smlal v\\r\\().4s, v24.4h, v24.4h"
);
multiply_loop!(
    smlal_i8,
    "movi v24.16b, #255",
    "smlal v\\r\\().8h, v24.8b, v24.8b"
);
multiply_loop!(
    sdot,
    "movi v24.16b, #255",
    "sdot v\\r\\().4s, v24.16b, v24.16b"
);

pub(super) static LOOPS: &[Loop] = &[
    Loop {
        activations: "f32",
        instruction: "fmla 128",
        macs: 4 * SUMS,
        needs: Caps::NEON,
        run: fmla,
    },
    Loop {
        activations: "i16",
        instruction: "smlal 128",
        macs: 4 * SUMS,
        needs: Caps::NEON,
        run: smlal_i16,
    },
    Loop {
        activations: "i8",
        instruction: "smlal 128",
        macs: 8 * SUMS,
        needs: Caps::NEON,
        run: smlal_i8,
    },
    Loop {
        activations: "i8",
        instruction: "sdot 128",
        macs: 16 * SUMS,
        needs: Caps::DOTPROD,
        run: sdot,
    },
];
