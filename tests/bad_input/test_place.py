"""The intact files are fine: otherwise the other tests of this folder would prove nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from bad_input.place import COMMANDS, RESULTS, leftovers, tree
from shell import say


@pytest.mark.parametrize("name", COMMANDS)
def test_the_command_works_on_intact_files(place: Path, name: str) -> None:
    before = tree(".", without=(*RESULTS, "copy", "copy.segdoor"))
    answer = say(COMMANDS[name])
    assert answer.code == 0, answer.err
    assert tree(".", without=(*RESULTS, "copy", "copy.segdoor")) == before
    assert leftovers() == []
