"""Exports the networks of the tests with both of PyTorch's exporters, and
strips the weights, so that the repository keeps the exporters' own graphs.

    pip install torch==2.15.0 torchvision timm onnx onnxscript
    python tests/models/export.py

Needs several gigabytes and is not part of a test run: `fill.py` puts weights
back. An initialiser of more than KEEP elements loses its data; its name,
dtype and shape stay, with an `external_data` entry whose location is
`stripped`.
"""

import argparse
import pathlib
import tempfile

import onnx
import timm
import torch
import torchvision
from onnx import TensorProto

KEEP = 64
HERE = pathlib.Path(__file__).parent


def resnet18_32():
    model = torchvision.models.resnet18(num_classes=10)
    model.conv1 = torch.nn.Conv2d(3, 64, 3, padding=1, bias=False)
    model.maxpool = torch.nn.Identity()
    return model, 32


MODELS = {
    "resnet18_32": resnet18_32,
    "resnet18_224": lambda: (torchvision.models.resnet18(), 224),
    "mobilenet_v2": lambda: (torchvision.models.mobilenet_v2(), 224),
    "efficientnet_lite0": lambda: (timm.create_model("tf_efficientnet_lite0"), 224),
}


def train_statistics(model):
    """Gives batch norms and biases values as training would: fresh ones are
    zero and all alike, and the exporters then merge or drop them."""
    for module in model.modules():
        if isinstance(module, torch.nn.Linear):
            torch.nn.init.normal_(module.bias, std=0.2)
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, std=0.2)
            torch.nn.init.normal_(module.running_mean, std=0.2)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)


def strip(path):
    """The model at `path` without large weights and without source positions."""
    model = onnx.load(path)  # resolves external data
    for tensor in model.graph.initializer:
        count = 1
        for dim in tensor.dims:
            count *= dim
        if tensor.data_type == TensorProto.FLOAT and count > KEEP:
            for field in ("raw_data", "float_data"):
                tensor.ClearField(field)
            del tensor.external_data[:]
            tensor.data_location = TensorProto.EXTERNAL
            tensor.external_data.add(key="location", value="stripped")
    # Stack traces of the exporting process: large, and of no use to a reader.
    for node in model.graph.node:
        node.ClearField("doc_string")
        del node.metadata_props[:]
    for value in (*model.graph.value_info, *model.graph.input, *model.graph.output, *model.graph.initializer):
        if hasattr(value, "metadata_props"):
            del value.metadata_props[:]
    return model


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=list(MODELS))
    for name in parser.parse_args().names:
        torch.manual_seed(0)
        model, size = MODELS[name]()
        train_statistics(model)
        model.eval()
        image = torch.randn(1, 3, size, size)
        for exporter in ("torchscript", "dynamo"):
            with tempfile.TemporaryDirectory() as folder:
                path = pathlib.Path(folder) / "model.onnx"
                if exporter == "torchscript":
                    torch.onnx.export(model, (image,), path, dynamo=False, opset_version=17,
                                      input_names=["input"], output_names=["logits"])
                else:
                    torch.onnx.export(model, (image,), path, dynamo=True,
                                      input_names=["input"], output_names=["logits"])
                stripped = strip(path)
            out = HERE / f"{name}.{exporter}.onnx"
            out.write_bytes(stripped.SerializeToString())
            ops = sorted({node.op_type for node in stripped.graph.node})
            print(f"{out.name}: {out.stat().st_size} bytes, opset {stripped.opset_import[0].version}, {' '.join(ops)}")


if __name__ == "__main__":
    main()
