"""Times onnxruntime and OpenVINO beside ternrt on the same model, in one run.

    pip install onnxruntime==1.32.0 openvino==2026.4.0 onnx==1.23.2 numpy
    python benches/compare/peers.py MODEL.onnx [--ternc-args="--activations i8"]

Every engine runs in a process of its own, one thread by default. A round
measures each engine once; rounds follow each other so that a machine whose
speed drifts treats all alike, and the median over the rounds counts. The int8
peers run the same QDQ model, quantised by onnxruntime's static quantisation
(per channel, signed) with seeded calibration samples. ternrt compiles the ONNX
file with --ternc-args and is timed by ternrt-bench.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]


def need(module, package):
    """Imports a package, or ends with the command that installs it."""
    try:
        return __import__(module)
    except ImportError:
        sys.exit(f"error: {package} is missing; pip install {package}")


def input_of(path):
    """Name and shape of the model's only input."""
    onnx = need("onnx", "onnx")
    graph = onnx.load(path, load_external_data=False).graph
    initialisers = {t.name for t in graph.initializer}
    inputs = [i for i in graph.input if i.name not in initialisers]
    if len(inputs) != 1:
        sys.exit(f"error: {path} has {len(inputs)} inputs; this script takes models of one")
    shape = [d.dim_value for d in inputs[0].type.tensor_type.shape.dim]
    if 0 in shape:
        sys.exit(f"error: input {inputs[0].name} has dynamic dimensions {shape}; fix them in the model")
    return inputs[0].name, shape


def quantise(path, out):
    """A static int8 QDQ model, as both peers read it."""
    import numpy as np

    need("onnxruntime", "onnxruntime")
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    name, shape = input_of(path)

    class Samples(CalibrationDataReader):
        def __init__(self):
            rng = np.random.default_rng(0)
            self.left = iter([{name: rng.normal(size=shape).astype(np.float32)} for _ in range(8)])

        def get_next(self):
            return next(self.left, None)

    prepared = out.with_suffix(".prepared.onnx")
    quant_pre_process(str(path), str(prepared))
    quantize_static(str(prepared), str(out), Samples(), quant_format=QuantFormat.QDQ, per_channel=True,
                    weight_type=QuantType.QInt8, activation_type=QuantType.QUInt8)


def serve(engine, path, threads):
    """A peer's process: prints a median in milliseconds for each line read."""
    import numpy as np

    name, shape = input_of(path)
    x = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    if engine == "onnxruntime":
        ort = need("onnxruntime", "onnxruntime")
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        run, version = lambda: session.run(None, {name: x}), ort.__version__
    else:
        ov = need("openvino", "openvino")
        core = ov.Core()
        config = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
        request = core.compile_model(core.read_model(str(path)), "CPU", config).create_infer_request()
        run, version = lambda: request.infer({0: x}), ov.__version__
    for _ in range(5):
        run()
    print(json.dumps({"version": version}), flush=True)
    for _ in sys.stdin:
        times = []
        for _ in range(5):
            start = time.perf_counter()
            run()
            times.append(1e3 * (time.perf_counter() - start))
        print(statistics.median(times), flush=True)


class Peer:
    """An engine in its own process."""

    def __init__(self, name, engine, path, threads):
        self.name = name
        args = [sys.executable, __file__, "--serve", engine, str(path), "--threads", str(threads)]
        env = dict(os.environ, OMP_NUM_THREADS=str(threads))
        self.process = subprocess.Popen(args, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)
        first = self.process.stdout.readline()
        if not first:
            sys.exit(f"error: {name} did not start")
        self.version = json.loads(first)["version"]

    def measure(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())


class Ternrt:
    """ternrt-bench on a compiled file."""

    def __init__(self, name, bench, path, threads):
        self.name, self.version = name, "this tree"
        self.command = [str(bench), str(path), "--threads", str(threads), "--iterations", "5", "--warmup", "2", "--json"]

    def measure(self):
        done = subprocess.run(self.command, capture_output=True, text=True)
        if done.returncode:
            sys.exit(done.stderr.strip())
        self.report = json.loads(done.stdout)
        return self.report["latency_ms"]["median"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--ternc-args", action="append", metavar="ARGS",
                        help="options of `ternc compile`; repeat it to time several variants (default: none, and --activations i8)")
    parser.add_argument("--bin", type=pathlib.Path, default=ROOT / "target" / "release",
                        help="where ternc and ternrt-bench are (cargo build --release -p ternc -p ternrt-bench)")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write the figures here too")
    parser.add_argument("--serve", metavar="ENGINE", help=argparse.SUPPRESS)
    args = parser.parse_args() if "--serve" not in sys.argv else parser.parse_args(
        [sys.argv[3], "--serve", sys.argv[2], *sys.argv[4:]])
    if args.serve:
        return serve(args.serve, args.model, args.threads)
    if not args.model.is_file():
        sys.exit(f"error: {args.model}: no such file")
    for binary in ("ternc", "ternrt-bench"):
        if not (args.bin / binary).is_file():
            sys.exit(f"error: {args.bin / binary} is missing; cargo build --release -p ternc -p ternrt-bench")
    for module in ("onnxruntime", "openvino", "numpy"):
        need(module, module)

    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        int8 = folder / "int8.onnx"
        quantise(args.model, int8)
        engines = [
            Peer("onnxruntime fp32", "onnxruntime", args.model, args.threads),
            Peer("onnxruntime int8", "onnxruntime", int8, args.threads),
            Peer("openvino fp32", "openvino", args.model, args.threads),
            Peer("openvino int8", "openvino", int8, args.threads),
        ]
        for i, options in enumerate(args.ternc_args or ["", "--activations i8"]):
            tern = folder / f"model{i}.tern"
            done = subprocess.run([args.bin / "ternc", "compile", args.model, "-o", tern, "--quiet", *options.split()],
                                  capture_output=True, text=True)
            if done.returncode:
                sys.exit(done.stderr.strip())
            engines.append(Ternrt(f"ternrt {options}".strip(), args.bin / "ternrt-bench", tern, args.threads))
        times = {e.name: [] for e in engines}
        for number in range(args.rounds):
            if sys.stderr.isatty():
                print(f"\rround {number + 1} of {args.rounds} ", end="", file=sys.stderr, flush=True)
            for engine in engines:
                times[engine.name].append(engine.measure())
        if sys.stderr.isatty():
            print("\r" + " " * 30 + "\r", end="", file=sys.stderr)
        for engine in engines:
            if isinstance(engine, Peer):
                engine.process.stdin.close()
                engine.process.wait()

    median = {name: statistics.median(t) for name, t in times.items()}
    best = {kind: min(v for n, v in median.items() if n.endswith(kind)) for kind in ("fp32", "int8")}
    print(f"{args.model.name}, {args.threads} thread(s), median of {args.rounds} interleaved rounds")
    width = max(len(e.name) for e in engines)
    print(f"{'engine':<{width}} {'version':<24} {'ms':>9} {'best fp32 peer / it':>20} {'best int8 peer / it':>20}")
    for engine in engines:
        ms = median[engine.name]
        print(f"{engine.name:<{width}} {engine.version:<24.24} {ms:>9.3f} {best['fp32'] / ms:>19.2f}x {best['int8'] / ms:>19.2f}x")
    if args.json:
        record = {"model": args.model.name, "threads": args.threads, "rounds": args.rounds,
                  "engines": [{"name": e.name, "version": e.version, "median_ms": median[e.name], "times_ms": times[e.name]} for e in engines]}
        args.json.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
