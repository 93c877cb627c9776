# All tests that cargo runs, in the profile that users get: one build serves this
# step and the others. The fuzz step has overflow and debug checks on.
cargo test --release --workspace --no-fail-fast
