//! Memory: arenas from zero bytes up, and no allocation in the runtime.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use tern_tests::models::{DIGITS, Weights, filled};
use tern_tests::{Aligned, compile};
use ternc::passes::ActivationMode;
use ternc::pipeline::CompileOptions;
use ternrt::pool::ThreadPool;
use ternrt::{Caps, Error, Model, Options, Session};

/// Counts allocations of the whole process.
struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::SeqCst);
        // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `GlobalAlloc::dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// One test, because the count is the process's: the steps must not run side by side.
#[test]
fn arenas_and_allocations() {
    arenas_from_zero_bytes_up();
    nothing_is_allocated();
}

fn arenas_from_zero_bytes_up() {
    for activations in [ActivationMode::F32, ActivationMode::I16, ActivationMode::I8] {
        let compiled = compile(
            DIGITS,
            &CompileOptions {
                activations,
                ..CompileOptions::default()
            },
        );
        let bytes = Aligned::new(&compiled.bytes);
        let model = Model::new(bytes.bytes()).unwrap();
        let needed = model.arena_len();
        for len in (0..needed).step_by(13).chain(needed - 8..needed) {
            // An arena at an odd address needs its slack too.
            let mut arena = vec![0u8; len + 1];
            match Session::new(&model, &mut arena[1..]) {
                Err(Error::ArenaTooSmall) => {}
                Err(other) => panic!("{len} of {needed} bytes: {other}"),
                Ok(mut session) => session.run(0).unwrap(),
            }
        }
        for offset in 0..64 {
            let mut arena = vec![0u8; needed + offset];
            let mut session = Session::new(&model, &mut arena[offset..]).unwrap();
            session.run(0).unwrap();
        }
        let mut short = vec![0u8; 16];
        assert_eq!(
            Session::new(&model, &mut short).err(),
            Some(Error::ArenaTooSmall)
        );
    }
}

fn nothing_is_allocated() {
    let onnx = filled("resnet18_32.torchscript", Weights::TernaryPerChannel, 1);
    for activations in [ActivationMode::F32, ActivationMode::I16, ActivationMode::I8] {
        let compiled = compile(
            &onnx,
            &CompileOptions {
                activations,
                ..CompileOptions::default()
            },
        );
        let bytes = Aligned::new(&compiled.bytes);
        for threads in [1, 2] {
            let pool = ThreadPool::new(threads).unwrap();
            let caps = Caps::detect();
            let model = Model::new(bytes.bytes()).unwrap();
            let mut arena = vec![0u8; model.arena_len_for(caps, threads)];
            let options = Options {
                caps,
                parallel: &pool,
            };
            // Once to let the threads start.
            Session::with_options(&model, &mut arena, options)
                .unwrap()
                .run(0)
                .unwrap();

            let before = ALLOCATIONS.load(Ordering::SeqCst);
            let model = Model::new(bytes.bytes()).unwrap();
            let options = Options {
                caps,
                parallel: &pool,
            };
            let mut session = Session::with_options(&model, &mut arena, options).unwrap();
            session.input_f32_mut(0).unwrap().fill(0.5);
            session.run(0).unwrap();
            let sum: f32 = session.output_f32(0).unwrap().iter().sum();
            let after = ALLOCATIONS.load(Ordering::SeqCst);
            assert!(sum.is_finite());
            assert_eq!(
                after - before,
                0,
                "allocations with {activations:?} and {threads} threads"
            );
        }
    }
}
