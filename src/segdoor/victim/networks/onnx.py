"""Models in ONNX's format, run by onnxruntime."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from types import ModuleType
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from segdoor.errors import DataError, MachineError, first_line
from segdoor.plugins import Introduction
from segdoor.settings import brief
from segdoor.victim.checkpoint import note_loaded
from segdoor.victim.networks.exported import (
    ExportedNetwork,
    Run,
    Size,
    loaded_from,
    named,
    probed,
)
from segdoor.victim.networks.network import NetworkPlugin

_TYPES = {"tensor(float)": torch.float32, "tensor(float16)": torch.float16}
_IDS = {f"tensor({sign}int{bits})" for sign in ("", "u") for bits in (8, 16, 32, 64)}


class OnnxPlugin(NetworkPlugin):
    """A model in a file."""

    kind = "onnx"
    main = "weights"
    learns: ClassVar[bool] = False
    introduction = Introduction(
        source="the library onnxruntime, https://onnxruntime.ai",
        does="Runs an ONNX model on the CPU, from normalised images to logits, probabilities or "
        "classes. It can be examined, not trained.",
        needs="The extra `onnx`, and a model with one input, N x 3 x height x width, of any size "
        "or a fixed one; scenes are resized to a fixed size.",
        fails="Weights outside the model's folder and operators that are not ONNX's are refused.",
    )
    weights: Path | None = None
    """The model file."""

    def build(self, num_classes: int) -> ExportedNetwork:
        """Open the model.

        Args:
            num_classes: Number of classes K.

        Raises:
            ConfigError: If no file is named, or the model answers with nothing that can be read.
            DataError: If the file is no such model, or refers to files outside its folder.
            MachineError: If onnxruntime is not installed.
        """
        path = named(self.weights, self.kind)
        run, size, told = _opened(path)
        answer = probed(run, num_classes, size)
        network = ExportedNetwork(run, num_classes, answer)
        note_loaded(network, loaded_from(path, "ONNX", (*told, *answer.remarks)))
        return network


def _libraries() -> tuple[ModuleType, ModuleType]:
    try:
        import onnx  # noqa: PLC0415
        import onnxruntime  # noqa: PLC0415
    except ImportError as why:
        raise MachineError(
            "network.name",
            "needs the packages onnx and onnxruntime",
            why,
            'Install segdoor with them: pip install "segdoor[onnx]".',
        ) from None
    return onnx, onnxruntime


def _opened(path: Path) -> tuple[Run, Size | None, tuple[str, ...]]:
    """Return a function that runs a model, its fixed size if it has one, and what to say of it."""
    onnx, runtime = _libraries()
    try:
        model = onnx.load(path, load_external_data=False)
    except Exception as why:
        raise _damaged(path, why) from why
    for name, location in _external(model, onnx.TensorProto):
        _check_inside(path, name, location)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 4
    try:
        session = runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as why:
        raise _damaged(path, why) from why
    return _function(path, session)


def _function(path: Path, session: Any) -> tuple[Run, Size | None, tuple[str, ...]]:  # noqa: ANN401
    inputs, outputs = session.get_inputs(), session.get_outputs()
    entry, out, shape = inputs[0], _chosen(outputs), _shape_of(path, inputs)
    height, width = shape[2:]
    size = (height, width) if isinstance(height, int) and isinstance(width, int) else None
    at_once, kind = shape[0] if isinstance(shape[0], int) else None, _TYPES[entry.type]

    def run(images: Tensor) -> Tensor:
        found: list[Tensor] = []
        for part in images.split(at_once or len(images)):
            # A model of a fixed batch is shown blank images beside the last ones.
            blank = (at_once or len(part)) - len(part)
            shown = F.pad(part.to(kind), (0, 0, 0, 0, 0, 0, 0, blank)).numpy(force=True)
            (answer,) = session.run([out], {entry.name: shown})
            found.append(torch.from_numpy(answer)[: len(part)])
        return torch.cat(found)

    several = (f"of its {len(outputs)} answers '{out}' is taken",) if len(outputs) > 1 else ()
    return run, size, several


def _shape_of(path: Path, inputs: list[Any]) -> tuple[object, ...]:
    """Return the shape of a model's one input; names stand for lengths that are not fixed."""
    shape: tuple[object, ...] = tuple(inputs[0].shape) if len(inputs) == 1 else ()
    fixed = [isinstance(length, int) for length in shape]
    fits = len(shape) == 4 and (shape[1] == 3 or not fixed[1]) and fixed[2] == fixed[3]
    if not fits or inputs[0].type not in _TYPES:
        told = ", ".join(f"{at.name}: {at.type} {at.shape}" for at in inputs)
        raise DataError(
            path,
            "must have one input of float numbers, N x 3 x height x width, of both or none fixed",
            brief(told or "none"),
            "Export it so, from normalised images with the channels first.",
        )
    return shape


def _chosen(outputs: list[Any]) -> str:
    """Return the name of the first output that may be scores or classes; else of the first."""
    fitting = [
        at for at in outputs if len(at.shape) == 4 or (len(at.shape) == 3 and at.type in _IDS)
    ]
    return str((fitting or outputs)[0].name)


def _external(message: Any, tensor: Any) -> Iterator[tuple[str, str]]:  # noqa: ANN401
    """Yield name and place of every tensor that lies in another file, however deep it is nested."""
    waiting = [message]
    while waiting:
        at = waiting.pop()
        if isinstance(at, tensor) and (at.external_data or at.data_location == tensor.EXTERNAL):
            places = [entry.value for entry in at.external_data if entry.key == "location"]
            yield from ((str(at.name), str(place)) for place in places or [""])
        for field, value in at.ListFields():
            if field.message_type is not None:
                waiting += list(value) if field.is_repeated else [value]


def _check_inside(path: Path, name: str, location: str) -> None:
    """Refuse a tensor's file unless it lies within the model's folder."""
    ways = PurePosixPath(location), PureWindowsPath(location)
    folder, file = path.resolve().parent, (path.parent / location).resolve()
    leads_out = any(way.is_absolute() or way.drive or ".." in way.parts for way in ways)
    if location and not leads_out and file.is_relative_to(folder) and file.is_file():
        return
    raise DataError(
        path,
        f"must have its weights in its own folder, such as those of tensor {brief(name)}",
        brief(location or "no file named"),
        "Put the file beside the model, or save the model anew with its weights within.",
    )


def _damaged(path: Path, why: Exception) -> DataError:
    return DataError(
        path,
        "must be an intact ONNX model of ONNX's own operators",
        brief(first_line(why)),
        "It is damaged, cut short or of another format; export it again.",
    )
