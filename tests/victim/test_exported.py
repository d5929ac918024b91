"""Models in ONNX's format and TorchScript, beside the same layers in torch."""

from __future__ import annotations

import builtins
import subprocess
import sys
from pathlib import Path

import onnx
import pytest
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper
from torch import Tensor, nn

from segdoor.errors import ConfigError, DataError, MachineError
from segdoor.victim.answer import ask, logits_of
from segdoor.victim.checkpoint import loaded_into
from segdoor.victim.config import NetworkConfig
from segdoor.victim.networks.building import build_network
from victim.exported import convolutions, write_onnx

CLASSES = 4
LAYERS = convolutions(CLASSES)
IMAGES = torch.randn(3, 3, 20, 28, generator=torch.Generator().manual_seed(5))


class Ending(nn.Module):
    """The layers, and what some exporters put behind them."""

    def __init__(self, end: str) -> None:
        super().__init__()
        self.layers, self.end = convolutions(CLASSES), end

    def forward(self, images: Tensor) -> Tensor:
        logits = self.layers(images)
        if self.end == "softmax":
            return logits.softmax(dim=1)
        if self.end == "argmax":
            return logits.argmax(dim=1, keepdim=True)
        if self.end == "classes":
            return logits.argmax(dim=1).to(torch.uint8)
        return logits


def built(kind: str, path: Path, num_classes: int = CLASSES, **more: object) -> nn.Module:
    config = NetworkConfig.model_validate({"name": kind, "weights": path, **more})
    return build_network(config, num_classes)


def written(kind: str, folder: Path, end: str) -> nn.Module:
    path = folder / ("m.onnx" if kind == "onnx" else "m.pt")
    if kind == "onnx":
        write_onnx(LAYERS, path, end=end)
    else:
        torch.jit.save(torch.jit.script(Ending(end)), path)
    return built(kind, path)


@pytest.mark.parametrize(
    ("end", "said"),
    [
        ("logits", ()),
        ("softmax", ("it answers with probabilities: their logarithms are taken for logits",)),
        ("argmax", ("it answers with classes, not with logits: an argmax within it",)),
        ("classes", ("it answers with classes, not with logits: an argmax within it",)),
    ],
)
@pytest.mark.parametrize("kind", ["onnx", "torchscript"])
@torch.inference_mode()
def test_it_answers_as_the_layers_do(
    kind: str, end: str, said: tuple[str, ...], tmp_path: Path
) -> None:
    network = written(kind, tmp_path, end)
    logits, expected = network(IMAGES), LAYERS(IMAGES)
    if end == "logits":
        torch.testing.assert_close(logits, expected)
    elif end == "softmax":
        torch.testing.assert_close(logits, expected.log_softmax(dim=1), atol=1e-4, rtol=1e-4)
    assert torch.equal(logits.argmax(dim=1), expected.argmax(dim=1))
    loaded = loaded_into(network)
    assert loaded is not None
    assert loaded.remarks == said
    assert loaded.file == ("m.onnx" if kind == "onnx" else "m.pt")


@pytest.mark.parametrize("batch", ["n", 1, 2])
@torch.inference_mode()
def test_a_fixed_size_and_batch_are_met_and_told(batch: int | str, tmp_path: Path) -> None:
    write_onnx(LAYERS, tmp_path / "m.onnx", shape=(batch, 3, 16, 24))
    network = built("onnx", tmp_path / "m.onnx")
    shown = F.interpolate(IMAGES, size=(16, 24), mode="bilinear", align_corners=False)
    torch.testing.assert_close(network(IMAGES), LAYERS(shown))
    torch.testing.assert_close(network(shown), LAYERS(shown))
    answer = ask(network, IMAGES, num_classes=CLASSES, size=(20, 28)).logits
    expected = F.interpolate(LAYERS(shown), size=(20, 28), mode="bilinear", align_corners=False)
    torch.testing.assert_close(answer, expected)
    loaded = loaded_into(network)
    assert loaded is not None
    assert loaded.remarks == ("scenes are shown at its fixed size of 16 x 24 pixels",)


@torch.inference_mode()
def test_void_is_left_out_of_logits_and_not_of_classes(tmp_path: Path) -> None:
    write_onnx(LAYERS, tmp_path / "m.onnx")
    network = built("onnx", tmp_path / "m.onnx", CLASSES - 1, void_logit=0)
    torch.testing.assert_close(logits_of(network(IMAGES)), LAYERS(IMAGES)[:, 1:])
    with pytest.raises(ConfigError, match=r"network\.void_logit 3"):
        ask(built("onnx", tmp_path / "m.onnx", 3), IMAGES, num_classes=3, size=(20, 28))
    write_onnx(LAYERS, tmp_path / "c.onnx", end="classes")
    with pytest.raises(ConfigError, match=r"class ids below 3.*found: 0 to 3.*export the network"):
        built("onnx", tmp_path / "c.onnx", 3)(IMAGES)
    # Of four classes none is void: left out, the others would be taken for one another.
    with pytest.raises(ConfigError, match=r"network\.void_logit: needs a network.*with logits"):
        built("onnx", tmp_path / "c.onnx", CLASSES - 1, void_logit=0)(IMAGES)


