"""Measures this machine and writes the record: benches/record/CPU/DATE.json and .md.

    pip install -r benches/compare/requirements.txt
    cargo build --release -p ternc -p ternrt-bench
    python benches/compare/record.py [--threads 1,2] [--caps avx2] [--rounds 20]

For each network of tests/models (with seeded ternary weights of which one of
each pair is not zero, so that every variant computes the same network):
onnxruntime and OpenVINO in fp32 and int8 beside ternrt's variants, as
`peers.py` does it. An output that is further from onnxruntime's than its
variant allows ends the run. Then matrix-vector products, beside ggml's with
--ggml (see `ggml_matvec.py`), and the sweeps of `ternrt-bench sweep` into
DATE/. Takes some ten minutes; leave the machine alone meanwhile.
"""

import argparse
import datetime
import json
import pathlib
import platform
import re
import shlex
import subprocess
import sys
import tempfile

import ggml_matvec
import peers

sys.path.insert(0, str(peers.ROOT / "tests" / "models"))

NETWORKS = ["resnet18_32", "resnet18_224", "mobilenet_v2", "efficientnet_lite0"]
# Options of `ternc compile`, and the largest error of an output.
VARIANTS = {
    "f32": ("--codec t2 --activations f32", 1e-4),
    "i16": ("--codec t2 --activations i16", 1e-2),
    "i8": ("--codec t2 --activations i8 --calibrate {samples}", 0.5),
    "i7-n12": ("--codec n12 --activations i7 --calibrate {samples}", 0.5),
}
PEER_ERRORS = {"fp32": 1e-4, "int8": 0.5}


def output_of(command):
    """What a command prints; empty where there is none such."""
    try:
        return subprocess.run(command, capture_output=True, text=True, cwd=peers.ROOT).stdout.strip()
    except FileNotFoundError:
        return ""


def machine():
    """The CPU's name, a folder's name made of it, and what lscpu says."""
    fields = {}
    for line in output_of(["lscpu"]).splitlines():
        name, _, value = line.partition(":")
        fields[name.strip()] = value.strip()
    name = fields.get("Model name") or platform.processor() or platform.machine()
    # A name alone can stand for several generations.
    family = [f"{k.split()[-1].lower()} {fields[k]}" for k in ("CPU family", "Model", "Stepping") if k in fields]
    name = " ".join([name, *([f"({', '.join(family)})"] if family else [])])
    kept = {k: v for k, v in fields.items() if not k.startswith(("Vulnerability", "NUMA", "BogoMIPS"))}
    return {"cpu": name, "folder": "-".join(re.findall(r"[a-z0-9]+", name.lower())), "lscpu": kept,
            "system": f"{platform.system()} {platform.machine()}"}


# Options whose values are folders of this machine.
FOLDERS = ("--bin", "--output", "--ggml-build")


def shown_command(words):
    """How this script was called, without `FOLDERS`."""
    kept = [w for before, w in zip(["", *words], words) if before not in FOLDERS and not w.startswith(FOLDERS)]
    return shlex.join(["python", "benches/compare/record.py", *kept])


def tree():
    """The commit, and whether files differ from it."""
    commit = output_of(["git", "rev-parse", "HEAD"]) or "unknown"
    return commit + (" with changes" if output_of(["git", "status", "--porcelain", "-uno"]) else "")


def networks(args, caps):
    import fill
    import onnx

    variants = [(name, VARIANTS[name][0]) for name in args.variants]
    for name in args.models:
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / f"{name}.onnx"
            graph = peers.ROOT / "tests" / "models" / f"{name}.torchscript.onnx"
            onnx.save(fill.fill(graph, seed=1, ternary="channel", one_of_two=True), path)
            result = peers.compare(path, variants, args.bin, args.threads, caps, args.rounds)
        for row in result["rows"]:
            bound = PEER_ERRORS[row["kind"]] if row["peer"] else VARIANTS[row["kind"]][1]
            if not row["error"] <= bound:
                sys.exit(f"error: {name}: {row['engine']} is {row['error']:.1e} from onnxruntime; {bound:.0e} is allowed")
        yield result


def bench(args, *words, caps=None):
    return peers.run([args.bin / "ternrt-bench", *words], env=peers.environment(caps))


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


