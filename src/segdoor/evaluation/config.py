"""How a model is examined."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from segdoor.remedies import RuleError
from segdoor.settings import Settings


class ExaminationConfig(Settings):
    """How scenes are shown to a network and how its predictions are counted."""

    batch_size: int = Field(default=8, ge=1)
    """Scenes per batch in the tests; changes only the speed."""
    flip: bool = False
    """Average the softmax of the image and of its mirror image."""
    input_size: Literal["scene", "eights_plus_one"] = "scene"
    """Size of the network's input: that of the scene, or 8 (floor(size / 8) + 1) + 1 as in
    semseg."""
    size_multiple: int = Field(default=1, ge=1, le=1024)
    """Enlarge scenes so that height and width are multiples of this number."""
    score_at: Literal["label", "input"] = "label"
    """Count pixels of the label map, or of the label map resized to the network's input."""
    label_resize: Literal["nearest_exact", "nearest"] = "nearest_exact"
    """How the label map is resized for score_at input. nearest_exact aligns pixel centres; nearest
    resizes the label file from its own size, whatever data.size is, as OpenCV's INTER_NEAREST."""
    absent_class: Literal["leave_out", "zero"] = "leave_out"
    """A class that is neither present nor predicted: leave it out of the mean IoU, or count it as
    0."""
    precision: Literal["auto", "float32", "bfloat16"] = "float32"
    """Number format of the forward pass."""

    @model_validator(mode="after")
    def _one_size(self) -> ExaminationConfig:
        if self.size_multiple > 1 and self.input_size != "scene":
            raise RuleError(
                "size_multiple must be left out where input_size is eights_plus_one",
                "Choose one: input_size scene, or no size_multiple.",
            )
        return self
