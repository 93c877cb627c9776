# Formatting, lints and documentation.
source tests/steps/lib.sh
check "cargo fmt" cargo fmt --all --check
check "clippy" cargo clippy --workspace --all-targets -- -D warnings
check "documentation" env RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps
finish
