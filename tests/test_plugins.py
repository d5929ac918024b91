"""The one form of a plug-in, shown on one of our own sort."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import ClassVar

import pytest

from segdoor.errors import ConfigError
from segdoor.plugins import Introduction, Plugin, Registry

TOLD = Introduction(source="a paper", does="a thing", needs="nothing", fails="always")


class Animal(Plugin):
    """What all of this sort share."""


class Cat(Animal):
    """A cat."""

    kind: ClassVar[str] = "cat"
    main: ClassVar[str | None] = "lives"
    introduction: ClassVar[Introduction] = TOLD
    lives: int = 9
    name: str = "Tom"


class Egg(Animal):
    """No main setting at all."""

    kind: ClassVar[str] = "egg"
    introduction: ClassVar[Introduction] = TOLD
    fresh: bool = True


ANIMALS = Registry("animal", Animal, "--animal", {"cat": Cat, "egg": Egg})

FOREIGN = """\
from segdoor.plugins import Plugin
from tests_of_plugins import Animal, TOLD

class Dog(Animal):
    introduction = TOLD
    size: int = 3

class Rock:
    pass
"""


@pytest.fixture
def strangers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the name of somebody else's module."""
    here = types.ModuleType("tests_of_plugins")
    here.__dict__.update(Animal=Animal, TOLD=TOLD)
    monkeypatch.setitem(sys.modules, "tests_of_plugins", here)
    (tmp_path / "strangers_zoo.py").write_text(FOREIGN)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "strangers_zoo", raising=False)
    return "strangers_zoo"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("cat", Cat()),
        ("cat:7", Cat(lives=7)),
        ("cat:7,name=Tim", Cat(lives=7, name="Tim")),
        ("cat,name=Tim", Cat(name="Tim")),
        ({"kind": "cat", "name": "a:b"}, Cat(name="a:b")),
        ("egg,fresh=false", Egg(fresh=False)),
        (Cat(lives=1), Cat(lives=1)),
    ],
)
def test_every_form_is_read(given: object, expected: Animal) -> None:
    assert ANIMALS.read(given) == expected


@pytest.mark.parametrize(
    ("plugin", "text"),
    [
        (Cat(), "cat"),
        (Cat(lives=7), "cat:7"),
        (Cat(name="Tim"), "cat,name=Tim"),
        (Cat(lives=7, name="a,b"), 'cat:7,name="a,b"'),
        (Egg(), "egg"),
        (Egg(fresh=False), "egg,fresh=False"),
    ],
)
def test_a_plug_in_is_written_briefly_and_read_again(plugin: Animal, text: str) -> None:
    assert str(plugin) == text
    assert ANIMALS.read(text) == plugin


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("cow", "--animal: must name a known animal (found: cow). Known: cat, egg"),
        ("egg:3", "must not have a value after 'egg:'"),
        ("cat:3,lives=4", "must have each setting once"),
        ("cat:many", "--animal cat:many: lives: input should be a valid integer"),
        ("cat,live=3", "Did you mean 'lives'"),
        ({"kind": "cat", "colour": 3}, "not a known setting"),
        ("no.such:Thing", "ModuleNotFoundError"),
    ],
)
def test_what_cannot_be_meant_is_explained(given: object, words: str) -> None:
    with pytest.raises(ConfigError) as told:
        ANIMALS.read(given)
    assert words in str(told.value)


def test_a_class_of_ones_own_is_named_by_its_place_and_writes_it_of_itself(strangers: str) -> None:
    dog = ANIMALS.read(f"{strangers}:Dog,size=5")
    assert (type(dog).__name__, dog.model_dump()) == ("Dog", {"size": 5})
    assert str(dog) == f"{strangers}:Dog,size=5"
    assert ANIMALS.read(str(dog)) == dog
    with pytest.raises(ConfigError, match="derived from Animal"):
        ANIMALS.read(f"{strangers}:Rock")
    with pytest.raises(ConfigError, match="AttributeError"):
        ANIMALS.read(f"{strangers}:Bird")


def test_code_is_only_run_when_its_name_is_given(strangers: str) -> None:
    ANIMALS.read("cat")
    assert strangers not in sys.modules


def test_a_registry_without_members_says_so_and_takes_a_class_of_ones_own(strangers: str) -> None:
    empty = Registry("animal", Animal, "--animal", {})
    for given in ("cat", f"{strangers}:Bird"):
        with pytest.raises(ConfigError, match="Known: none yet"):
            empty.read(given)
    assert empty.read(f"{strangers}:Dog,size=5").model_dump() == {"size": 5}
