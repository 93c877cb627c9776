//! Runs whatever loads: every entry point, in an arena of exactly the length
//! that the model asks for, with the plain kernels and with this CPU's.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::hint::black_box;
use tern_fuzz::{Aligned, is_quick};
use ternrt::format::checksum;
use ternrt::format::golden::fill;
use ternrt::session::Options;
use ternrt::{Caps, Error, Model, Serial, Session};

/// The longest arena in bytes.
const MAX_ARENA: usize = 1 << 20;

fuzz_target!(|bytes: &[u8]| {
    let mut bytes = bytes.to_vec();
    // What no mutation gets right by chance.
    if checksum::seal(&mut bytes).is_err() {
        return;
    }
    let Some(file) = Aligned::new(&bytes) else {
        return;
    };
    if let Ok(model) = Model::new(file.bytes())
        && is_quick(&model)
    {
        for caps in [Caps::SCALAR, Caps::detect()] {
            run(&model, caps);
        }
    }
});

fn run(model: &Model<'_>, caps: Caps) {
    let len = model.arena_len_for(caps, 1);
    if len > MAX_ARENA {
        return;
    }
    let options = Options {
        caps,
        parallel: &Serial,
    };
    let mut short = vec![0; model.plan_len().saturating_sub(1)];
    let refused = Session::with_options(model, &mut short, options).map(|_| ());
    assert!(refused == Err(Error::ArenaTooSmall) || model.plan_len() == 0);

    let mut arena = vec![0xA5; len];
    let mut session = Session::with_options(model, &mut arena, options).expect("fits");
    for entry in 0..model.entry_count() {
        for (i, info) in model.inputs(entry).enumerate() {
            let input = session.input_mut_of(entry, i).expect("was checked");
            assert_eq!(input.len(), info.len);
            fill(info.dtype, i as u64, input);
        }
        // A file's constants may make an op refuse, such as an index out of range.
        if session.run(entry).is_err() {
            continue;
        }
        for (i, info) in model.outputs(entry).enumerate() {
            let output = session.output_of(entry, i).expect("was checked");
            assert_eq!(output.len(), info.len);
            black_box(output.iter().fold(0u8, |sum, b| sum ^ b));
        }
    }
}
