"""Small models written in ONNX's format, tensor by tensor, beside the same ones in torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn


def convolutions(num_classes: int) -> nn.Sequential:
    """Two layers, the same ones for each number of classes."""
    generator = torch.Generator().manual_seed(3)
    layers = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, num_classes, 1))
    for weight in layers.parameters():
        weight.data = torch.randn(weight.shape, generator=generator)
    return layers.eval()


class Choosy(nn.Module):
    """The layers, of which only sizes are taken that 32 divides."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.layers = convolutions(num_classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if images.shape[2] % 32 or images.shape[3] % 32:
            raise RuntimeError("sizes of tensors must match")
        return self.layers(images)


def choosy(num_classes: int) -> nn.Module:
    return Choosy(num_classes)


def write_onnx(
    layers: nn.Sequential,
    path: Path,
    *,
    shape: Sequence[int | str] = ("n", 3, "height", "width"),
    end: str = "logits",
    beside: str = "",
) -> None:
    """Write the two layers.

    Args:
        layers: Of `convolutions`.
        path: The file.
        shape: Of the input.
        end: logits, softmax, argmax (4 axes) or classes (3 axes).
        beside: A file beside it for the weights; within if empty.
    """
    first, last = layers[0], layers[2]
    nodes = [
        helper.make_node("Conv", ["images", "w1", "b1"], ["maps"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["maps"], ["kept"]),
        helper.make_node("Conv", ["kept", "w2", "b2"], ["logits"]),
    ]
    kept, kind = ["n", "k", "h", "w"], TensorProto.FLOAT
    if end == "softmax":
        nodes.append(helper.make_node("Softmax", ["logits"], ["out"], axis=1))
    elif end != "logits":
        keep = int(end == "argmax")
        nodes.append(helper.make_node("ArgMax", ["logits"], ["out"], axis=1, keepdims=keep))
        kept, kind = ["n", 1, "h", "w"] if keep else ["n", "h", "w"], TensorProto.INT64
    weights = {"w1": first.weight, "b1": first.bias, "w2": last.weight, "b2": last.bias}
    graph = helper.make_graph(
        nodes,
        "two layers",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("logits" if end == "logits" else "out", kind, kept)],
        [numpy_helper.from_array(w.detach().numpy(), name) for name, w in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    if beside:
        onnx.save(model, path, save_as_external_data=True, location=beside, size_threshold=0)
    else:
        onnx.save(model, path)
