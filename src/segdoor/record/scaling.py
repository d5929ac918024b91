"""What replaces a length, number or class of the paper here, in words."""

from __future__ import annotations

AxisValue = str | int | float | bool | None
_KINDS = {"victims": "class", "target": "class"}


def name_in_paper(axis: str, value: AxisValue, q_as: AxisValue = None) -> str:
    """Return a value on an axis as named in the list of replacements of a study's record.

    Args:
        axis: An axis of a study, or distance for a band.
        value: The paper's.
        q_as: How Q is counted, if it is Q.
    """
    return f"Q {value} by {q_as}" if axis == "q" else f"{_KINDS.get(axis, axis)} {value}"


def with_here(text: str, here: str | None) -> str:
    """Return a name of the paper with its value here, if that differs."""
    return text if here is None else f"{text} (here {here})"