@torch.inference_mode()
def test_weights_beside_the_model_are_read(tmp_path: Path) -> None:
    write_onnx(LAYERS, tmp_path / "m.onnx", beside="m.bin")
    assert (tmp_path / "m.bin").is_file()
    torch.testing.assert_close(built("onnx", tmp_path / "m.onnx")(IMAGES), LAYERS(IMAGES))


def pointed(path: Path, location: str, *, deep: bool = False) -> None:
    """Write a model one of whose tensors is said to lie elsewhere, if asked in an inner graph."""
    write_onnx(LAYERS, path, beside="m.bin")
    model = onnx.load(path, load_external_data=False)
    tensor = model.graph.initializer[0]
    if deep:
        inner = helper.make_graph([], "inner", [], [])
        inner.initializer.append(tensor)
        condition = helper.make_node("If", ["c"], ["o"], then_branch=inner, else_branch=inner)
        model.graph.node.append(condition)
        tensor = model.graph.node[-1].attribute[0].g.initializer[0]
    for entry in tensor.external_data:
        if entry.key == "location":
            entry.value = location
    path.write_bytes(model.SerializeToString())


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize(
    "location",
    ["../secret.bin", "/etc/passwd", "sub/../../secret.bin", "link.bin", "C:\\x.bin",
     "..\\secret.bin", "*/_ORT_MEM_ADDR_/*", "none.bin", "", "."],
)  # fmt: skip
def test_weights_elsewhere_are_refused_before_they_are_read(
    location: str, tmp_path: Path, *, deep: bool
) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "secret.bin").write_bytes(b"\0" * 4096)
    (folder / "link.bin").symlink_to(tmp_path / "secret.bin")
    pointed(folder / "m.onnx", location, deep=deep)
    with pytest.raises(DataError, match=r"its own folder, such as those of tensor 'w1'"):
        built("onnx", folder / "m.onnx")


@pytest.mark.parametrize(
    ("kind", "content"),
    [("onnx", b""), ("onnx", b"no model"), ("onnx", b"\x0a" * 999), ("torchscript", b"PK\3\4"),
     ("torchscript", b"")],
)  # fmt: skip
def test_a_damaged_file_is_refused(kind: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / "m.bin").write_bytes(content)
    with pytest.raises(DataError, match=r"m\.bin: must be an intact"):
        built(kind, tmp_path / "m.bin")


@pytest.mark.parametrize("kind", ["onnx", "torchscript"])
def test_a_missing_file_and_a_missing_name_are_told(kind: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        built(kind, tmp_path / "m")
    with pytest.raises(ConfigError, match=f"--model {kind}:FILE"):
        build_network(NetworkConfig(name=kind), CLASSES)


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        (("n", "height", "width", 3), "3 x height x width"),
        (("n", 3, 16, "width"), "of both or none fixed"),
        (("n", 1, 16, 16), "3 x height x width"),
    ],
)
def test_an_input_of_another_form_is_refused(
    shape: tuple[int | str, ...], said: str, tmp_path: Path
) -> None:
    node = helper.make_node("Identity", ["images"], ["out"])
    kind = TensorProto.FLOAT
    graph = helper.make_graph(
        [node], "g", [helper.make_tensor_value_info("images", kind, shape)],
        [helper.make_tensor_value_info("out", kind, shape)],
    )  # fmt: skip
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), tmp_path / "m.onnx")
    with pytest.raises(DataError, match=said):
        built("onnx", tmp_path / "m.onnx")


class Cut(nn.Module):
    """Takes sizes that 32 divides, and no other; and none of 128, at which models are tried."""

    def forward(self, images: Tensor) -> Tensor:
        if images.shape[2] % 32 or images.shape[2] == 128:
            raise RuntimeError("size mismatch")
        return torch.softmax(images, dim=1)


def test_a_model_that_takes_some_sizes_alone_is_told_how_to_be_shown_such(tmp_path: Path) -> None:
    torch.jit.save(torch.jit.script(Cut()), tmp_path / "m.pt")
    network = built("torchscript", tmp_path / "m.pt", 3)
    with pytest.raises(ConfigError, match=r"examination\.size_multiple 32"):
        ask(network, IMAGES, num_classes=3, size=(20, 28))
    images = torch.randn(1, 3, 32, 32)
    torch.testing.assert_close(network(images), images.log_softmax(dim=1))


def test_torchscript_among_weights_is_told_by_its_kind(tmp_path: Path) -> None:
    torch.jit.save(torch.jit.script(Ending("logits")), tmp_path / "m.pt")
    with pytest.raises(DataError, match=r"a TorchScript model.*--model torchscript"):
        built("small", tmp_path / "m.pt")
    write_onnx(LAYERS, tmp_path / "m.onnx")
    with pytest.raises(DataError, match=r"an ONNX model.*--model onnx"):
        built("small", tmp_path / "m.onnx")


def test_the_library_is_loaded_when_used_and_named_where_it_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = "import segdoor.victim.networks.registry, sys; print('onnxruntime' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
    write_onnx(LAYERS, tmp_path / "m.onnx")
    real = builtins.__import__

    def without(name: str, *rest: object, **options: object) -> object:
        if name == "onnxruntime":
            raise ImportError(name)
        return real(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MachineError, match=r"segdoor\[onnx\]"):
        built("onnx", tmp_path / "m.onnx")
