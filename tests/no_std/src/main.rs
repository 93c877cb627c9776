//! Firmware for a Cortex-M4 (QEMU's mps2-an386): classifies the digits that
//! were linked in, with an arena in `.bss` and no allocator in the program.
//!
//! Built with `TERN_MODEL`, `TERN_IMAGES` and `TERN_LABELS` naming the files to
//! link in. Prints the accuracy through semihosting; exits with 0 if all ran
//! and at least 95% of the images were recognised.
#![no_std]
#![no_main]

use core::arch::{asm, global_asm};
use core::fmt::{self, Write};
use core::panic::PanicInfo;
use ternrt::{Aligned, Model, Session};

static MODEL: &Aligned<[u8]> = &Aligned(*include_bytes!(env!("TERN_MODEL")));
static IMAGES: &[u8] = include_bytes!(env!("TERN_IMAGES"));
static LABELS: &[u8] = include_bytes!(env!("TERN_LABELS"));
const ARENA: usize = 256 * 1024;
static mut ARENA_BYTES: Aligned<[u8; ARENA]> = Aligned([0; ARENA]);

// The reset handler turns the FPU on (CPACR, full access to CP10 and CP11),
// copies .data, clears .bss and calls `start`.
global_asm!(
    ".section .vectors,\"a\"",
    ".word reset",
    ".rept 14",
    ".word fault",
    ".endr",
    ".section .text.reset,\"ax\"",
    ".global reset",
    ".thumb_func",
    "reset:",
    "ldr r0, =0xE000ED88",
    "ldr r1, [r0]",
    "orr r1, r1, #0xF00000",
    "str r1, [r0]",
    "dsb",
    "isb",
    "ldr r0, =data_start",
    "ldr r1, =data_end",
    "ldr r2, =data_load",
    "1: cmp r0, r1",
    "bhs 2f",
    "ldr r3, [r2], #4",
    "str r3, [r0], #4",
    "b 1b",
    "2: ldr r0, =bss_start",
    "ldr r1, =bss_end",
    "movs r3, #0",
    "3: cmp r0, r1",
    "bhs 4f",
    "str r3, [r0], #4",
    "b 3b",
    "4: bl start",
    "b .",
);

/// A semihosting call: ARM's "Semihosting for AArch32", `BKPT 0xAB`.
fn semihost(operation: u32, argument: usize) {
    // SAFETY: the host only reads what `argument` points to: a NUL-terminated
    // string for SYS_WRITE0, nothing for SYS_EXIT.
    unsafe { asm!("bkpt 0xAB", inout("r0") operation => _, in("r1") argument, options(nostack)) }
}

fn exit(code: u32) -> ! {
    const SYS_EXIT: u32 = 0x18;
    const APPLICATION_EXIT: usize = 0x20026;
    const RUNTIME_ERROR: usize = 0x20023;
    semihost(SYS_EXIT, if code == 0 { APPLICATION_EXIT } else { RUNTIME_ERROR });
    loop {}
}

struct Console;

impl Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        const SYS_WRITE0: u32 = 0x04;
        for piece in text.as_bytes().chunks(63) {
            let mut line = [0u8; 64];
            line[..piece.len()].copy_from_slice(piece);
            semihost(SYS_WRITE0, line.as_ptr() as usize);
        }
        Ok(())
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let _ = writeln!(Console, "panic: {info}");
    exit(1)
}

#[unsafe(no_mangle)]
extern "C" fn fault() -> ! {
    let _ = writeln!(Console, "processor fault");
    exit(1)
}

fn classify() -> Result<(usize, usize), ternrt::Error> {
    let model = Model::new(&MODEL.0)?;
    let needs = model.arena_len();
    let _ = writeln!(Console, "model {} bytes, arena {} of {ARENA} bytes", MODEL.0.len(), needs);
    // SAFETY: there is one thread, and this is the only place that names the arena.
    let arena = unsafe { &mut (*(&raw mut ARENA_BYTES)).0 };
    let mut session = Session::new(&model, arena)?;
    let mut right = 0;
    for (image, &label) in IMAGES.chunks_exact(64).zip(LABELS) {
        for (x, &pixel) in session.input_f32_mut(0)?.iter_mut().zip(image) {
            *x = pixel as f32 / 16.0;
        }
        session.run(0)?;
        let logits = session.output_f32(0)?;
        let mut best = 0;
        for (i, &v) in logits.iter().enumerate() {
            if v > logits[best] {
                best = i;
            }
        }
        right += (best == label as usize) as usize;
    }
    Ok((right, LABELS.len()))
}

#[unsafe(no_mangle)]
extern "C" fn start() -> ! {
    match classify() {
        Ok((right, all)) => {
            let _ = writeln!(Console, "{right} of {all} digits recognised");
            exit((right * 100 < all * 95) as u32)
        }
        Err(error) => {
            let _ = writeln!(Console, "{error}");
            exit(1)
        }
    }
}
