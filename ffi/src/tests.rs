//! The interface as a caller sees it, misuse included.

use crate::model::*;
use crate::session::*;
use crate::{Status, ternrt_error_text, ternrt_version};
use rt::Error;
use std::ffi::{CStr, CString, c_char, c_void};
use std::ptr::{null, null_mut};
use std::{fs, process};

#[path = "../../runtime/tests/support/mod.rs"]
mod support;

fn text(pointer: *const c_char) -> String {
    assert!(!pointer.is_null());
    // SAFETY: the library's strings end in a NUL and are not freed here.
    unsafe { CStr::from_ptr(pointer) }.to_str().unwrap().into()
}

fn load(bytes: &[u8]) -> Result<*mut Model, Status> {
    let mut model = null_mut();
    // SAFETY: a slice and a local variable.
    match unsafe { ternrt_model_load(bytes.as_ptr().cast(), bytes.len(), &mut model) } {
        Status::Ok => Ok(model),
        status => {
            assert!(model.is_null(), "nothing is written where a call fails");
            Err(status)
        }
    }
}

fn run_example(model: *mut Model, threads: usize) {
    let mut session = null_mut();
    // SAFETY: a model that lives, local variables, and an arena that outlives the session.
    unsafe {
        let needs = ternrt_arena_len(model, threads);
        let mut arena = vec![0u8; needs];
        let start = arena.as_mut_ptr().cast::<c_void>();
        let new = |len, session| ternrt_session_new(model, start, len, threads, session);
        assert_eq!(new(0, &mut session), Status::ArenaTooSmall);
        assert_eq!(new(needs / 2, &mut session), Status::ArenaTooSmall);
        assert_eq!(new(needs, &mut session), Status::Ok);
        let (mut input, mut output, mut len) = (null_mut(), null(), 0);
        assert_eq!(
            ternrt_input(session, 0, 0, &mut input, &mut len),
            Status::Ok
        );
        assert_eq!(len, 24);
        for round in 0..3 {
            for i in 0..6 {
                *input.cast::<f32>().add(i) = round as f32;
            }
            assert_eq!(ternrt_run(session, 0), Status::Ok);
            let status = ternrt_output(session, 0, 0, &mut output, &mut len);
            assert_eq!((status, len), (Status::Ok, 24));
            let b = [1.0, -2.0, 0.5];
            for i in 0..6 {
                let expected = (round as f32 + b[i % 3]).max(0.0);
                assert_eq!(*output.cast::<f32>().add(i), expected);
            }
        }
        assert_eq!(ternrt_run(session, 3), Status::NoSuchTensor);
        let missing = ternrt_output(session, 0, 1, &mut output, &mut len);
        assert_eq!(missing, Status::NoSuchTensor);
        let missing = ternrt_input(session, 9, 0, &mut input, &mut len);
        assert_eq!(missing, Status::NoSuchTensor);
        ternrt_session_free(session);
    }
}

#[test]
fn loads_and_runs_from_memory() {
    let file = support::example().finish();
    let model = load(&file).unwrap();
    run_example(model, 1);
    run_example(model, 3);
    // SAFETY: not freed before.
    unsafe { ternrt_model_free(model) };
}

#[test]
fn opens_a_path_and_sessions_outlive_the_model() {
    let path = std::env::temp_dir().join(format!("ternrt-ffi-{}.tern", process::id()));
    fs::write(&path, &*support::example().finish()).unwrap();
    let name = CString::new(path.to_str().unwrap()).unwrap();
    let (mut model, mut session) = (null_mut(), null_mut());
    let mut arena = vec![0u8; 1 << 16];
    // SAFETY: local variables, handles that live, and an arena that outlives the session.
    unsafe {
        assert_eq!(ternrt_model_open(name.as_ptr(), &mut model), Status::Ok);
        run_example(model, 1);
        let start = arena.as_mut_ptr().cast();
        let status = ternrt_session_new(model, start, arena.len(), 2, &mut session);
        assert_eq!(status, Status::Ok);
        ternrt_model_free(model);
        fs::remove_file(&path).unwrap();
        assert_eq!(ternrt_run(session, 0), Status::Ok);
        ternrt_session_free(session);
        model = null_mut();
        let status = ternrt_model_open(name.as_ptr(), &mut model);
        assert_eq!((status, model), (Status::Io, null_mut()));
        fs::write(&path, b"").unwrap();
        let status = ternrt_model_open(name.as_ptr(), &mut model);
        assert_eq!(status, Status::Truncated);
        fs::remove_file(&path).unwrap();
        let directory = ternrt_model_open(c"/".as_ptr(), &mut model);
        assert_eq!(directory, Status::Io);
        let bad = ternrt_model_open(c"\xFF".as_ptr(), &mut model);
        assert_eq!(bad, Status::NotUtf8);
    }
}

