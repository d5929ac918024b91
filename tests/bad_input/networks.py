"""Networks of a user's own, for ``--model bad_input.networks:NAME``: a good one and bad ones."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def tiny(num_classes: int) -> nn.Module:
    """One small convolution: quick to train, and good for nothing else."""
    return nn.Conv2d(3, num_classes, 3, padding=1)


def wider(num_classes: int) -> nn.Module:
    """The same tensors' names as `tiny`, and other shapes."""
    return nn.Conv2d(3, num_classes, 5, padding=2)


def deeper(num_classes: int) -> nn.Module:
    """Other tensors than `tiny`."""
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, num_classes, 1))


class Poor(nn.Module):
    """Answers what its function makes of the scores of a `tiny` network."""

    def __init__(self, num_classes: int, answer: str) -> None:
        super().__init__()
        self.inner, self.answer = tiny(num_classes), answer

    def forward(self, images: Tensor) -> object:
        scores = self.inner(images)
        match self.answer:
            case "nan":
                return scores * torch.nan
            case "infinite":
                return scores + torch.inf
            case "one class more":
                return torch.cat([scores, scores[:, :1]], dim=1)
            case "flat":
                return scores.flatten(1)
            case "nothing":
                return None
            case "words":
                return {"answer": "road"}
            case _:
                raise ZeroDivisionError("my own mistake")


def nan(num_classes: int) -> nn.Module:
    return Poor(num_classes, "nan")


def infinite(num_classes: int) -> nn.Module:
    return Poor(num_classes, "infinite")


def one_class_more(num_classes: int) -> nn.Module:
    return Poor(num_classes, "one class more")


def flat(num_classes: int) -> nn.Module:
    return Poor(num_classes, "flat")


def nothing(num_classes: int) -> nn.Module:
    return Poor(num_classes, "nothing")


def words(num_classes: int) -> nn.Module:
    return Poor(num_classes, "words")


def failing(num_classes: int) -> nn.Module:
    return Poor(num_classes, "failing")
