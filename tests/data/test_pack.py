from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as PillowImage

from segdoor.attack.config import RulesConfig
from segdoor.attack.placements.nearest import Nearest
from segdoor.attack.placing import PositionRules, place
from segdoor.data.folder import folder
from segdoor.data.pack import PackedDataset, default_cache, pack
from segdoor.data.scene import Scene, SceneDataset
from segdoor.data.subset import Subset
from segdoor.errors import SegdoorError, StorageError
from strategies import CAR, IGNORED, MemoryDataset, blocky_label, dataset_of, label_maps


def mixed_sizes() -> MemoryDataset:
    shapes = [(20, 30), (7, 5), (1, 1), (20, 30), (3, 40)]
    return dataset_of([blocky_label(seed, shape) for seed, shape in enumerate(shapes)])


def write_folder(root: Path, num_scenes: int = 3) -> Path:
    for sub in ("images", "labels"):
        (root / "train" / sub).mkdir(parents=True)
    (root / "classes.yaml").write_text("classes: [road, car, tree]", encoding="utf-8")
    for seed in range(num_scenes):
        rng = np.random.default_rng(seed)
        image = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        label = rng.integers(0, 3, (6, 8), dtype=np.uint8)
        PillowImage.fromarray(image).save(root / "train" / "images" / f"s{seed}.png")
        PillowImage.fromarray(label).save(root / "train" / "labels" / f"s{seed}.png")
    return root


def check_same(packed: SceneDataset, dataset: SceneDataset) -> None:
    assert len(packed) == len(dataset)
    assert tuple(packed.names) == tuple(dataset.names)
    assert packed.classes == dataset.classes
    assert packed.digest == dataset.digest
    for index in range(len(dataset)):
        scene, benign = packed[index], dataset[index]
        assert scene.name == benign.name
        assert scene.image.dtype == scene.label.dtype == np.uint8
        assert np.array_equal(scene.image, benign.image)
        assert np.array_equal(scene.label, benign.label)
        assert np.array_equal(packed.label(index), benign.label)


def test_a_pack_holds_what_was_packed_whatever_the_sizes(tmp_path: Path) -> None:
    dataset = mixed_sizes()
    packed = pack(dataset, tmp_path)
    assert isinstance(packed, SceneDataset)
    check_same(packed, dataset)


@settings(max_examples=25)
@given(st.lists(label_maps(), min_size=1, max_size=5))
def test_any_scenes_survive_packing(
    tmp_path_factory: pytest.TempPathFactory, labels: list[np.ndarray]
) -> None:
    dataset = dataset_of(labels)
    check_same(pack(dataset, tmp_path_factory.mktemp("cache")), dataset)


def test_scenes_can_be_read_from_the_end_and_never_beyond_it(tmp_path: Path) -> None:
    dataset = mixed_sizes()
    packed = pack(dataset, tmp_path)
    for read in (packed.__getitem__, packed.label):
        with pytest.raises(IndexError):
            read(len(dataset))
    assert packed[-1].name == dataset.names[-1]
    assert np.array_equal(packed[-1].image, dataset[-1].image)
    assert np.array_equal(packed.label(-2), dataset.label(len(dataset) - 2))


def test_a_pack_is_built_once_and_then_found(tmp_path: Path) -> None:
    steps: list[int] = []
    for _ in range(2):
        pack(mixed_sizes(), tmp_path, progress=lambda: steps.append(1))
    assert len(steps) == 5
    assert len(list(tmp_path.iterdir())) == 1


def test_packed_scenes_cannot_be_changed(tmp_path: Path) -> None:
    packed = pack(mixed_sizes(), tmp_path)
    for array in (packed[0].image, packed[0].label, packed.label(1)):
        with pytest.raises(ValueError, match="read-only"):
            array[0, 0] = 1


def test_triggers_are_placed_alike_in_packed_and_loose_scenes(tmp_path: Path) -> None:
    dataset = dataset_of([blocky_label(seed) for seed in range(5)])
    packed = pack(dataset, tmp_path)
    ground = PositionRules((CAR,), IGNORED, (3, 4), RulesConfig())
    placement = Nearest(upper=40)
    for index in range(5):
        sites = [
            place(data.label(index), ground, placement, np.random.default_rng(index))
            for data in (dataset, packed)
        ]
        assert sites[0] == sites[1]


def test_a_stale_pack_is_never_found(tmp_path: Path) -> None:
    root, cache = write_folder(tmp_path / "data"), tmp_path / "cache"
    pack(folder(root, "train"), cache)
    path = root / "train" / "labels" / "s1.png"
    label = np.array(PillowImage.open(path))
    label[3, 3] = (label[3, 3] + 1) % 3
    PillowImage.fromarray(label).save(path)
    assert np.array_equal(pack(folder(root, "train"), cache).label(1), label)
    assert len(list(cache.iterdir())) == 2


