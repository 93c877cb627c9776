# Builds the targets in tests/fuzz as cargo-fuzz does, with AddressSanitizer and
# coverage, and runs each on its corpus and mutations of it, a bounded number.
source tests/steps/lib.sh
TARGET=x86_64-unknown-linux-gnu
BUILD=$CARGO_TARGET_DIR/fuzz
SCRATCH=$(mktemp -d)
trap 'rm -rf "$SCRATCH"' EXIT

if [ "$(rustc -vV | sed -n 's/^host: //p')" != $TARGET ]; then
  skip "fuzzing: only set up for $TARGET"
  finish
fi
if [ ! -e "$(rustc --print target-libdir)/librustc-stable_rt.asan.a" ] &&
  [ ! -e "$(rustc --print target-libdir)/librustc-nightly_rt.asan.a" ]; then
  skip "fuzzing: this toolchain has no AddressSanitizer runtime"
  finish
fi
need c++ g++ || { skip "fuzzing: no C++ compiler for libFuzzer"; finish; }

# The stable compiler, told that it may use unstable options.
export RUSTC_BOOTSTRAP=1
export RUSTFLAGS="--cfg fuzzing -Zsanitizer=address -Cpasses=sancov-module
  -Cllvm-args=-sanitizer-coverage-level=4
  -Cllvm-args=-sanitizer-coverage-inline-8bit-counters
  -Cllvm-args=-sanitizer-coverage-pc-table
  -Cllvm-args=-sanitizer-coverage-trace-compares"
RUSTFLAGS=$(tr -s '\n ' ' ' <<<"$RUSTFLAGS")
cargo build --release --manifest-path tests/fuzz/Cargo.toml --target $TARGET --target-dir "$BUILD" ||
  { fail "building the fuzz targets"; finish; }

# fuzz NAME RUNS SECONDS OPTION...: stops at whichever comes first.
fuzz() {
  local name=$1 runs=$2 seconds=$3
  shift 3
  cp -r "tests/fuzz/corpus/$name" "$SCRATCH/$name"
  # What runs also loads.
  [ "$name" != load ] || cp tests/fuzz/corpus/run/* "$SCRATCH/load"
  mkdir -p "$CARGO_TARGET_DIR/fuzz-findings"
  check "fuzzing $name" "$BUILD/$TARGET/release/$name" "$SCRATCH/$name" -seed=1 -runs="$runs" \
    -max_total_time="$seconds" -timeout=20 -print_final_stats=1 -verbosity=1 \
    -artifact_prefix="$CARGO_TARGET_DIR/fuzz-findings/$name-" "$@"
}
# Leaks are looked for by valgrind in the step for C; here they would cost more
# than the targets themselves.
export ASAN_OPTIONS=detect_leaks=0
fuzz load 200000 40
fuzz run 20000 60
fuzz import 2000 60 -rss_limit_mb=4096
finish
