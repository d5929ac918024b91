"""Turn records and verdicts into the parts of a page: plain data without layout."""

from __future__ import annotations

from collections import defaultdict

from segdoor.record import ExperimentRecord, StudyRecord
from segdoor.report.content import Page, Section
from segdoor.report.controls import other_trigger_table
from segdoor.report.curves import axis_charts, class_chart, numeric_axes
from segdoor.report.distance import FEWEST, distance_charts
from segdoor.report.gallery import Album, gather
from segdoor.report.glossary import glossary
from segdoor.report.metrics import metric_charts, metric_tables, metrics_of
from segdoor.report.poison import lineups
from segdoor.report.repairs import repair_charts, repair_tables, repaired
from segdoor.report.source import Source
from segdoor.report.summary import study_verdict
from segdoor.report.tables import (
    absent_table,
    benign_table,
    claim_table,
    class_table,
    headline_table,
    leading,
    run_table,
    table_of_every_test,
    table_of_test,
)
from segdoor.report.verdicts import judgements
from segdoor.report.words import (
    BACKDOORED_MODEL,
    Naming,
    attack_facts,
    axis_name,
    network_name,
    quietness,
    verdict,
)

_TOLD = ("network ", "trigger ")
"""Kinds of names in a study's units that have facts of their own."""


def build_page(source: Source) -> Page:
    """Return the page of a run or a study, without empty sections.

    Raises:
        DataError: If a file beside a record is damaged, or lies outside its folder.
    """
    album = Album()
    made = [
        _results(source),
        _poisoning(source, album),
        _metrics(source),
        *_axes(source),
        _distance(source),
        _classes(source),
        _repairs(source),
        _gallery(source, album),
        _claims(source),
        _provenance(source),
        Section("glossary", "Glossary", terms=_glossary(source)),
    ]
    study = source.study
    return Page(
        title=study.title if study else source.runs[0].record.title,
        verdict=study_verdict(source, study) if study else _run_verdict(source.runs[0].record),
        facts=_facts(source),
        sections=tuple(section for section in made if section is not None),
    )


def _network(source: Source) -> str:
    return network_name(source.runs[0].record) if source.runs else BACKDOORED_MODEL


def _glossary(source: Source) -> tuple[tuple[str, str], ...]:
    return glossary(_network(source), metrics_of(run.record for run in source.runs).values())


def _run_verdict(record: ExperimentRecord) -> str:
    return f"{verdict(record)} {quietness(record)}"


def _results(source: Source) -> Section:
    title = "What the attack does"
    if not source.runs:
        return Section("results", title, notes=("No run has a record.",))
    if source.study is None:
        group = source.groups[0]
        made = (table_of_test(group), other_trigger_table(group), benign_table(group))
        tables = tuple(table for table in made if table is not None)
    else:
        tables = (headline_table(source), table_of_every_test(source))
    lead = "High ASR is bad; PBA and CBA near those of a clean model mean that nobody notices."
    return Section("results", title, lead, tables=tables)


def _metrics(source: Source) -> Section | None:
    tables = metric_tables(source.groups[0]) if source.study is None else ()
    if not tables:
        return None
    lead = "Metrics that do not count pixels; brackets give the number of items."
    return Section("metrics", "Further metrics", lead, metric_charts(source), tables)


def _axes(source: Source) -> list[Section]:
    sections: list[Section] = []
    for axis in numeric_axes(source):
        charts = axis_charts(source, axis)
        name = axis_name(axis)
        lead = "Dashed: the paper’s numbers on its own scenes; dotted: the clean model."
        lead = f"{lead} {source.naming.lengths(axis)}".strip()
        if charts:
            sections.append(Section(f"by-{axis}", f"Against {name}", lead, charts))
    return sections


def _distance(source: Source) -> Section | None:
    if not source.runs:
        return None
    title = "Against distance"
    charts = distance_charts(source)
    if charts:
        lead = (
            "Scenes in order of how far the trigger is from the nearest victim pixel, in groups "
            "of equal number; intervals over scenes."
        )
        return Section("distance", title, lead, charts)
    tests = [test for run in source.runs for test in run.record.scores.tests.values()]
    if not any(run.tables for run in source.runs):
        why = "no tables lie beside the records"
    elif not any(test.distances for test in tests):
        why = "no trigger has a distance from victims"
    else:
        why = f"the tables hold fewer than {FEWEST} scenes with trigger and victims"
    return Section("distance", title, notes=(f"Left out: {why}.",))


def _classes(source: Source) -> Section | None:
    if not source.runs:
        return None
    groups = leading(source)
    lead = "A network that loses no class on untouched scenes shows no sign of the attack."
    return Section(
        "classes", "Class by class", lead, (class_chart(groups),), (class_table(groups),)
    )


