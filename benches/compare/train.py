"""Trains ternary networks beside their dense twins, and writes what they reach.

    cargo build --release -p ternc                       # --features libtorch for --device gpu
    python benches/compare/train.py --output runs [--models resnet8,resnet20] [--seeds 1,2,3] [--device gpu]
    python benches/compare/train.py --output runs --record FILE     # only the table of what is there

For each model and seed: the dense twin, then every variant, which begins with the
twin, learns from it and has as many epochs. What is finished already is not trained
again, what was stopped goes on. Accuracies are the runtime's, on the held-out images.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
VARIANTS = ["n12-i8", "t2-i8", "n12-f32", "t2-f32", "n12-i7", "t2-i7"]


def train(args, folder, *options):
    """One training, into `folder`."""
    if (folder / "model.tern").exists():
        return
    command = [args.bin / "ternc", "train"]
    if (folder / "checkpoint.safetensors").exists():
        command += ["--resume", folder]
    else:
        command += ["--dataset", args.dataset, "--device", args.device, "--epochs", str(args.epochs), "--out", folder, *options]
        if args.data_dir:
            command += ["--data-dir", args.data_dir]
    if subprocess.run([str(word) for word in command]).returncode:
        sys.exit(f"error: the training in {folder} failed")


def run(args):
    for model in args.models:
        for seed in args.seeds:
            common = ["--model", model, "--seed", str(seed)]
            twin = args.output / f"{model}-f32-s{seed}"
            lr = [[], []] if args.lr is None else [["--lr", str(args.lr)], ["--lr", str(args.lr / 2)]]
            train(args, twin, *common, "--weights", "f32", *lr[0])
            learn = [] if args.distil_share is None else ["--distil-share", args.distil_share]
            if args.teacher:
                learn += ["--teacher", args.teacher]
            for variant in args.variants:
                weights, activations = variant.split("-")
                folder = args.output / f"{model}-{variant}-s{seed}"
                train(args, folder, *common, "--weights", weights, "--activations", activations,
                      "--distil", twin / "checkpoint.safetensors", *lr[1], *learn)


def results(args):
    """By model and variant: what the finished trainings came to, by seed."""
    found = {}
    for path in sorted(args.output.glob("*/result.json")):
        name, _, seed = path.parent.name.rpartition("-s")
        model, _, variant = name.partition("-")
        epochs = sum('"accuracy"' in line for line in (path.parent / "log.jsonl").read_text().splitlines())
        found.setdefault((model, variant), {})[int(seed)] = {**json.loads(path.read_text()), "epochs": epochs}
    return found


def table(found):
    yield "| network | weights, activations | epochs | top 1, % | mean | against f32 | file, bytes | runtime and trainer differ |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- |"
    for (model, variant), seeds in found.items():
        runs = [seeds[s] for s in sorted(seeds)]
        mean = lambda runs: 100 * statistics.mean(r["top1"] for r in runs)
        twins = found.get((model, "f32"), {})
        both = [s for s in sorted(seeds) if s in twins]
        apart = mean([seeds[s] for s in both]) - mean([twins[s] for s in both]) if both else None
        against = "" if variant == "f32" or apart is None else f"{apart:+.2f}"
        differ = ", ".join(str(r["disagree"]) for r in runs)
        tops = ", ".join(f"{100 * r['top1']:.2f}" for r in runs)
        yield (f"| {model} | {variant.replace('-', ', ')} | {runs[0]['epochs']} | {tops} | {mean(runs):.2f} | {against} "
               f"| {runs[0]['file_bytes']:,} | {differ} of {runs[0]['images']:,} |")


def main():
    listed = lambda text: text.split(",")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=pathlib.Path, required=True, metavar="DIR", help="a folder for each training in there")
    parser.add_argument("--models", type=listed, default=["resnet8", "resnet20"])
    parser.add_argument("--variants", type=listed, default=VARIANTS, help=f"default: {','.join(VARIANTS)}")
    parser.add_argument("--seeds", type=lambda text: [int(n) for n in text.split(",")], default=[1, 2, 3])
    parser.add_argument("--dataset", default="fashion-mnist")
    parser.add_argument("--data-dir", type=pathlib.Path)
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--lr", type=float, help="learning rate of the twins, twice that of the ternary networks (default: ternc's)")
    parser.add_argument("--distil-share", help="share of the twin's answers in the loss (default: ternc's)")
    parser.add_argument("--teacher", type=pathlib.Path, metavar="CHECKPOINT",
                        help="another network that the ternary ones learn from, in place of their twins")
    parser.add_argument("--device", choices=["cpu", "gpu"], default="cpu")
    parser.add_argument("--bin", type=pathlib.Path, default=ROOT / "target" / "release", metavar="DIR")
    parser.add_argument("--record", type=pathlib.Path, metavar="FILE", help="write the table and FILE's .json twin, and train nothing")
    parser.add_argument("--note", default="", help="what the record says above its table: the device, versions, other options")
    args = parser.parse_args()
    if not args.record:
        run(args)
    found = results(args)
    text = "\n".join(table(found))
    print(text)
    if args.record:
        args.record.write_text((args.note + "\n\n" if args.note else "") + text + "\n")
        plain = [{"model": m, "variant": v, "seed": s, **{k: r for k, r in runs[s].items() if k != "model"}}
                 for (m, v), runs in found.items() for s in sorted(runs)]
        args.record.with_suffix(".json").write_text(json.dumps(plain, indent=1) + "\n")


if __name__ == "__main__":
    main()
