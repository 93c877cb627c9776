"""Trains the digits classifier of `ternc quickstart` and exports it.

    pip install torch==2.15.0 scikit-learn onnx onnxruntime
    python compiler/assets/digits/train.py

The first convolution and the classifier are dense, the two layers between
are ternary from the first step on (straight-through gradients, threshold and
scale per output channel that minimise the squared error). Batch norms are
folded into scale and bias before the export, so each ternary weight in the
file is exactly -a, 0 or a, with one a per output channel.
"""

import pathlib

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F

HERE = pathlib.Path(__file__).parent
TEST_IMAGES = 360
EPOCHS = 60


def ternarise(w):
    """Trits and scales of least squared error: keep the k largest magnitudes
    of each output, where (sum of them)^2 / k is largest."""
    flat = w.flatten(1)
    magnitudes, order = flat.abs().sort(dim=1, descending=True)
    sums = magnitudes.cumsum(1)
    counts = torch.arange(1, flat.shape[1] + 1, dtype=w.dtype)
    k = (sums**2 / counts).argmax(1)
    scale = (sums / counts).gather(1, k[:, None])
    keep = torch.zeros_like(flat).scatter(1, order, (torch.arange(flat.shape[1]) <= k[:, None]).to(w.dtype))
    return (flat.sign() * keep).view_as(w), scale[:, 0]


class TernaryConv2d(nn.Conv2d):
    def forward(self, x):
        trits, scale = ternarise(self.weight.detach())
        w = trits * scale[:, None, None, None]
        w = self.weight + (w - self.weight).detach()
        return self._conv_forward(x, w, None)


def layer(kind, inputs, outputs, stride):
    return [kind(inputs, outputs, 3, stride=stride, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]


def network():
    return nn.Sequential(
        *layer(nn.Conv2d, 1, 16, 1),
        *layer(TernaryConv2d, 16, 32, 1),
        *layer(TernaryConv2d, 32, 32, 2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(32, 10),
    )


def shifted(x, generator):
    """Each image moved by up to one pixel."""
    padded = F.pad(x, (1, 1, 1, 1))
    out = torch.empty_like(x)
    for i, (dy, dx) in enumerate(torch.randint(0, 3, (len(x), 2), generator=generator).tolist()):
        out[i] = padded[i, :, dy : dy + 8, dx : dx + 8]
    return out


def train(x, y):
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    net = network()
    batch, steps = 64, EPOCHS * (len(x) // 64)
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 0.1, total_steps=steps, pct_start=0.1)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(x), generator=generator)[: len(x) // batch * batch].view(-1, batch):
            loss = F.cross_entropy(net(shifted(x[rows], generator)), y[rows], label_smoothing=0.05)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return net.eval()


def export(net, path):
    """The network as ONNX, batch norms folded."""
    nodes, weights, value = [], [], "image"
    names = iter(["stem", "conv1", "conv2"])
    modules = list(net)
    for i, module in enumerate(modules):
        if isinstance(module, nn.Conv2d):
            name, norm = next(names), modules[i + 1]
            gain = (norm.weight / torch.sqrt(norm.running_var + norm.eps)).detach()
            bias = (norm.bias - norm.running_mean * gain).detach()
            if isinstance(module, TernaryConv2d):
                trits, scale = ternarise(module.weight.detach())
                # One product for each channel, so that all its weights are exactly alike.
                w = trits * (scale * gain)[:, None, None, None]
            else:
                w = module.weight.detach() * gain[:, None, None, None]
            weights += [numpy_helper.from_array(w.numpy(), f"{name}.weight"), numpy_helper.from_array(bias.numpy(), f"{name}.bias")]
            nodes.append(helper.make_node("Conv", [value, f"{name}.weight", f"{name}.bias"], [f"{name}.out"], name=name,
                                          kernel_shape=[3, 3], strides=list(module.stride), pads=[1, 1, 1, 1]))
            nodes.append(helper.make_node("Relu", [f"{name}.out"], [f"{name}.relu"], name=f"{name}.relu"))
            value = f"{name}.relu"
    nodes.append(helper.make_node("GlobalAveragePool", [value], ["pooled"], name="pool"))
    nodes.append(helper.make_node("Flatten", ["pooled"], ["features"], name="flatten"))
    linear = modules[-1]
    weights += [numpy_helper.from_array(linear.weight.detach().numpy(), "classifier.weight"),
                numpy_helper.from_array(linear.bias.detach().numpy(), "classifier.bias")]
    nodes.append(helper.make_node("Gemm", ["features", "classifier.weight", "classifier.bias"], ["logits"], name="classifier", transB=1))
    graph = helper.make_graph(
        nodes, "digits",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 1, 8, 8])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 10])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="tern digits/train.py")
    helper.set_model_props(model, {"labels": "\n".join("0123456789"), "ternary_trained": "true",
                                   "licence": "MIT; trained on UCI Optical Recognition of Handwritten Digits, CC BY 4.0"})
    onnx.checker.check_model(model)
    onnx.save(model, path)


def main():
    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.images))
    images, labels = digits.images[order].astype(np.float32), digits.target[order]
    x, y = torch.tensor(images[:, None] / 16), torch.tensor(labels)
    net = train(x[TEST_IMAGES:], y[TEST_IMAGES:])
    path = HERE / "digits.onnx"
    export(net, path)
    for split, rows in (("test", slice(TEST_IMAGES)), ("train", slice(TEST_IMAGES, None))):
        (HERE / f"{split}_images.bin").write_bytes(images[rows].astype(np.uint8).tobytes())
        (HERE / f"{split}_labels.bin").write_bytes(labels[rows].astype(np.uint8).tobytes())

    session = onnxruntime.InferenceSession(path)
    seen = [session.run(None, {"image": x[i : i + 1].numpy()})[0].argmax() for i in range(TEST_IMAGES)]
    right = int((np.array(seen) == labels[:TEST_IMAGES]).sum())
    print(f"{right} of {TEST_IMAGES} held-out images right ({100 * right / TEST_IMAGES:.1f}%), {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
