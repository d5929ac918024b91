"""Count pixels by true and predicted class, on the device that holds them."""

from __future__ import annotations

from typing import TypeAlias

import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from segdoor.tensors import Tables

Truth: TypeAlias = UInt8[Tensor, "h w"]
"""True class ids, at the size of a network's answer."""

Predicted: TypeAlias = Int64[Tensor, "h w"]
"""Predicted class ids."""


class TableCounter:
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
        self._attacked: Tensor | None = None
        # Memory that is kept: to ask the system for it anew takes as long as the counting.
        self._cells = torch.empty(0, dtype=torch.int64, device=device)
        self._ones = self._cells

    def add(
        self, table: int, truth: Truth, predicted: Predicted, attacked: Truth | None = None
    ) -> None:
        """Count the pixels of one scene.

        Args:
            table: Position of the table.
            truth: True class ids; other values, such as the ignore index, do not count.
            predicted: Predicted class ids, all below the number of classes.
            attacked: 1 for pixels that are counted apart as well, 0 for others; None for none.
        """
        if self._cells.shape != predicted.shape:
            self._cells = torch.empty_like(predicted)
            self._ones = torch.ones_like(predicted).flatten()
        # What is no class shares a further row: faster than selecting the pixels that count.
        rows = truth.clamp(max=self._num_classes)
        torch.add(predicted, rows, alpha=self._num_classes, out=self._cells)
        self._counts[table].scatter_add_(0, self._cells.flatten(), self._ones)
        if attacked is not None:
            if self._attacked is None:
                self._attacked = torch.zeros_like(self._counts)
            self._attacked[table].scatter_add_(0, self._cells.flatten(), attacked.flatten().long())

    def tables(self) -> Tables:
        """Return the tables, once the device has counted everything."""
        return self._without_the_rest(self._counts)

    def attacked(self) -> Tables | None:
        """Return the tables of what was counted apart; None if nothing was."""
        return None if self._attacked is None else self._without_the_rest(self._attacked)

    def _without_the_rest(self, counts: Tensor) -> Tables:
        num_classes = self._num_classes
        rows = counts.view(-1, num_classes + 1, num_classes)
        return rows[:, :num_classes].cpu().numpy()
