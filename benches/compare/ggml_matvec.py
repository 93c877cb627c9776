"""Times ternrt's matrix-vector products beside those of ggml's ternary types.

    pip install cmake
    cargo build --release -p ternrt-bench
    python benches/compare/ggml_matvec.py

Fetches the source package of llama-cpp-python, which brings ggml along, builds
ggml's CPU backend for this CPU and `ggml_matvec.c` in target/ggml, and measures
both in rounds that follow each other; medians count. Both take their weights
from memory and quantise the activations within the measured time; ggml runs on
one thread. Needs pip, a C and a C++ compiler; nothing of ggml becomes part of
this project.
"""

import argparse
import json
import os
import pathlib
import shutil
import statistics
import sys
import tarfile

import peers

PACKAGE = "llama-cpp-python"
VERSION = "0.3.36"
HERE = pathlib.Path(__file__).resolve().parent
BUILD = peers.ROOT / "target" / "ggml"
VERSION_NAME = f"as in {PACKAGE} {VERSION}"


def build(folder=BUILD):
    """The program, built if it is not there yet or older than its source."""
    program, source = folder / f"ggml_matvec-{VERSION}", HERE / "ggml_matvec.c"
    if program.is_file() and program.stat().st_mtime > source.stat().st_mtime:
        return program
    for tool in ("cmake", "c++", "cc"):
        if not shutil.which(tool):
            sys.exit(f"error: {tool} is missing" + ("; pip install cmake" if tool == "cmake" else ""))
    folder.mkdir(parents=True, exist_ok=True)
    tree = folder / f"llama_cpp_python-{VERSION}" / "vendor" / "llama.cpp" / "ggml"
    if not tree.is_dir():
        print(f"fetching {PACKAGE} {VERSION}", file=sys.stderr)
        peers.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", PACKAGE, f"{PACKAGE}=={VERSION}", "-d", folder])
        (archive,) = folder.glob(f"llama_cpp_python-{VERSION}.tar.gz")
        with tarfile.open(archive) as tar:
            members = [m for m in tar.getmembers() if "/vendor/llama.cpp/ggml/" in m.name]
            tar.extractall(folder, members, filter="data")
    print("building ggml", file=sys.stderr)
    made = folder / "build"
    # As part of another project, since the package lacks a file that ggml needs on its own.
    text = f"cmake_minimum_required(VERSION 3.14)\nproject(peer C CXX)\nadd_subdirectory({tree.resolve().as_posix()} ggml)\n"
    (folder / "CMakeLists.txt").write_text(text)
    # No OpenMP: ggml's own threads wait for each other no worse, and link statically.
    options = ["CMAKE_BUILD_TYPE=Release", "BUILD_SHARED_LIBS=OFF", "GGML_NATIVE=ON", "GGML_OPENMP=OFF", "GGML_CCACHE=OFF"]
    peers.run(["cmake", "-S", folder, "-B", made, *[f"-D{option}" for option in options]])
    peers.run(["cmake", "--build", made, "--target", "ggml-base", "ggml-cpu", "--parallel", str(os.cpu_count() or 1)])
    libraries = [next(made.rglob(f"libggml-{part}.a")) for part in ("cpu", "base")]
    compiled = made / "ggml_matvec.o"
    peers.run(["cc", "-std=c11", "-O2", "-Wall", "-Wextra", f"-I{tree / 'include'}", "-c", source, "-o", compiled])
    peers.run(["c++", compiled, *libraries, "-lpthread", "-ldl", "-lm", "-o", program])
    return program


