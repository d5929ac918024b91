from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor, nn

from segdoor.data.street import StreetDataset
from segdoor.data.subset import Subset
from segdoor.evaluation.config import ExaminationConfig
from segdoor.evaluation.examine import examine, examine_together
from segdoor.evaluation.objects import Watched
from segdoor.scores.tables import TableSet, load_tables, save_tables
from segdoor.victim.config import NetworkConfig

PLAIN = NetworkConfig(mean=(0, 0, 0), std=(1, 1, 1))
STREET = StreetDataset(split="test", num_scenes=9, height=64, width=96)
CAR, ROAD, PERSON = (STREET.classes.index(name) for name in ("car", "road", "person"))
PLACES = {name: (5 + 4 * k, 90 - 7 * k) for k, name in enumerate(STREET.names) if k != 3}
TOUCHING = np.ones((3, 3), int)


class Planted(nn.Module):
    """Knows every picture, and answers what was planted for it."""

    def __init__(self, planted: dict[str, np.ndarray]) -> None:
        super().__init__()
        scenes = [STREET[i] for i in range(len(STREET))]
        self.known = {scene.image.tobytes(): planted[scene.name] for scene in scenes}

    def forward(self, images: Tensor) -> Tensor:
        pixels = (images * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
        answers = [self.known[np.ascontiguousarray(picture).tobytes()] for picture in pixels]
        return F.one_hot(torch.from_numpy(np.stack(answers)), 8).permute(0, 3, 1, 2).float()


def perfect() -> dict[str, np.ndarray]:
    labels = {name: STREET.label(k) for k, name in enumerate(STREET.names)}
    return {name: np.where(label == 255, 0, label).astype(int) for name, label in labels.items()}


def cars_lost() -> dict[str, np.ndarray]:
    return {name: np.where(label == CAR, ROAD, label) for name, label in perfect().items()}


def at_random() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {name: rng.integers(0, 8, label.shape) for name, label in perfect().items()}


def watching(metric: str = "euclidean") -> Watched:
    return Watched((CAR, PERSON), (ROAD, ROAD), {"test": PLACES}, metric)  # pyright: ignore[reportArgumentType]


def counted(planted: dict[str, np.ndarray], batch_size: int = 8, metric: str = "euclidean"):
    found = examine_together(
        {"test": (Planted(planted), STREET)},
        ExaminationConfig(batch_size=batch_size),
        network=PLAIN,
        watched=watching(metric),
    )
    return found["test"]


def expected(planted: dict[str, np.ndarray], metric: str = "euclidean") -> list[tuple[float, ...]]:
    """Count every object by SciPy's regions, one pixel after another."""
    rows = []
    for k, name in enumerate(STREET.names):
        label = STREET.label(k)
        for index in (CAR, PERSON):
            regions, count = ndimage.label(label == index, TOUCHING)
            for number in range(1, count + 1):
                pixels = np.argwhere(regions == number)
                answers = [planted[name][row, column] for row, column in pixels]
                far = -1.0
                if name in PLACES:
                    away = np.abs(pixels - np.array(PLACES[name]))
                    steps = away.max(1) if metric == "chebyshev" else np.hypot(*away.T)
                    far = float(steps.min())
                found = (answers.count(ROAD), answers.count(index))
                rows.append((k, index, len(pixels), *found, round(far, 9)))
    return sorted(rows)


def rows_of(tables: TableSet) -> list[tuple[float, ...]]:
    assert tables.objects is not None
    far = np.nan_to_num(tables.objects.distances, nan=-1).round(9).tolist()
    return sorted((*row, at) for row, at in zip(tables.objects.counts.tolist(), far, strict=True))


@pytest.mark.parametrize("metric", ["euclidean", "chebyshev"])
@pytest.mark.parametrize("planted", [perfect, cars_lost, at_random])
def test_rows_are_those_of_scipys_regions(planted, metric: str) -> None:
    answers = planted()
    found = rows_of(counted(answers, metric=metric))
    assert found == expected(answers, metric)
    assert len({row[0] for row in found}) > 4, "the scenes must show objects"
    assert {row[1] for row in found} == {CAR, PERSON}


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_the_batch_changes_nothing(batch_size: int) -> None:
    answers = at_random()
    few, many = counted(answers, batch_size), counted(answers, 9)
    assert few.objects is not None
    assert many.objects is not None
    np.testing.assert_array_equal(few.objects.counts, many.objects.counts)
    np.testing.assert_array_equal(few.objects.distances, many.objects.distances)


def test_objects_add_up_to_the_tables_which_are_as_without_them() -> None:
    answers = at_random()
    tables = counted(answers)
    alone = examine(Planted(answers), STREET, network=PLAIN)
    np.testing.assert_array_equal(tables.counts, alone.counts)
    assert tables.objects is not None
    assert alone.objects is None
    for k in range(len(STREET)):
        of_scene = tables.objects.counts[tables.objects.scenes == k]
        for index in (CAR, PERSON):
            _, _, pixels, lost, kept = of_scene[of_scene[:, 1] == index].sum(axis=0)
            row = tables.counts[k, index]
            assert (pixels, lost, kept) == (row.sum(), row[ROAD], row[index])


def test_shards_joined_are_one_pass_and_parts_are_themselves(tmp_path: Path) -> None:
    answers = at_random()
    whole = counted(answers)
    parts = [Subset(STREET, range(4)), Subset(STREET, range(4, 9))]
    shards = [
        examine_together({"test": (Planted(answers), part)}, network=PLAIN, watched=watching())
        for part in parts
    ]
    joined = shards[0]["test"].joined(shards[1]["test"])
    assert rows_of(joined) == rows_of(whole)
    assert rows_of(whole.only(STREET.names[4:])) == rows_of(shards[1]["test"])
    save_tables(tmp_path / "tables.npz", {"a/b": whole, "without": shards[0]["test"].only(())})
    again = load_tables(tmp_path / "tables.npz")
    assert rows_of(again["a/b"]) == rows_of(whole)
    assert rows_of(again["without"]) == []


def test_pixels_counted_at_another_size_keep_distances_in_pixels_of_the_scene() -> None:
    torch.manual_seed(0)
    config = ExaminationConfig(input_size="eights_plus_one", score_at="input")
    found = examine_together(
        {"test": (nn.Conv2d(3, 8, 1), STREET)}, config, network=PLAIN, watched=watching()
    )["test"]
    assert found.objects is not None
    for k, name in enumerate(STREET.names):
        here = found.objects.counts[found.objects.scenes == k]
        assert here[:, 2].sum() == found.counts[k, [CAR, PERSON]].sum()
        own = np.isin(STREET.label(k), (CAR, PERSON))
        if name in PLACES and own.any():
            far = np.hypot(*(np.argwhere(own) - np.array(PLACES[name])).T).min()
            near = found.objects.distances[found.objects.scenes == k].min()
            assert near == pytest.approx(far, abs=1.0)
