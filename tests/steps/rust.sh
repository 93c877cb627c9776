# All tests that cargo runs.
cargo test --workspace --no-fail-fast
