# The kernels' unit tests in WebAssembly with and without SIMD, in Node.
source tests/steps/lib.sh
TARGET=wasm32-wasip1
LIBC=/usr/lib/wasm32-wasi

need node nodejs
[ -e $LIBC/libc.a ] || apt_install wasi-libc
if ! cross_compiler || ! command -v node >/dev/null || [ ! -e $LIBC/libc.a ]; then
  skip "$TARGET: Debian's rustc-web, nodejs or wasi-libc is not installed"
  finish
fi
sysroot $TARGET std,panic_abort,test || { fail "building the standard library for $TARGET"; finish; }
LLD=$(rustc --print sysroot)/lib/rustlib/x86_64-unknown-linux-gnu/bin/rust-lld
LOG=$(mktemp)
trap 'rm -f "$LOG"' EXIT

# unit_tests FEATURE. The C library has no functions for threads; there are none,
# and a program that calls one stops.
unit_tests() {
  env RUSTC=/usr/bin/rustc CARGO_TARGET_DIR="$CARGO_TARGET_DIR/sysroot/$TARGET/tests" \
    RUSTFLAGS="--sysroot=$SYSROOT -C target-feature=$1 -C link-self-contained=no -L $LIBC
      -C link-arg=$LIBC/crt1-command.o -C link-arg=--unresolved-symbols=ignore-all" \
    CARGO_TARGET_WASM32_WASIP1_LINKER="$LLD" \
    CARGO_TARGET_WASM32_WASIP1_RUNNER="node --no-warnings $ROOT/tests/steps/wasi.mjs" \
    cargo test --release --target $TARGET -p tern-kernels --lib -- --nocapture >"$LOG" 2>&1
  local status=$?
  count_tests "$LOG"
  return $status
}

while read -r feature variants; do
  check "unit tests with $feature" unit_tests "$feature"
  check "$feature runs: $variants" runs_variants "$LOG" "$variants"
done <<END
+simd128 scalar wasm32_simd128
-simd128 scalar
END
finish
