# The README's first command, and what its output suggests to try next.
source tests/steps/lib.sh
OUT=$(mktemp -d)
trap 'rm -rf "$OUT"' EXIT

cargo run --release -p ternc -- quickstart -o "$OUT/digits.tern" >"$OUT/quickstart.txt" || fail "quickstart"
cat "$OUT/quickstart.txt"
check "quickstart recognises at least 95% in every mode" awk '
  $1 ~ /^(f32|i16|i8)$/ && $2 ~ /%$/ { n++; if ($2 + 0 < 95) low = 1 }
  END { exit !(n == 3 && !low) }' "$OUT/quickstart.txt"
TERNC=$CARGO_TARGET_DIR/release/ternc
check "inspect" "$TERNC" inspect "$OUT/digits.tern"
check "verify" "$TERNC" verify "$OUT/digits.tern"
"$TERNC" train --dataset digits --out "$OUT/digits" --quiet >"$OUT/train.txt" || fail "train"
check "training on the digits reaches at least 96%" awk '
  /held-out images by the runtime/ { n++; if ($1 + 0 < 96) low = 1 }
  END { exit !(n == 1 && !low) }' "$OUT/train.txt"
check "a trained model" "$TERNC" verify "$OUT/digits/model.tern"
check "an unknown network is refused" sh -c "! '$TERNC' train --dataset digits --model resnet21 --out '$OUT/none'"
cargo build --release -p ternrt-bench
check "ternrt-bench" "$CARGO_TARGET_DIR/release/ternrt-bench" "$OUT/digits.tern" --iterations 20 --profile
"$CARGO_TARGET_DIR/release/ternrt-bench" "$OUT/digits.tern" --iterations 20 --profile --json >"$OUT/bench.json"
check "ternrt-bench --json" python3 -c "
import json, sys
r = json.load(open(sys.argv[1]))
assert 0 < r['latency_ms']['min'] <= r['latency_ms']['median'] <= r['latency_ms']['p95']
assert r['arena_bytes'] > 0 and r['weight_bytes'] > 0 and r['macs'] > 0
assert all(m['gb_per_s'] > 0 for m in r['ceiling']['memory'])
products = [op for op in r['profile'] if op['macs']]
assert products and all(op['activations'] and op['codec'] for op in products)
assert not r['ceiling']['multiply'] or all(op['ceiling_share'] > 0 for op in products)" "$OUT/bench.json"
check "ternrt-bench ceiling" "$CARGO_TARGET_DIR/release/ternrt-bench" ceiling
check "ternrt-bench matvec" "$CARGO_TARGET_DIR/release/ternrt-bench" matvec --budget 1
check "ternrt-bench scaling" "$CARGO_TARGET_DIR/release/ternrt-bench" scaling "$OUT/digits.tern" --threads 2 --rounds 3
check "ternrt-bench sweep" "$CARGO_TARGET_DIR/release/ternrt-bench" sweep --budget 1 --output-dir "$OUT/sweep"
check "a sweep's picture is XML" python3 -c "
import sys, xml.dom.minidom
xml.dom.minidom.parse(sys.argv[1])" "$OUT/sweep/k.svg"
for level in scalar sse4.1 avx2; do
  check "TERNRT_CAPS=$level" env TERNRT_CAPS=$level "$CARGO_TARGET_DIR/release/ternrt-bench" "$OUT/digits.tern" --iterations 2
done
check "an unknown TERNRT_CAPS is refused" sh -c "! TERNRT_CAPS=mmx '$CARGO_TARGET_DIR/release/ternrt-bench' '$OUT/digits.tern'"
check "the kernel benches run" cargo bench -p ternrt-bench -- --test depthwise
finish
