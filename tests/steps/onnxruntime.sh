# Every model against onnxruntime, in a virtual environment.
source tests/steps/lib.sh
VENV=$CARGO_TARGET_DIR/venv
if [ ! -x "$VENV/bin/python" ]; then
  python3 -m venv "$VENV" || { apt_install python3-venv && python3 -m venv "$VENV"; } || { skip "no Python virtual environment"; finish; }
fi
"$VENV/bin/pip" install -q -r tests/python/requirements.txt || { fail "installing onnxruntime"; finish; }
cargo build --release -p ternc || { fail "building ternc"; finish; }
"$VENV/bin/python" tests/python/compare_ort.py "$CARGO_TARGET_DIR/release/ternc"
