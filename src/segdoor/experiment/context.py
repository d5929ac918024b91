"""The contexts of finished runs' networks, measured on the same scenes: `segdoor context`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from itertools import combinations
from pathlib import Path

import numpy as np
from torch import nn

from segdoor.data.scene import Scene
from segdoor.data.subset import evenly
from segdoor.errors import ConfigError
from segdoor.evaluation.context import (
    ContextConfig,
    ContextExaminer,
    SceneContext,
    edges_for,
)
from segdoor.experiment.kept_parts import KeptParts, facts_of
from segdoor.experiment.reopened import FinishedRun, Places, ReopenedRun, reopen
from segdoor.progress import Observer, Silent
from segdoor.record import save_record
from segdoor.record.context import (
    ContextComparison,
    ContextRecord,
    Direction,
    Measure,
    ModelContext,
)
from segdoor.scores.differences import Difference
from segdoor.scores.intervals import Interval, drawn

FILE = "context.json"
"""What is written into the output folder."""
CLEAN = "clean"
"""Name of clean models."""
_ROUNDS = 2000


@dataclass(frozen=True)
class ContextOptions:
    """How far the measuring goes.

    Attributes:
        num_scenes: Test scenes, evenly spread; all if there are fewer.
        config: How the context is measured.
        places: What has moved since the runs.
        model: The runs' network, if it is one of the user's own.
    """

    num_scenes: int = 40
    config: ContextConfig = field(default_factory=ContextConfig)
    places: Places = field(default_factory=Places)
    model: str | None = None


@dataclass(frozen=True, eq=False)
class _Looked:
    """One network and its context in each scene."""

    name: str
    run: str
    seed: int
    scenes: tuple[SceneContext, ...]
    far: int
    """The first band that is far."""

    @property
    def reaches(self) -> np.ndarray:
        return np.array([scene.reach for scene in self.scenes])

    def total(self, part: str) -> np.ndarray:
        return np.sum([getattr(scene, part) for scene in self.scenes], axis=0)

    def redrawn(self, measure: Measure) -> np.ndarray:
        """Return the figure over the scenes, then over scenes drawn again, 1 + rounds."""
        ones = np.ones((1, len(self.scenes)), np.int64)
        times = np.concatenate([ones, drawn(len(self.scenes), _ROUNDS)])
        if measure == "gradient_reach":
            return times @ self.reaches / len(self.scenes)
        changed, pixels = (
            times @ np.array([getattr(scene, part)[self.far :].sum() for scene in self.scenes])
            for part in ("changed", "pixels")
        )
        return np.divide(changed, pixels, out=np.full(len(times), np.nan), where=pixels > 0)


def measure_context(
    runs: Sequence[Path],
    *,
    out: Path,
    options: ContextOptions | None = None,
    observer: Observer | None = None,
) -> ContextRecord:
    """Measure how far the networks of finished runs look, and compare methods paired by seed.

    Args:
        runs: Their folders; all of one data set.
        out: Folder for the record, and for what is finished if it is interrupted.
        options: How far the measuring goes.
        observer: Receives progress.

    Raises:
        SegdoorError: If a run is not intact, its network is not named, or the runs have different
            test scenes.
    """
    options, observer = options or ContextOptions(), observer or Silent()
    looked: list[_Looked] = []
    scenes: list[Scene] = []
    digest, num_classes = "", 0
    for folder in dict.fromkeys(runs):
        run = reopen(FinishedRun.of(folder), options.model, options.places, observer)
        benign = run.tests.benign
        if not scenes:
            scenes = [benign[i] for i in evenly(range(len(benign)), options.num_scenes)]
            digest, num_classes = benign.digest, len(benign.classes)
        elif (digest, num_classes) != (benign.digest, len(benign.classes)):
            raise ConfigError(
                f"run {folder}", "must have the test scenes of the others", "other scenes",
                "Compare runs of one data set.",
            )  # fmt: skip
        for name, model in _new(run, looked):
            facts = (*facts_of(model, run.config), digest, options.config.model_dump_json())
            kept = KeptParts(out, facts)
            with kept.written():
                looked.append(_look(name, model, run, scenes, options.config, observer, kept))
    measured = _record(looked, scenes, digest, options.config)
    save_record(measured, out / FILE)
    return measured


def _new(run: ReopenedRun, looked: Sequence[_Looked]) -> Iterator[tuple[str, nn.Module]]:
    """Yield the run's networks; the clean model of a seed only once."""
    method, trigger = run.record.method or "examined", run.config.attack.trigger.kind
    # The methods are the paper's, whose trigger is a sticker.
    method = method if trigger == "sticker" else f"{method} ({trigger})"
    for name, model in run.models.items():
        told = CLEAN if name == CLEAN else method
        if not (
            told == CLEAN and any((o.name, o.seed) == (CLEAN, run.record.seed) for o in looked)
        ):
            yield told, model


