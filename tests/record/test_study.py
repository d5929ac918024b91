"""What a study's record says of itself."""

from __future__ import annotations

import pytest

from segdoor.papers.iba.orderings import ORDERINGS
from segdoor.record import StudyRecord, Verdict

Outcomes = dict[int, tuple[str, ...]]


def study_with(outcomes: Outcomes) -> StudyRecord:
    """Return a study with verdicts on claims, one for each way of judging."""
    verdicts = [
        Verdict(
            number=number, statement="s", reading="paper", judged_on=f"way {way}", verdict=verdict
        )
        for number, ways in outcomes.items()
        for way, verdict in enumerate(ways)
    ]
    return StudyRecord(
        name="s", preset="camvid", title="s", reading="paper", axes={}, seeds=(0,), runs=(),
        cells=(), verdicts=tuple(verdicts),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("outcomes", "told"),
    [
        (
            {1: ("fails", "fails"), 6: ("holds", "holds"), 3: ("holds", "fails")},
            "1 holds in every way judged, 1 in some, 1 fails, 12 are not measured.",
        ),
        (
            {1: ("fails",), 2: ("fails", "not measured"), 4: ("not measured", "not measured")},
            "none holds in every way judged, 2 fail, 13 are not measured.",
        ),
        (
            dict.fromkeys(range(1, 15), ("holds", "not measured")),
            "14 hold in every way judged, 1 is not measured.",
        ),
        (dict.fromkeys(range(1, 16), ("holds",)), "15 hold in every way judged."),
    ],
)
def test_each_of_the_fifteen_claims_is_counted_once(outcomes: Outcomes, told: str) -> None:
    assert study_with(outcomes).claims_in_words == f"Of the paper’s fifteen claims {told}"


def test_without_a_judgement_no_claim_is_counted() -> None:
    for outcomes in ({}, {1: ("not measured",)}):
        told = study_with(outcomes).claims_in_words
        assert told == "None of the paper’s fifteen claims could be judged."


@pytest.mark.parametrize(
    ("num_claims", "told"),
    [
        (
            2,
            "Of the paper’s two claims none holds in every way judged, 1 fails, 1 is not measured.",
        ),
        (1, "Of the paper’s one claim none holds in every way judged, 1 fails."),
        (
            31,
            "Of the paper’s 31 claims none holds in every way judged, 1 fails, 30 are not measured.",
        ),
    ],
)
def test_another_paper_has_as_many_claims_as_its_record_says(num_claims: int, told: str) -> None:
    study = study_with({1: ("fails",)}).model_copy(update={"num_claims": num_claims})
    assert study.claims_in_words == told


def test_of_a_paper_without_claims_nothing_is_said() -> None:
    assert not study_with({}).model_copy(update={"num_claims": 0}).claims_in_words


def test_the_claims_are_those_that_studies_judge() -> None:
    assert list(ORDERINGS) == list(range(1, study_with({}).num_claims + 1))


@pytest.mark.parametrize(
    ("missing", "told"),
    [((), ""), (("a",), "lacks a"), (("a", "b", "c"), "lacks a and 2 more")],
)
def test_a_verdict_says_what_it_lacks(missing: tuple[str, ...], told: str) -> None:
    verdict = study_with({1: ("not measured",)}).verdicts[0]
    assert verdict.model_copy(update={"missing": missing}).lacks == told