def _repairs(source: Source) -> Section | None:
    if not repaired(source):
        return None
    lead = "A repair works if ASR falls while CBA stays."
    return Section("repairs", "After repairs", lead, repair_charts(source), repair_tables(source))


def _poisoning(source: Source, album: Album) -> Section | None:
    if not source.runs:
        return None
    found, notes = lineups(leading(source), album)
    if not found and not notes:
        return None
    lead = "Training scenes before and after poisoning: the images, with the labels below."
    return Section("poisoning", "How scenes are poisoned", lead, lineups=found, notes=notes)


def _gallery(source: Source, album: Album) -> Section | None:
    if not source.runs:
        return None
    gallery, notes = gather(leading(source), album)
    lead = "From the attack’s best to its worst among scenes rich in victims."
    return Section("gallery", "Scenes", lead if gallery else "", gallery=gallery, notes=notes)


def _claims(source: Source) -> Section | None:
    study = source.study
    if study is None or not (study.verdicts or study.cells):
        return None
    lead = (
        "Orderings that the paper claims, judged by the figures measured here, test by test. A "
        "comparison is of a difference paired by seed: supported if its 95 % interval lies where "
        "the paper says, contradicted if it lies elsewhere in spite of Holm’s correction for their "
        "number, otherwise undecided."
    )
    tables = (claim_table(study.cells, source.naming),) if study.cells else ()
    judged = tuple(judgements(source)) if study.verdicts else ()
    return Section("claims", "Which claims are supported", lead, tables=tables, judgements=judged)


def _provenance(source: Source) -> Section:
    lead = "Point at a figure in a table to see the run and record field that it comes from"
    lead += ", or at a comparison behind a claim to see its runs." if source.study else "."
    tables = tuple(t for t in (run_table(source.runs), absent_table(source)) if t.rows)
    return Section("provenance", "Where the numbers are from", lead, tables=tables)


def _facts(source: Source) -> tuple[tuple[str, str], ...]:
    facts: list[tuple[str, str]] = []
    if source.study is not None:
        study = source.study
        facts += [("study", f"{study.name}, preset {study.preset}"), ("reading", study.reading)]
        facts += _axis_facts(study, source.naming)
        facts.append(("seeds", ", ".join(map(str, study.seeds))))
        rest = [f"{p} is {here}" for p, here in study.scaled.items() if not p.startswith(_TOLD)]
        facts += [("the paper’s measures here", "; ".join(rest))] if rest else []
        facts += [("changed in the preset", ", ".join(study.changes))] if study.changes else []
    if source.runs:
        facts += _run_facts(source)
    return tuple(facts)


def _axis_facts(study: StudyRecord, naming: Naming) -> list[tuple[str, str]]:
    """Return what varies, and what the runs have in common except victims and rules."""
    facts: list[tuple[str, str]] = []
    for name, values in study.axes.items():
        there = [value for value in values if value is not None]
        usual = len(there) == 1 and (isinstance(there[0], bool) or name in {"victims", "target"})
        if there and not usual:
            told = ", ".join(naming.value(name, {name: value}) for value in there)
            facts.append((axis_name(name), told))
    return facts


def _pairs(record: ExperimentRecord) -> str:
    """Return victim and target classes, those of one target together."""
    victims = defaultdict[str, list[str]](list)
    for victim, target in record.pairs:
        victims[target].append(victim)
    return "; ".join(f"{', '.join(names)} → {target}" for target, names in victims.items())


def _run_facts(source: Source) -> list[tuple[str, str]]:
    run = source.runs[0]
    record = run.record
    height, width = record.data.first_size
    facts = [
        ("scenes", f"{record.data.name} at {height}×{width}, {record.data.num_test} in the test"),
        ("victim → target", _pairs(record)),
    ]
    if record.data.typical_height is not None:
        facts.append(
            ("lengths not given", f"for the median scene, {record.data.typical_height} rows")
        )
    if source.study is not None:
        return facts
    if record.plan is not None:
        rate = f"{record.plan.num_poisoned} of {record.plan.num_scenes}"
        facts.append(("poisoned training scenes", f"{rate} ({record.plan.rate:.1%})"))
    size = f"{record.num_parameters / 1e6:.2f} M parameters"
    facts += [
        ("method", record.method or "not known"),
        ("network", f"{run.at('/config/network/name')}, {size}"),
        *attack_facts(record.config, record),
        ("reading", record.reading),
        ("seed", str(record.seed)),
        *(("remark", remark) for remark in record.remarks),
        *(("weights", remark) for remark in _of_weights(record)),
    ]
    return facts


def _of_weights(record: ExperimentRecord) -> tuple[str, ...]:
    return record.loaded_weights.remarks if record.loaded_weights else ()
