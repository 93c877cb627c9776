//! `include/ternrt.h` is what cbindgen writes. `TERN_BLESS=1` writes it anew.

use std::path::Path;
use std::{env, fs};

#[test]
fn header_is_current() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(root.join("cbindgen.toml")).unwrap();
    let builder = cbindgen::Builder::new()
        .with_config(config)
        .with_src(root.join("src/lib.rs"));
    let mut written = Vec::new();
    builder.generate().unwrap().write(&mut written);
    let written = String::from_utf8(written).unwrap();
    let path = root.join("../include/ternrt.h");
    if env::var_os("TERN_BLESS").is_some() {
        fs::write(&path, &written).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == committed,
        "include/ternrt.h is stale: run `TERN_BLESS=1 cargo test -p ternrt-ffi`\n{written}"
    );
}
