"""Count pixels by true and predicted class, on the device that holds them."""

from __future__ import annotations

from typing import TypeAlias

import torch
from jaxtyping import Int32, Int64, UInt8
from torch import Tensor

from segdoor.tensors import Tables

Truth: TypeAlias = UInt8[Tensor, "h w"]
"""True class ids, at the size of a network's answer."""

RowStarts: TypeAlias = Int32[Tensor, "h w"]
"""Where each pixel's true class has its row in a flat table."""

Predicted: TypeAlias = Int64[Tensor, "h w"]
"""Predicted class ids."""


def row_starts(truth: Truth, num_classes: int) -> RowStarts:
    """Return where each pixel's true class has its row in a flat table.

    Values that are no class, such as the ignore index, share a further row, which is cut off in
    the end: faster than selecting the pixels that count.
    """
    return truth.clamp(max=num_classes).int() * num_classes


class Tally:
    """Tables that grow on a device; a GPU is not waited for before they are read."""

    def __init__(self, num_tables: int, num_classes: int, device: torch.device) -> None:
        """Start with zeros.

        Args:
            num_tables: Number of tables N.
            num_classes: Number of classes K.
            device: Where pixels are counted.
        """
        self._num_classes = num_classes
        cells = (num_classes + 1) * num_classes
        self._counts = torch.zeros(num_tables, cells, dtype=torch.int64, device=device)
        self._one = torch.ones((), dtype=torch.int64, device=device)

    def add(self, table: int, starts: RowStarts, predicted: Predicted) -> None:
        """Count the pixels of one scene.

        Args:
            table: Position of the table.
            starts: The truth, as `row_starts` returns it.
            predicted: Predicted class ids, all below the number of classes.
        """
        cells = (starts + predicted).flatten()
        self._counts[table].scatter_add_(0, cells, self._one.expand_as(cells))

    def tables(self) -> Tables:
        """Return the tables, once the device has counted everything."""
        num_classes = self._num_classes
        counts = self._counts.view(-1, num_classes + 1, num_classes)
        return counts[:, :num_classes].cpu().numpy()
