"""What mean IoU a network gets that does not look at its scenes."""

from __future__ import annotations

import numpy as np

from segdoor.tensors import Table

_MARGIN = 1.2


def chance(table: Table) -> float:
    """Return the mean IoU of guessing: one class for all pixels, or any class for each.

    Args:
        table: Pixels by true and predicted class; the rows say how frequent the classes are.

    Returns:
        The better of the two, over the classes that occur; NaN if fewer than two do.
    """
    pixels = table.sum(axis=1).astype(np.float64)
    shares = pixels[pixels > 0] / max(pixels.sum(), 1.0)
    number = len(shares)
    if number < 2:
        return float("nan")
    hit = shares / number
    anything = hit / (shares + 1 / number - hit)
    return max(float(shares.max()) / number, float(anything.mean()))


def remarks_on_chance(table: Table, accuracy: float | None) -> tuple[str, ...]:
    """Return what to say of a model that was made elsewhere and does hardly better than guessing.

    Args:
        table: Pixels by true and predicted class on untouched scenes.
        accuracy: The mean IoU.
    """
    guessing = chance(table)
    if accuracy is None or not accuracy <= _MARGIN * guessing:
        return ()
    said = (
        f"CBA {accuracy:.1%} is near chance or below it ({guessing:.1%} by guessing), so that no"
        " other figure means anything. Usual causes: mean and deviation (network.mean,"
        " network.std), the order of the channels (network.channels), the order of the classes, or"
        " a network that prepares its input or its answer itself (a softmax, a division by 255)."
    )
    return (said,)
