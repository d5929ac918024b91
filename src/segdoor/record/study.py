"""The result of a study: its runs, the paper's figures beside its own, and verdicts."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Literal, get_args

from pydantic import Field

from segdoor.record.figures import STUDY_SCHEMA_VERSION, Figure
from segdoor.record.scaling import AxisValue
from segdoor.settings import Settings

Decision = Literal["supported", "contradicted", "undecided"]
"""Outcome of a comparison: the interval of the difference agrees with the claim, contradicts it,
or leaves it open."""
Outcome = Literal[
    "supported",
    "supported in some",
    "contradicted",
    "contradicted in some",
    "undecided",
    "not measured",
]
"""Outcome of a claim over all the ways that it was judged."""
_NUMBERS = (
    "no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
    "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
    "twenty",
)  # fmt: skip
RATE_REACHED = "rate reached"
"""Label of a figure whose runs could not poison as many scenes as their rate requires."""


class StudyRun(Settings):
    """One run of a study."""

    key: str
    """Its name within the study's folder of runs."""
    axes: dict[str, AxisValue]
    """Its value on every axis of the study, such as method, rate or network."""
    seed: int
    """Its seed."""
    state: Literal["done", "failed", "waiting"]
    """Whether its record exists."""
    error: str | None = None
    """Why it failed, in the words of the error."""
    record: str | None = None
    """Path of its record, relative to the study's file; null unless done."""
    rate_reached: float | None = None
    """Poisoning rate reached, if it differs from the requested rate; null otherwise."""


class Spread(Settings):
    """A figure over seeds."""

    mean: Figure
    """Mean over seeds."""
    low: Figure
    """Lower end of its 95 % interval (Student's t); null with one seed."""
    high: Figure
    """Upper end."""
    num_seeds: int
    """Seeds that were measured."""


class ClaimCell(Settings):
    """A number that the paper reports, beside what was measured."""

    table: str
    """The paper's table."""
    labels: dict[str, AxisValue]
    """What the number describes: network, method, rate, distance and so on, in the paper's
    units."""
    metric: str
    """ASR, PBA or CBA."""
    paper: Figure
    """The paper's number; null if it prints none."""
    doubted: str | None = None
    """Why the number is never counted: the paper contradicts itself there."""
    test: str | None = None
    """The poisoned test that measured it, by its name in the runs' records; null for CBA. A number
    of the paper that two poisoned tests can measure, nearest and near, has a cell for each."""
    measured: Spread | None = None
    """What was measured; null if nothing was."""
    runs: tuple[str, ...] = ()
    """Keys of the runs behind it."""


class Evidence(Settings):
    """One comparison behind a verdict."""

    statement: str
    """The comparison in words, with its figures."""
    outcome: Decision
    """Its outcome."""
    difference: Spread | None = None
    """The first figure minus the second, paired by seed; its interval is over seeds, and also over
    scenes if `over_scenes` is true. Null in records of older versions."""
    over_scenes: bool = False
    """Whether the interval also covers the choice of scenes; without the tables of scenes it is
    only Student's t."""
    seeds_needed: int | None = None
    """Number of seeds that would decide it, estimated from the observed difference and deviation;
    null if unknown."""
    saturated: bool = False
    """Whether both figures are near 1, or both no higher than without a trigger."""
    remark: str = ""
    """Why it is undecided, if the interval does not show it."""
    runs: tuple[str, ...] = ()
    """Keys of the runs behind it."""


class Verdict(Settings):
    """Whether an ordering that the paper claims was found."""

    number: int
    """Number of the ordering among those of the paper; those of iba are in docs/claims.md."""
    statement: str
    """What the paper claims."""
    reading: str
    """The reading of the paper that it is judged in."""
    judged_on: str
    """Which poisoned test, and how Q is counted if that differs."""
    verdict: Literal["supported", "contradicted", "undecided", "not measured"]
    """The outcome: supported if all comparisons are and nothing is missing, contradicted if one
    is."""
    evidence: tuple[Evidence, ...] = ()
    """Every comparison that was made."""
    missing: tuple[str, ...] = ()
    """Figures that the ordering needs and the study lacks."""

    @property
    def counted(self) -> str:
        """Return how many comparisons came out which way, in words; empty if none was made."""
        count = Counter(found.outcome for found in self.evidence)
        told = [f"{count[name]} {name}" for name in get_args(Decision) if count[name]]
        comparisons = f"comparison{'s' * (len(self.evidence) != 1)}"
        return f"{len(self.evidence)} {comparisons}: {', '.join(told)}" if told else ""

    @property
    def lacks(self) -> str:
        """Return what is missing, in a few words; empty if nothing is."""
        more = len(self.missing) - 1
        return f"lacks {self.missing[0]}{f' and {more} more' * (more > 0)}" if self.missing else ""


