"""Times onnxruntime and OpenVINO beside ternrt on the same model, in one run.

    pip install -r benches/compare/requirements.txt
    cargo build --release -p ternc -p ternrt-bench
    python benches/compare/peers.py MODEL.onnx [--ternc-args="--activations i8"]

Every engine runs in a process of its own, one thread by default. A round
measures each engine once; rounds follow each other so that a machine whose
speed drifts treats all alike, and the median over the rounds counts. The int8
peers run the same QDQ model, quantised by onnxruntime's static quantisation
(per channel, signed) with seeded samples. ternrt compiles the ONNX file with
--ternc-args, where `{samples}` is a file of the same samples, and is timed by
ternrt-bench. Each engine's output for one seeded input is compared with
onnxruntime's in fp32; the error is that of the worst element as a share of the
largest one.
"""

import argparse
import json
import os
import pathlib
import re
import shlex
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Runs of one measurement; its median counts.
RUNS = 5
# What restricts OpenVINO, whose kernels are oneDNN's, to the instruction sets of
# a level of TERNRT_CAPS. onnxruntime has no such switch.
ONEDNN_ISA = {"avx2": "AVX2", "avxvnni": "AVX2_VNNI", "avx512vnni": "AVX512_CORE_VNNI", "avx512vbmi": "AVX512_CORE_VNNI"}
# Levels that have all that onnxruntime uses.
ALL_OF_ONNXRUNTIME = ("avx512vnni", "avx512vbmi")
# Threads of some engines look out for work for a while after a run.
PAUSE = 0.02


def need(module):
    """Imports a package, or ends with the command that installs it."""
    try:
        return __import__(module)
    except ImportError:
        sys.exit(f"error: {module} is missing; pip install -r benches/compare/requirements.txt")


def run(command, **options):
    """A command's standard output; ends with its error where it fails."""
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, **options)
    if done.returncode:
        sys.exit(f"error: {shlex.join(str(c) for c in command)}\n{done.stderr.strip()}")
    return done.stdout


class Model:
    """An ONNX file of one input, with a seeded input and samples beside it in `folder`."""

    def __init__(self, path, folder):
        import numpy as np

        onnx = need("onnx")
        self.path, self.folder = path, folder
        graph = onnx.load(path, load_external_data=False).graph
        initialisers = {t.name for t in graph.initializer}
        inputs = [i for i in graph.input if i.name not in initialisers]
        if len(inputs) != 1:
            sys.exit(f"error: {path} has {len(inputs)} inputs; this script takes models of one")
        self.input = inputs[0].name
        shape = [d.dim_value for d in inputs[0].type.tensor_type.shape.dim]
        if 0 in shape:
            sys.exit(f"error: input {self.input} has dynamic dimensions {shape}; fix them in the model")
        rng = np.random.default_rng(0)
        self.samples = [rng.normal(size=shape).astype(np.float32) for _ in range(8)]
        self.samples_file, self.x = folder / "samples.npz", folder / "x.npy"
        np.savez(self.samples_file, **{self.input: np.stack(self.samples)})
        np.save(self.x, np.random.default_rng(1).normal(size=shape).astype(np.float32))

    def quantised(self):
        """A static int8 QDQ model of it, as both peers read it."""
        need("onnxruntime")
        from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
        from onnxruntime.quantization.shape_inference import quant_pre_process

        class Samples(CalibrationDataReader):
            left = iter([{self.input: x} for x in self.samples])

            def get_next(self):
                return next(self.left, None)

        prepared, out = self.folder / "prepared.onnx", self.folder / "int8.onnx"
        quant_pre_process(str(self.path), str(prepared))
        quantize_static(str(prepared), str(out), Samples(), quant_format=QuantFormat.QDQ, per_channel=True,
                        weight_type=QuantType.QInt8, activation_type=QuantType.QUInt8)
        return out


def serve(engine, path, threads, x, output):
    """A peer's process: keeps its output, then prints a median in milliseconds for each line read."""
    import numpy as np

    x, threads = np.load(x), int(threads)
    if engine == "onnxruntime":
        ort = need("onnxruntime")
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        infer, version = lambda: session.run(None, {name: x})[0], ort.__version__
    else:
        ov = need("openvino")
        core = ov.Core()
        config = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
        request = core.compile_model(core.read_model(path), "CPU", config).create_infer_request()
        infer, version = lambda: request.infer({0: x})[0], ov.__version__
    for _ in range(RUNS):
        y = infer()
    np.save(output, y)
    print(json.dumps({"version": version}), flush=True)
    for _ in sys.stdin:
        times = []
        for _ in range(RUNS):
            start = time.perf_counter()
            infer()
            times.append(1e3 * (time.perf_counter() - start))
        print(statistics.median(times), flush=True)


def only(caps):
    """How the name of an engine ends that is restricted."""
    return f", {caps} only" if caps else ""


