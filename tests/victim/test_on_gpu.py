"""What only a GPU can show: it learns and answers what the CPU does, without waiting in a step."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import nn

from segdoor.data.scene import Scene
from segdoor.data.street import StreetDataset
from segdoor.data.subset import Subset
from segdoor.evaluation.examine import examine
from segdoor.randomness import Stream
from segdoor.victim.config import AugmentationConfig, NetworkConfig, TrainingConfig
from segdoor.victim.networks.building import build_network
from segdoor.victim.training.batches import SceneStore
from segdoor.victim.training.cache import SceneCache
from segdoor.victim.training.loop import Training, train_model, train_models
from segdoor.victim.training.streams import CudaStream
from segdoor.victim.training.trainer import Trainer

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
STREET = StreetDataset(split="train", num_scenes=16, height=64, width=128)
AUGMENTATION = AugmentationConfig(scale=(0.5, 2.0), rotation=10.0, blur_probability=0.5)
RECIPE = {
    "epochs": 10,
    "batch_size": 4,
    "precision": "float32",
    "warmup": 0,
    "augmentation": AUGMENTATION,
}
# Devices draw dropout from generators of their own.
NETWORK = NetworkConfig(dropout=0.0)


@pytest.fixture(autouse=True)
def _full_precision() -> Iterator[None]:
    """Compare without TF32, whose rounding is coarser than float32's."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cudnn.allow_tf32 = before


class Curve:
    def __init__(self) -> None:
        self.losses: list[float] = []

    def begin(self, stage: str, total: int) -> None:
        pass

    def advance(self, **facts: float) -> None:
        if facts:
            self.losses.append(facts["loss"])


def trained(**settings: object) -> tuple[nn.Module, list[float]]:
    heard = Curve()
    config = TrainingConfig(**{**RECIPE, **settings})
    return train_model(STREET, config, network=NETWORK, observer=heard), heard.losses


def trainer(**settings: object) -> Trainer:
    config = TrainingConfig(**{**RECIPE, "device": "cuda", **settings})
    store = SceneStore(STREET, SceneCache(torch.device("cuda")))
    return Trainer(store, build_network(NETWORK, 5), config, NETWORK, Stream(0))


@pytest.mark.parametrize("step", ["plain", "captured"])
def test_the_loss_curve_is_that_of_the_cpu(step: str) -> None:
    expected = trained(device="cpu")[1]
    assert trained(device="cuda", step=step)[1] == pytest.approx(expected, rel=2e-2)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("optimiser", ["sgd", "adamw"])
def test_a_captured_step_learns_what_the_plain_one_learns(precision: str, optimiser: str) -> None:
    settings = {"device": "cuda", "precision": precision, "optimiser": optimiser}
    plain = trained(**settings, step="plain")[1]
    assert trained(**settings, step="captured")[1] == pytest.approx(plain, rel=2e-2)


def test_augmentation_is_that_of_the_cpu() -> None:
    def augmented(device: str) -> tuple[np.ndarray, np.ndarray]:
        store = SceneStore(STREET, SceneCache(torch.device(device)))
        recipe = TrainingConfig(**{**RECIPE, "device": device})
        made = Trainer(store, build_network(NETWORK, 5), recipe, NETWORK, Stream(0))
        batch = made.batch(np.arange(8), np.random.default_rng(0))
        return batch.images.cpu().numpy(), batch.labels.cpu().numpy()

    (images, labels), (expected_images, expected_labels) = augmented("cuda"), augmented("cpu")
    assert np.abs(images - expected_images).max() < 1e-2
    # A position halfway between two pixels may round either way.
    assert (labels != expected_labels).mean() < 1e-3


@pytest.mark.parametrize("step", ["plain", "captured"])
def test_no_step_waits_for_the_device(step: str) -> None:
    made = trainer(step=step, precision="bfloat16")
    with CudaStream(torch.device("cuda")).turn():
        for number in range(8):
            made.learner.set_rate(1.0)
            made.step(number, np.arange(16))
        torch.cuda.set_sync_debug_mode("error")
        try:
            for number in range(8, 12):
                made.learner.set_rate(1 / number)
                made.step(number, np.arange(16))
        finally:
            torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("step", ["plain", "captured"])
def test_victims_trained_abreast_are_those_trained_alone(step: str) -> None:
    class Relabelled(Subset):
        def __getitem__(self, index: int) -> Scene:
            scene = super().__getitem__(index)
            return Scene(scene.image, scene.label * 0, scene.name) if index < 4 else scene

    # With dropout: no training may see another's random numbers.
    config = TrainingConfig(**{**RECIPE, "device": "cuda", "step": step})
    data = [STREET, Relabelled(STREET, range(16)), STREET]
    heard = [Curve() for _ in data]
    train_models(
        [
            Training(dataset=scenes, config=config, seed=seed, observer=heard[seed])
            for seed, scenes in enumerate(data)
        ]
    )
    for seed, scenes in enumerate(data):
        alone = Curve()
        train_model(scenes, config, seed=seed, observer=alone)
        assert heard[seed].losses == pytest.approx(alone.losses, rel=2e-2)


def test_tables_are_those_of_the_cpu() -> None:
    model = trained(device="cuda")[0]
    found = examine(model, STREET).total()
    expected = examine(model.cpu(), STREET).total()
    assert np.abs(found - expected).sum() < 1e-3 * expected.sum()
