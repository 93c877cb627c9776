# Compiles ffi/c/digits.c against the static and the shared library, and runs
# both on the digits test set, on files that are no model, and under valgrind.
source tests/steps/lib.sh
RELEASE=$CARGO_TARGET_DIR/release
DIGITS=compiler/assets/digits
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT

need cc gcc libc6-dev || { skip "the C program: no C compiler"; finish; }
cargo build --release -p ternrt-ffi || { fail "building libternrt"; finish; }
cargo build --release -p ternc || { fail "building ternc"; finish; }

C="cc -std=c99 -O2 -Wall -Wextra -Werror -pedantic -Iinclude ffi/c/digits.c"
check "compiling, static" $C "$RELEASE/libternrt.a" -lpthread -ldl -lm -o "$WORK/static"
check "compiling, shared" $C -L"$RELEASE" -lternrt -Wl,-rpath,"$RELEASE" -o "$WORK/shared"
check "the shared program needs libternrt.so" sh -c "ldd '$WORK/shared' | grep -q '$RELEASE/libternrt.so'"
check "the static program does not" sh -c "! ldd '$WORK/static' | grep -q libternrt"
if command -v c++ >/dev/null; then
  check "the header in C++" sh -c "echo '#include \"ternrt.h\"' | c++ -Wall -Wextra -Werror -Iinclude -fsyntax-only -x c++ -"
fi

for mode in f32 i8; do
  check "compiling the digits model, $mode" "$RELEASE/ternc" compile $DIGITS/digits.onnx \
    -o "$WORK/$mode.tern" --activations $mode --quiet
done
# A byte in the middle is another; the checksum notices.
cp "$WORK/f32.tern" "$WORK/damaged.tern"
printf '\377\377\377\377' | dd of="$WORK/damaged.tern" bs=1 seek=4096 conv=notrunc status=none
head -c 1000 "$WORK/f32.tern" >"$WORK/short.tern"
: >"$WORK/empty.tern"

# accurate MODEL THREADS COMMAND...: runs over the test set, and at least
# 95 % of the digits are right.
accurate() {
  local model=$1 threads=$2 out=$WORK/out
  shift 2
  "$@" "$WORK/$model.tern" $DIGITS/test_images.bin $DIGITS/test_labels.bin "$threads" >"$out" 2>"$WORK/err" ||
    { cat "$out" "$WORK/err"; return 1; }
  tail -n 1 "$out"
  grep -E '^[0-9]+ of [0-9]+ digits right \([0-9.]+%\)$' "$out" | awk -F'[(%]' '{ ok = $2 >= 95 } END { exit !ok }'
}

# refused EXPECTED COMMAND...: exits with 1 and one line on standard error.
refused() {
  local expected=$1 status
  shift
  "$@" >/dev/null 2>"$WORK/err"
  status=$?
  cat "$WORK/err"
  [ $status -eq 1 ] && [ "$(grep -vc '^==' "$WORK/err")" -eq 1 ] && grep -qi -- "$expected" "$WORK/err"
}

MEMCHECK="valgrind --quiet --error-exitcode=99 --leak-check=full --show-leak-kinds=definite,indirect,possible"
need valgrind valgrind || true
for library in static shared; do
  for mode in f32 i8; do
    check "digits, $library, $mode" accurate $mode 1 "$WORK/$library"
    check "digits, $library, $mode, 3 threads" accurate $mode 3 "$WORK/$library"
  done
  TEST_SET="$DIGITS/test_images.bin $DIGITS/test_labels.bin"
  run="$WORK/$library"
  check "usage, $library" refused "usage" "$run"
  check "no such model, $library" refused "no-such.tern: .*0x" "$run" "$WORK/no-such.tern" $TEST_SET
  check "no model, $library" refused "digits.c: .*0x" "$run" ffi/c/digits.c $TEST_SET
  check "a directory, $library" refused "0x" "$run" "$WORK" $TEST_SET
  check "empty model, $library" refused "empty.tern: .*0x" "$run" "$WORK/empty.tern" $TEST_SET
  check "cut model, $library" refused "short.tern: .*0x" "$run" "$WORK/short.tern" $TEST_SET
  check "damaged model, $library" refused "damaged.tern: .*checksum" "$run" "$WORK/damaged.tern" $TEST_SET
  check "images and labels differ, $library" refused "does not hold" "$run" "$WORK/f32.tern" \
    $DIGITS/test_labels.bin $DIGITS/test_labels.bin

  if command -v valgrind >/dev/null; then
    for mode in f32 i8; do
      check "valgrind, $library, $mode" accurate $mode 1 $MEMCHECK "$WORK/$library"
      check "valgrind, $library, $mode, 2 threads" accurate $mode 2 $MEMCHECK "$WORK/$library"
    done
    check "valgrind, damaged model, $library" refused "checksum" $MEMCHECK "$run" "$WORK/damaged.tern" $TEST_SET
    check "valgrind, no such model, $library" refused "no-such" $MEMCHECK "$run" "$WORK/no-such.tern" $TEST_SET
  else
    skip "valgrind, $library: valgrind is not installed"
  fi
done
finish