#[test]
fn tells_of_inputs_and_outputs() {
    let file = support::example().finish();
    let model = load(&file).unwrap();
    // SAFETY: a model that lives, and local variables.
    unsafe {
        assert_eq!(ternrt_entry_count(model), 3);
        assert_eq!(ternrt_input_count(model, 1), 2);
        assert_eq!(ternrt_output_count(model, 1), 2);
        assert_eq!(ternrt_input_count(model, 3), 0);
        let mut info = TensorInfo {
            name: null(),
            dtype: DType::Bool,
            rank: 0,
            dims: [0; MAX_RANK],
            len: 0,
            qmax: 1,
            scale: 1.0,
        };
        assert_eq!(ternrt_input_info(model, 1, 1, &mut info), Status::Ok);
        assert_eq!(text(info.name), "zweite-ä");
        assert_eq!((info.dtype, info.rank, info.len), (DType::I64, 2, 32));
        assert_eq!(info.dims, [2, 2, 1, 1, 1, 1]);
        assert_eq!((info.qmax, info.scale), (0, 0.0));
        assert_eq!(ternrt_output_info(model, 0, 0, &mut info), Status::Ok);
        assert_eq!((text(info.name), info.dims[0]), ("y".into(), 6));
        let missing = ternrt_output_info(model, 0, 1, &mut info);
        assert_eq!(missing, Status::NoSuchTensor);

        let mut index = 77;
        let status = ternrt_input_index(model, 1, c"zweite-ä".as_ptr(), &mut index);
        assert_eq!((status, index), (Status::Ok, 1));
        let status = ternrt_output_index(model, 1, c"b".as_ptr(), &mut index);
        assert_eq!((status, index), (Status::Ok, 1));
        let status = ternrt_output_index(model, 1, c"c".as_ptr(), &mut index);
        assert_eq!((status, index), (Status::NoSuchTensor, 1));
        let status = ternrt_entry_index(model, c"round_trip".as_ptr(), &mut index);
        assert_eq!((status, index), (Status::Ok, 2));
        let status = ternrt_entry_index(model, c"none".as_ptr(), &mut index);
        assert_eq!(status, Status::NoSuchTensor);

        let (mut value, mut len) = (null(), 0);
        let status = ternrt_metadata(model, c"name".as_ptr(), &mut value, &mut len);
        assert_eq!((status, len), (Status::Ok, 7));
        let status = ternrt_metadata(model, c"colour".as_ptr(), &mut value, &mut len);
        assert_eq!(status, Status::NoSuchKey);
        ternrt_model_free(model);
    }
}

#[test]
fn null_pointers_are_errors() {
    let file = support::example().finish();
    let model = load(&file).unwrap();
    let (bytes, len) = (file.as_ptr().cast::<c_void>(), file.len());
    let mut arena = vec![0u8; 1 << 16];
    let start = arena.as_mut_ptr().cast::<c_void>();
    let (mut model_out, mut session, mut index) = (null_mut(), null_mut(), 0);
    let (mut input, mut output) = (null_mut(), null());
    // SAFETY: every pointer is null or valid.
    unsafe {
        let all = [
            ternrt_model_load(null(), len, &mut model_out),
            ternrt_model_load(bytes, len, null_mut()),
            ternrt_model_open(null(), &mut model_out),
            ternrt_model_open(c"x".as_ptr(), null_mut()),
            ternrt_entry_index(null(), c"x".as_ptr(), &mut index),
            ternrt_entry_index(model, null(), &mut index),
            ternrt_entry_index(model, c"x".as_ptr(), null_mut()),
            ternrt_input_info(model, 0, 0, null_mut()),
            ternrt_output_info(model, 0, 0, null_mut()),
            ternrt_input_index(null(), 0, c"x".as_ptr(), &mut index),
            ternrt_output_index(model, 0, null(), &mut index),
            ternrt_metadata(model, c"name".as_ptr(), null_mut(), &mut index),
            ternrt_session_new(null(), start, arena.len(), 1, &mut session),
            ternrt_session_new(model, null_mut(), 100, 1, &mut session),
            ternrt_session_new(model, start, arena.len(), 1, null_mut()),
            ternrt_input(null_mut(), 0, 0, &mut input, &mut index),
            ternrt_output(null_mut(), 0, 0, &mut output, &mut index),
            ternrt_run(null_mut(), 0),
        ];
        assert_eq!(all, [Status::NullPointer; 18]);
        let huge = ternrt_session_new(model, start, usize::MAX, 1, &mut session);
        assert_eq!(huge, Status::Length);
        let huge = ternrt_model_load(bytes, usize::MAX, &mut model_out);
        assert_eq!(huge, Status::Length);
        assert_eq!(ternrt_arena_len(null(), 1), 0);
        assert_eq!(ternrt_entry_count(null()), 0);
        assert_eq!(ternrt_input_count(null(), 0), 0);
        ternrt_model_free(null_mut());
        ternrt_session_free(null_mut());
        ternrt_model_free(model);
    }
    assert!(model_out.is_null() && session.is_null());
}

#[test]
fn refuses_what_the_runtime_refuses() {
    let mut file = support::example().finish();
    assert_eq!(load(&file[..100]), Err(Status::Truncated));
    file[200] ^= 1;
    assert_eq!(load(&file), Err(Status::Checksum));
    assert_eq!(load(b"MZ\0\0"), Err(Status::NotTern));
}

#[test]
fn numbers_and_texts_are_the_runtimes() {
    for &error in Error::ALL {
        assert_eq!(Status::from(error) as u32, error.code());
        assert_eq!(text(ternrt_error_text(error.code())), error.text());
    }
    assert_eq!(text(ternrt_error_text(0)), "no error");
    for own in [
        Status::NullPointer,
        Status::NotUtf8,
        Status::Io,
        Status::Threads,
        Status::NoSuchKey,
        Status::Caps,
        Status::Internal,
    ] {
        assert_eq!(Error::from_code(own as u32), None);
        assert_ne!(
            text(ternrt_error_text(own as u32)),
            text(ternrt_error_text(1))
        );
    }
    assert_eq!(text(ternrt_error_text(1)), "not a number of an error");
    assert_eq!(text(ternrt_version()), env!("CARGO_PKG_VERSION"));
    for dtype in rt::DType::ALL {
        assert_eq!(DType::from(dtype) as u8, dtype as u8);
    }
}

#[test]
fn a_panic_does_not_cross_the_border() {
    let status = crate::guard(|| {
        assert!(std::env::var_os("a variable that nobody sets").is_some());
        Ok(())
    });
    assert_eq!(status, Status::Internal);
}
