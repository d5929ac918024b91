"""The report of a scan, its findings, and the files beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from segdoor.files import write_atomically
from segdoor.record import save_record
from segdoor.record.defense import DefenseRecord
from segdoor.record.findings import ATLAS, RULES, Finding, found
from segdoor.record.scan import AtlasTechnique, Door, ScanReport, SuspectRow
from segdoor.scanning.judged import Judged, ScanOrder
from segdoor.scanning.keeping import REPORT
from segdoor.scanning.pictures import Shown, save_sheet

_RULES: Mapping[Door, str] = {
    "data": "scan-suspect-scene",
    "images": "scan-suspect-image",
    "model": "scan-backdoored-model",
}


@dataclass(frozen=True)
class Scanned:
    """What was scanned, and what was found in it.

    Attributes:
        door: What it is.
        subject: Its digest.
        num_subjects: How many scenes or images there are; 1 for a model.
        num_clean: Clean scenes that the defender had.
        judged: What the methods found, those that were run first.
        files: The files of each scene or image, the first of which a row shows.
        agree: How many methods must suspect something.
        cannot_tell: What no method can tell.
        shown: How scenes or images are shown.
    """

    door: Door
    subject: str
    num_subjects: int
    num_clean: int
    judged: tuple[Judged, ...]
    files: Mapping[str, tuple[Path, ...]]
    cannot_tell: tuple[str, ...]
    shown: Shown
    agree: int = 1

    @property
    def suspects(self) -> tuple[str, ...]:
        """Return the names of what so many methods suspect, the worst first."""
        return tuple(name for name in self.ranking if len(self.suspecting(name)) >= self.agree)

    @property
    def ranking(self) -> tuple[str, ...]:
        """Return all names, the most suspicious first."""
        names = dict.fromkeys(name for one in self.judged for name in one.scores)
        places = {name: min(place for place, _ in self._places(name)) for name in names}
        key = {name: (-len(self.suspecting(name)), places[name]) for name in names}
        return tuple(sorted(names, key=key.__getitem__))

    def suspecting(self, name: str) -> tuple[Judged, ...]:
        """Return the methods that suspect something."""
        return tuple(one for one in self.judged if name in one.suspects)

    def best(self, name: str) -> Judged:
        """Return the method that something is most suspicious to."""
        return min(self._places(name), key=lambda it: it[0])[1]

    def _places(self, name: str) -> Iterable[tuple[tuple[bool, int], Judged]]:
        """Yield the place of something among all by each method that scores it."""
        for one in self.judged:
            if name in one.scores:
                higher = sum(score > one.scores[name] for score in one.scores.values())
                yield (name not in one.suspects, higher), one


def finish(scanned: Scanned, order: ScanOrder, lists: Mapping[str, str]) -> ScanReport:
    """Write everything that a scan leaves, the report last.

    Args:
        scanned: What was scanned, and what was found.
        order: How it was scanned.
        lists: Contents of further files by their names.
    """
    out, policy = order.out, order.policy
    files = {"defense record": "defenses.json", "policy": "policy.json"}
    record = DefenseRecord(
        segdoor=version("segdoor"),
        subject=scanned.subject,
        seed=order.seed,
        policy=policy.digest,
        entries=tuple(one.entry for one in scanned.judged),
    )
    save_record(record, out / files["defense record"])
    write_atomically(out / files["policy"], policy.policy.text)
    for name, content in lists.items():
        write_atomically(out / name, content)
        files[name.partition(".")[0]] = name
    worst = scanned.suspects or scanned.ranking[:3]
    names = [*worst[: policy.policy.shown], None]
    if save_sheet(out / "evidence.png", order.pictures, scanned.judged, names, scanned.shown):
        files["pictures"] = "evidence.png"
    report = _report(scanned, order, files)
    save_record(report, out / REPORT)
    return report


def _report(scanned: Scanned, order: ScanOrder, files: Mapping[str, str]) -> ScanReport:
    findings = _findings(scanned, order)
    # The rule of the door also where nothing was found: it says what the scan is about.
    rules = dict.fromkeys((_RULES[scanned.door], *(one.rule for one in findings)))
    marks = dict.fromkeys(mark for rule in rules for mark in RULES[rule].atlas)
    return ScanReport(
        segdoor=version("segdoor"),
        door=scanned.door,
        subject=scanned.subject,
        num_subjects=scanned.num_subjects,
        num_clean_scenes=scanned.num_clean,
        seed=order.seed,
        policy=order.policy.digest,
        policy_source=order.policy.source,
        checks=tuple(one.check for one in scanned.judged),
        suspects=tuple(_rows(scanned, order.policy.policy.shown)),
        findings=findings,
        cannot_tell=scanned.cannot_tell,
        atlas=tuple(AtlasTechnique(id=mark, name=ATLAS[mark]) for mark in marks),
        files=dict(files),
    )


def _rows(scanned: Scanned, shown: int) -> Iterable[SuspectRow]:
    """Yield all suspects, and more of the most suspicious up to a number."""
    suspects = {*scanned.suspects}
    for name in scanned.ranking[: max(shown, len(suspects))]:
        best = scanned.best(name)
        files = scanned.files.get(name, ())
        yield SuspectRow(
            name=name,
            suspect=name in suspects,
            method=best.entry.plugin,
            score=float(best.scores[name]),
            says=best.says(name),
            file=str(files[0]) if files else None,
        )


def _findings(scanned: Scanned, order: ScanOrder) -> tuple[Finding, ...]:
    judged = any(one.outcome != "NOT RUN" for one in scanned.judged)
    found_here = [_finding(scanned, name, order) for name in scanned.suspects]
    if not judged and order.policy.policy.unjudged == "finding":
        message = "No check gave a verdict, and the policy asks for one."
        found_here.append(found("scan-unjudged", message, files=_report_file(order)))
    notes = [
        found(
            "scan-not-run", f"{one.entry.plugin}: NOT RUN: {one.why}",
            test=one.entry.plugin, files=_report_file(order),
        )
        for one in scanned.judged
        if one.outcome == "NOT RUN"
    ]  # fmt: skip
    return (*found_here, *notes)


def _finding(scanned: Scanned, name: str, order: ScanOrder) -> Finding:
    """Return a suspect as a finding, with what it cannot tell."""
    told = [f"{one.entry.plugin} ({one.scores[name]:.3g}): {_sentence(one.says(name))}"
            for one in scanned.suspecting(name)]  # fmt: skip
    doubts = dict.fromkeys(one.cannot_tell for one in scanned.suspecting(name))
    best = scanned.best(name)
    files = tuple(map(str, scanned.files.get(name, ()))) or _report_file(order)
    message = f"{name}: {' '.join(told)} What this cannot tell: {' '.join(map(_sentence, doubts))}"
    return found(
        _RULES[scanned.door], message, files=files, scenes=(name,), test=best.entry.plugin,
        value=float(best.scores[name]),
    )  # fmt: skip


def _report_file(order: ScanOrder) -> tuple[str, ...]:
    """Return the file to look at for what belongs to no image; a code host wants one."""
    return (str(order.out / REPORT),)


def _sentence(text: str) -> str:
    return text if text.endswith((".", "?", "!")) else f"{text}."


def as_list(names: Sequence[str]) -> str:
    """Return names as the content of a list, one a line."""
    return "".join(f"{name}\n" for name in names)
