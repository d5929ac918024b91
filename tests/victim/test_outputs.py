"""What may come out of a network, and what is made of it."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import FrozenInstanceError
from types import SimpleNamespace

import pytest
import torch

from segdoor.errors import ConfigError
from segdoor.victim.answer import SegmentationOutput, auxiliary_of, logits_of

LOGITS = torch.arange(24.0).reshape(1, 2, 3, 4)
AUXILIARY = -LOGITS


@pytest.mark.parametrize(
    "output",
    [
        LOGITS,
        {"out": LOGITS},
        OrderedDict(out=LOGITS, aux=AUXILIARY),
        SimpleNamespace(logits=LOGITS),
        SegmentationOutput(LOGITS),
        SegmentationOutput(LOGITS, AUXILIARY),
    ],
    ids=["tensor", "dict", "ordered dict", "attribute", "ours", "ours with auxiliary"],
)
def test_logits_are_found_in_every_known_form(output: object) -> None:
    assert logits_of(output) is LOGITS


class _MappingWithAttribute(dict[str, object]):
    """Like the outputs of transformers: a mapping without "out", with the attribute logits."""

    logits = LOGITS


def test_a_mapping_without_the_key_may_have_the_attribute() -> None:
    assert logits_of(_MappingWithAttribute(loss=1.0)) is LOGITS


@pytest.mark.parametrize(
    ("output", "named"),
    [
        (None, "NoneType"),
        ((LOGITS, AUXILIARY), "tuple"),
        ({"logits": LOGITS}, "dict with keys 'logits'"),
        ({"a": 1, "b": 2}, "dict with keys 'a', 'b'"),
        ({}, "empty dict"),
        ({"out": [1.0]}, "dict with keys 'out'"),
        (SimpleNamespace(logits="many"), "SimpleNamespace"),
    ],
)
def test_other_outputs_are_refused_by_name(output: object, named: str) -> None:
    with pytest.raises(ConfigError) as problem:
        logits_of(output)
    assert problem.value.value == named
    assert '"out"' in problem.value.remedy


@pytest.mark.parametrize("shape", [(2,), (2, 21), (1, 3, 4), (1, 2, 3, 4, 5)])
def test_logits_need_four_axes(shape: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError) as problem:
        logits_of({"out": torch.zeros(shape)})
    assert str(shape) in str(problem.value)


@pytest.mark.parametrize(
    "output",
    [
        {"out": LOGITS, "aux": AUXILIARY},
        SimpleNamespace(logits=LOGITS, auxiliary=AUXILIARY),
        SegmentationOutput(LOGITS, AUXILIARY),
    ],
    ids=["dict", "attribute", "ours"],
)
def test_auxiliary_logits_are_found(output: object) -> None:
    assert auxiliary_of(output) is AUXILIARY


@pytest.mark.parametrize(
    "output",
    [
        LOGITS,
        {"out": LOGITS},
        {"out": LOGITS, "aux": None},
        SimpleNamespace(logits=LOGITS),
        SegmentationOutput(LOGITS),
        None,
    ],
    ids=["tensor", "dict", "dict with none", "attribute", "ours", "none"],
)
def test_no_auxiliary_logits_is_no_error(output: object) -> None:
    assert auxiliary_of(output) is None


@pytest.mark.parametrize("auxiliary", ["many", torch.zeros(2, 21)], ids=["text", "two axes"])
def test_a_strange_auxiliary_output_is_refused(auxiliary: object) -> None:
    with pytest.raises(ConfigError, match="auxiliary output"):
        auxiliary_of({"out": LOGITS, "aux": auxiliary})


def test_an_output_cannot_be_changed() -> None:
    output = SegmentationOutput(LOGITS)
    with pytest.raises(FrozenInstanceError):
        output.logits = AUXILIARY  # pyright: ignore[reportAttributeAccessIssue]


def test_outputs_compare_by_identity_as_tensors_have_no_single_truth() -> None:
    output = SegmentationOutput(LOGITS)
    assert output in (SegmentationOutput(AUXILIARY), output)
    assert output != SegmentationOutput(LOGITS.clone())
