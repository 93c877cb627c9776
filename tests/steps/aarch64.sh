# The kernels' unit tests on AArch64 CPUs without and with dot products and
# matrix products of bytes, under QEMU.
source tests/steps/lib.sh
TARGET=aarch64-unknown-linux-gnu

need aarch64-linux-gnu-gcc gcc-aarch64-linux-gnu libc6-dev-arm64-cross
need qemu-aarch64-static qemu-user-static
if ! cross_compiler || ! command -v aarch64-linux-gnu-gcc >/dev/null || ! command -v qemu-aarch64-static >/dev/null; then
  skip "$TARGET: Debian's rustc-web, gcc-aarch64-linux-gnu or qemu-user-static is not installed"
  finish
fi
sysroot $TARGET std,panic_unwind,test || { fail "building the standard library for $TARGET"; finish; }
LOG=$(mktemp)
trap 'rm -f "$LOG"' EXIT

# unit_tests CPU
unit_tests() {
  env RUSTC=/usr/bin/rustc RUSTFLAGS="--sysroot=$SYSROOT -C target-feature=+crt-static" \
    CARGO_TARGET_DIR="$CARGO_TARGET_DIR/sysroot/$TARGET/tests" \
    CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc \
    CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64-static -cpu $1" \
    cargo test --release --target $TARGET -p tern-kernels --lib -- --nocapture >"$LOG" 2>&1
  local status=$?
  count_tests "$LOG"
  return $status
}

# A CPU, and the variants of products that it runs.
while read -r cpu variants; do
  check "unit tests on $cpu" unit_tests "$cpu"
  check "$cpu runs: $variants" runs_variants "$LOG" "$variants"
done <<END
cortex-a53 aarch64_neon scalar
cortex-a76 aarch64_dotprod aarch64_neon scalar
max aarch64_dotprod aarch64_i8mm aarch64_neon scalar
END
finish
