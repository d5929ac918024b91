"""What methods found, judged by thresholds: what every kind of scan has in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from segdoor.defense.defense import Defense
from segdoor.errors import ConfigError
from segdoor.progress import Observer, Silent
from segdoor.record.defense import (
    DefenseEntry,
    DetectorEntry,
    Entry,
    EvidenceRecord,
    FilterEntry,
    ScanEntry,
)
from segdoor.record.scan import CheckRecord, Outcome
from segdoor.scanning.choosing import Choice, DefenseT, Skipped
from segdoor.scanning.policy import LoadedPolicy, load_policy
from segdoor.victim.config import NetworkConfig, TrainingConfig
from segdoor.workers import Alone, Workers


@dataclass(frozen=True)
class ScanOrder:
    """How to scan, whatever is scanned.

    Attributes:
        out: Folder for the report and the files beside it.
        policy: Every threshold.
        named: The methods that are asked for, as they are written; the policy's if none.
        seed: Decides everything random.
        network: The network, and what images it expects.
        recipe: The recipe of methods that train, and their device.
        seconds: How long all methods together may take, roughly; None for as long as they need.
        workers: Who shares the work.
        observer: Receives progress.
    """

    out: Path
    policy: LoadedPolicy = field(default_factory=load_policy)
    named: tuple[str, ...] = ()
    seed: int = 0
    network: NetworkConfig = field(default_factory=NetworkConfig)
    recipe: TrainingConfig = field(default_factory=TrainingConfig)
    seconds: float | None = None
    workers: Workers = field(default_factory=Alone)
    observer: Observer = field(default_factory=Silent)

    @property
    def pictures(self) -> Path:
        """Return the folder for pictures of evidence."""
        return self.out / "evidence"


@dataclass(frozen=True)
class Judged:
    """What a method found, and what follows from it.

    Attributes:
        entry: The finding as it is recorded.
        scores: The scores by scene, image or pair of classes; empty if the method was not run.
        outcome: What follows.
        why: What it is based on, or why there is no verdict.
        cannot_tell: When the method fails or means nothing.
        suspects: The names of what is suspect, the worst first.
        threshold: The score that decides, if there is one.
    """

    entry: Entry
    scores: Mapping[str, float]
    outcome: Outcome
    why: str
    cannot_tell: str
    suspects: tuple[str, ...] = ()
    threshold: float | None = None

    @property
    def check(self) -> CheckRecord:
        """Return the outcome as it is reported."""
        unjudged = self.outcome == "NOT RUN"
        return CheckRecord(
            method=self.entry.plugin,
            outcome=self.outcome,
            why=self.why,
            num_suspects=None if unjudged else len(self.suspects),
            threshold=self.threshold,
            cannot_tell=self.cannot_tell,
        )

    def says(self, name: str) -> str:
        """Return the evidence about a scene, image or pair in a sentence."""
        mine = [one for one in self.entry.evidence if one.scene == name]
        best = max(mine, key=_weight, default=None)
        return best.says if best else f"{self.entry.plugin} gives it {self.scores[name]:.3g}."


def unjudged(entry: Entry, scores: Mapping[str, float], why: str, cannot_tell: str) -> Judged:
    """Return scores without a verdict."""
    told = entry.model_copy(update={"not_run": entry.not_run or why})
    return Judged(told, scores, "NOT RUN", why, cannot_tell)


_SORTS: Mapping[str, type[FilterEntry | DetectorEntry | ScanEntry]] = {
    "data": FilterEntry,
    "images": DetectorEntry,
    "model": ScanEntry,
}


def each_judged(
    choice: Choice[DefenseT], door: str, judge: Callable[[DefenseT], Judged]
) -> tuple[Judged, ...]:
    """Return what each method found, and what stands for those that were not or could not be run.

    Raises:
        ConfigError: If none could be run.
    """
    judged: list[Judged] = []
    problems: list[ConfigError] = []
    for method in choice.run:
        try:
            judged.append(judge(method))
        except ConfigError as why:
            problems.append(why)
            judged.append(_failed(method, door, str(why)))
    if len(problems) == len(choice.run):
        raise problems[0]
    return (*judged, *_skipped(choice.skipped, door))


def _failed(method: Defense, door: str, why: str) -> Judged:
    entry = _SORTS[door](
        plugin=str(method),
        settings=method.model_dump(mode="json"),
        does=method.introduction.does,
        not_run=why,
    )
    return Judged(entry, {}, "NOT RUN", why, method.introduction.fails)


def _skipped(methods: Sequence[Skipped], door: str) -> list[Judged]:
    found: list[Judged] = []
    for one in methods:
        does, fails = one.method.introduction.does, one.method.introduction.fails
        entry = _SORTS[door](plugin=one.kind, settings={}, does=does, not_run=one.why)
        found.append(Judged(entry, {}, "NOT RUN", one.why, fails))
    return found


def evidence_of(entry: DefenseEntry, name: str | None) -> list[EvidenceRecord]:
    """Return the evidence about a scene or image, the most telling first; all of it for None."""
    mine = [one for one in entry.evidence if name is None or one.scene == name]
    return sorted(mine, key=_weight, reverse=True)


def _weight(evidence: EvidenceRecord) -> float:
    return float("-inf") if evidence.score is None else evidence.score
