"""Writes tests/fuzz/corpus, which is committed: small graphs of few ops each.

    python tests/fuzz/make_corpus.py TERNC

TERNC is the compiler's path. Needs the Python packages onnx and numpy. Names of
files tell the ops; the graphs have 8x8 images or less, so that mutations run
quickly. `import` also gets the digits model, cut off and with short weights, `load` and `run`
the digits model compiled for each kind of activation.
"""

import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HERE = pathlib.Path(__file__).parent
DIGITS = HERE / "../../compiler/assets/digits/digits.onnx"
rng = np.random.default_rng(1)


def trits(*shape):
    return (rng.integers(-1, 2, shape) * 0.5).astype(np.float32)


def floats(*shape):
    return rng.standard_normal(shape).astype(np.float32)


def ints(*values):
    return np.array(values, np.int64)


def node(op, inputs, **attributes):
    """A node whose only output is named y0, y1, ... by `graph`."""
    return op, inputs, attributes


def graph(shape, nodes, constants=(), outputs=None):
    """A chain: input x, node i gives y{i}, the last one is the output."""
    made = [
        helper.make_node(op, inputs, [f"y{i}"], name=f"{op}_{i}", **attributes)
        for i, (op, inputs, attributes) in enumerate(nodes)
    ]
    tensors = [numpy_helper.from_array(value, name) for name, value in dict(constants).items()]
    names = outputs or [f"y{len(nodes) - 1}"]
    g = helper.make_graph(
        made,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names],
        tensors,
    )
    model = helper.make_model(g, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return onnx.shape_inference.infer_shapes(model)


IMAGE = [1, 3, 6, 6]
GRAPHS = {
    "gemm": graph(
        [2, 8],
        [node("Gemm", ["x", "w", "b"], transB=1), node("Relu", ["y0"])],
        {"w": trits(4, 8), "b": floats(4)},
    ),
    "matmul": graph(
        [1, 4, 4],
        [
            node("Transpose", ["x"], perm=[0, 2, 1]),
            node("MatMul", ["x", "y0"]),
            node("Softmax", ["y1"], axis=-1),
        ],
    ),
    "conv": graph(
        IMAGE,
        [
            node("Conv", ["x", "w", "b"], kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2]),
            node("Clip", ["y0", "low", "high"]),
            node("GlobalAveragePool", ["y1"]),
            node("Flatten", ["y2"]),
        ],
        {"w": trits(4, 3, 3, 3), "b": floats(4), "low": np.float32(0), "high": np.float32(6)},
    ),
    "depthwise": graph(
        IMAGE,
        [
            node("Conv", ["x", "w"], kernel_shape=[3, 3], pads=[1, 1, 1, 1], group=3),
            node("HardSwish", ["y0"]),
            node("Add", ["x", "y1"]),
        ],
        {"w": trits(3, 1, 3, 3)},
    ),
    "grouped": graph(
        [1, 4, 5, 5],
        [node("Conv", ["x", "w"], kernel_shape=[2, 2], dilations=[2, 2], group=2)],
        {"w": trits(6, 2, 2, 2)},
    ),
    "transposed": graph(
        [1, 3, 3, 3],
        [node("ConvTranspose", ["x", "w"], kernel_shape=[2, 2], strides=[2, 2])],
        {"w": trits(3, 2, 2, 2)},
    ),
    "pool": graph(
        IMAGE,
        [
            node("MaxPool", ["x"], kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1),
            node("AveragePool", ["y0"], kernel_shape=[2, 2], pads=[1, 1, 0, 0], count_include_pad=1),
        ],
    ),
    "binary": graph(
        [2, 3],
        [
            node("Mul", ["x", "s"]),
            node("Sub", ["y0", "x"]),
            node("Greater", ["y1", "s"]),
            node("Where", ["y2", "y0", "x"]),
        ],
        {"s": floats(1, 3)},
    ),
    "reduce": graph(
        [2, 3, 4],
        [
            node("ReduceMax", ["x"], axes=[1], keepdims=1),
            node("ReduceMean", ["y0"], axes=[2], keepdims=0),
            node("LogSoftmax", ["y1"], axis=0),
        ],
    ),
    "move": graph(
        [2, 3, 4],
        [
            node("Slice", ["x", "starts", "ends", "axes", "steps"]),
            node("Concat", ["y0", "x"], axis=2),
            node("Pad", ["y1", "pads"], mode="constant"),
            node("Gather", ["y2", "picked"], axis=1),
            node("Reshape", ["y3", "shape"]),
        ],
        {
            "starts": ints(3),
            "ends": ints(-5),
            "axes": ints(2),
            "steps": ints(-2),
            "pads": ints(0, 1, 0, 0, 0, 1),
            "picked": ints(0, 2, -1),
            "shape": ints(2, -1),
        },
    ),
    "resize": graph(
        [1, 2, 3, 3],
        [
            node("Resize", ["x", "", "scales"], mode="linear"),
            node("Resize", ["y0", "", "", "sizes"], mode="nearest", coordinate_transformation_mode="asymmetric"),
        ],
        {"scales": np.array([1, 1, 2, 2], np.float32), "sizes": ints(1, 2, 4, 5)},
    ),
    "cast": graph(
        [2, 3],
        [
            node("Cast", ["x"], to=TensorProto.INT64),
            node("Cast", ["y0"], to=TensorProto.FLOAT),
            node("Expand", ["y1", "shape"]),
        ],
        {"shape": ints(2, 2, 3)},
    ),
    "norm": graph(
        IMAGE,
        [
            node("BatchNormalization", ["x", "scale", "bias", "mean", "var"]),
            node("Sigmoid", ["y0"]),
            node("Mul", ["y0", "y1"]),
        ],
        {"scale": floats(3), "bias": floats(3), "mean": floats(3), "var": np.abs(floats(3))},
    ),
}
# Of these, the ternary layers with integer activations too.
LAYERS = ["gemm", "conv", "depthwise", "grouped", "transposed"]