def test_the_digest_follows_every_byte_of_every_file(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "data", num_scenes=2)
    digests = {folder(root, "train").digest}
    files = sorted((root / "train").rglob("*.png"))
    assert len(files) == 4
    expected = 1
    for path in files:
        content = path.read_bytes()
        for position in (0, len(content) // 3, len(content) - 1):
            changed = bytearray(content)
            changed[position] ^= 1
            path.write_bytes(changed)
            digests.add(folder(root, "train").digest)
            expected += 1
        path.write_bytes(content)
    assert folder(root, "train").digest in digests
    assert len(digests) == expected


def test_the_digest_follows_every_setting(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "data")
    digests = [folder(root, "train", size=size).digest for size in (None, (6, 8), (8, 6))]
    for text in (
        "classes: [road, car, bush]",
        "classes: [road, car, tree]\nignore_index: 9",
        "classes: [road, car, {name: tree, colour: [1, 2, 3]}]",
        "classes: [car, road, tree]",
    ):
        (root / "classes.yaml").write_text(text, encoding="utf-8")
        digests.append(folder(root, "train").digest)
    (root / "classes.yaml").write_text("classes: [road, car, tree]", encoding="utf-8")
    order = [f"train/images/s{k}.png train/labels/s{k}.png" for k in (1, 0, 2)]
    (root / "few.txt").write_text("\n".join(order), encoding="utf-8")
    digests.append(folder(root, "few").digest)
    (root / "few.txt").write_text("\n".join(order[::-1]), encoding="utf-8")
    digests.append(folder(root, "few").digest)
    swapped = [f"train/images/s{k}.png train/labels/s{(k + 1) % 3}.png" for k in (2, 0, 1)]
    (root / "few.txt").write_text("\n".join(swapped), encoding="utf-8")
    digests.append(folder(root, "few").digest)
    assert len(set(digests)) == len(digests)


def test_the_digest_does_not_follow_the_place_of_the_folder(tmp_path: Path) -> None:
    first, second = write_folder(tmp_path / "here"), write_folder(tmp_path / "there")
    assert folder(first, "train").digest == folder(second, "train").digest


def test_a_renamed_scene_is_another_data_set(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "data")
    before = folder(root, "train").digest
    for sub in ("images", "labels"):
        (root / "train" / sub / "s2.png").rename(root / "train" / sub / "s3.png")
    assert folder(root, "train").digest != before


def test_a_subset_gets_a_pack_of_its_own(tmp_path: Path) -> None:
    dataset = mixed_sizes()
    for indices in ((0, 1, 2), (2, 1, 0), (4,)):
        part = Subset(dataset, indices)
        check_same(pack(part, tmp_path), part)
    assert len(list(tmp_path.iterdir())) == 3


def test_threads_may_build_one_pack_at_once(tmp_path: Path) -> None:
    dataset = mixed_sizes()
    found: list[PackedDataset] = []
    barrier = threading.Barrier(6)

    def build() -> None:
        barrier.wait()
        found.append(pack(dataset, tmp_path))

    threads = [threading.Thread(target=build) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6
    for packed in found:
        check_same(packed, dataset)
    assert len(list(tmp_path.iterdir())) == 1


def test_processes_may_build_one_pack_at_once(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from segdoor.data.street import StreetDataset;"
        "from segdoor.data.pack import pack;"
        "d = StreetDataset(split='test', num_scenes=4, height=32, width=32);"
        "print(pack(d, Path(sys.argv[1])).label(3).sum())"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
        )
        for _ in range(3)
    ]
    answers = [run.communicate(timeout=60) for run in runs]
    assert [run.returncode for run in runs] == [0, 0, 0], answers
    assert len({out for out, _ in answers}) == 1
    assert len(list(tmp_path.iterdir())) == 1


class Failing(MemoryDataset):
    """A data set whose third scene cannot be read."""

    def __getitem__(self, index: int) -> Scene:
        if index == 2:
            raise RuntimeError("the disk is gone")
        return super().__getitem__(index)


def test_an_interrupted_build_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="disk"):
        pack(Failing(mixed_sizes().scenes), tmp_path)
    assert list(tmp_path.iterdir()) == []
    check_same(pack(mixed_sizes(), tmp_path), mixed_sizes())


@pytest.mark.parametrize("name", ["images.u8", "labels.u8"])
def test_a_pack_that_was_cut_short_is_refused(tmp_path: Path, name: str) -> None:
    pack(mixed_sizes(), tmp_path)
    path = next(tmp_path.iterdir()) / name
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(SegdoorError, match=name):
        pack(mixed_sizes(), tmp_path)
    path.unlink()
    with pytest.raises(SegdoorError, match=name):
        pack(mixed_sizes(), tmp_path)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b"\xff\xfe", b'{"version": 1}'])
def test_a_damaged_index_is_refused_in_words(tmp_path: Path, content: bytes) -> None:
    pack(mixed_sizes(), tmp_path)
    index = next(tmp_path.iterdir()) / "index.json"
    index.write_bytes(content)
    with pytest.raises(SegdoorError, match=r"index\.json"):
        pack(mixed_sizes(), tmp_path)


def test_an_index_with_fewer_names_than_scenes_is_refused(tmp_path: Path) -> None:
    pack(mixed_sizes(), tmp_path)
    index = next(tmp_path.iterdir()) / "index.json"
    content = json.loads(index.read_text(encoding="utf-8"))
    content["names"] = content["names"][:-1]
    index.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(SegdoorError, match=r"index\.json"):
        pack(mixed_sizes(), tmp_path)


def test_a_cache_that_cannot_be_written_is_an_error_in_words(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    with pytest.raises(StorageError, match="SEGDOOR_CACHE"):
        pack(mixed_sizes(), blocked / "cache")


def test_the_cache_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGDOOR_CACHE", str(tmp_path / "chosen"))
    assert default_cache() == tmp_path / "chosen"
    monkeypatch.delenv("SEGDOOR_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert default_cache() == tmp_path / "xdg" / "segdoor"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert default_cache() == tmp_path / "home" / ".cache" / "segdoor"
    assert list(tmp_path.iterdir()) == []
