"""Row 3: the confusion table, over other people's code and over reading both maps once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from sklearn.metrics import confusion_matrix
from torchmetrics.functional.classification import multiclass_confusion_matrix

from benchmarks.measure import Row, compared, not_measured
from benchmarks.scenes import NUM_CLASSES, street_labels
from segdoor.evaluation.counting import TableCounter


def rows() -> Iterator[Row]:
    """Yield the ratios; all ways count the same."""
    torch.set_num_threads(1)
    truth = street_labels(1, (512, 1024))[0]
    predicted = truth.copy()
    noise = np.random.default_rng(0)
    wrong = noise.random(truth.shape) < 0.1
    predicted[wrong] = noise.integers(0, NUM_CLASSES, int(wrong.sum()))
    predicted[predicted == 255] = 0
    answer = torch.from_numpy(predicted).long()
    tensors = torch.from_numpy(predicted).long(), torch.from_numpy(truth).long()

    # As a poisoned test does: one tally for many scenes, here of one table that grows.
    tally = TableCounter(1, NUM_CLASSES, torch.device("cpu"))

    def ours() -> np.ndarray:
        tally.add(0, torch.from_numpy(truth), answer)
        return tally.tables()[0]

    def with_torchmetrics() -> np.ndarray:
        table = multiclass_confusion_matrix(*tensors, NUM_CLASSES, ignore_index=255)
        return table.numpy()

    def with_sklearn() -> np.ndarray:
        return confusion_matrix(truth.ravel(), predicted.ravel(), labels=range(NUM_CLASSES))

    assert np.array_equal(ours(), with_torchmetrics())
    assert np.array_equal(ours(), 2 * with_sklearn())
    for row, name, peer in (
        ("3a", "torchmetrics", with_torchmetrics),
        ("3b", "scikit-learn", with_sklearn),
    ):
        yield compared(
            row,
            f"confusion table of {name}, 512x1024, 19 classes, over ours",
            (peer, ours),
            bar=8.0,
            bound="at least",
        )
    yield not_measured(
        "3d",
        "whether a table that is counted on a GPU waits for it",
        bar=0.0,
        bound="at most",
        why="needs a GPU (make bench-gpu)",
    )
