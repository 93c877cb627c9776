//! Imports an ONNX model. What tract panics on is an error by contract; what
//! escapes that shield, hangs or corrupts memory is a finding.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ternc::import::{ImportOptions, import_bytes};

fuzz_target!(|bytes: &[u8]| {
    if let Err(error) = import_bytes(bytes, &ImportOptions::default()) {
        let text = format!("{error:#}");
        assert!(!text.is_empty() && !text.contains('\n'));
    }
});
