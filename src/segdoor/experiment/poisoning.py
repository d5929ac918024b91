"""The attacker's step alone: plan and preview, without a deep-learning library."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from segdoor.attack.exam import Exam
from segdoor.attack.manifest import beside
from segdoor.attack.materialise import CopyOrder, check_order, write_copy
from segdoor.attack.plan import PoisonPlan
from segdoor.attack.planning import plan_poison
from segdoor.data.load import open_files
from segdoor.data.pictures import write_image
from segdoor.data.scene import SceneDataset
from segdoor.errors import ConfigError
from segdoor.experiment.config import ExperimentConfig
from segdoor.experiment.pictures import poison_preview
from segdoor.experiment.scenes import open_scenes, resolve_for, results_folder
from segdoor.progress import Observer


def plan_step(given: ExperimentConfig, observer: Observer) -> tuple[SceneDataset, PoisonPlan]:
    """Plan the poison for the training scenes; nothing is written.

    Raises:
        SegdoorError: If settings or data do not allow it.
    """
    train = open_scenes(given, given.data.train_split, observer)
    config = resolve_for(given, train)
    observer.begin("planning", 1)
    plan = plan_poison(train, config.attack, seed=config.seed)
    observer.advance()
    return train, plan


def poison_step(
    given: ExperimentConfig,
    *,
    out: Path,
    replace: bool,
    copy: CopyOrder | None,
    observer: Observer,
) -> PoisonPlan:
    """Plan the poison, write plan and preview, and a poisoned copy if one is wanted.

    Args:
        given: Settings; those of victim and exams do not matter.
        out: Folder for plan and preview.
        replace: Whether an earlier plan there may be written over.
        copy: Where to write a poisoned copy of the data set, and how; None for none.
        observer: Hears of progress.

    Raises:
        SegdoorError: If settings, data, output or disk forbid it; nothing then looks finished.
    """
    with results_folder(out):
        # A copy that cannot be made is refused before the work begins.
        files = open_files(given.data, given.data.train_split) if copy else None
        if files and copy:
            _check_apart(out, files.root, copy)
            check_order(files, copy)
        train, plan = plan_step(given, observer)
        if replace:
            (out / "plan.jsonl").unlink(missing_ok=True)
        save_plans(out, train, plan, [])
        if files and copy:
            write_copy(files, plan, copy, observer=observer)
    return plan


def _check_apart(out: Path, root: Path, copy: CopyOrder) -> None:
    """Refuse to put the plan into the data set or the copy, which must hold nothing else."""
    for place in (root, copy.out, beside(copy.out)):
        if out.resolve().is_relative_to(place.resolve()):
            raise ConfigError(
                f"--out {out}",
                "must lie outside the data set and its copy",
                place,
                "Name another folder.",
            )


def save_plans(out: Path, train: SceneDataset, plan: PoisonPlan, exams: Sequence[Exam]) -> None:
    """Write the plan, a preview of it, and the exams.

    Raises:
        ConfigError: If the folder holds another plan: someone may have trained with it.
    """
    path = out / "plan.jsonl"
    if path.exists() and PoisonPlan.load(path) != plan:
        raise ConfigError(
            f"--out {out}", "must not hold another plan", path.name, "Name another folder."
        )
    plan.save(path)
    if plan.header.num_poisoned:
        write_image(out / "poison.png", poison_preview(train, plan))
    for exam in exams:
        exam.save(out / "exams" / f"{exam.name}.jsonl")
