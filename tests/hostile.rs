//! Damaged and lying files: an error, never a panic, never out of bounds. The
//! fuzz targets in `tests/fuzz` go further, with AddressSanitizer.

use std::panic::{AssertUnwindSafe, catch_unwind};
use tern_tests::models::DIGITS;
use tern_tests::random::Random;
use tern_tests::{Aligned, compile};
use ternc::passes::ActivationMode;
use ternc::pipeline::{self, CompileOptions, Silent};
use ternc::ternarise::{Mode, Pattern, Policy};
use ternrt::format::header::Section;
use ternrt::{Error, Model, Session};

fn digits(activations: ActivationMode) -> Vec<u8> {
    with(activations, Policy::default())
}

fn with(activations: ActivationMode, ternarise: Policy) -> Vec<u8> {
    compile(
        DIGITS,
        &CompileOptions {
            activations,
            ternarise,
            ..CompileOptions::default()
        },
    )
    .bytes
}

/// Loads without the checksum (which would hide everything behind it), and
/// runs what loads if its arena is of a reasonable size.
fn load_and_run(bytes: &Aligned) -> Result<(), Error> {
    let model = Model::new_unverified_checksum(bytes.bytes())?;
    let len = model.arena_len();
    if len > 1 << 20 || model.entry_count() == 0 {
        return Ok(());
    }
    let mut arena = vec![0u8; len];
    let mut session = Session::new(&model, &mut arena)?;
    for entry in 0..model.entry_count() {
        session.run(entry)?;
    }
    Ok(())
}

#[test]
fn every_truncation_is_refused() {
    let file = digits(ActivationMode::F32);
    for len in 0..file.len() {
        let cut = Aligned::new(&file[..len]);
        assert!(
            Model::new(cut.bytes()).is_err(),
            "{len} of {} bytes",
            file.len()
        );
        assert!(
            Model::new_unverified_checksum(cut.bytes()).is_err(),
            "{len} of {} bytes",
            file.len()
        );
    }
}

#[test]
fn every_changed_byte_is_noticed() {
    let file = digits(ActivationMode::F32);
    for at in 0..file.len() {
        let mut changed = file.clone();
        changed[at] ^= 0x10;
        assert!(
            Model::new(Aligned::new(&changed).bytes()).is_err(),
            "byte {at}"
        );
    }
}

#[test]
fn tables_that_lie_do_no_harm() {
    let fours = Policy {
        mode: Mode::Threshold,
        sparsify: Some(Pattern::ThreeOfFour),
        ..Policy::default()
    };
    for (activations, ternarise) in [
        (ActivationMode::F32, Policy::default()),
        (ActivationMode::I8, Policy::default()),
        (ActivationMode::I8, fours),
    ] {
        let file = with(activations, ternarise);
        let model_bytes = Aligned::new(&file);
        let data = Model::new(model_bytes.bytes())
            .unwrap()
            .header()
            .section(Section::Data);
        let data = data.offset as usize..(data.offset + data.len) as usize;
        let mut refused = 0;
        for at in (0..file.len()).filter(|at| !data.contains(at)) {
            for value in [
                0x00,
                0x01,
                0x7f,
                0x80,
                0xff,
                file[at] ^ 1,
                file[at].wrapping_add(1),
            ] {
                let mut changed = file.clone();
                changed[at] = value;
                let changed = Aligned::new(&changed);
                let result = catch_unwind(AssertUnwindSafe(|| load_and_run(&changed)));
                let result = result.unwrap_or_else(|_| panic!("byte {at} = {value:#x} panics"));
                refused += result.is_err() as usize;
            }
        }
        assert!(refused > 1000, "{refused}");
    }
}

#[test]
fn a_newer_version_says_so() {
    let mut file = digits(ActivationMode::F32);
    file[8] = 2;
    assert_eq!(
        Model::new(Aligned::new(&file).bytes()).err(),
        Some(Error::Version)
    );
    assert_eq!(
        Model::new(Aligned::new(b"GGUF and some more bytes, enough for a header").bytes()).err(),
        Some(Error::NotTern)
    );
}

#[test]
fn mutated_onnx_never_panics() {
    let seed = 42;
    println!("seed {seed}");
    let mut random = Random::new(seed);
    let mut errors = 0;
    for round in 0..300 {
        let mut onnx = DIGITS.to_vec();
        match random.below(3) {
            0 => onnx.truncate(random.below(onnx.len())),
            _ => {
                // The graph's structure is at the ends; weights fill the middle.
                for _ in 0..1 + random.below(4) {
                    let at = random.below(2000);
                    let at = if random.below(2) == 0 {
                        at
                    } else {
                        onnx.len() - 1 - at
                    };
                    onnx[at] = random.bits() as u8;
                }
            }
        }
        let result = catch_unwind(AssertUnwindSafe(|| {
            pipeline::compile_bytes(&onnx, "mutated.onnx", &CompileOptions::default(), &Silent)
                .map(|_| ())
        }));
        match result {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                errors += 1;
                assert!(!format!("{error:#}").is_empty());
            }
            Err(_) => panic!("round {round} panics"),
        }
    }
    assert!(errors > 50, "{errors}");
}
