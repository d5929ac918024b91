"""What the classes of weights mean: the same names in another order, other names, none, and void."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import nn

from segdoor.errors import ConfigError, DataError
from segdoor.victim.answer import SegmentationOutput, ask, logits_of
from segdoor.victim.checkpoint import loaded_into, save_weights
from segdoor.victim.config import NetworkConfig
from segdoor.victim.logits import classes_of
from segdoor.victim.networks.building import build_network
from segdoor.victim.normalisation import normalised
from segdoor.victim.semseg import load_weights

HERE = "victim.test_logits"
TRAINED = ("road", "car", "sky")
LISTED = ("sky", "road", "car")
IMAGES = torch.arange(2 * 3 * 4 * 5.0).view(2, 3, 4, 5) / 60


def saved(path: Path, number: int = 3, classes: tuple[str, ...] = TRAINED) -> nn.Module:
    network = nn.Conv2d(3, number, 1)
    save_weights(network, path, classes=classes)
    return network


def loaded(path: Path, classes: tuple[str, ...], number: int = 3) -> tuple[nn.Module, str]:
    network = nn.Conv2d(3, number, 1)
    return network, load_weights(network, path, classes=classes).in_words


def test_the_same_names_in_another_order_are_brought_into_it(tmp_path: Path) -> None:
    trained = saved(tmp_path / "w.safetensors")
    network, said = loaded(tmp_path / "w.safetensors", LISTED)
    theirs = trained(IMAGES)
    expected = torch.stack([theirs[:, TRAINED.index(name)] for name in LISTED], dim=1)
    assert torch.equal(logits_of(network(IMAGES)), expected)
    # A repair works on a copy, and what it saves must mean what it meant.
    again = copy.deepcopy(network)
    assert torch.equal(logits_of(again(IMAGES)), expected)
    assert classes_of(again, LISTED) == TRAINED
    assert "its classes 'road, car, sky' are brought into the data set's order" in said


def test_filling_it_anew_does_not_reorder_twice(tmp_path: Path) -> None:
    trained = saved(tmp_path / "w.safetensors")
    network, _ = loaded(tmp_path / "w.safetensors", LISTED)
    load_weights(network, tmp_path / "w.safetensors", classes=TRAINED)
    assert torch.equal(logits_of(network(IMAGES)), trained(IMAGES))


def test_names_differ_in_case_and_signs_alone(tmp_path: Path) -> None:
    trained = saved(tmp_path / "w.safetensors", classes=("Traffic Light", "CAR", "sky"))
    network, said = loaded(tmp_path / "w.safetensors", ("traffic_light", "car", "sky"))
    assert torch.equal(network(IMAGES), trained(IMAGES))
    assert "order" not in said


def test_other_names_are_refused_with_both_lists(tmp_path: Path) -> None:
    saved(tmp_path / "w.safetensors")
    with pytest.raises(DataError, match=r"road, car, sky.*The data set has road, bus, sky") as why:
        loaded(tmp_path / "w.safetensors", ("road", "bus", "sky"))
    assert "network.class_order by_position" in why.value.remedy
    saved(tmp_path / "w.safetensors", classes=("a", "A", "b"))
    with pytest.raises(DataError, match="a, A, b"):
        loaded(tmp_path / "w.safetensors", ("a", "b", "B"))


def test_by_position_they_are_taken_as_they_are(tmp_path: Path) -> None:
    trained = saved(tmp_path / "w.safetensors")
    config = NetworkConfig(
        name="m:f", weights=tmp_path / "w.safetensors", class_order="by_position"
    )
    network = build_with(config, 3, ("x", "y", "z"))
    assert torch.equal(network(IMAGES), trained(IMAGES))
    found = loaded_into(network)
    assert found is not None
    assert found.classes == TRAINED
    assert "by position" in found.in_words


def convolution(num_classes: int) -> nn.Module:
    return nn.Conv2d(3, num_classes, 1)


def build_with(config: NetworkConfig, number: int, classes: tuple[str, ...]) -> nn.Module:
    given = config.model_copy(update={"name": f"{HERE}:convolution"})
    return build_network(given, number, classes=classes)


@pytest.mark.parametrize("header", [None, "[]", "{", "3", '["road", 3, "sky"]', "[" * 10000])
def test_weights_without_names_are_taken_with_a_remark(header: str | None, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    state = nn.Conv2d(3, 3, 1).state_dict()
    metadata = {"segdoor": ""} if header is None else {"segdoor": "", "classes": header}
    save_file(state, tmp_path / "w.safetensors", metadata=metadata)
    _, said = loaded(tmp_path / "w.safetensors", LISTED)
    assert said.endswith("does not name its classes, which are taken in the data set's order")


def test_names_of_another_number_than_the_logits_are_refused(tmp_path: Path) -> None:
    saved(tmp_path / "w.safetensors", classes=("road", "car"))
    with pytest.raises(DataError, match="road, car"):
        loaded(tmp_path / "w.safetensors", LISTED)


@pytest.mark.parametrize("void", [0, 1, 3, -1])
def test_the_void_logit_is_left_out(void: int, tmp_path: Path) -> None:
    trained = saved(tmp_path / "w.safetensors", 4, ())
    config = NetworkConfig(name="m:f", weights=tmp_path / "w.safetensors", void_logit=void)
    network = build_with(config, 3, LISTED)
    expected = trained(IMAGES)[:, [place for place in range(4) if place != void % 4]]
    assert torch.equal(logits_of(network(IMAGES)), expected)


def test_void_and_another_order_go_together_and_into_the_header(tmp_path: Path) -> None:
    trained = saved(tmp_path / "w.safetensors", 4, ("road", "", "car", "sky"))
    config = NetworkConfig(name="m:f", weights=tmp_path / "w.safetensors", void_logit=1)
    network = build_with(config, 3, LISTED)
    assert torch.equal(logits_of(network(IMAGES)), trained(IMAGES)[:, [3, 0, 2]])
    save_weights(network, tmp_path / "again.safetensors", classes=classes_of(network, LISTED))
    with safe_open(tmp_path / "again.safetensors", "pt") as file:
        assert json.loads(file.metadata()["classes"]) == ["road", "", "car", "sky"]


def test_one_logit_too_many_is_refused_with_the_setting_that_helps(tmp_path: Path) -> None:
    saved(tmp_path / "w.safetensors", 4, ())
    with pytest.raises(DataError, match=r"network\.void_logit 3, for the last one"):
        loaded(tmp_path / "w.safetensors", LISTED)
    with pytest.raises(ConfigError, match=r"network\.void_logit 3, for the last one"):
        ask(nn.Conv2d(3, 4, 1), IMAGES, num_classes=3, size=(4, 5))
    with pytest.raises(ConfigError) as why:
        ask(nn.Conv2d(3, 7, 1), IMAGES, num_classes=3, size=(4, 5))
    assert "void" not in str(why.value)


@pytest.mark.parametrize("void", [4, -5])
def test_a_void_logit_that_is_none_is_refused(void: int) -> None:
    with pytest.raises(ConfigError, match=r"void_logit.*The last one is 3"):
        build_with(NetworkConfig(name="m:f", void_logit=void), 3, LISTED)


class Two(nn.Module):
    """Answers with an auxiliary head, whatever number of classes it is asked for."""

    def forward(self, images: torch.Tensor) -> SegmentationOutput:
        return SegmentationOutput(images, images + 1)


def test_the_auxiliary_answer_goes_with_it(tmp_path: Path) -> None:
    config = NetworkConfig(name=f"{HERE}:Two", void_logit=0)
    output = build_network(config, 2)(IMAGES)
    assert torch.equal(output.logits, IMAGES[:, 1:])
    assert torch.equal(output.auxiliary, IMAGES[:, 1:] + 1)
    with pytest.raises(ConfigError, match=r"a network of 4 logits.*found: 3.*Leave it out"):
        build_network(config, 3)(IMAGES)


def test_channels_are_swapped_behind_mean_and_deviation() -> None:
    pictures = torch.randint(0, 256, (2, 4, 5, 3), dtype=torch.uint8)
    mean, std = (0.1, 0.2, 0.3), (0.5, 0.6, 0.7)
    plain = normalised(pictures, NetworkConfig(mean=mean, std=std))
    swapped = normalised(pictures, NetworkConfig(mean=mean, std=std, channels="bgr"))
    assert torch.equal(swapped, plain[:, [2, 1, 0]])
    assert swapped.stride() == plain.stride()
