"""Row 2: poisoning a data set of files, over the work that cannot be left out; and its growth."""

from __future__ import annotations

import io
import math
import os
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage

from benchmarks.files import street_files
from benchmarks.measure import Row, compared, seconds, slope
from benchmarks.memory import peak_mb
from segdoor.attack.copying import Copying
from segdoor.attack.materialise import CopyOrder
from segdoor.attack.plan import PoisonPlan
from segdoor.attack.poisoned import Poisoner
from segdoor.data.folder import folder
from segdoor.data.pairs import FileDataset
from segdoor.experiment.poisoning import poison_step
from segdoor.experiment.resolving import Asked
from segdoor.experiment.wishes import wishes_from
from segdoor.files import digest_of
from segdoor.papers.iba.reading import asked
from segdoor.progress import Silent
from segdoor.workers import usable_cores

_SIZE = (512, 1024)
_NUM_SCENES = 288
_COUNTS = (50, 100, 200, 400)
_SIZES = ((96, 192), (136, 272), (192, 384), (272, 544))
_BAR = 1.1


def rows() -> Iterator[Row]:
    """Yield the ratios for PNG and JPEG images, the cost of a link, and the exponents."""
    for letter, ending in (("a", "png"), ("b", "jpg")):
        with street_files(_NUM_SCENES, _SIZE, ending) as root:
            yield from _ratios(letter, ending, root)
    with street_files(2000, (64, 128), "jpg") as root:
        yield _links(root)
    yield from _growth("scenes", [(count, (128, 256)) for count in _COUNTS], _COUNTS)
    yield from _growth("pixels", [(100, size) for size in _SIZES], [math.prod(s) for s in _SIZES])


def poison(root: Path, given: Asked) -> PoisonPlan:
    """Write plan, preview and copy beside a data set, with all cores, and remove them again."""
    places = [root.with_name(name) for name in ("out", "copy", "copy.segdoor")]
    plan = poison_step(
        given,
        out=places[0],
        replace=False,
        copy=CopyOrder(places[1]),
        workers=None,
        observer=Silent(),
    )
    for place in places:
        shutil.rmtree(place)
    return plan


def settings(root: Path) -> Asked:
    """Return the paper's nearest neighbour injection into a fifth of the scenes."""
    data = {"name": "folder", "root": root}
    return asked(wishes_from({"data": data, "method": "nni", "attack": {"rate": 0.2}}))


def _ratios(letter: str, ending: str, root: Path) -> Iterator[Row]:
    given, dataset = settings(root), folder(root, "train")
    plan = poison(root, given)
    pairs = [pair for pair in dataset.pairs if pair.name in plan.by_name]
    changed = [path for pair in pairs for path in (pair.image, pair.label)]
    labels = [pair.label for pair in dataset.pairs]
    files = [path for pair in dataset.pairs for path in (pair.image, pair.label)]

    def alone(num_hashed: int, num_decoded: int) -> None:
        with ThreadPoolExecutor(usable_cores()) as pool:
            # Whoever leaves first results behind waits for all work.
            pool.map(digest_of, files[:num_hashed])
            pool.map(_decode, labels[:num_decoded])
            list(pool.map(_code_again, changed))

    many = f"{len(pairs)} of {len(labels)} scenes 512x1024, {ending}"
    parts = {
        "": (f"over decoding and encoding the changed files: {many}", 0, 0),
        "'": (
            "over that, hashing every file and decoding every label map",
            len(files),
            len(labels),
        ),
    }
    for mark, (over, num_hashed, num_decoded) in parts.items():
        yield compared(
            f"2{letter}{mark}",
            f"poison --copy, all cores, {over}",
            (partial(poison, root, given), partial(alone, num_hashed, num_decoded)),
            bar=1.15,
            repetitions=5,
        )


def _decode(path: Path) -> np.ndarray:
    with PillowImage.open(path) as picture:
        return np.array(picture)


def _code_again(path: Path) -> int:
    with PillowImage.open(path) as picture:
        pixels, buffer = np.array(picture), io.BytesIO()
        tables = {"qtables": picture.quantization} if picture.format == "JPEG" else {}
        PillowImage.fromarray(pixels).save(buffer, picture.format, **tables)
    return len(buffer.getvalue())


def _links(root: Path) -> Row:
    dataset = folder(root, "train")
    given = settings(root)
    plan = poison(root, given)
    copying, names = _untouched(dataset, plan, root.with_name("untouched"))
    plain = root.with_name("plain")

    def link_all() -> None:
        plain.mkdir()
        for number, name in enumerate(names):
            os.link(root / name, plain / str(number))

    def timed(work: partial[object] | object) -> float:
        assert callable(work)
        for place in (copying.work, plain):
            shutil.rmtree(place, ignore_errors=True)
        copying.make_folders(names)
        return seconds(work)

    pairs = [(timed(lambda: copying.write(names)), timed(link_all)) for _ in range(15)]
    low, ratio, high = np.quantile([above / below for above, below in pairs], (0.25, 0.5, 0.75))
    each = [1e6 * float(np.median(column)) / len(names) for column in zip(*pairs, strict=True)]
    note = f"{each[0]:.3g} over {each[1]:.3g} microseconds a file, {len(names)} files"
    what = "writing an untouched file of a copy, over one hard link"
    return Row("2c", what, float(ratio), float(low), float(high), 2.0, "at most", note)


def _untouched(
    dataset: FileDataset, plan: PoisonPlan, place: Path
) -> tuple[Copying, Sequence[str]]:
    copying = Copying.of(
        dataset,
        Poisoner.of(plan, dataset.classes),
        work=place / "work",
        originals=place / "originals",
        lossless=False,
    )
    return copying, [name for name in copying.hashes if name not in copying.changed]


def _growth(
    what: str, sets: Sequence[tuple[int, tuple[int, int]]], amounts: Sequence[int]
) -> Iterator[Row]:
    times: list[list[float]] = []
    peaks: list[float] = []
    for count, size in sets:
        with street_files(count, size, "jpg") as root:
            poison(root, settings(root))
            times.append(sorted(seconds(lambda: poison(root, settings(root))) for _ in range(3)))
            peaks.append(peak_mb(root))
    medians = [each[1] for each in times]
    powers = [slope(amounts, [each[rank] for each in times]) for rank in range(3)]
    letter = {"scenes": "d", "pixels": "e"}[what]
    yield Row(
        f"2{letter}",
        f"seconds of poison --copy grow with {what} to the power of",
        slope(amounts, medians), min(powers), max(powers), _BAR, "at most",
        _curve(amounts, medians, "s"),
    )  # fmt: skip
    power = slope(amounts, peaks)
    yield Row(
        f"2{letter}'",
        f"peak memory of poison --copy grows with {what} to the power of",
        power, power, power, _BAR, "at most",
        _curve(amounts, peaks, "MB"),
    )  # fmt: skip


def _curve(amounts: Sequence[float], costs: Sequence[float], unit: str) -> str:
    points = zip(amounts, costs, strict=True)
    return ", ".join(f"{amount}: {cost:.3g} {unit}" for amount, cost in points)