def compile_to(ternc, source, target, *options):
    command = [ternc, "compile", str(source), "-o", str(target), "--quiet", *options]
    subprocess.run(command, check=True)


def main(ternc):
    for target in ("load", "run", "import"):
        directory = HERE / "corpus" / target
        directory.mkdir(parents=True, exist_ok=True)
        for old in directory.iterdir():
            old.unlink()
    load, run, imports = (HERE / "corpus" / name for name in ("load", "run", "import"))
    with tempfile.TemporaryDirectory() as scratch:
        for name, model in GRAPHS.items():
            source = imports / f"{name}.onnx"
            onnx.save(model, source)
            compile_to(ternc, source, run / f"{name}.tern", "--no-golden")
            if name in LAYERS:
                for mode in ("i16", "i8"):
                    compile_to(ternc, source, run / f"{name}.{mode}.tern", "--no-golden", "--activations", mode)
        for codec in ("t2", "t5"):
            compile_to(ternc, imports / "gemm.onnx", load / f"gemm.{codec}.tern", "--codec", codec)
        compile_to(ternc, imports / "conv.onnx", run / "conv.f16.tern", "--no-golden", "--dense", "f16")
        compile_to(ternc, imports / "move.onnx", load / "move.golden.tern")
        for mode in ("f32", "i16", "i8"):
            compile_to(ternc, DIGITS, run / f"digits.{mode}.tern", "--no-golden", "--activations", mode)
        compile_to(ternc, DIGITS, load / "digits.tern", "--no-golden")
    whole = DIGITS.read_bytes()
    for length in (300, 4000):
        (imports / f"digits.{length}.onnx").write_bytes(whole[:length])
    # The same graph with its weights' bytes gone.
    model = onnx.load(DIGITS)
    for tensor in model.graph.initializer:
        tensor.raw_data = tensor.raw_data[: len(tensor.raw_data) // 64]
    (imports / "digits.short_weights.onnx").write_bytes(model.SerializeToString())


if __name__ == "__main__":
    main(sys.argv[1])
