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
            {
                1: ("contradicted", "contradicted"),
                2: ("contradicted", "undecided"),
                3: ("supported", "contradicted"),
                4: ("undecided", "undecided"),
                6: ("supported", "supported"),
                7: ("supported", "undecided"),
            },
            (
                "1 is supported in every way judged, 2 are supported in some, 1 is contradicted, "
                "1 is contradicted in some, 1 is undecided, 9 are not measured."
            ),
        ),
        (
            {1: ("contradicted",), 2: ("contradicted", "not measured"), 4: ("not measured",)},
            "none is supported in every way judged, 2 are contradicted, 13 are not measured.",
        ),
        (
            dict.fromkeys(range(1, 15), ("supported", "not measured")),
            "14 are supported in every way judged, 1 is not measured.",
        ),
        (dict.fromkeys(range(1, 16), ("supported",)), "15 are supported in every way judged."),
    ],
)
def test_each_of_the_fifteen_claims_is_counted_once(outcomes: Outcomes, told: str) -> None:
    assert study_with(outcomes).claims_in_words == f"Of the paper’s fifteen claims {told}"


def test_without_a_judgement_no_claim_is_counted() -> None:
    for outcomes in ({}, {1: ("not measured",)}):
        told = study_with(outcomes).claims_in_words
        assert told == "None of the paper’s fifteen claims could be judged."


@pytest.mark.parametrize(
    ("num_claims", "all_of_them", "rest"),
    [
        (2, "two claims", ", 1 is not measured"),
        (1, "one claim", ""),
        (31, "31 claims", ", 30 are not measured"),
    ],
)
def test_another_paper_has_as_many_claims_as_its_record_says(
    num_claims: int, all_of_them: str, rest: str
) -> None:
    study = study_with({1: ("undecided",)}).model_copy(update={"num_claims": num_claims})
    told = f"Of the paper’s {all_of_them} none is supported in every way judged, 1 is undecided"
    assert study.claims_in_words == f"{told}{rest}."


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
