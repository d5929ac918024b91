"""Cells, losses and votes against plain loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from defense.battery import SCENES, model
from segdoor.data.scene import ClassSet
from segdoor.defense.filters.cells import Cells, cells_of, judged, relative
from segdoor.defense.filters.dst import changed
from segdoor.defense.filters.looking import Looking
from segdoor.defense.filters.shard_audit import _differing, _vote
from segdoor.victim.config import NetworkConfig

CLASSES = ClassSet(("a", "b"), ((0, 0, 0), (1, 1, 1)))


def test_cells_are_the_means_of_a_loop() -> None:
    rng = np.random.default_rng(0)
    label = rng.choice(np.array([0, 1, 255], np.uint8), (64, 48))
    values = rng.normal(size=(3, 64, 48)).astype(np.float32)
    cells = cells_of(values, label, CLASSES, 5)
    expected = {}
    for top in range(0, 64, 8):
        for left in range(0, 48, 8):
            part = slice(top, top + 8), slice(left, left + 8)
            for index in (0, 1):
                here = label[part] == index
                if here.sum() >= 0.05 * 64:
                    expected[top, left, index] = values[:, *part][:, here].mean(axis=1)
    # Of 96 cells none is left out.
    keys = [
        (*box[:2], index)
        for box, index in zip(cells.boxes.tolist(), cells.labels.tolist(), strict=True)
    ]
    assert {*keys} == expected.keys()
    for key, row in zip(keys, cells.rows, strict=True):
        np.testing.assert_allclose(row, expected[key], rtol=1e-4, atol=1e-5)
    assert {*cells.scenes} == {5}


def test_relative_scores_are_in_deviations_of_their_group() -> None:
    scores, groups = np.array([1.0, 2, 3, 10, 0, 0]), np.array([0, 0, 0, 0, 1, 1])
    # Median 2.5, deviations 1.5 .5 .5 7.5: their median is 1.
    assert relative(scores, groups).tolist() == pytest.approx([-1.5, -0.5, 0.5, 7.5, 0, 0])


def test_a_scene_scores_the_mean_of_its_three_highest_cells() -> None:
    count = 8
    boxes = np.tile([0, 0, 8, 8], (count, 1))
    scenes = np.array([0, 0, 0, 0, 1, 1, 3, 3])
    cells = Cells(
        np.zeros((count, 1), np.float32), np.zeros(count, np.int64), scenes, boxes, np.ones(count)
    )
    found = judged(SCENES, cells, np.array([4.0, 1, 3, 2, 9, 1, 0, 0]), "Odd.")
    assert list(found.scores.values()) == [3, 5, 0, 0, 0]
    assert found.evidence[0].scene == SCENES.names[1]


@pytest.mark.parametrize("network", ["small", "homemade", "tokens", "shuffled"])
@torch.inference_mode()
def test_features_are_what_the_classifier_reads(network: str) -> None:
    from defense.third_party import Shuffled

    asked = Shuffled().eval() if network == "shuffled" else model(network)
    looking = Looking(asked, SCENES.classes, NetworkConfig())
    images = looking.images(SCENES[0])
    features, logits = looking.features(images), looking.logits(images)
    if network == "shuffled":
        assert torch.equal(features, logits)
    elif network == "homemade":
        assert torch.allclose(asked.head(features), logits, atol=1e-4)
    elif network == "tokens":
        again = asked.classify(features.movedim(1, -1)).movedim(-1, 1)
        assert again.shape[1] == logits.shape[1]
        assert torch.allclose(again, asked(images), atol=1e-4)
    else:
        assert torch.allclose(asked.classifier(features), asked.classifier(features))
        assert features.shape[1] == asked.classifier.in_channels


def test_votes_and_regions_of_a_worked_example() -> None:
    answers = np.array([[[0, 1], [1, 1]], [[0, 1], [0, 1]], [[1, 1], [0, 0]], [[1, 0], [1, 1]]])
    assert _vote(answers, 2, 0.75).tolist() == [[255, 1], [255, 1]]
    label, voted = np.zeros((20, 20), np.uint8), np.zeros((20, 20), np.uint8)
    voted[2:7, 3:11] = 1
    voted[15:17, 15:17] = 1
    label[18:] = 255
    voted[18:] = 1
    (region,) = _differing(label, voted, 2)
    assert (region.label, region.voted, region.box) == (0, 1, (2, 3, 5, 8))
    assert region.share == pytest.approx(40 / 400)


def test_a_strong_change_keeps_the_size_and_follows_from_its_generator() -> None:
    image = SCENES[0].image
    first, second = (changed(image, np.random.default_rng(seed)) for seed in (1, 1))
    assert first.shape == image.shape
    assert np.array_equal(first, second)
    assert not np.array_equal(first, changed(image, np.random.default_rng(2)))
