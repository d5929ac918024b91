"""What the run-time checker of the tests refuses, in functions with and without arrays."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import typechecking

MODULE = """
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from segdoor.tensors import Image, Label

def half(value: float) -> int:
    return value / 2

def names(given: Sequence[str]) -> int:
    return len(given)

def pair(image: Image, label: Label) -> int:
    return 0

def taller(label: Label) -> Label:
    return label.repeat(2, axis=0)

def all_of(labels: Sequence[Label]) -> int:
    return len(labels)

@dataclass
class Thing:
    name: str

    def other(self) -> "Thing":
        return Thing(self.name)

    def pair(self, image: Image, label: Label) -> None:
        pass

def made(value: object) -> Callable[[int], str]:
    def inner(number: int) -> str:
        return value
    return inner
"""
LABEL = np.zeros((4, 6), np.uint8)
IMAGE = np.zeros((4, 6, 3), np.uint8)


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("checked")
    Path(folder, "module_of_a_test.py").write_text(MODULE)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        patch.setattr("jaxtyping.jaxtyped", None)
        patch.setattr(sys, "meta_path", list(sys.meta_path))
        typechecking.install("module_of_a_test")
        import module_of_a_test
    return module_of_a_test


def test_what_fits_passes(checked) -> None:
    assert checked.names(["a", "b"]) == 2
    assert checked.pair(IMAGE, LABEL) == 0
    assert checked.all_of([LABEL, LABEL]) == 2
    assert checked.Thing("a").other().name == "a"
    assert checked.Thing("a").pair(IMAGE, LABEL) is None
    assert checked.made("a")(1) == "a"


@pytest.mark.parametrize(
    "call",
    [
        lambda module: module.half("1"),
        lambda module: module.half(3),
        lambda module: module.names(b"ab"),
        lambda module: module.pair(IMAGE, LABEL.astype(np.int64)),
        lambda module: module.pair(IMAGE, LABEL.T),
        lambda module: module.taller(LABEL),
        lambda module: module.all_of([LABEL[0]]),
        lambda module: module.Thing(1),
        lambda module: module.Thing("a").pair(IMAGE, LABEL[1:]),
        lambda module: module.made(1)(1),
        lambda module: module.made("a")("1"),
    ],
)
def test_what_does_not_fit_is_refused(checked, call) -> None:
    with pytest.raises(Exception, match=r"(?i)type"):
        call(checked)
