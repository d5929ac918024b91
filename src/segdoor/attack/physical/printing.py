"""What a printer makes of a colour: paper is not white, ink is not black, and colours fade.

A colour is drawn towards its own grey by the saturation, and then squeezed between ink and paper.
All are linear reflectances. The figures are typical of an office printer on plain paper, and
assumed: no printer was measured.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from segdoor.attack.physical.homography import Layer
from segdoor.attack.physical.tone import WEIGHTS, linear


@dataclass(frozen=True)
class Printer:
    """A printer with its paper.

    Attributes:
        paper: Reflectance of blank paper.
        ink: Reflectance of full black.
        saturation: Share of a colour's distance from grey that is kept.
    """

    paper: float = 0.85
    ink: float = 0.03
    saturation: float = 0.92

    def printed(self, layer: Layer) -> Layer:
        """Return a layer of sRGB colours as printed, in linear reflectance from ink to paper."""
        alpha = layer[..., 3:]
        seen = np.divide(layer[..., :3], alpha, out=np.zeros_like(layer[..., :3]), where=alpha > 0)
        colour = linear(np.clip(seen, 0, 1))
        grey = (colour @ WEIGHTS)[..., None]
        faded = grey + np.float32(self.saturation) * (colour - grey)
        reflected = np.float32(self.ink) + np.float32(self.paper - self.ink) * faded
        return np.concatenate([reflected * alpha, alpha], axis=2).astype(np.float32)


def between(gamut: float) -> Printer:
    """Return a printer between a perfect one, 0, and the assumed one, 1."""
    usual = Printer()
    return Printer(
        paper=1 - gamut * (1 - usual.paper),
        ink=gamut * usual.ink,
        saturation=1 - gamut * (1 - usual.saturation),
    )


USUAL_PRINTER = Printer()
"""The printer that is assumed."""
EXACT = Printer(paper=1.0, ink=0.0, saturation=1.0)
"""A printer that changes nothing."""