class Peer:
    """An engine in a process of its own."""

    def __init__(self, engine, kind, path, model, threads, caps=None):
        self.name, self.kind, self.threads, self.caps = f"{engine} {kind}" + only(caps), kind, threads, caps
        output = model.folder / f"{engine}.{kind}.{threads}.{caps}.npy"
        command = [sys.executable, __file__, "--serve", engine, str(path), str(threads), str(model.x), str(output)]
        limit = {"ONEDNN_MAX_CPU_ISA": ONEDNN_ISA[caps]} if caps else {}
        self.command = " ".join([*(f"{k}={v}" for k, v in limit.items()), f"peers.py --serve {engine} {path.name} {threads}"])
        self.file_bytes = path.stat().st_size
        env = dict(os.environ, OMP_NUM_THREADS=str(threads)) | limit
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)
        first = self.process.stdout.readline()
        if not first:
            sys.exit(f"error: {self.name} did not start")
        self.version = json.loads(first)["version"]
        import numpy as np

        self.output = np.load(output)

    def measure(self):
        try:
            self.process.stdin.write("\n")
            self.process.stdin.flush()
            return float(self.process.stdout.readline())
        except (BrokenPipeError, ValueError):
            sys.exit(f"error: {self.name} ended early")

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Ternrt:
    """ternrt-bench on a file that ternc compiled; `caps` restricts the instruction sets."""

    def __init__(self, name, compiled, binaries, threads, caps):
        self.name, self.kind, self.threads, self.caps = name, compiled.kind, threads, caps
        self.version, self.file_bytes, self.output = compiled.version, compiled.path.stat().st_size, compiled.output(caps)
        options = ["--threads", str(threads)]
        self.argv = [binaries / "ternrt-bench", compiled.path, *options, "--iterations", str(RUNS), "--warmup", "2", "--json"]
        self.env = environment(caps)
        self.command = f"{compiled.command} && {forced(caps)}ternrt-bench {compiled.path.name} {' '.join(options)}"

    def measure(self):
        report = json.loads(run(self.argv, env=self.env))
        self.instruction_sets, self.macs = report["instruction_sets"], report["macs"]
        return report["latency_ms"]["median"]

    def close(self):
        pass


def forced(caps):
    """How a command of ours begins that is restricted."""
    return f"TERNRT_CAPS={caps} " if caps else ""


def environment(caps):
    """What a command of ours is started with."""
    env = {k: v for k, v in os.environ.items() if k != "TERNRT_CAPS"}
    return env | {"TERNRT_CAPS": caps} if caps else env


class Compiled:
    """A model compiled with some options of `ternc compile`, and checked by `ternc verify`."""

    def __init__(self, name, options, model, binaries):
        self.model, self.ternc = model, binaries / "ternc"
        self.kind = name
        self.path = model.folder / ("-".join([model.path.stem, *re.findall(r"\w+", name)]) + ".tern")
        words = shlex.split(options)
        run([self.ternc, "compile", model.path, "-o", self.path, "--quiet", *[w.format(samples=model.samples_file) for w in words]])
        run([self.ternc, "verify", self.path])
        self.version = run([self.ternc, "--version"]).split()[-1]
        shown = " ".join(w.format(samples=model.samples_file.name) for w in words)
        self.command = f"ternc compile {model.path.name} -o {self.path.name} {shown}".strip()

    def output(self, caps):
        import numpy as np

        with tempfile.TemporaryDirectory() as out:
            run([self.ternc, "run", self.path, "--input", f"{self.model.input}={self.model.x}", "--output-dir", out], env=environment(caps))
            (file,) = pathlib.Path(out).glob("*.npy")
            return np.load(file)


def error_of(ours, reference):
    import numpy as np

    if ours.shape != reference.shape or not np.isfinite(ours).all():
        return float("inf")
    return float(np.abs(ours - reference).max() / np.abs(reference).max())