def markdown(record, sweeps):
    cpu = record["machine"]
    flags = cpu["lscpu"].get("Flags", "")
    caches = ", ".join(f"{k} {v}" for k, v in cpu["lscpu"].items() if k.endswith("cache"))
    yield f"# {cpu['cpu']}, {record['date']}\n"
    yield f"`{record['command']}`\n"
    yield (f"Commit {record['commit']}. {cpu['system']}, {cpu['lscpu'].get('CPU(s)', '?')} CPUs. {caches}. Peers: "
           + ", ".join(f"{k} {v}" for k, v in record["peers"].items()) + ".\n")
    yield f"<details><summary>CPU features</summary>\n\n{flags}\n\n</details>\n"
    yield "## What this machine does at most\n"
    yield table(["what", "rate", "threads"],
                [[f"{m['activations']}, {m['instruction']}", f"{m['gmac_per_s']:.1f} GMAC/s", str(record["ceiling"]["threads"])]
                 for m in record["ceiling"]["multiply"]]
                + [["memory read", f"{m['gb_per_s']:.1f} GB/s", str(m["threads"])] for m in record["ceiling"]["memory"]])
    for network in record["networks"]:
        yield f"## {network['model'].removesuffix('.onnx')}, {network['macs'] / 1e9:.3f} GMAC, batch 1\n"
        yield (f"Median of {network['rounds']} interleaved rounds. The ratios are to the faster peer with as many threads; more is better. "
               "Error: worst element against onnxruntime fp32, as a share of the largest.\n")
        yield table([*peers.HEAD, "command"], [[*peers.cells(row), f"`{row['command']}`"] for row in network["rows"]])
    for layers in record["layers"]:
        network = layers["lines"][0]["network"]
        yield f"## Layers of {network}" + (f", {layers['caps']} only" if layers["caps"] else "") + "\n"
        yield (f"`{peers.forced(layers['caps'])}ternrt-bench layers {network}`, {layers['instruction_sets']}. The share is that of the fastest "
               "multiply loop for these activations; sums that are looked up in tables can exceed it, and so can 3x3 kernels behind a relu, "
               "which need two products of three.\n")
        yield table(["layer", "x w", "us", "GMAC/s", "of limit", "i8 t2 / it"],
                    [[l["layer"], f"{l['activations']} {l['codec']}" + (", relu" if l["non_negative"] else ""), f"{l['us']:.1f}", f"{l['gmac_per_s']:.0f}", f"{100 * l['limit_share']:.0f}%",
                      f"{l['times_faster_than_first']:.2f}x"] for l in layers["lines"]])
    yield "## Matrix-vector products, weights from memory\n"
    ggml = f" ggml {ggml_matvec.VERSION_NAME}." if any(r["engine"] == "ggml" for r in record["matvec"]["rows"]) else ""
    rates = ", ".join(f"{rate:.1f} GB/s on {count} thread(s)" for count, rate in record["matvec"]["memory_gb_per_s"].items())
    yield (f"Median of {record['matvec']['rounds']} interleaved rounds. Quantising the activations is part of the time. "
           f"GB/s of weights; the memory gave {rates} in the same rounds.{ggml}\n")
    yield table([*ggml_matvec.HEAD, "command"], [[*ggml_matvec.cells(row), f"`{row['command']}`"] for row in record["matvec"]["rows"]])
    if sweeps:
        yield "## Sweeps\n"
        yield f"`ternrt-bench sweep --output-dir {sweeps.name}`\n"
        for path in sorted(sweeps.glob("*.svg")):
            yield f"![GMAC/s by {path.stem}]({sweeps.name}/{path.name})\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    listed = lambda text: text.split(",")
    parser.add_argument("--models", type=listed, default=NETWORKS, help=f"default: {','.join(NETWORKS)}")
    parser.add_argument("--variants", type=listed, default=list(VARIANTS), help=f"default: {','.join(VARIANTS)}")
    parser.add_argument("--output", type=pathlib.Path, default=peers.ROOT / "benches" / "record", metavar="DIR",
                        help="default: benches/record")
    parser.add_argument("--budget", type=int, default=200, metavar="MS", help="time for each figure of matvec and sweep (default: 200)")
    parser.add_argument("--ggml", action="store_true", help="time ggml's matrix-vector products too, see ggml_matvec.py")
    parser.add_argument("--ggml-build", type=pathlib.Path, default=ggml_matvec.BUILD, metavar="DIR", help="default: target/ggml")
    parser.add_argument("--no-sweeps", action="store_true")
    peers.common_arguments(parser)
    parser.set_defaults(threads=[1, 2])
    args = parser.parse_args()
    peers.check_arguments(args)
    for given, known in ((args.models, NETWORKS), (args.variants, VARIANTS)):
        unknown = set(given) - set(known)
        if unknown:
            sys.exit(f"error: {', '.join(sorted(unknown))}: not one of {', '.join(known)}")
    caps = [None, *(args.caps or [])]
    # First: what it lacks ends the run before minutes were spent.
    program = ggml_matvec.build(args.ggml_build) if args.ggml else None
    record = {"date": datetime.date.today().isoformat(), "command": shown_command(sys.argv[1:]),
              "commit": tree(), "machine": machine()}
    record["ceiling"] = json.loads(bench(args, "ceiling", "--json"))
    record["networks"] = list(networks(args, caps))
    rows = [row for network in record["networks"] for row in network["rows"]]
    record["peers"] = {row["engine"].split()[0]: row["version"] for row in rows if row["peer"]}
    record["layers"] = [{"caps": level, **json.loads(bench(args, "layers", "--json", "--budget", str(args.budget), caps=level))} for level in caps]
    record["matvec"] = ggml_matvec.compare(args.bin, program, args.threads, caps, budget=args.budget)
    folder = args.output / record["machine"]["folder"]
    folder.mkdir(parents=True, exist_ok=True)
    sweeps = None
    if not args.no_sweeps:
        sweeps = folder / record["date"]
        bench(args, "sweep", "--budget", str(args.budget), "--output-dir", sweeps)
    (folder / f"{record['date']}.json").write_text(json.dumps(record, indent=1) + "\n")
    (folder / f"{record['date']}.md").write_text("\n".join(markdown(record, sweeps)))
    print(folder / f"{record['date']}.md")


if __name__ == "__main__":
    main()
