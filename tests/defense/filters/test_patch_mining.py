"""Patch mining against planted patches, and on harmless things that come again."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from segdoor.data.scene import Scene
from segdoor.data.street import StreetDataset
from segdoor.defense.filters.filter import FilterContext
from segdoor.defense.filters.mining.patches import best_places, cut_around, patch_in
from segdoor.defense.filters.mining.repeats import Stacked, repeats
from segdoor.defense.filters.mining.windows import sides_for, windows_of
from segdoor.defense.filters.patch_mining import PatchMining
from segdoor.stickers import draw, stamp
from segdoor.workers import hired
from strategies import MemoryDataset

COUNT, POISONED, SIZE = 60, tuple(range(0, 60, 6)), 14
STREET = StreetDataset(split="train", num_scenes=COUNT, height=96, width=160)
CLEAN = MemoryDataset([STREET[index] for index in range(COUNT)], STREET.classes)
ROAD, CAR = (STREET.classes.index(name) for name in ("road", "car"))


def planted(*, fixed: bool = False, labels: bool = True) -> tuple[MemoryDataset, dict[str, tuple]]:
    """Return scenes with the same sticker, and where it is: written without the attack."""
    rng = np.random.default_rng(4)
    sticker = draw("smiley", SIZE)
    scenes, places = list(CLEAN.scenes), {}
    for index in POISONED:
        scene = scenes[index]
        top, left = int(rng.integers(2, 80)), int(rng.integers(2, 144))
        top, left = (40, 60) if fixed else (top, left)
        label = np.where(scene.label == CAR, ROAD, scene.label) if labels else scene.label
        image = stamp(scene.image, sticker, top=top, left=left)
        scenes[index] = Scene(image, label.astype(np.uint8), scene.name)
        places[scene.name] = (top, left)
    return MemoryDataset(scenes, CLEAN.classes), places


def test_a_planted_sticker_is_found_where_it_sits() -> None:
    scenes, places = planted()
    found = PatchMining()(scenes).found
    ranked = sorted(found.scores, key=lambda name: -found.scores[name])
    assert {*ranked[: len(POISONED)]} == places.keys()
    assert min(found.scores[name] for name in places) >= 1
    first = found.evidence[0]
    assert first.scene in places
    top, left, height, width = first.box
    assert abs(top - places[first.scene][0]) <= 2
    assert abs(left - places[first.scene][1]) <= 2
    assert (height, width) == pytest.approx((SIZE, SIZE), abs=3)
    assert "in about 10 scenes" in first.says
    # The mask is where the sticker was stamped.
    for name, (top, left) in places.items():
        assert found.masks[name][top + 3 : top + 11, left + 3 : left + 11].all()


def test_clean_scenes_have_no_high_score() -> None:
    assert max(PatchMining()(CLEAN).found.scores.values()) < 1


def test_a_logo_at_one_place_of_the_frame_is_left_out() -> None:
    scenes, _ = planted(fixed=True, labels=False)
    found = PatchMining()(scenes).found
    assert max(found.scores.values()) < 1
    assert "at one place" in found.evidence[-1].says


def test_signs_of_many_sizes_are_not_taken_for_a_sticker() -> None:
    rng = np.random.default_rng(1)
    scenes = list(CLEAN.scenes)
    for index in POISONED:
        size = int(rng.integers(6, 24))
        sign = draw("bullseye", size)
        sign[..., :3] = np.clip(sign[..., :3] * rng.uniform(0.6, 1), 0, 255)
        image = stamp(
            scenes[index].image, sign, top=int(rng.integers(70)), left=int(rng.integers(130))
        )
        scenes[index] = Scene(image, scenes[index].label, scenes[index].name)
    assert max(PatchMining()(MemoryDataset(scenes, CLEAN.classes)).found.scores.values()) < 1


def test_frames_of_one_video_are_not_taken_for_a_sticker() -> None:
    """The camera moves: every frame shows most of what the last one did, a little aside."""
    wide = StreetDataset(split="train", num_scenes=1, height=96, width=600)[0]
    frames = [
        Scene(wide.image[:, at : at + 160].copy(), wide.label[:, at : at + 160].copy(), f"f{at}")
        for at in range(0, 360, 20)
    ]
    scenes = MemoryDataset([*frames, *CLEAN.scenes[:20]], CLEAN.classes)
    assert max(PatchMining()(scenes).found.scores.values()) < 1


def test_workers_and_order_of_work_change_nothing() -> None:
    scenes, _ = planted()
    with hired(2) as workers:
        shared = PatchMining()(scenes, FilterContext(workers=workers)).found
    assert shared.scores == PatchMining()(scenes).found.scores


def test_equal_windows_are_those_that_brute_force_finds() -> None:
    scenes, places = planted()
    sides = sides_for(96)
    each = [windows_of(scenes[index].image, sides, 60) for index in range(COUNT)]
    stacked = Stacked.of(each)
    group = repeats(stacked, np.random.default_rng(0), 5).groups[0]
    thumbs = stacked.windows.thumbs.astype(float)
    first = thumbs[group.members[0]]
    # Pixel by pixel, with every other window: the group's are among the nearest.
    apart = np.sqrt(((thumbs - first) ** 2).mean(axis=(1, 2, 3)))
    same_scale = stacked.windows.places[:, 0] == stacked.windows.places[group.members[0], 0]
    nearest = np.flatnonzero(same_scale)[np.argsort(apart[same_scale])[: 3 * len(group.members)]]
    assert len({*group.members} - {*nearest.tolist()}) <= len(group.members) // 4
    names = [scenes.names[scene] for scene in group.scenes]
    assert np.mean([name in places for name in names]) > 0.9


def test_a_window_is_the_same_wherever_the_sticker_sits() -> None:
    sticker = cv2.cvtColor(draw("blossom", 32), cv2.COLOR_RGBA2RGB)
    found = []
    for top, left in ((20, 30), (41, 77)):
        image = np.full((100, 140, 3), 90, np.uint8)
        image[top : top + 32, left : left + 32] = sticker
        windows = windows_of(image, (8,), 200)
        shifted = windows.places[:, 1:3] - (top, left)
        inside = ((shifted > 8) & (shifted < 24)).all(axis=1)
        found.append({tuple(place): thumb.tobytes() for place, thumb in
                      zip(shifted[inside], windows.thumbs[inside], strict=True)})  # fmt: skip
    assert len(found[0].keys() & found[1].keys()) > 0
    for place in found[0].keys() & found[1].keys():
        assert found[0][place] == found[1][place]


def test_poles_and_edges_are_no_windows() -> None:
    image = np.full((64, 64, 3), 250, np.uint8)
    image[:, 30:33] = 10
    assert len(windows_of(image, (8, 12), 60)) == 0


def test_what_scenes_have_in_common_is_cut_out_exactly() -> None:
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (9, 11, 3), dtype=np.uint8)
    cuts = []
    for _ in range(6):
        image = rng.integers(0, 256, (60, 60, 3), dtype=np.uint8)
        image[20:29, 30:41] = picture
        cuts.append(cut_around(image, 24, 35, 8))
    patch = patch_in(np.stack(cuts))
    assert patch is not None
    height, width = patch.picture.shape[:2]
    assert 7 <= height <= 11
    assert 9 <= width <= 13
    assert patch.within < 3 < patch.around


def test_the_best_place_is_that_of_a_plain_search() -> None:
    rng = np.random.default_rng(3)
    image = rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)
    picture = image[7:13, 21:30].copy()
    (place,) = best_places(image, [picture])
    assert place.box == (7, 21, 6, 9)
    assert place.likeness == pytest.approx(1, abs=1e-3)
    assert best_places(image[:4], [picture])[0].likeness == 0
