# Builds the firmware in tests/no_std for thumbv7em-none-eabihf and runs it
# under QEMU. The target's core comes from Debian's rustc-web and rust-web-src.
source tests/steps/lib.sh
TARGET=thumbv7em-none-eabihf
BUILD=$CARGO_TARGET_DIR/no_std

need qemu-system-arm qemu-system-arm
[ -d /usr/src/rustc-"$(/usr/bin/rustc --version 2>/dev/null | cut -d' ' -f2)" ] || [ -d /usr/share/doc/rust-web-src ] || apt_install rustc-web rust-web-src
if [ ! -x /usr/bin/rustc ]; then
  skip "$TARGET: Debian's rustc-web and rust-web-src are not installed"
  finish
fi
cargo build --release -p ternc || { fail "building ternc"; finish; }
mkdir -p "$BUILD"
LLD=$(rustc --print sysroot)/lib/rustlib/x86_64-unknown-linux-gnu/bin/rust-lld

for mode in f32 i8; do
  model=$BUILD/digits-$mode.tern
  "$CARGO_TARGET_DIR/release/ternc" compile compiler/assets/digits/digits.onnx -o "$model" --activations $mode --quiet ||
    { fail "compiling the digits model, $mode"; continue; }
  if ! (cd tests/no_std &&
    TERN_MODEL=$model TERN_IMAGES=$ROOT/compiler/assets/digits/test_images.bin \
      TERN_LABELS=$ROOT/compiler/assets/digits/test_labels.bin \
      RUSTC=/usr/bin/rustc RUSTDOC=/usr/bin/rustdoc RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=$BUILD/target \
      CARGO_TARGET_THUMBV7EM_NONE_EABIHF_LINKER=$LLD \
      RUSTFLAGS="-C link-arg=-T$PWD/link.x" \
      cargo build --release --target $TARGET -Zbuild-std=core); then
    fail "building for $TARGET, $mode"
    continue
  fi
  elf=$BUILD/target/$TARGET/release/tern-no-std
  check "no allocator in the link, $mode" sh -c "! nm -C '$elf' | grep -E '__rust_alloc|__rg_alloc|alloc::alloc'"
  if command -v qemu-system-arm >/dev/null; then
    check "digits on a Cortex-M4, $mode" timeout 300 qemu-system-arm -M mps2-an386 -nographic \
      -semihosting-config enable=on,target=native -kernel "$elf"
  else
    skip "running on a Cortex-M4: qemu-system-arm is not installed"
  fi
  size "$elf"
done
finish
