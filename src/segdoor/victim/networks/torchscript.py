"""TorchScript models, whose code is run because the caller names their kind."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import torch
from torch import nn

from segdoor.errors import DataError, first_line
from segdoor.plugins import Introduction
from segdoor.settings import brief
from segdoor.victim.checkpoint import note_loaded
from segdoor.victim.members import evaluating
from segdoor.victim.networks.exported import ExportedNetwork, loaded_from, named, probed
from segdoor.victim.networks.network import NetworkPlugin


class TorchScriptPlugin(NetworkPlugin):
    """A model in a file, with its code."""

    kind = "torchscript"
    main = "weights"
    learns: ClassVar[bool] = False
    introduction = Introduction(
        source="torch.jit, https://docs.pytorch.org/docs/stable/jit.html",
        does="Runs a model that torch.jit.save wrote, with the code in its file, from normalised "
        "images to logits, probabilities or classes. It can be examined, not trained.",
        needs="A file that you trust: its code is run. So it is read only if you name this kind, "
        "never because a record says so.",
        fails="A model that was traced at one size may fail on scenes of another.",
    )
    weights: Path | None = None
    """The model file, whose code you must trust."""

    def build(self, num_classes: int) -> ExportedNetwork:
        """Load the model.

        Args:
            num_classes: Number of classes K.

        Raises:
            ConfigError: If no file is named, or the model answers with nothing that can be read.
            DataError: If the file is no such model.
        """
        path = named(self.weights, self.kind)
        try:
            model: nn.Module = torch.jit.load(path, map_location="cpu")
        except Exception as why:
            raise DataError(
                path,
                "must be an intact file that torch.jit.save wrote",
                brief(first_line(why)),
                "It is damaged or of another format; weights alone need their network's name.",
            ) from why
        evaluating(model)
        answer = probed(model, num_classes, None)
        network = ExportedNetwork(model, num_classes, answer)
        note_loaded(network, loaded_from(path, "TorchScript", answer.remarks))
        return network
