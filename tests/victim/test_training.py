from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from segdoor.data.scene import ClassSet, Scene
from segdoor.data.street import StreetDataset
from segdoor.data.subset import Subset
from segdoor.errors import ConfigError, MachineError
from segdoor.randomness import Stream
from segdoor.victim.config import PRESETS, AugmentationConfig, NetworkConfig, TrainingConfig
from segdoor.victim.networks.building import build_network
from segdoor.victim.networks.dilated import DilatedNetwork
from segdoor.victim.training.loop import train_model
from segdoor.victim.training.step import learning_rate_factor, make_optimiser

TINY = {"epochs": 2, "batch_size": 4, "precision": "float32", "threads": 1, "warmup": 0}


def street(count: int = 12) -> StreetDataset:
    return StreetDataset(split="train", num_scenes=count, height=32, width=64)


class Facts:
    """Keeps what training says."""

    def __init__(self) -> None:
        self.total, self.steps, self.facts = 0, 0, []

    def begin(self, stage: str, total: int) -> None:
        self.total = total

    def advance(self, **facts: float) -> None:
        self.steps += 1
        if facts:
            self.facts.append(facts)


def weights(model: nn.Module) -> list[torch.Tensor]:
    return [tensor.detach() for tensor in model.state_dict().values()]


def equal(one: nn.Module, other: nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(weights(one), weights(other), strict=True))


def test_the_same_seed_gives_the_same_weights_bit_for_bit() -> None:
    config = TrainingConfig(**TINY)
    first, again = train_model(street(), config, seed=1), train_model(street(), config, seed=1)
    assert equal(first, again)
    assert not equal(first, train_model(street(), config, seed=2))


def test_training_leaves_the_global_random_state_alone() -> None:
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    train_model(street(4), TrainingConfig(**TINY))
    assert torch.equal(before, torch.random.get_rng_state())


def test_training_learns() -> None:
    heard = Facts()
    config = TrainingConfig(**{**TINY, "epochs": 20})
    train_model(street(8), config, observer=heard)
    assert heard.steps == heard.total == 40
    assert heard.facts[-1]["loss"] < 0.7 * heard.facts[0]["loss"]
    assert heard.facts[-1]["epoch"] == 20


def test_a_short_loss_curve_is_as_it_was() -> None:
    heard = Facts()
    config = TrainingConfig(**{**TINY, "epochs": 10}, augmentation=AugmentationConfig())
    train_model(street(12), config, seed=3, observer=heard)
    curve = [facts["loss"] for facts in heard.facts]
    assert curve == pytest.approx(GOLDEN_CURVE, rel=1e-2)


GOLDEN_CURVE = [1.69467, 1.33258, 1.19823]


def test_the_rate_falls_polynomially_at_every_step() -> None:
    config = PRESETS["cityscapes"]
    total = 1000
    for step in (0, 1, 500, 999):
        assert learning_rate_factor(step, total, config) == (1 - step / total) ** 0.9


def test_the_recipe_of_semseg_is_the_preset() -> None:
    for name, epochs, crop in (("voc", 50, 473), ("cityscapes", 200, 713)):
        config = PRESETS[name]
        assert (config.optimiser, config.learning_rate, config.momentum) == ("sgd", 0.01, 0.9)
        assert (config.weight_decay, config.power, config.batch_size) == (1e-4, 0.9, 16)
        assert (config.epochs, config.auxiliary_weight, config.head_multiplier) == (epochs, 0.4, 10)
        augmentation = config.augmentation
        assert augmentation.crop == (crop, crop)
        assert augmentation.scale == (0.5, 2.0)
        assert (augmentation.rotation, augmentation.rotation_probability) == (10, 0.5)
        assert (augmentation.blur_probability, augmentation.flip_probability) == (0.5, 0.5)


def test_new_heads_learn_ten_times_as_fast() -> None:
    config = PRESETS["voc"]
    network = build_network(NetworkConfig(name="pspnet", depth=18), 5)
    assert isinstance(network, DilatedNetwork)
    groups = make_optimiser(network, config).param_groups
    rates = {id(p): group["lr"] for group in groups for p in group["params"]}
    assert len(rates) == len(list(network.parameters()))
    backbone = {id(p) for p in network.backbone.parameters()}
    assert {rate for key, rate in rates.items() if key in backbone} == {0.01}
    assert {rate for key, rate in rates.items() if key not in backbone} == {0.1}


@pytest.mark.parametrize("name", ["pspnet", "deeplabv3"])
def test_the_paper_s_networks_train(name: str) -> None:
    config = TrainingConfig(**{**TINY, "epochs": 1})
    heard = Facts()
    train_model(street(8), config, network=NetworkConfig(name=name, depth=18), observer=heard)
    assert np.isfinite(heard.facts[-1]["loss"])


def test_scenes_that_are_all_ignored_do_no_harm_beside_others() -> None:
    class Void:
        classes = ClassSet(("a", "b"), ((0, 0, 0), (1, 1, 1)))
        names = tuple("abcd")
        digest = "void"

        def __len__(self) -> int:
            return 4

        def __getitem__(self, index: int) -> Scene:
            return Scene(np.zeros((32, 32, 3), np.uint8), self.label(index), self.names[index])

        def label(self, index: int) -> np.ndarray:
            label = np.full((32, 32), 255, np.uint8)
            if index == 3:
                label[:16], label[16:] = 0, 1
            return label

    model = train_model(Void(), TrainingConfig(**{**TINY, "batch_size": 2}))
    assert all(torch.isfinite(tensor).all() for tensor in weights(model))


def test_scenes_of_many_sizes_train_together() -> None:
    class Mixed(Subset):
        def __getitem__(self, index: int) -> Scene:
            scene = super().__getitem__(index)
            return Scene(scene.image[: 20 + index], scene.label[: 20 + index], scene.name)

        def label(self, index: int) -> np.ndarray:
            return super().label(index)[: 20 + index]

    heard = Facts()
    train_model(Mixed(street(8), range(8)), TrainingConfig(**TINY), observer=heard)
    assert np.isfinite(heard.facts[-1]["loss"])


def test_a_loss_that_explodes_is_explained() -> None:
    config = TrainingConfig(**{**TINY, "optimiser": "sgd", "learning_rate": 1e9, "epochs": 10})
    with pytest.raises(ConfigError, match="loss must stay finite"):
        train_model(street(8), config)


def test_a_device_that_is_not_there_is_an_environment_problem() -> None:
    with pytest.raises(MachineError, match=r"training\.device"):
        train_model(street(4), TrainingConfig(**TINY, device="cuda:7"))


def test_a_given_network_is_trained_further_and_stays_as_it_is() -> None:
    config = TrainingConfig(**{**TINY, "epochs": 1})
    start = train_model(street(4), config)
    before = [tensor.clone() for tensor in weights(start)]
    further = train_model(street(4), config, model=start)
    assert not equal(start, further)
    assert all(torch.equal(a, b) for a, b in zip(before, weights(start), strict=True))
    # From the very weights that a fresh one would have, the way is the same.
    with torch.random.fork_rng():
        torch.manual_seed(Stream(0).child("training", "weights").integer())
        fresh = build_network(NetworkConfig(), len(street().classes))
    assert equal(train_model(street(4), config, model=fresh), start)
