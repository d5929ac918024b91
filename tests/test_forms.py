"""The forms that batteries try a kind in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field, model_validator

from forms import forms, others, plain
from segdoor.plugins import Plugin


class Many(Plugin):
    """Settings of every sort."""

    count: int = Field(ge=2)
    share: float = Field(gt=0, lt=1)
    rate: float = 0.5
    most: Annotated[int, Field(ge=1, le=3)] | None = None
    side: Literal["left", "right"] = "left"
    wide: bool = False
    name: str = Field(default="a", examples=["b", "c"])
    file: Path | None = None
    row: float | None = Field(default=None, ge=0, le=1)
    column: float | None = Field(default=None, ge=0, le=1)

    @model_validator(mode="after")
    def _both(self) -> Many:
        if (self.row is None) != (self.column is None):
            raise ValueError("both or none")
        return self


class Silent(Plugin):
    """Nobody can know what its words may be."""

    words: str = "a"


class Needy(Plugin):
    """It must be given what nobody can know."""

    words: str


def test_every_setting_has_other_values_unless_it_names_a_file() -> None:
    assert plain(Many) == {"count": 3, "share": 0.5}
    changed = [{**given} for given in others(Many)]
    tried = {name: {given.get(name) for given in changed} for name in Many.model_fields}
    assert tried["count"] == {2, 3, 42}
    assert tried["most"] == {None, 2, 1}
    assert tried["side"] == {None, "right"}
    assert tried["wide"] == {None, True}
    assert tried["name"] == {None, "b", "c"}
    assert tried["file"] == {None}
    assert {"count": 3, "share": 0.5, "row": 1, "column": 1} in changed
    assert {"count": 3, "share": 0.5, "rate": 0.5 / 3} in changed
    made = [Many(**given) for given in forms(Many)]
    assert all(one not in made[:place] for place, one in enumerate(made))


@pytest.mark.parametrize("kind", [Silent, Needy])
def test_what_nobody_can_know_is_asked_for_by_name(kind: type[Plugin]) -> None:
    with pytest.raises(pytest.fail.Exception, match=r"its setting words .*examples=\[") as why:
        forms(kind)
    assert kind.__name__ in str(why.value)
    assert kind.__module__ in str(why.value)
