"""Times steps of training on the processor beside PyTorch's: the same network, batch and optimiser, in turn.

    cargo build --release -p ternc && pip install numpy torch
    python benches/compare/train_torch.py [--threads 2] [--batch-size 128] [--rounds 5] [--record FILE.md]

ResNet-20 as the zoo has it (32x32, one channel), f32, SGD with Nesterov's momentum and weight decay, on random images
without augmentation. Each round is a `ternc train` of three epochs, whose `images_per_s` its log has, and the same steps
in PyTorch (eager), with images as NCHW and as NHWC (channels_last). Each one's first epoch warms up and does not count.
"""

import argparse
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional

ROOT = pathlib.Path(__file__).resolve().parents[2]
EPOCHS = 3


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = nn.Identity()
        if stride > 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        return functional.relu(y + self.downsample(x))


def resnet20():
    blocks, inputs = [], 16
    for channels, stride in [(16, 1), (32, 2), (64, 2)]:
        for n in range(3):
            blocks.append(Block(inputs, channels, stride if n == 0 else 1))
            inputs = channels
    return nn.Sequential(nn.Conv2d(1, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), *blocks,
                         nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


def torch_epochs(images, labels, batch_size, layout):
    """Images a second of each epoch."""
    torch.manual_seed(1)
    net = resnet20().train().to(memory_format=layout)
    decayed = [p for p in net.parameters() if p.dim() > 1]
    others = [p for p in net.parameters() if p.dim() == 1]
    sgd = torch.optim.SGD([{"params": decayed, "weight_decay": 5e-4}, {"params": others}], lr=0.05, momentum=0.9, nesterov=True)
    for _ in range(EPOCHS):
        began = time.perf_counter()
        for batch in torch.randperm(len(images)).split(batch_size):
            x = functional.pad(images[batch].float().div_(255).sub_(0.5).div_(0.25), (2, 2, 2, 2))
            loss = functional.cross_entropy(net(x.to(memory_format=layout)), labels[batch])
            sgd.zero_grad()
            loss.backward()
            sgd.step()
            loss.item()
        yield len(images) / (time.perf_counter() - began)


def ternc_epochs(args, data, folder):
    command = [args.bin / "ternc", "train", "--model", "resnet20", "--dataset", "fashion-mnist", "--data-dir", data,
               "--weights", "f32", "--augment", "none", "--batch-size", args.batch_size, "--epochs", EPOCHS, "--lr", 0.05,
               "--warmup", 0, "--quiet", "--out", folder]
    threads = {**os.environ, "RAYON_NUM_THREADS": str(args.threads)}
    if subprocess.run([str(word) for word in command], env=threads, stdout=subprocess.DEVNULL).returncode:
        sys.exit("error: ternc train failed")
    lines = map(json.loads, (folder / "log.jsonl").read_text().splitlines())
    return [line["images_per_s"] for line in lines if "images_per_s" in line]


def write_data(folder, images, labels):
    """As Fashion-MNIST's files; what is held out is as small as it may be."""
    for name, count in [("train", len(images)), ("t10k", 10)]:
        for kind, array in [("images-idx3", images[:count]), ("labels-idx1", labels[:count])]:
            head = np.array([0x0800 + array.ndim, *array.shape], dtype=">u4").tobytes()
            (folder / f"{name}-{kind}-ubyte").write_bytes(head + array.tobytes())


def cpu():
    names = [line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")]
    return f"{names[0]}, {len(names)} logical cores" if names else platform.processor()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--steps", type=int, default=8, help="of an epoch")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--bin", type=pathlib.Path, default=ROOT / "target" / "release", metavar="DIR")
    parser.add_argument("--record", type=pathlib.Path, metavar="FILE.md", help="write the table there, and the rounds as .json")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    random = np.random.default_rng(1)
    count = args.steps * args.batch_size
    images = random.integers(0, 256, (count, 28, 28), dtype=np.uint8)
    labels = random.integers(0, 10, count, dtype=np.uint8)
    for_torch = torch.from_numpy(images)[:, None], torch.from_numpy(labels).long()
    rounds = {"ternc train": [], "PyTorch, NCHW": [], "PyTorch, NHWC": []}
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "data").mkdir()
        write_data(folder / "data", images, labels)
        for n in range(args.rounds):
            runs = {"ternc train": lambda: ternc_epochs(args, folder / "data", folder / f"run{n}"),
                    "PyTorch, NCHW": lambda: list(torch_epochs(*for_torch, args.batch_size, torch.contiguous_format)),
                    "PyTorch, NHWC": lambda: list(torch_epochs(*for_torch, args.batch_size, torch.channels_last))}
            for name, run in runs.items():
                rounds[name].append(statistics.median(run()[1:]))
            print(f"round {n + 1}: " + ", ".join(f"{name} {speeds[-1]:.1f}" for name, speeds in rounds.items()), flush=True)
    ours = rounds["ternc train"]
    lines = ["| | images a second, median | from .. to | ternc is times as fast, median of pairs |", "| --- | --- | --- | --- |"]
    for name, speeds in rounds.items():
        ratio = statistics.median(a / b for a, b in zip(ours, speeds))
        lines.append(f"| {name} | {statistics.median(speeds):.1f} | {min(speeds):.1f} .. {max(speeds):.1f} | {ratio:.2f} |")
    what = (f"ResNet-20 (32x32, 1 channel), f32, batch {args.batch_size}, {args.threads} threads, {args.rounds} rounds in turn; "
            f"{cpu()}; PyTorch {torch.__version__}: `python benches/compare/train_torch.py --threads {args.threads} "
            f"--batch-size {args.batch_size} --steps {args.steps} --rounds {args.rounds}`")
    text = what + "\n\n" + "\n".join(lines) + "\n"
    print(text)
    if args.record:
        args.record.write_text(text)
        args.record.with_suffix(".json").write_text(json.dumps({"what": what, "images_per_s": rounds}, indent=1) + "\n")


if __name__ == "__main__":
    main()