def _look(
    name: str,
    model: nn.Module,
    run: ReopenedRun,
    scenes: Sequence[Scene],
    config: ContextConfig,
    observer: Observer,
    kept: KeptParts,
) -> _Looked:
    examiner = ContextExaminer(
        model,
        run.tests.benign.classes, config, examination=run.config.examination,
        network=run.config.network,
    )  # fmt: skip
    observer.begin(f"looking at the context of {run.folder.name}, {name}", len(scenes))
    edges = edges_for(*_size(scenes))
    found: list[SceneContext] = []
    bands = len(edges) - 1
    for scene in scenes:
        numbers = kept.part(
            f"{scene.name}, edges {edges}",
            lambda scene=scene: _numbers(examiner.look(scene, edges)),
            lengths=[3 * bands + 1],
        )
        found.append(_of_numbers(numbers, bands))
        observer.advance()
    return _Looked(name, run.folder.name, run.record.seed, tuple(found), _far(edges, scenes))


def _numbers(found: SceneContext) -> list[float]:
    parts = (*found.pixels, *found.changed, *found.gradient, found.reach)
    return [float(part) for part in parts]


def _of_numbers(numbers: Sequence[float], bands: int) -> SceneContext:
    counts = np.array(numbers[: 2 * bands]).astype(np.int64)
    gradient = np.array(numbers[2 * bands : 3 * bands])
    return SceneContext(counts[:bands], counts[bands:], gradient, numbers[-1])


def _size(scenes: Sequence[Scene]) -> tuple[int, int]:
    """Return the largest height and width."""
    height = max(scene.image.shape[0] for scene in scenes)
    return height, max(scene.image.shape[1] for scene in scenes)


def _far(edges: Sequence[int], scenes: Sequence[Scene]) -> int:
    """Return the first band that begins at a quarter of the height or farther."""
    height = _size(scenes)[0]
    return next(band for band, edge in enumerate(edges) if edge >= height / 4)


def _record(
    looked: Sequence[_Looked], scenes: Sequence[Scene], digest: str, config: ContextConfig
) -> ContextRecord:
    edges = edges_for(*_size(scenes))
    return ContextRecord(
        segdoor=version("segdoor"),
        data_digest=digest,
        num_scenes=len(scenes),
        height=scenes[0].image.shape[0],
        config=config.model_dump(),
        edges=edges,
        far=edges[_far(edges, scenes)],
        models=tuple(_model(one) for one in looked),
        comparisons=tuple(_comparisons(looked)),
    )


def _model(looked: _Looked) -> ModelContext:
    far_changes = float(looked.redrawn("far_changes")[0])
    return ModelContext(
        name=looked.name,
        run=looked.run,
        seed=looked.seed,
        pixels=tuple(int(number) for number in looked.total("pixels")),
        changed=tuple(int(number) for number in looked.total("changed")),
        gradient=tuple(float(part) / len(looked.scenes) for part in looked.total("gradient")),
        gradient_reach=float(looked.reaches.mean()),
        far_changes=None if np.isnan(far_changes) else far_changes,
    )


def _comparisons(looked: Sequence[_Looked]) -> Iterator[ContextComparison]:
    """Yield every method compared with those before it, the clean models first."""
    by_name: dict[str, dict[int, list[_Looked]]] = defaultdict(lambda: defaultdict(list))
    for one in looked:
        by_name[one.name][one.seed].append(one)
    order = sorted(by_name, key=lambda name: (name != CLEAN, list(by_name).index(name)))
    measures: tuple[Measure, ...] = ("gradient_reach", "far_changes")
    for other, one in combinations(order, 2):
        for measure in measures:
            found = _compared(measure, one, other, by_name)
            if found is not None:
                yield found


def _compared(
    measure: Measure, one: str, other: str, by_name: Mapping[str, Mapping[int, list[_Looked]]]
) -> ContextComparison | None:
    seeds = sorted(by_name[one].keys() & by_name[other].keys())
    draws = [
        _mean(by_name[one][seed], measure) - _mean(by_name[other][seed], measure) for seed in seeds
    ]
    draws = [draw for draw in draws if np.isfinite(draw).all()]
    if not draws:
        return None
    by_seed = tuple(float(draw[0]) for draw in draws)
    mean = np.mean(draws, axis=0)
    low, high = np.percentile(mean[1:], [2.5, 97.5])
    scenes = float(max(mean[0] - low, high - mean[0]))
    interval = Difference(by_seed, scenes).interval
    return ContextComparison(
        one=one,
        other=other,
        measure=measure,
        by_seed=by_seed,
        scenes=scenes,
        low=interval.low if interval else None,
        high=interval.high if interval else None,
        direction=_direction(interval),
    )


def _mean(looked: Sequence[_Looked], measure: Measure) -> np.ndarray:
    return np.mean([one.redrawn(measure) for one in looked], axis=0)


def _direction(interval: Interval | None) -> Direction:
    if interval is None or interval.low <= 0 <= interval.high:
        return "undecided"
    return "wider" if interval.low > 0 else "narrower"
