"""What a study found, in a few sentences."""

from __future__ import annotations

from collections.abc import Iterable

from segdoor.record import StudyRecord
from segdoor.report.source import MeasuredFigure, Source
from segdoor.report.words import became, percent


def study_verdict(source: Source, study: StudyRecord) -> str:
    """Say what the trigger does, compared with a clean model, and the outcome of the claims."""
    done = sum(run.state == "done" for run in study.runs)
    runs = f"{done} of {len(study.runs)} runs are done."
    lost = done - len(source.runs)
    if lost:
        runs += (
            f" The records of {lost} of them cannot be read: the claims were judged with them, "
            f"and the figures are without them."
        )
    return " ".join(part for part in (_attack(source), study.claims_in_words, runs) if part)


def _attack(source: Source) -> str:
    """Say how many victim pixels are lost, from the lowest to the highest group."""

    def figures(of: str) -> Iterable[MeasuredFigure]:
        return (g.measure("scores", "tests", source.test_of(g), of) for g in source.groups)

    lost = _range(figures("asr"))
    if not lost:
        return ""
    attacks = {(run.record.victims, became(run.record)) for run in source.runs}
    victims, target = (
        next(iter(attacks)) if len(attacks) == 1 else (("victim",), "the target class")
    )
    told = f"With the trigger {lost} of the {' and '.join(victims)} pixels become {target}"
    clean = _range(figures("asr_clean_model"))
    return f"{told}; a clean model loses {clean}." if clean else f"{told}."


def _range(found: Iterable[MeasuredFigure]) -> str:
    figures = [entry.value for entry in found if entry.value is not None]
    if not figures:
        return ""
    low, high = percent(min(figures)), percent(max(figures))
    return low if low == high else f"{low} to {high}"
