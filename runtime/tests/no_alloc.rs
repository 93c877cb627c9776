//! Loading, running and everything around it leaves the heap alone. One test
//! alone, as the allocator counts for the whole process.

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use ternrt::{DType, Model, Session};

struct Counting;

static CALLS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: passes everything on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.fetch_add(1, Ordering::SeqCst);
        // SAFETY: the caller's promise is the system allocator's condition.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        CALLS.fetch_add(1, Ordering::SeqCst);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Loads, runs all entry points, checks golden cases, and reads what there is.
fn everything(file: &[u8], arena: &mut [u8], options: ternrt::Options<'_>) -> f32 {
    let model = Model::new(file).unwrap();
    let mut session = Session::with_options(&model, arena, options).unwrap();
    let mut sum = 0.0;
    for _ in 0..100 {
        for entry in 0..model.entry_count() {
            for i in 0..model.inputs(entry).len() {
                ternrt::format::golden::fill(
                    DType::F32,
                    9,
                    session.input_mut_of(entry, i).unwrap(),
                );
            }
            session.run(entry).unwrap();
        }
        sum += session.output_f32(0).unwrap()[0];
    }
    assert!(model.metadata("name").is_some());
    assert_eq!(model.golden().count(), 2);
    sum
}

#[test]
fn nothing_is_allocated() {
    let file = support::example().finish();
    let model = Model::new(&file).unwrap();
    let mut arena = vec![0; model.arena_len_for(ternrt::Caps::detect(), 4)];

    let check = |options: ternrt::Options<'_>, arena: &mut [u8]| {
        // The test harness's own thread may allocate meanwhile, and the first
        // time may initialise thread-locals of the standard library: the
        // fewest calls of some rounds are the runtime's.
        let calls = (0..5).map(|_| {
            let before = CALLS.load(Ordering::SeqCst);
            everything(&file, arena, options);
            CALLS.load(Ordering::SeqCst) - before
        });
        assert_eq!(calls.min(), Some(0));
    };
    check(ternrt::Options::default(), &mut arena);
    #[cfg(feature = "std")]
    {
        let pool = ternrt::ThreadPool::new(4).unwrap();
        let options = ternrt::Options {
            parallel: &pool,
            ..ternrt::Options::default()
        };
        check(options, &mut arena);
    }
    let before = CALLS.load(Ordering::SeqCst);
    drop(vec![1u8; 10]);
    assert!(CALLS.load(Ordering::SeqCst) > before, "the count works");
}