def compare(path, variants, binaries, threads=(1,), caps=(None,), rounds=20):
    """Rows of figures for one ONNX file: the four peers, and ours for each
    variant (a name and options of `ternc compile`), each with every number of
    threads; ours and OpenVINO also with every restriction of the instruction
    sets, which are compared with each other."""
    with tempfile.TemporaryDirectory() as folder:
        model = Model(path, pathlib.Path(folder))
        int8 = model.quantised()
        engines = []
        for count in threads:
            for engine in ("onnxruntime", "openvino"):
                engines.append(Peer(engine, "fp32", path, model, count))
                engines.append(Peer(engine, "int8", int8, model, count))
            for level in filter(ONEDNN_ISA.get, caps):
                engines.append(Peer("openvino", "fp32", path, model, count, level))
                engines.append(Peer("openvino", "int8", int8, model, count, level))
        for name, options in variants:
            compiled = Compiled(name, options, model, binaries)
            for level in caps:
                for count in threads:
                    engines.append(Ternrt(f"ternrt {name}" + only(level), compiled, binaries, count, level))
        times = [[] for _ in engines]
        for number in range(rounds):
            if sys.stderr.isatty():
                print(f"\r{path.name}: round {number + 1} of {rounds} ", end="", file=sys.stderr, flush=True)
            for engine, measured in zip(engines, times):
                time.sleep(PAUSE)
                measured.append(engine.measure())
        if sys.stderr.isatty():
            print("\r" + " " * 60 + "\r", end="", file=sys.stderr)
        for engine in engines:
            engine.close()
    rows = []
    macs = max((e.macs for e in engines if isinstance(e, Ternrt)), default=0)
    for engine, measured in zip(engines, times):
        median = statistics.median(measured)
        rows.append({
            "engine": engine.name, "version": engine.version, "threads": engine.threads, "caps": engine.caps,
            "kind": engine.kind, "peer": isinstance(engine, Peer), "median_ms": median, "times_ms": measured,
            "gmac_per_s": macs / median / 1e6, "file_bytes": engine.file_bytes,
            "error": error_of(engine.output, engines[0].output), "command": engine.command,
        })
    for row in rows:
        for kind in ("fp32", "int8"):
            peers = [r["median_ms"] for r in rows
                     if r["peer"] and (r["kind"], r["threads"]) == (kind, row["threads"]) and as_restricted(r, row["caps"])]
            row[f"times_faster_than_{kind}_peer"] = min(peers) / row["median_ms"] if peers else None
    return {"model": path.name, "rounds": rounds, "macs": macs, "rows": rows}


def as_restricted(peer, caps):
    """Whether a peer has the instruction sets of a level, and no others."""
    whole = peer["engine"].startswith("onnxruntime") and caps in ALL_OF_ONNXRUNTIME
    return peer["caps"] == caps or peer["caps"] is None and whole


HEAD = ["engine", "version", "threads", "ms", "GMAC/s", "best fp32 peer / it", "best int8 peer / it", "error", "file, kB"]


def cells(row):
    """A row as text, in the order of `HEAD`; peers have the same number of threads."""
    return [row["engine"], row["version"].split("-")[0], str(row["threads"]), f"{row['median_ms']:.3f}", f"{row['gmac_per_s']:.1f}",
            *(f"{ratio:.2f}x" if (ratio := row[f"times_faster_than_{kind}_peer"]) else "" for kind in ("fp32", "int8")), f"{row['error']:.1e}",
            f"{row['file_bytes'] / 1e3:.0f}"]


def print_table(head, rows, left):
    """Prints rows of text in columns, the first `left` of them flush left."""
    lines = [head, *rows]
    widths = [max(map(len, column)) for column in zip(*lines)]
    for line in lines:
        print("  ".join(f"{c:<{w}}" if i < left else f"{c:>{w}}" for i, (c, w) in enumerate(zip(line, widths))).rstrip())


def common_arguments(parser):
    parser.add_argument("--rounds", type=int, default=20, help="how often each engine is measured (default: %(default)s)")
    parser.add_argument("--threads", type=lambda t: [int(n) for n in t.split(",")], default=[1], metavar="N,N", help="numbers of threads to measure with")
    parser.add_argument("--caps", action="append", metavar="LEVEL",
                        help="time ternrt with TERNRT_CAPS=LEVEL, and OpenVINO restricted likewise, as well; for example avx2; repeatable")
    parser.add_argument("--bin", type=pathlib.Path, default=ROOT / "target" / "release",
                        help="where ternc and ternrt-bench are (default: target/release)")


def check_arguments(args, binaries=("ternc", "ternrt-bench"), modules=("numpy", "onnx", "onnxruntime", "openvino")):
    """Ends with what is missing."""
    for binary in binaries:
        if not (args.bin / binary).is_file():
            sys.exit(f"error: {args.bin / binary} is missing; cargo build --release -p ternc -p ternrt-bench")
    for module in modules:
        need(module)
    if args.rounds < 1 or min(args.threads) < 1:
        sys.exit("error: --rounds and --threads are at least 1")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--ternc-args", action="append", metavar="ARGS",
                        help="options of `ternc compile`; repeat it to time several variants (default: none, and --activations i8)")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write the figures here too")
    common_arguments(parser)
    args = parser.parse_args()
    check_arguments(args)
    if not args.model.is_file():
        sys.exit(f"error: {args.model}: no such file")
    variants = [(options or "f32", options) for options in args.ternc_args or ["", "--activations i8"]]
    result = compare(args.model, variants, args.bin, args.threads, [None, *(args.caps or [])], args.rounds)
    print(f"{args.model.name}, median of {args.rounds} interleaved rounds")
    print_table(HEAD, map(cells, result["rows"]), left=2)
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        serve(*sys.argv[2:])
    else:
        main()
