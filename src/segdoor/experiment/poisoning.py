"""The attacker's step: plan and preview, without a deep-learning library."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from segdoor.attack.manifest import beside
from segdoor.attack.materialise import CopyOrder, check_order, new_copy
from segdoor.attack.plan import PoisonPlan
from segdoor.attack.planning import plan_poison
from segdoor.attack.poisoned_test import PoisonedTest
from segdoor.data.load import copyable, files_of, load_dataset
from segdoor.data.pictures import write_image
from segdoor.data.scene import SceneDataset
from segdoor.data.splits import open_splits
from segdoor.errors import ConfigError
from segdoor.experiment.pictures import poison_preview
from segdoor.experiment.resolving import Asked
from segdoor.experiment.scenes import open_scenes, results_folder
from segdoor.progress import Observer
from segdoor.tensors import Image
from segdoor.workers import Workers, hired


def plan_step(asked: Asked, *, workers: int | Workers | None, observer: Observer) -> PoisonPlan:
    """Plan the poison for the training scenes, as `poison_step` does; nothing is written.

    Raises:
        SegdoorError: If settings or data do not allow it.
    """
    with hired(workers) as team:
        data = asked.data()
        return _planned(asked, load_dataset(data, data.train_split), team, observer)[1]


def poison_step(
    asked: Asked,
    *,
    out: Path,
    replace: bool,
    copy: CopyOrder | None,
    workers: int | Workers | None,
    observer: Observer,
) -> PoisonPlan:
    """Plan the poison, write plan and preview, and a poisoned copy if one is wanted.

    Of scenes from files only label maps are decoded, and the images that are changed or shown.

    Args:
        asked: Requested settings; those of model and poisoned tests are ignored.
        out: Folder for plan and preview.
        replace: Whether an earlier plan there may be overwritten.
        copy: Where to write a poisoned copy of the data set, and how; None for none.
        workers: The workers, or their number; one per core if None. It does not affect results.
        observer: Receives progress.

    Raises:
        SegdoorError: If settings, data, output or disk do not allow it; no plan is then written.
    """
    with results_folder(out), hired(workers) as team:
        data = asked.data()
        given_scenes = load_dataset(data, data.train_split)
        # A copy that cannot be made is refused before the work begins.
        files = copyable(given_scenes) if copy else None
        whole = files and copy and (files.size or copy.as_folder)
        splits = open_splits(data, files) if files and whole else None
        if files and copy:
            _check_apart(out, files.root, copy)
            check_order(files, copy, splits)
        train, plan = _planned(asked, given_scenes, team, observer)
        if not replace:
            _refuse_another_plan(out, plan)
        preview = poison_preview(train, plan) if plan.header.num_poisoned else None
        # The plan is written last, so that nothing looks finished before.
        making = (
            new_copy(files, plan, copy, workers=team, observer=observer, splits=splits)
            if files and copy
            else nullcontext()
        )
        with making:
            if replace:
                (out / "plan.jsonl").unlink(missing_ok=True)
            _save(out, plan, preview)
    return plan


def _planned(
    asked: Asked, scenes: SceneDataset, team: Workers, observer: Observer
) -> tuple[SceneDataset, PoisonPlan]:
    """Return the scenes in the form that is fastest to read, and their plan."""
    files = files_of(scenes)
    if files:
        files.hash_files(team, observer)
    # Rendering a scene takes longer than reading it from a pack.
    data = asked.data()
    train = scenes if files else open_scenes(data, data.train_split, observer)
    config = asked.facts_for(train)
    plan = plan_poison(train, config.attack, seed=config.seed, workers=team, observer=observer)
    return train, plan


def _check_apart(out: Path, root: Path, copy: CopyOrder) -> None:
    """Refuse to put the plan into the data set or the copy, which must contain nothing else."""
    for place in (root, copy.out, beside(copy.out)):
        if out.resolve().is_relative_to(place.resolve()):
            raise ConfigError(
                f"--out {out}",
                "must lie outside the data set and its copy",
                place,
                "Name another folder.",
            )


def save_plans(
    out: Path, train: SceneDataset, plan: PoisonPlan, tests: Sequence[PoisonedTest]
) -> None:
    """Write the plan, a preview of it, and the tests.

    Raises:
        ConfigError: If the folder holds another plan: someone may have trained with it.
    """
    _refuse_another_plan(out, plan)
    _save(out, plan, poison_preview(train, plan) if plan.header.num_poisoned else None)
    for test in tests:
        test.save(out / "tests" / f"{test.name}.jsonl")


def _refuse_another_plan(out: Path, plan: PoisonPlan) -> None:
    path = out / "plan.jsonl"
    if path.exists() and PoisonPlan.load(path) != plan:
        raise ConfigError(
            f"--out {out}", "must not hold another plan", path.name, "Name another folder."
        )


def _save(out: Path, plan: PoisonPlan, preview: Image | None) -> None:
    if preview is not None:
        write_image(out / "poison.png", preview)
    plan.save(out / "plan.jsonl")
