"""Outlines and run lengths become masks by COCO's own library, once they are known to be sound.

The library trusts what it is given: run lengths that cover fewer pixels than the picture has make
it return whatever lay in memory, and a list of four numbers is a box to it (pycocotools 2.0.11).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from segdoor.data.transforms import Size
from segdoor.errors import MachineError
from segdoor.tensors import Mask

if TYPE_CHECKING:
    from types import ModuleType

_MOST_STEPS = 4_000_000
"""Longest outline in pixels: the library takes some 40 bytes for each."""
_MOST_SIGNS = 7
"""No run length of a picture takes more signs."""


class OutlineError(ValueError):
    """A segmentation that means nothing; says the rule and what was found."""

    def __init__(self, rule: str, found: object) -> None:
        """Keep both."""
        super().__init__(f"{rule} ({found})")
        self.rule, self.found = rule, str(found)


def mask_of(segmentation: object, size: Size) -> Mask:
    """Return the pixels that polygons or run lengths cover; what is outside the picture is cut off.

    Raises:
        OutlineError: If it is neither, or does not fit the picture.
        MachineError: If pycocotools is missing.
    """
    if isinstance(segmentation, dict):
        given = cast("dict[str, object]", segmentation)
        return _of_runs(given.get("size"), given.get("counts"), size)
    if isinstance(segmentation, list) and segmentation:
        return _of_polygons(cast("list[object]", segmentation), size)
    raise OutlineError("must be polygons or run lengths: a box does not say which pixels", "none")


def runs_of(mask: Mask) -> dict[str, object]:
    """Return a mask as compressed run lengths, as COCO writes them."""
    runs = _library().encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": list(mask.shape), "counts": runs["counts"].decode()}


def _of_polygons(polygons: Sequence[object], size: Size) -> Mask:
    points = [_points(polygon) for polygon in polygons]
    steps = sum(float(np.abs(np.diff(p, axis=0, append=p[:1])).max(axis=1).sum()) for p in points)
    if not steps <= _MOST_STEPS:
        raise OutlineError(f"outlines must have at most {_MOST_STEPS} pixels in all", f"{steps:g}")
    library = _library()
    runs = library.frPyObjects([p.ravel().tolist() for p in points], *size)
    return library.decode(library.merge(runs)).view(np.bool_)


def _points(polygon: object) -> np.ndarray:
    numbers = cast("list[object]", polygon) if isinstance(polygon, list) else []
    if len(numbers) < 6 or len(numbers) % 2:
        rule = "a polygon must be x and y of three points or more"
        raise OutlineError(rule, f"{len(numbers)} numbers")
    for number in numbers:
        if not isinstance(number, int | float) or isinstance(number, bool):
            raise OutlineError("coordinates must be numbers", repr(number)[:40])
        # So is what is no number at all: JSON's 1e999 is read as infinite.
        if not abs(number) <= _MOST_STEPS:
            raise OutlineError(f"coordinates must lie below {_MOST_STEPS}", repr(number)[:40])
    return np.array(numbers, np.float64).reshape(-1, 2)


def _of_runs(said: object, counts: object, size: Size) -> Mask:
    if said != [*size]:
        rule = f"the size of run lengths must be that of the image, {size[0]}x{size[1]}"
        raise OutlineError(rule, said)
    lengths = _lengths(counts)
    pixels = size[0] * size[1]
    within = all(0 <= length <= pixels for length in lengths)
    if not within or sum(lengths) != pixels:
        found = f"{sum(lengths)}" if within else "one that no picture has"
        raise OutlineError(f"run lengths must cover the image's {pixels} pixels", found)
    library, told = _library(), {"size": said, "counts": counts}
    runs = told if isinstance(counts, str) else library.frPyObjects(told, *size)
    return library.decode(runs).view(np.bool_)


def _lengths(counts: object) -> list[int]:
    if isinstance(counts, str):
        return _unpacked(counts)
    numbers = cast("list[object]", counts) if isinstance(counts, list) else [None]
    if not all(isinstance(n, int) and not isinstance(n, bool) for n in numbers):
        raise OutlineError("run lengths must be whole numbers, or text", repr(counts)[:40])
    return cast("list[int]", numbers)


def _unpacked(text: str) -> list[int]:
    """Return the run lengths that a text holds.

    Each sign holds five bits of a number, the lowest first, and whether more follow; the last bit
    is the number's sign. From the fourth on a length is told by how it differs from the last but
    one (maskApi.c of COCO's library, rleFrString).
    """
    lengths: list[int] = []
    value = shift = 0
    for sign in text:
        code = ord(sign) - 48
        if not 0 <= code < 64 or shift >= 5 * _MOST_SIGNS:
            raise OutlineError("run lengths must be as COCO packs them", repr(text)[:40])
        value |= (code & 31) << shift
        shift += 5
        if not code & 32:
            if code & 16:
                value -= 1 << shift
            lengths.append(value + (lengths[-2] if len(lengths) > 2 else 0))
            value = shift = 0
    if shift:
        raise OutlineError("run lengths must be as COCO packs them", "they end within a number")
    return lengths


def _library() -> Any:  # noqa: ANN401 - it has no types
    try:
        from pycocotools import mask  # noqa: PLC0415 - an extra
    except ImportError:
        raise MachineError(
            "data.name coco",
            "needs the package pycocotools",
            remedy='Install segdoor with it: pip install "segdoor[coco]".',
        ) from None
    return cast("ModuleType", mask)