class StudyRecord(Settings):
    """A study: what it varied, its results, and what they say about the paper's claims."""

    kind: Literal["study-record"] = "study-record"
    """Marks the file."""
    schema_version: int = Field(default=STUDY_SCHEMA_VERSION, ge=1)
    """Version of the file's layout."""
    name: str
    """Name of the study, such as table1."""
    preset: str
    """Scenes and lengths it was run with: voc, cityscapes, camvid or street."""
    paper: str = "iba"
    """Its paper; iba in records of older versions, which do not name it."""
    num_claims: int = Field(default=15, ge=0)
    """Number of orderings that the paper claims; iba's if a record does not say."""
    title: str
    """Title of the study."""
    reading: str
    """Reading of the paper."""
    axes: dict[str, tuple[AxisValue, ...]]
    """What varies, and its values."""
    seeds: tuple[int, ...]
    """Seeds of every point of the grid."""
    scaled: dict[str, str] = Field(default_factory=dict)
    """Values run here for the paper's, where they differ, such as trigger 55: 7 px; figures and
    labels use the paper's units."""
    changes: tuple[str, ...] = ()
    """What differs from the preset's file, as given: training.epochs=2."""
    settings_version: int = Field(default=1, ge=1)
    """Version of readings and recipes that its runs use (docs/studies.md)."""
    runs: tuple[StudyRun, ...]
    """All runs, done or not."""
    cells: tuple[ClaimCell, ...]
    """The paper's numbers beside the measured ones."""
    verdicts: tuple[Verdict, ...]
    """The orderings that the study can judge."""

    @property
    def scaled_in_words(self) -> str:
        """Return the values that replace the paper's, in one line; empty if there are none."""
        return "; ".join(f"{paper} is {here} here" for paper, here in self.scaled.items())

    @property
    def claims(self) -> dict[int, Outcome]:
        """Return the outcome of each of the paper's claims.

        A claim is judged in several ways, one verdict each; those not measured do not count.
        """
        found: defaultdict[int, set[str]] = defaultdict(set)
        for entry in self.verdicts:
            found[entry.number].add(entry.verdict)
        return {number: _outcome(found[number]) for number in range(1, self.num_claims + 1)}

    @property
    def claims_in_words(self) -> str:
        """Return the outcomes of the paper's claims, in a sentence that counts each once."""
        if not self.num_claims:
            return ""
        count = Counter(self.claims.values())
        all_of_them = f"the paper’s {_in_words(self.num_claims)} claim{'s' * (self.num_claims > 1)}"
        if count["not measured"] == self.num_claims:
            return f"None of {all_of_them} could be judged."
        outcomes: tuple[Outcome, ...] = get_args(Outcome)
        words = {"supported": "supported in every way judged"}
        parts = [
            f"{count[name] or 'none'} {'are' if count[name] > 1 else 'is'} {words.get(name, name)}"
            for name in outcomes
            if count[name] or name == "supported"
        ]
        return f"Of {all_of_them} {', '.join(parts)}."


def _in_words(number: int) -> str:
    return _NUMBERS[number] if number < len(_NUMBERS) else str(number)


def _outcome(verdicts: set[str]) -> Outcome:
    """Return the outcome of a claim, from the verdicts of all ways that it was judged."""
    judged = verdicts - {"not measured"}
    if "supported" in judged:
        return "supported" if len(judged) == 1 else "supported in some"
    if "contradicted" in judged:
        return "contradicted" if len(judged) == 1 else "contradicted in some"
    return "undecided" if judged else "not measured"
