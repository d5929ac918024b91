from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, ValidationError

from segdoor.attack.config import AttackConfig, PoisonedTestsConfig
from segdoor.data.config import DataConfig
from segdoor.errors import ConfigError, DataError, MachineError, SegdoorError, StorageError
from segdoor.evaluation.config import ExaminationConfig
from segdoor.experiment.config import ControlsConfig, ExperimentConfig
from segdoor.experiment.wishes import ExperimentWishes, wishes_from
from segdoor.settings import Settings, validated
from segdoor.victim.config import NetworkConfig, TrainingConfig
from strategies import CLASSES

ALL = (
    AttackConfig, PoisonedTestsConfig, DataConfig, ExaminationConfig, ControlsConfig, ExperimentConfig,
    NetworkConfig, TrainingConfig,
)  # fmt: skip


class Wheel(Settings):
    """A part."""

    radius: float = Field(default=0.3, gt=0)
    """In metres."""


class Cart(Settings):
    """A whole."""

    name: str
    """What it is called."""
    wheels: int = Field(default=4, ge=1)
    """How many."""
    wheel: Wheel = Wheel()
    """What kind."""


def nested(model: type[Settings]) -> list[type[Settings]]:
    inner = [field.annotation for field in model.model_fields.values()]
    parts = [kind for kind in inner if isinstance(kind, type) and issubclass(kind, Settings)]
    return [model, *(deeper for part in parts for deeper in nested(part))]


def test_good_settings_are_built_from_plain_data() -> None:
    cart = validated(Cart, {"name": "hand", "wheel": {"radius": 0.5}}, source="cart.yaml")
    assert cart == Cart(name="hand", wheels=4, wheel=Wheel(radius=0.5))
    assert cart.model_dump(exclude_unset=True) == {"name": "hand", "wheel": {"radius": 0.5}}


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        Cart(name="hand").wheels = 3


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        ({"name": "x", "weels": 2}, ["weels", "Did you mean 'wheels'", "name, wheels, wheel"]),
        ({"name": "x", "wheel": {"radios": 2}}, ["wheel.radios", "Did you mean 'radius'"]),
        ({"name": "x", "zzz": 1}, ["zzz", "name, wheels, wheel"]),
        ({}, ["name: must be given. Give it."]),
        (
            {"name": "x", "wheels": 0},
            ["wheels", "greater than or equal to 1", "0", "at least 1, such as 4."],
        ),
        ({"name": "x", "wheels": "four"}, ["wheels", "integer", "four", "Give a whole number of"]),
        (
            {"name": "x", "wheel": {"radius": -1.5}},
            ["wheel.radius", "greater than 0", "-1.5", "Give a number above 0, such as 0.3."],
        ),
        ({"name": "x", "wheel": None}, ["wheel", "Wheel"]),
        ({"name": ["a"]}, ["name", "string"]),
        ({1: 2, "name": "x"}, ["string"]),
    ],
)
def test_a_broken_rule_names_file_key_rule_value_and_remedy(
    given_: dict[str, object], expected: list[str]
) -> None:
    with pytest.raises(ConfigError) as caught:
        validated(Cart, given_, source="cart.yaml")
    message = str(caught.value)
    assert message.startswith("cart.yaml")
    assert all(part in message for part in expected), message
    assert "\n" not in message
    assert "pydantic" not in message


@pytest.mark.parametrize("content", [None, [], "text", 7, [1, 2]])
def test_content_that_is_no_mapping_is_refused_in_words(content: object) -> None:
    with pytest.raises(ConfigError, match=r"cart\.yaml"):
        validated(Cart, content, source="cart.yaml")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
keys = st.one_of(
    st.sampled_from(["seed", "reading", "method", "attack", "tests", "data", "title", "training"]),
    st.text(max_size=8),
)


@given(st.dictionaries(keys, json_values, max_size=4))
def test_any_content_gives_settings_or_a_readable_error(content: dict[str, object]) -> None:
    culprit = "any.yaml"
    try:
        config = wishes_from(content, source="any.yaml")
    except ConfigError as refusal:
        culprit = refusal.culprit
    else:
        assert isinstance(config, ExperimentWishes)
    assert culprit.startswith("any.yaml")


@pytest.mark.parametrize("model", ALL, ids=lambda model: model.__name__)
def test_every_field_of_every_room_is_explained_and_frozen(model: type[Settings]) -> None:
    for part in nested(model):
        assert part.model_config["frozen"]
        with pytest.raises(ValidationError) as refused:
            part.model_validate({"no_such_setting": 1})
        assert "extra_forbidden" in {problem["type"] for problem in refused.value.errors()}
        for name, field in part.model_fields.items():
            assert field.description, f"{part.__name__}.{name} says nothing"


@pytest.mark.parametrize("model", ALL, ids=lambda model: model.__name__)
def test_settings_survive_json(model: type[Settings]) -> None:
    assert model.model_validate_json(model().model_dump_json()) == model()


def test_a_misspelt_setting_deep_in_an_experiment_is_found_and_corrected() -> None:
    with pytest.raises(ConfigError, match=r"attack\.trigger\.sise.*Did you mean 'size'"):
        wishes_from({"attack": {"trigger": {"sise": 4}}}, source="run.yaml")


@pytest.mark.parametrize("kind", [ConfigError, DataError, StorageError, MachineError])
def test_an_error_joins_culprit_rule_value_and_remedy(kind: type[SegdoorError]) -> None:
    error = kind("a.png", "must be a picture", 7, "Replace it.")
    assert str(error) == "a.png: must be a picture (found: 7). Replace it."
    assert (error.culprit, error.rule, error.value) == ("a.png", "must be a picture", "7")
    assert isinstance(error, SegdoorError)
    assert str(kind("a.png", "must be a picture")) == "a.png: must be a picture."


def test_machine_errors_have_an_exit_code_of_their_own() -> None:
    codes = [
        kind("a", "b").exit_code for kind in (ConfigError, DataError, StorageError, MachineError)
    ]
    assert codes == [2, 2, 2, 3]


def test_a_value_of_zero_is_shown() -> None:
    assert "(found: 0)" in str(ConfigError("size", "must be positive", 0))


def test_an_unknown_class_teaches_the_known_ones() -> None:
    with pytest.raises(ConfigError) as caught:
        CLASSES.index("lorry")
    assert caught.value.value == "lorry"
    assert all(name in caught.value.remedy for name in CLASSES.names)