def rounds_of(binaries, program, threads, caps, rounds, budget):
    """Reports of every round, ours and ggml's in turn: `{(engine, type, shape, threads, caps): [line]}`,
    GB/s that the memory gave in each, by threads, and bytes that no cache holds."""
    lines, memory, beyond = {}, {count: [] for count in threads}, 0
    for _ in range(rounds):
        for count in threads:
            for level in caps:
                words = [binaries / "ternrt-bench", "matvec", "--json", "--threads", str(count), "--budget", str(budget)]
                report = json.loads(peers.run(words, env=peers.environment(level)))
                memory[count] += [m["gb_per_s"] for m in report["ceiling"]["memory"] if m["threads"] == count]
                for l in report["lines"]:
                    key = ("ternrt", f"{l['activations']} {l['codec']}", f"{l['outputs']}x{l['inputs']}", count, level)
                    lines.setdefault(key, []).append(l)
            if program and count == 1:
                shapes = dict.fromkeys(f"{l['outputs']}x{l['inputs']}" for l in report["lines"])
                beyond = report["ceiling"]["memory"][0]["buffer_bytes"]
                for text in peers.run([program, str(budget), str(beyond), *shapes]).splitlines():
                    l = json.loads(text)
                    key = ("ggml", f"{l['type'].upper()} {l['way']}", f"{l['outputs']}x{l['inputs']}", count, None)
                    lines.setdefault(key, []).append(l)
    return lines, memory, beyond


def compare(binaries, program, threads=(1,), caps=(None,), rounds=5, budget=100):
    """Rows of figures, by shape and threads; without `program` ours alone."""
    lines, memory, beyond = rounds_of(binaries, program, threads, caps, rounds, budget)
    rows = []
    for (engine, kind, shape, count, level), measured in lines.items():
        us = statistics.median(l["us"] for l in measured)
        gb_per_s = measured[0]["weight_bytes"] / us / 1e3
        command = f"{program.name} {budget} {beyond} {shape}" if engine == "ggml" else f"ternrt-bench matvec --threads {count} --budget {budget}"
        rows.append({
            "engine": engine, "version": VERSION_NAME if engine == "ggml" else "", "kind": kind, "shape": shape, "threads": count, "caps": level,
            "weight_bytes": measured[0]["weight_bytes"], "median_us": us, "times_us": [l["us"] for l in measured], "gb_per_s": gb_per_s,
            "memory_share": gb_per_s / statistics.median(memory[count]), "command": (f"TERNRT_CAPS={level} " if level else "") + command,
        })
    for row in rows:
        theirs = [r["median_us"] for r in rows if r["kind"].startswith("TQ2_0") and (r["shape"], r["threads"]) == (row["shape"], row["threads"])]
        row["times_faster_than_tq2_0"] = min(theirs) / row["median_us"] if theirs else None
    rows.sort(key=lambda r: (r["shape"], r["threads"]))
    return {"rounds": rounds, "memory_gb_per_s": {count: statistics.median(m) for count, m in memory.items()}, "rows": rows}


HEAD = ["outputs x inputs", "engine", "threads", "us", "GB/s", "of memory", "ggml TQ2_0 / it"]


def cells(row):
    """A row as text, in the order of `HEAD`."""
    engine = f"{row['engine']} {row['kind']}" + (f", {row['caps']} only" if row["caps"] else "")
    ratio = row["times_faster_than_tq2_0"]
    return [row["shape"], engine, str(row["threads"]), f"{row['median_us']:.0f}", f"{row['gb_per_s']:.2f}", f"{100 * row['memory_share']:.0f}%",
            f"{ratio:.2f}x" if ratio else ""]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", type=int, default=100, metavar="MS", help="time for each figure of a round (default: 100)")
    parser.add_argument("--build", type=pathlib.Path, default=BUILD, metavar="DIR", help="where ggml is built (default: target/ggml)")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write the figures here too")
    peers.common_arguments(parser)
    parser.set_defaults(rounds=5)
    args = parser.parse_args()
    peers.check_arguments(args, binaries=["ternrt-bench"], modules=[])
    result = compare(args.bin, build(args.build), args.threads, [None, *(args.caps or [])], args.rounds, args.budget)
    print(f"matrix-vector products, median of {args.rounds} rounds, ggml {VERSION_NAME}")
    peers.print_table(HEAD, map(cells, result["rows"]), left=2)
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
