"""The content of a page as plain data; each figure has an origin."""

from __future__ import annotations

from dataclasses import dataclass

from segdoor.record import AxisValue, Verdict
from segdoor.scores.intervals import Interval


@dataclass(frozen=True)
class Origin:
    """The origin of a figure.

    Attributes:
        runs: Keys of the runs; a figure of several is their mean.
        field: Its place in their records as a JSON pointer, or a file beside them; where it
            differs, one for each run with spaces between.
    """

    runs: tuple[str, ...]
    field: str

    @property
    def in_words(self) -> str:
        """Return the origin as a line of text."""
        mean = f"mean of {len(self.runs)} runs: " if len(self.runs) > 1 else ""
        return f"{mean}{', '.join(self.runs)} {self.field}"


INTERVAL = "95 %"
"""Heading of a column of intervals; in a file such a column is two."""


@dataclass(frozen=True)
class Cell:
    """One cell of a table."""

    text: str
    value: AxisValue | Interval
    origin: Origin | None = None


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        key: Its name in ids and file names.
        title: Its caption.
        columns: Headings.
        rows: As many cells each as there are headings.
        note: What readers need to know.
        stacked: Whether it is too wide for paper, and its rows become lists in print.
    """

    key: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
    stacked: bool = False


@dataclass(frozen=True)
class CurvePoint:
    """One point of a curve."""

    x: float
    y: float
    low: float | None
    high: float | None
    origin: Origin | None


GREY = 99
"""Colour of curves that others are compared with, such as a clean model's."""


@dataclass(frozen=True)
class Curve:
    """Points that belong together.

    Attributes:
        name: What they describe.
        colour: Number of its colour; curves to be compared share one.
        points: The points, by rising x.
        kind: A line through measured points, points alone, or the paper's figures.
    """

    name: str
    colour: int
    points: tuple[CurvePoint, ...]
    kind: str = "line"


@dataclass(frozen=True)
class Chart:
    """Curves in one frame.

    Attributes:
        key: Its name in ids.
        title: What it shows.
        x: Label of the x axis.
        y: Label of the y axis.
        curves: The curves.
        summary: A description for readers who cannot see it.
        ticks: Names of the positions 0, 1, 2 on the x axis; numbers if empty.
        whole: Whether the y axis shows everything from 0 to 1.
        logarithmic: Whether the x axis is.
        folded: Whether it is shown only on demand, as one of many of its kind.
    """

    key: str
    title: str
    x: str
    y: str
    curves: tuple[Curve, ...]
    summary: str
    ticks: tuple[str, ...] = ()
    whole: bool = True
    logarithmic: bool = False
    folded: bool = False


@dataclass(frozen=True)
class Picture:
    """A picture within the page."""

    alt: str
    uri: str
    width: int
    height: int


@dataclass(frozen=True)
class Column:
    """A column of pictures, shown beside other columns."""

    title: str
    caption: str
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class SideBySide:
    """One scene in several ways."""

    title: str
    columns: tuple[Column, ...]


@dataclass(frozen=True)
class SceneViews:
    """One scene of the gallery.

    Attributes:
        name: The scene.
        outcome: The attack's success in it, in a word.
        caption: What the attack did in it.
        pictures: Image, triggered image, prediction, prediction with trigger, truth.
        elsewhere: Image and prediction with the trigger at other places.
    """

    name: str
    outcome: str
    caption: str
    pictures: tuple[Picture, ...]
    elsewhere: tuple[Column, ...] = ()


@dataclass(frozen=True)
class Gallery:
    """Scenes in pictures."""

    scenes: tuple[SceneViews, ...]
    legend: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Judgement:
    """The outcome of one claim of the paper, in the reading of the study and in all ways."""

    name: str
    claim: str
    outcome: str
    ways: tuple[Verdict, ...]


@dataclass(frozen=True)
class Section:
    """One part of a page; what is empty is left out.

    Attributes:
        key: Its name in links.
        title: Its heading.
        lead: Its message, in a sentence or two.
        charts: Charts.
        tables: Tables.
        lineups: Scenes in several ways.
        gallery: Scenes in pictures.
        judgements: The outcome of each claim.
        terms: Words and what they mean.
        notes: What is missing, and why.
    """

    key: str
    title: str
    lead: str = ""
    charts: tuple[Chart, ...] = ()
    tables: tuple[Table, ...] = ()
    lineups: tuple[SideBySide, ...] = ()
    gallery: Gallery | None = None
    judgements: tuple[Judgement, ...] = ()
    terms: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Page:
    """A whole page."""

    title: str
    verdict: str
    facts: tuple[tuple[str, str], ...]
    sections: tuple[Section, ...]
