"""How easily an attack on training data is seen: in images, in labels, and by filters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segdoor.attack.plan import PlanRow, PoisonPlan
from segdoor.attack.poisoned import poisoned
from segdoor.data.scene import ClassSet, Scene, SceneDataset, pixels_of
from segdoor.defense.filters.filter import Filter, FilterContext, Suspicion
from segdoor.defense.filters.registry import FILTERS
from segdoor.experiment.bench.figures import ranked
from segdoor.experiment.comparing import figure
from segdoor.experiment.config import ExperimentConfig
from segdoor.experiment.resolving import Asked
from segdoor.experiment.scenes import open_scenes
from segdoor.experiment.similarity import structural_similarity
from segdoor.files import write_atomically
from segdoor.progress import Observer
from segdoor.record.measured import RankingRecord
from segdoor.record.stealth import SeenBy, StealthRecord

_USUAL = ("patch_mining",)


@dataclass(frozen=True)
class _Seen:
    """What one poisoned scene shows, as shares from 0 to 1 but for the mean change."""

    pixels: float
    change: float
    similarity: float
    labels: float
    victims: float


def filters_named(written: Sequence[str]) -> tuple[Filter, ...]:
    """Return the filters that are meant, patch mining if none is named.

    Raises:
        ConfigError: If one is unknown.
    """
    return tuple(FILTERS.read(method) for method in written or _USUAL)


def stealth_step(
    asked: Asked,
    plan: PoisonPlan,
    *,
    filters: Sequence[Filter],
    out: Path | None,
    observer: Observer,
) -> StealthRecord:
    """Measure how easily the poison of a plan is seen, and write it beside the plan.

    Args:
        asked: The settings that the plan was made with.
        plan: The plan.
        filters: What looks for the poisoned scenes, without knowing the plan.
        out: The folder of the plan; None to write nothing.
        observer: Receives progress.

    Raises:
        SegdoorError: If a filter cannot run, or the scenes cannot be read.
    """
    data = asked.data()
    train = open_scenes(data, data.train_split, observer)
    record = measure_stealth(train, plan, filters, asked.facts_for(train), observer=observer)
    if out is not None:
        write_atomically(out / "stealth.json", f"{record.model_dump_json(indent=1)}\n")
    return record


def measure_stealth(
    train: SceneDataset,
    plan: PoisonPlan,
    filters: Sequence[Filter],
    config: ExperimentConfig,
    *,
    observer: Observer,
) -> StealthRecord:
    """Measure how easily the poison of a plan is seen.

    Args:
        train: The clean training scenes.
        plan: What becomes of them.
        filters: What looks for the poisoned scenes, without knowing the plan.
        config: The network and recipe of filters that train one, and the seed.
        observer: Receives progress.
    """
    suspects, header = poisoned(train, plan), plan.header
    rows = [row for row in plan.rows if row.poisoned]
    observer.begin("comparing images", len(rows))
    seen = list(_compared(train, suspects, rows, header.attack.victims, observer))
    context = FilterContext(
        network=config.network, recipe=config.training, seed=config.seed, observer=observer
    )
    poison = frozenset(row.name for row in rows)
    by = tuple(_seen_by(method, suspects, train, poison, context) for method in filters)
    return StealthRecord(
        trigger=str(plan.trigger),
        num_scenes=header.num_scenes,
        num_poisoned=header.num_poisoned,
        pixels_changed=_mean([one.pixels for one in seen]),
        mean_change=_mean([one.change for one in seen]),
        ssim=_mean([one.similarity for one in seen]),
        ssim_worst=figure(min((one.similarity for one in seen), default=np.nan)),
        labels_changed=_mean([one.labels for one in seen]),
        labels_changed_of_all=header.share_changed,
        victims_vanished=_mean([one.victims for one in seen]),
        seen_by=by,
    )


def _compared(
    train: SceneDataset,
    suspects: SceneDataset,
    rows: Sequence[PlanRow],
    victims: tuple[str, ...],
    observer: Observer,
) -> Iterator[_Seen]:
    indices = {name: index for index, name in enumerate(train.names)}
    for row in rows:
        index = indices[row.name]
        yield _seen(train[index], suspects[index], victims, train.classes)
        observer.advance()


def _seen(before: Scene, after: Scene, victims: tuple[str, ...], classes: ClassSet) -> _Seen:
    change = np.abs(after.image.astype(np.int16) - before.image)
    moved = after.label != before.label
    victim = pixels_of(before.label, classes.indices(victims))
    labelled = before.label != classes.ignore_index
    return _Seen(
        pixels=float((change > 0).any(axis=2).mean()),
        change=float(change.mean()),
        similarity=structural_similarity(before.image, after.image),
        labels=float(np.count_nonzero(moved) / np.count_nonzero(labelled)),
        victims=float(moved[victim].mean()),
    )


def _seen_by(
    method: Filter,
    suspects: SceneDataset,
    clean: SceneDataset,
    poison: frozenset[str],
    context: FilterContext,
) -> SeenBy:
    done = method(suspects, context)
    return SeenBy(
        method=str(method),
        ranking=_ranking(done.found, poison),
        untouched=_ranking(method(clean, context).found, poison),
        seconds=done.cost.seconds,
    )


def _ranking(found: Suspicion, poison: frozenset[str]) -> RankingRecord | None:
    scores = {name: float(score) for name, score in found.scores.items()}
    high = {name: score for name, score in scores.items() if name in poison}
    low = {name: score for name, score in scores.items() if name not in poison}
    return ranked(high, low)


def _mean(values: Sequence[float]) -> float | None:
    return figure(float(np.mean(values))) if values else None
