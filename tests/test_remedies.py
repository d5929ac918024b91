"""What a message advises where a setting breaks its rule."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
from pydantic import Field, model_validator

from segdoor.errors import ConfigError
from segdoor.remedies import RuleError
from segdoor.settings import Settings, validated


class Kite(Settings):
    """Rules of every sort."""

    share: float = Field(default=1.0, gt=0, le=1)
    """From 0 to 1."""
    below: float | None = Field(default=None, ge=0, lt=1)
    """Without a default."""
    most: float = Field(default=2.0, le=9)
    """Only an upper end."""
    inner: float = Field(default=0.5, gt=0, lt=1)
    """Open at both ends."""
    count: int | None = Field(default=None, ge=1)
    """A whole number."""
    size: tuple[Annotated[int, Field(ge=3, le=9)], int] | None = None
    """Of which each has a rule."""
    names: tuple[str, ...] = Field(default=(), examples=[("a", "b")])
    """Names."""
    edge: Literal["top", "bottom"] = "top"
    """A choice."""
    wind: bool = False
    """Yes or no."""

    @model_validator(mode="after")
    def _fits(self) -> Kite:
        if self.wind and self.edge == "top":
            raise RuleError("wind must be below", "Choose bottom.")
        return self


@pytest.mark.parametrize(
    ("given", "remedy"),
    [
        ({"share": 0}, "Give a number above 0 and up to 1, such as 1.0."),
        ({"share": "much"}, "Give a number above 0 and up to 1, such as 1.0."),
        ({"below": 1}, "Give a number from 0 to below 1, such as 0.5."),
        ({"most": 10}, "Give a number of at most 9, such as 2.0."),
        ({"inner": float("nan")}, "Give a number above 0 and below 1, such as 0.5."),
        ({"count": 0}, "Give a whole number of at least 1, such as 16."),
        ({"count": 1.5}, "Give a whole number of at least 1, such as 16."),
        ({"size": (2, 4)}, "Give a whole number from 3 to 9, such as 3."),
        ({"names": 3}, "Give another value, such as a+b."),
        ({"edge": "botom"}, "Did you mean bottom?"),
        ({"edge": "xyz"}, "Choose one of these."),
        ({"wind": "maybe"}, "Write true or false."),
        ({"wind": True}, "Choose bottom."),
    ],
)
def test_a_remedy_says_the_range_and_an_example(given: dict[str, object], remedy: str) -> None:
    with pytest.raises(ConfigError) as caught:
        validated(Kite, given, source="kite")
    assert caught.value.remedy == remedy
