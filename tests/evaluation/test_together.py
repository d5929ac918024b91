"""The one reading of all tests against the plain path: one test at a time, image by image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from segdoor.attack.config import PoisonedTestsConfig
from segdoor.attack.planned_tests import plan_tests
from segdoor.attack.triggered import triggered
from segdoor.attack.triggers.sticker import Sticker
from segdoor.data.changes import ChangedDataset
from segdoor.data.scene import ClassSet, Scene, SceneDataset
from segdoor.data.street import StreetDataset
from segdoor.data.subset import Subset
from segdoor.data.transforms import resize_label
from segdoor.errors import ConfigError, DataError
from segdoor.evaluation.config import ExaminationConfig
from segdoor.evaluation.examine import examine, examine_together
from segdoor.victim.answer import ask
from segdoor.victim.config import NetworkConfig
from segdoor.victim.networks.small import SmallNetwork
from strategies import MemoryDataset, confusion

Tests = Mapping[str, tuple[nn.Module, SceneDataset]]
SIZE = (40, 72)
gpu = pytest.mark.gpu
DEVICES = ["cpu", pytest.param("cuda", marks=gpu)]


def network(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    model = SmallNetwork(8, width=8)
    # Untrained batch norm would answer one class everywhere.
    for _ in range(3):
        model(torch.randn(4, 3, *SIZE))
    return model.eval()


class Watched(Subset):
    """Counts how often a scene is read."""

    def __init__(self, dataset: SceneDataset) -> None:
        super().__init__(dataset, range(len(dataset)))
        self.readings: Counter[int] = Counter()

    def __getitem__(self, index: int) -> Scene:
        self.readings[index] += 1
        return super().__getitem__(index)


@pytest.fixture(scope="module")
def street() -> SceneDataset:
    painted = StreetDataset(split="test", num_scenes=6, height=SIZE[0], width=SIZE[1])
    return MemoryDataset([painted[index] for index in range(len(painted))], painted.classes)


@pytest.fixture(scope="module")
def mixed(street: SceneDataset) -> SceneDataset:
    """Scenes of three sizes, neighbours of one size among them."""
    heights = (40, 40, 33, 40, 29, 29)
    scenes = [
        Scene(scene.image[:height], scene.label[:height], scene.name)
        for scene, height in zip(street, heights, strict=True)
    ]
    return MemoryDataset(scenes, street.classes)


def exams_on(dataset: SceneDataset, device: str = "cpu") -> Tests:
    """Two networks, all poisoned tests, two stickers."""
    poisoned, clean = (network(seed).to(device) for seed in (0, 1))
    config = PoisonedTestsConfig(near=(0, 9), far=(9, 14, 40, 60))
    planned = plan_tests(dataset, config, victims=("car",), trigger_size=(5, 5))
    tests = {"poisoned/benign": (poisoned, dataset), "clean/benign": (clean, dataset)}
    for name in ("windmill", "bullseye"):
        # Partly transparent: what is stamped then depends on the pixels below.
        sticker = Sticker(name=name, size=5, opacity=0.8)
        for test in planned:
            tests[f"{name}/{test.name}"] = poisoned, triggered(dataset, test, sticker)
    tests["clean/near"] = clean, tests["windmill/near"][1]
    return tests


def plainly(model: nn.Module, dataset: SceneDataset, config: ExaminationConfig) -> np.ndarray:
    """Examine one scene at a time, each stamped before it is normalised."""
    device = next(model.parameters()).device
    tables = []
    for index in range(len(dataset)):
        scene = dataset[index]
        pixels = torch.from_numpy(np.array(scene.image)).to(device).permute(2, 0, 1)[None]
        centre, spread = (
            torch.tensor(values, device=device)[:, None, None] * 255
            for values in (NetworkConfig().mean, NetworkConfig().std)
        )
        images = (pixels.float() - centre) / spread
        size = scene.label.shape
        if config.input_size == "eights_plus_one":
            shown = tuple(8 * (side // 8 + 1) + 1 for side in size)
            images = nn.functional.interpolate(images, size=shown, mode="bilinear")
            size = shown if config.score_at == "input" else size
        images = images.contiguous(memory_format=torch.channels_last)
        with torch.inference_mode():
            best = ask(model, images, num_classes=8, size=size).logits.argmax(dim=1)
        truth = resize_label(scene.label, size)
        tables.append(confusion(truth, best[0].byte().cpu().numpy(), 8, 255))
    return np.stack(tables)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    "options",
    [{}, {"input_size": "eights_plus_one"}, {"input_size": "eights_plus_one", "score_at": "input"}],
    ids=str,
)
@pytest.mark.parametrize("kind", ["street", "mixed"])
def test_one_at_a_time_the_tables_are_those_of_the_plain_path_bit_for_bit(
    kind: str, options: dict[str, str], device: str, request: pytest.FixtureRequest
) -> None:
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    dataset = request.getfixturevalue(kind)
    config = ExaminationConfig(batch_size=1, **options)
    tests = exams_on(dataset, device)
    found = examine_together(tests, config)
    assert list(found) == list(tests)
    for name, (model, scenes) in tests.items():
        assert found[name].names == tuple(scenes.names)
        # GPUs may choose other ways of computing a convolution, and so round otherwise.
        wrong = np.abs(found[name].counts - plainly(model, scenes, config)).sum()
        assert wrong <= (0 if device == "cpu" else 8 * len(scenes))


@pytest.mark.parametrize("batch_size", [3, 8, 100])
def test_batches_of_many_tests_change_nothing_but_ties(
    batch_size: int, mixed: SceneDataset
) -> None:
    tests = exams_on(mixed)
    together = examine_together(tests, ExaminationConfig(batch_size=batch_size))
    alone = examine_together(tests, ExaminationConfig(batch_size=1))
    for name, tables in together.items():
        assert np.abs(tables.counts - alone[name].counts).sum() <= 4


@pytest.mark.parametrize("batch_size", [2, 5])
def test_a_test_alone_gives_the_same_through_its_scenes_and_through_their_changes(
    batch_size: int, street: SceneDataset
) -> None:
    config = ExaminationConfig(batch_size=batch_size)
    for model, dataset in exams_on(street).values():
        # A subset does not say what it has in common with other data sets.
        whole = examine(model, Subset(dataset, range(len(dataset))), config)
        assert np.array_equal(whole.counts, examine(model, dataset, config).counts)


def test_every_scene_is_read_once_for_all_tests(street: SceneDataset) -> None:
    watched = Watched(street)
    tests = exams_on(watched)
    assert sum(isinstance(dataset, ChangedDataset) for _, dataset in tests.values()) == 13
    watched.readings.clear()
    examine_together(tests)
    assert watched.readings == dict.fromkeys(range(len(street)), 1)


def test_a_change_is_all_that_differs(street: SceneDataset) -> None:
    stamped = [d for _, d in exams_on(street).values() if isinstance(d, ChangedDataset)]
    assert stamped
    for dataset in stamped:
        benign = {scene.name: scene for scene in street}
        for index in range(len(dataset)):
            scene = dataset[index]
            image = benign[scene.name].image.copy()
            change = dataset.change(benign[scene.name])
            assert not np.array_equal(image[change.box], change.pixels)
            image[change.box] = change.pixels
            assert np.array_equal(image, scene.image)


def test_scenes_that_no_test_shows_are_not_read(street: SceneDataset) -> None:
    watched = Watched(street)
    model, near = exams_on(watched)["windmill/far_40_60"]
    shown = {watched.names.index(name) for name in near.names}
    assert 0 < len(shown) < len(street)
    watched.readings.clear()
    examine(model, near)
    assert set(watched.readings) == shown


def test_tests_without_common_scenes_are_held_too(street: SceneDataset) -> None:
    model = network(0)
    parts = {str(k): Subset(street, range(k, k + 2)) for k in (0, 3)}
    found = examine_together({name: (model, part) for name, part in parts.items()})
    for name, part in parts.items():
        assert np.abs(found[name].counts - examine(model, part).counts).sum() <= 4
        assert found[name].names == part.names


def test_every_scene_of_every_test_is_one_step(street: SceneDataset) -> None:
    class Steps:
        total = done = 0

        def begin(self, stage: str, total: int) -> None:
            self.total += total

        def advance(self, **facts: float) -> None:
            self.done += 1

    steps = Steps()
    tests = exams_on(street)
    examine_together(tests, observer=steps)
    assert steps.total == steps.done == sum(len(dataset) for _, dataset in tests.values())


def test_a_number_that_is_none_in_the_last_answer_is_found(street: SceneDataset) -> None:
    class Late(nn.Module):
        calls = 0

        def forward(self, images: Tensor) -> Tensor:
            self.calls += 1
            logits = torch.zeros(len(images), 8, *images.shape[2:])
            if self.calls == 6:
                logits[-1, 0, -1, -1] = torch.nan
            return logits

    with pytest.raises(ConfigError, match="finite logits"):
        examine(Late(), street, ExaminationConfig(batch_size=1))


def test_huge_but_finite_logits_are_no_error(street: SceneDataset) -> None:
    class Loud(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return torch.full((len(images), 8, *images.shape[2:]), 3e38)

    assert examine(Loud(), street).total()[:, 0].sum() > 0


@gpu
def test_a_gpu_is_not_waited_for_before_the_end(street: SceneDataset) -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    tests = exams_on(street, "cuda")
    examine_together(tests)

    class Strict:
        """Forbids waiting from the first scene on, and allows it again after the last."""

        left = 0

        def begin(self, stage: str, total: int) -> None:
            self.left = total

        def advance(self, **facts: float) -> None:
            self.left -= 1
            torch.cuda.set_sync_debug_mode("error" if self.left else "default")

    try:
        examine_together(tests, ExaminationConfig(batch_size=2), observer=Strict())
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_one_network_is_asked_about_each_set_of_classes_by_itself(street: SceneDataset) -> None:
    fewer = ClassSet(street.classes.names[:2], street.classes.colours[:2])
    scenes = [Scene(scene.image, scene.label % 2, scene.name) for scene in street]
    model, two = network(0), MemoryDataset(scenes, fewer)
    for tests in (
        {"eight": (model, street), "two": (model, two)},
        {"two": (model, two), "eight": (model, street)},
    ):
        with pytest.raises(ConfigError, match="number of classes"):
            examine_together(tests)


def test_scenes_of_one_name_are_refused(street: SceneDataset) -> None:
    scenes = [street[0], street[0]]
    with pytest.raises(DataError, match="must all be different"):
        examine(network(0), MemoryDataset(scenes, street.classes))
