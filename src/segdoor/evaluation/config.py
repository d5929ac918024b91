"""How a model is examined."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from segdoor.settings import Settings


class ExaminationConfig(Settings):
    """How scenes are shown to a network and how its predictions are counted."""

    batch_size: int = Field(default=8, ge=1)
    """Scenes of one size shown at once; changes nothing but the speed."""
    flip: bool = False
    """Average the softmax with that of the mirrored image."""
    input_size: Literal["scene", "eights_plus_one"] = "scene"
    """Show scenes at their size, or at 8 (floor(size / 8) + 1) + 1 as semseg does."""
    size_multiple: int = Field(default=1, ge=1, le=1024)
    """Show scenes, if need be enlarged, at a height and width that are multiples of this."""
    score_at: Literal["label", "input"] = "label"
    """Count pixels of the label map, or of the label map resized to the network's input."""
    label_resize: Literal["nearest_exact", "nearest"] = "nearest_exact"
    """How the label map is resized then: by nearest neighbour with pixel centres aligned; or the
    label file from its own size, whatever data.size, as OpenCV's INTER_NEAREST does it."""
    absent_class: Literal["leave_out", "zero"] = "leave_out"
    """A class neither present nor predicted: outside the mean IoU, or 0 within it."""
    precision: Literal["auto", "float32", "bfloat16"] = "float32"
    """Arithmetic of the forward pass."""

    @model_validator(mode="after")
    def _one_size(self) -> ExaminationConfig:
        if self.size_multiple > 1 and self.input_size != "scene":
            raise ValueError(
                "size_multiple must be left out where input_size is eights_plus_one: choose one,"
                " input_size scene or no size_multiple"
            )
        return self
