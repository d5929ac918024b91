"""How large a print may be to stay in a box of pixels."""

from __future__ import annotations

from segdoor.attack.physical.camera import Camera, Matrix
from segdoor.attack.physical.homography import bounds, homography, in_front
from segdoor.attack.physical.plane import Plane
from segdoor.attack.site import Box

_STEPS = 40


def largest_within(
    camera: Camera, plane: Plane, box: Box, margin: int, *, aspect: float = 1.0
) -> Matrix:
    """Return the homography of the largest print around a plane's origin inside a box.

    Args:
        camera: The camera.
        plane: Where the print lies.
        box: What its outline must not leave.
        margin: Pixels that blur adds around it.
        aspect: Width / height of the print.
    """

    def fits(side: float) -> bool:
        matrix = homography(camera, plane, side, side / aspect)
        if not in_front(matrix):
            return False
        found = bounds(matrix, margin)
        return (
            found.top >= box.top and found.left >= box.left
            and found.top + found.height <= box.top + box.height
            and found.left + found.width <= box.left + box.width
        )  # fmt: skip

    low, high = 0.0, 2 * plane.depth * max(box.height, box.width) / camera.focal
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    # Where not even the blur of a point fits, a point is drawn.
    side = max(low, plane.depth / camera.focal)
    return homography(camera, plane, side, side / aspect)
