//! `ternc` as a user calls it.

use std::process::{Command, Output};

/// The `ternc` of this build, beside the test binaries.
pub fn ternc() -> Command {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    if path.ends_with("deps") {
        path.pop();
    }
    let path = path.join("ternc");
    assert!(
        path.exists(),
        "{}: run `cargo test --workspace`, which builds the command",
        path.display()
    );
    Command::new(path)
}

/// Bytes as text.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs `ternc` and returns what it prints; panics where it fails.
pub fn succeed(args: &[&str]) -> String {
    let out = ternc().args(args).output().unwrap();
    assert!(out.status.success(), "{args:?}: {}", text(&out.stderr));
    text(&out.stdout)
}

/// Fails with one line on stderr that holds all of `needles`.
pub fn refuse(args: &[&str], needles: &[&str]) -> Output {
    let out = ternc().args(args).output().unwrap();
    let stderr = text(&out.stderr);
    assert_eq!(out.status.code(), Some(1), "{args:?}: {stderr}");
    assert!(stderr.starts_with("error: "), "{args:?}: {stderr}");
    assert!(!stderr.contains("panicked"), "{args:?}: {stderr}");
    for needle in needles {
        assert!(
            stderr.contains(needle),
            "{args:?}: {needle:?} is not in {stderr}"
        );
    }
    out
}
