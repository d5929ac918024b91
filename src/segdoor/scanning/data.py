"""Scan a data set before anybody trains on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from torch import nn

from segdoor.data.load import files_of
from segdoor.data.scene import Scene, SceneDataset
from segdoor.data.subset import Subset
from segdoor.defense.defense import Access, Costed, Evidence
from segdoor.defense.filters.filter import Filter, FilterContext, Suspicion
from segdoor.defense.filters.registry import FILTERS
from segdoor.defense.recording import filter_entry
from segdoor.record.defense import FilterEntry
from segdoor.record.scan import ScanReport
from segdoor.scanning.choosing import Choice, choose
from segdoor.scanning.judged import Judged, ScanOrder, each_judged, unjudged
from segdoor.scanning.keeping import Keeper, KeptEntry, scan_folder
from segdoor.scanning.opening import check_same_classes, held_out, image_paths, model_digest
from segdoor.scanning.pictures import Shown, scene_pictures, with_mask
from segdoor.scanning.policy import DataPolicy
from segdoor.scanning.reporting import Scanned, as_list, finish
from segdoor.scanning.thresholds import Threshold, chance_of, from_clean, least_clean
from segdoor.tensors import AnyImage
from segdoor.victim.config import network_text
from segdoor.victim.members import parameters_of
from segdoor.victim.training.fingerprint import recipe_text

REMEDIES: Mapping[Access, str] = {
    "files": "Scan a data set of files: --data.name folder --data.root DIR.",
    "clean scenes": "Give some: --clean FOLDER.",
    "black box": "Give one: --model and --weights.",
    "white box": "Give one: --model and --weights.",
}
CANNOT_TELL = (
    (
        "A clean result does not mean that the data set is clean: a filter finds the kind of poison"
        " that it looks for."
    ),
    (
        "A suspect scene is not proof of an attack: repeated objects, logos and wrong labels look"
        " alike. Look at the pictures."
    ),
)


def scan_data(
    scenes: SceneDataset,
    order: ScanOrder,
    *,
    clean: SceneDataset | None = None,
    model: nn.Module | None = None,
) -> ScanReport:
    """Run filters over a data set, judge their scores, and write a report with pictures.

    Finished filters are kept: an interrupted scan resumes when it is called again.

    Args:
        scenes: The suspect scenes, which may all be clean.
        order: How to scan.
        clean: Clean scenes of the same classes, if there are any.
        model: A network that filters may look through, if there is one.

    Raises:
        SegdoorError: If no filter can be run, or something that was given cannot be used.
    """
    if clean is not None:
        check_same_classes(scenes, clean)
    has: set[Access] = {"data"}
    has |= {"files"} if files_of(scenes) is not None else set()
    has |= {"clean scenes"} if clean is not None else set()
    has |= {"black box"} if model is not None else set()
    has |= {"white box"} if model is not None and parameters_of(model) else set()
    policy = order.policy.policy.data
    choice = choose(FILTERS, order.named, policy, has=has, remedies=REMEDIES)
    with scan_folder(order.out, "data", scenes.digest):
        return _DataScan.of(scenes, order, clean, model).report(choice)


@dataclass(frozen=True)
class _DataScan:
    """One scan: the scenes, and clean ones for methods and for thresholds."""

    scenes: SceneDataset
    order: ScanOrder
    mine: Subset | None
    held: Subset | None
    model: nn.Module | None
    keeper: Keeper

    @classmethod
    def of(
        cls,
        scenes: SceneDataset,
        order: ScanOrder,
        clean: SceneDataset | None,
        model: nn.Module | None,
    ) -> _DataScan:
        policy = order.policy.policy.data
        mine, held = (None, None)
        if clean is not None:
            parts = held_out(clean, policy.held_out, seed=order.seed)
            mine, held = parts.used, parts.held_out
        keeper = Keeper(
            order.out, "data", scenes.digest, clean.digest if clean else None, policy.held_out,
            sorted(policy.thresholds), model_digest(model, order.network.weights), order.seed,
            network_text(order.network), recipe_text(order.recipe),
        )  # fmt: skip
        return cls(scenes, order, mine, held, model, keeper)

    def report(self, choice: Choice[Filter]) -> ScanReport:
        judged = each_judged(choice, "data", self._judged)
        num_clean = 0 if self.mine is None or self.held is None else len(self.mine) + len(self.held)
        scanned = Scanned(
            door="data",
            subject=self.scenes.digest,
            num_subjects=len(self.scenes),
            num_clean=num_clean,
            judged=judged,
            files=image_paths(self.scenes),
            cannot_tell=CANNOT_TELL,
            shown=Shown(("image", "label"), self._look, self.scenes.classes),
        )
        return finish(scanned, self.order, self._lists(scanned))

    def _lists(self, scanned: Scanned) -> Mapping[str, str]:
        """Return the lists of scenes to leave out and to keep; none without any verdict."""
        if all(one.outcome == "NOT RUN" for one in scanned.judged):
            for name in ("suspects.txt", "kept.txt"):
                (self.order.out / name).unlink(missing_ok=True)
            return {}
        suspects = scanned.suspects
        kept = [name for name in self.scenes.names if name not in {*suspects}]
        return {"suspects.txt": as_list(suspects), "kept.txt": as_list(kept)}

    def _look(self, name: str) -> Sequence[AnyImage]:
        return scene_pictures(self._scene(name), self.scenes.classes)

    def _scene(self, name: str) -> Scene:
        return self.scenes[list(self.scenes.names).index(name)]

    def _judged(self, method: Filter) -> Judged:
        kept = self.keeper.kept(method, lambda mark: self._run(method, mark))
        assert isinstance(kept.entry, FilterEntry)
        return judge(method, kept.entry, list(kept.null.values()), self.order.policy.policy.data)

    def _run(self, method: Filter, mark: str) -> KeptEntry:
        order = self.order
        context = FilterContext(
            clean=self.mine, network=order.network, recipe=order.recipe, seed=order.seed,
            seconds=order.seconds, workers=order.workers, observer=order.observer,
            folder=self.keeper.state_of(method) / "suspect", model=self.model,
        )  # fmt: skip
        done = self._with_masks(method(self.scenes, context))
        entry = filter_entry(method, done, self.scenes.classes, pictures=order.pictures)
        null: dict[str, float] = {}
        if self._sets_threshold(method) and self.held is not None:
            held = replace(context, folder=self.keeper.state_of(method) / "clean")
            scores = method(self.held, held).found.scores
            null = {name: float(score) for name, score in scores.items()}
        return KeptEntry(fingerprint=mark, entry=entry, null=null)

    def _sets_threshold(self, method: Filter) -> bool:
        """Tell whether clean scenes decide: the policy does not, and the filter can read them."""
        if self.held is None or not len(self.held):
            return False
        readable = "files" not in method.access or files_of(self.held.dataset) is not None
        return readable and method.kind not in self.order.policy.policy.data.thresholds

    def _with_masks(self, done: Costed[Suspicion]) -> Costed[Suspicion]:
        """Add pictures of the suspect pixels of the most suspicious scenes to the evidence."""
        found = done.found
        worst = sorted(found.masks, key=lambda name: -found.scores[name])
        more = tuple(
            Evidence(
                says="Suspect pixels of this scene.",
                scene=name,
                picture=with_mask(self._scene(name).image, found.masks[name]),
            )
            for name in worst[: self.order.policy.policy.shown]
        )
        told = replace(found, evidence=(*found.evidence, *more))
        return Costed(told, done.cost)


def judge(method: Filter, entry: FilterEntry, clean: Sequence[float], policy: DataPolicy) -> Judged:
    """Judge a filter's scores by the policy's own threshold, or by one from clean scenes.

    Args:
        method: The filter.
        entry: What it found.
        clean: The scores of held-out clean scenes.
        policy: The thresholds.
    """
    fails, scores = method.introduction.fails, entry.scenes
    needed = max(policy.least_clean, least_clean(policy.false_alarms))
    fixed = policy.thresholds.get(method.kind)
    if fixed is not None:
        threshold = Threshold(fixed, included=True, says="set by the policy")
        suspects = threshold.suspects(scores)
        chance = ""
    elif len(clean) >= needed:
        threshold = from_clean(clean, policy.false_alarms)
        assert threshold is not None
        suspects = threshold.suspects(scores)
        p = chance_of(len(suspects), len(scores), len(clean), policy.false_alarms)
        chance = f"; so many or more by chance: p = {p:.2g}"
        if p > policy.significance:
            why = _why(len(suspects), len(scores), threshold, chance)
            return Judged(entry, scores, "nothing found", why, fails, (), threshold.score)
    else:
        why = (
            f"no threshold: that takes {needed} held-out clean scenes, not {len(clean)}."
            " Give more with --clean, or set one in the policy."
        )
        return unjudged(entry, scores, why, fails)
    outcome = "finding" if suspects else "nothing found"
    why = _why(len(suspects), len(scores), threshold, chance)
    return Judged(entry, scores, outcome, why, fails, suspects, threshold.score)


def _why(num_suspects: int, num_scenes: int, threshold: Threshold, chance: str) -> str:
    return f"{num_suspects} of {num_scenes} scenes score {threshold.in_words}{chance}"
