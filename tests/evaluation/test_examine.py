from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segdoor.data.scene import Scene
from segdoor.data.street import StreetDataset
from segdoor.data.subset import Subset
from segdoor.errors import ConfigError
from segdoor.evaluation.config import ExaminationConfig
from segdoor.evaluation.examine import examine
from segdoor.scores.metrics.functions import attack_success_rate, clean_benign_accuracy
from segdoor.victim.config import NetworkConfig
from segdoor.victim.networks.small import SmallNetwork


@pytest.fixture(scope="module")
def street() -> StreetDataset:
    return StreetDataset(split="test", num_scenes=7, height=40, width=72)


@pytest.fixture(scope="module")
def network() -> nn.Module:
    torch.manual_seed(0)
    model = SmallNetwork(8, width=8)
    # Untrained batch norm would answer one class everywhere.
    for _ in range(3):
        model(torch.randn(4, 3, 40, 72))
    return model.eval()


class Oracle(nn.Module):
    """Knows the truth of every picture it has been told of."""

    def __init__(self, street: StreetDataset, shape: str = "tensor", scale: int = 1) -> None:
        super().__init__()
        self.answers = {street[i].image.tobytes(): street[i].label for i in range(len(street))}
        self.shape, self.scale = shape, scale

    def forward(self, images: Tensor) -> object:
        pixels = (images * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
        labels = np.stack([self.answers[np.ascontiguousarray(p).tobytes()] for p in pixels])
        truth = torch.from_numpy(np.where(labels == 255, 0, labels)).long()
        logits = F.one_hot(truth, 8).permute(0, 3, 1, 2).float()
        logits = logits[:, :, :: self.scale, :: self.scale]
        answers = {
            "tensor": logits,
            "dict": {"out": logits},
            "object": SimpleNamespace(logits=logits),
        }
        return answers[self.shape]


PLAIN = NetworkConfig(mean=(0, 0, 0), std=(1, 1, 1))


@pytest.mark.parametrize("shape", ["tensor", "dict", "object"])
def test_a_perfect_network_of_any_output_form_makes_no_mistake(
    shape: str, street: StreetDataset
) -> None:
    total = examine(Oracle(street, shape), street, network=PLAIN).total()
    assert np.count_nonzero(total - np.diag(np.diag(total))) == 0
    assert clean_benign_accuracy(total) == 1
    assert attack_success_rate(total, street.classes.indices(["car"]), 0) == 0


def test_logits_of_a_quarter_of_the_size_are_enlarged(street: StreetDataset) -> None:
    total = examine(Oracle(street, "object", scale=4), street, network=PLAIN).total()
    assert total.sum() == sum(np.count_nonzero(street.label(i) != 255) for i in range(len(street)))
    assert 0.5 < clean_benign_accuracy(total) < 1


def test_tables_agree_with_a_plain_loop(street: StreetDataset, network: nn.Module) -> None:
    tables = examine(network, street)
    assert tables.names == street.names
    for index in range(len(street)):
        scene = street[index]
        image = torch.from_numpy(scene.image).permute(2, 0, 1)[None] / 255.0
        mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
        std = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
        with torch.no_grad():
            predicted = network((image - mean) / std).logits.argmax(1)[0].numpy()
        expected = np.zeros((8, 8), int)
        for truth, answer in zip(scene.label.ravel(), predicted.ravel(), strict=True):
            if truth != 255:
                expected[truth, answer] += 1
        assert np.abs(tables.counts[index] - expected).sum() <= 4
    assert tables.counts.dtype == np.int64


def test_batch_size_changes_nothing_but_ties(street: StreetDataset, network: nn.Module) -> None:
    one = examine(network, street, ExaminationConfig(batch_size=1)).counts
    many = examine(network, street, ExaminationConfig(batch_size=5)).counts
    assert np.abs(one - many).sum() <= 4


def test_flip_averaging_answers_mirrored_scenes_alike(
    street: StreetDataset, network: nn.Module
) -> None:
    class Mirrored(Subset):
        def __getitem__(self, index: int) -> Scene:
            scene = super().__getitem__(index)
            image, label = scene.image[:, ::-1], scene.label[:, ::-1]
            return Scene(np.ascontiguousarray(image), np.ascontiguousarray(label), scene.name)

    config = ExaminationConfig(flip=True)
    straight = examine(network, street, config).counts
    mirrored = examine(network, Mirrored(street, range(len(street))), config).counts
    assert np.abs(straight - mirrored).sum() <= 8
    assert np.abs(straight - examine(network, street).counts).sum() > 100


def test_semseg_s_input_size_and_where_pixels_are_counted(street: StreetDataset) -> None:
    seen: list[tuple[int, ...]] = []

    class Watching(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            seen.append(tuple(images.shape[2:]))
            return torch.zeros(len(images), 8, *images.shape[2:])

    size = {"input_size": "eights_plus_one"}
    at_label = examine(Watching(), street, ExaminationConfig(**size)).total().sum()
    at_input = (
        examine(Watching(), street, ExaminationConfig(**size, score_at="input")).total().sum()
    )
    assert set(seen) == {(49, 81)}
    assert at_label <= 7 * 40 * 72
    assert at_input > 7 * 40 * 72


def test_scenes_of_many_sizes_are_examined(network: nn.Module, street: StreetDataset) -> None:
    class Mixed(Subset):
        def __getitem__(self, index: int) -> Scene:
            scene = super().__getitem__(index)
            return Scene(scene.image[: 17 + index // 2], scene.label[: 17 + index // 2], scene.name)

    mixed = Mixed(street, range(len(street)))
    total = examine(network, mixed).total().sum()
    assert total == sum(np.count_nonzero(mixed[i].label != 255) for i in range(len(mixed)))


@pytest.mark.parametrize(
    ("answer", "rule"),
    [
        (lambda x: torch.zeros(len(x), 5, *x.shape[2:]), "7 x 8 x H x W"),
        (lambda x: torch.full((len(x), 8, *x.shape[2:]), torch.nan), "finite"),
        (lambda x: "nonsense", "logits"),
    ],
)
def test_networks_that_do_not_fit_are_explained(
    answer: object, rule: str, street: StreetDataset
) -> None:
    class Foreign(nn.Module):
        def forward(self, images: Tensor) -> object:
            return answer(images)

    with pytest.raises(ConfigError, match=rule):
        examine(Foreign(), street)


def test_no_scenes_give_an_empty_table(street: StreetDataset, network: nn.Module) -> None:
    assert examine(network, Subset(street, [])).counts.shape == (0, 8, 8)


def test_a_network_that_fails_is_named_and_explained(street: StreetDataset) -> None:
    class Picky(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            raise ValueError("need multiples of 32")

    with pytest.raises(ConfigError, match=r"Picky.*multiples of 32"):
        examine(Picky(), street)
