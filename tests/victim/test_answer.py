"""A network that does not answer as it should is refused, in training and in poisoned tests alike."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from segdoor.data.scene import ClassSet, Scene
from segdoor.errors import ConfigError, MachineError
from segdoor.evaluation.config import ExaminationConfig
from segdoor.evaluation.examiner import Examiner
from segdoor.victim.answer import ask

CLASSES = 4


class Answers(torch.nn.Module):
    """Answers with whatever a function makes of images."""

    def __init__(self, answer: Callable[[Tensor], object]) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, images: Tensor) -> object:
        return self.answer(images)


def asked(answer: Callable[[Tensor], object]) -> Tensor:
    images = torch.zeros(2, 3, 8, 8)
    return ask(Answers(answer), images, num_classes=CLASSES, size=(8, 8)).logits


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda images: torch.zeros(2, 7, 8, 8), r"2 x 4 x H x W.*\(2, 7, 8, 8\)"),
        (lambda images: torch.zeros(1, CLASSES, 8, 8), r"\(1, 4, 8, 8\)"),
        (lambda images: torch.zeros(2, CLASSES, 0, 8), r"\(2, 4, 0, 8\)"),
        (lambda images: torch.zeros(2, CLASSES, 8, 8, dtype=torch.int64), "of int64"),
        (lambda images: torch.zeros(2, 8, 8), "batch x classes x height x width"),
        (lambda images: None, "NoneType"),
        (
            lambda images: {"out": torch.zeros(2, CLASSES, 8, 8), "aux": torch.zeros(2, 9, 8, 8)},
            r"\(2, 9, 8, 8\)",
        ),
    ],
    ids=["classes", "scenes", "empty", "ids", "axes", "none", "auxiliary"],
)
def test_what_is_no_answer_is_refused(answer: Callable[[Tensor], object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        asked(answer)


def test_an_answer_is_brought_to_size_in_full_precision() -> None:
    half = torch.arange(2.0 * CLASSES * 16).reshape(2, CLASSES, 4, 4).bfloat16()
    logits = asked(lambda images: SimpleNamespace(logits=half))
    assert logits.shape == (2, CLASSES, 8, 8)
    assert logits.dtype == torch.float32


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("value", ["nan", "inf"])
def test_one_logit_that_is_no_number_stops_an_exam(value: str, flip: bool) -> None:  # noqa: FBT001
    def answer(images: Tensor) -> Tensor:
        logits = torch.zeros(len(images), CLASSES, 8, 8)
        logits[-1, 2, 5, 5] = float(value)
        return logits

    names = tuple("abcd")
    classes = ClassSet(names, tuple((n, n, n) for n in range(CLASSES)), ignore_index=255)
    scene = Scene(np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), np.uint8), "one")
    examiner = Examiner(Answers(answer), classes, ExaminationConfig(flip=flip))
    with pytest.raises(ConfigError, match="finite logits"):
        examiner.predict([scene, scene])


class Greedy(nn.Module):
    """Asks for more memory than any machine has."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.zeros(1 << 45, device=images.device)


def test_a_lack_of_memory_is_the_machine_s_fault() -> None:
    with pytest.raises(MachineError, match="Lower batch_size"):
        ask(Greedy(), torch.zeros(1, 3, 8, 8), num_classes=2, size=(8, 8))
