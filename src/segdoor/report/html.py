"""Turn plain data into a single self-contained file."""

from __future__ import annotations

import base64
import csv
import io
import re
from pathlib import Path

from segdoor.errors import MachineError
from segdoor.report.content import GREY, INTERVAL, Cell, Chart, CurvePoint, Page, Table
from segdoor.report.figures import CLEAN_MARKER, MARKERS, colour_name, draw
from segdoor.report.verdicts import SIGNS, numbers_of
from segdoor.report.words import CUT
from segdoor.scores.intervals import Interval

_TEMPLATES = Path(__file__).with_name("templates")
_SIGNS = {"o": "●", "s": "■", "^": "▲", "D": "◆", "v": "▼", "P": "✚", "X": "✖", "*": "★"}
_FORMULA = re.compile(r"[=+\-@\t\r].")


def render(page: Page) -> str:
    """Return a page as HTML with embedded style, script and pictures; it needs no network.

    Raises:
        MachineError: If jinja2 or matplotlib is missing.
    """
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415
        from markupsafe import Markup  # noqa: PLC0415
    except ImportError:
        raise MachineError(
            "report", "needs jinja2", "it is not installed", "Run: pip install 'segdoor[report]'"
        ) from None
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )

    def drawn(chart: Chart) -> Markup:
        key = identifier(chart.key)
        title = Markup('<title id="{0}-title">{1}</title>').format(key, chart.title)
        told = Markup('<desc id="{0}-desc">{1}</desc>').format(key, chart.summary)
        return Markup(draw(chart).replace("<!--head-->", title + told))  # noqa: S704 - escaped above

    return environment.get_template("page.html").render(
        page=page, drawn=drawn, identifier=identifier, table_of=table_of, csv_uri=csv_uri,
        colour_name=colour_name, sign=sign, numeric=numeric, data_value=data_value,
        signs=SIGNS, numbers_of=numbers_of,
    )  # fmt: skip


def identifier(name: str) -> str:
    """Return a name that is valid in an id or file name."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()) or "x"


def sign(number: int) -> str:
    """Return the sign of a curve's points."""
    return _SIGNS[MARKERS[number % len(MARKERS)] if number < GREY else CLEAN_MARKER]


def numeric(table: Table) -> tuple[bool, ...]:
    """Tell for each column whether it holds figures rather than names."""
    return tuple(any(map(_is_figure, cells)) for cells in zip(*table.rows, strict=True))


def _is_figure(cell: Cell) -> bool:
    if cell.origin is not None or isinstance(cell.value, Interval):
        return True
    return isinstance(cell.value, int | float) and not isinstance(cell.value, bool)


def data_value(cell: Cell) -> str:
    """Return the content of a cell, not rounded."""
    if isinstance(cell.value, Interval):
        return f"{cell.value.low} to {cell.value.high}"
    return "" if cell.value is None else str(cell.value)


def table_of(chart: Chart) -> Table:
    """Return the figures behind a chart."""
    rows = [
        (Cell(curve.name, curve.name), _place(chart, point), *_figures(point))
        for curve in chart.curves
        for point in curve.points
    ]
    columns = ("curve", chart.x if not chart.ticks else "of", chart.y or chart.x, "low", "high")
    cut = any(p.low == 0 or p.high == 1 for curve in chart.curves for p in curve.points)
    return Table(f"{chart.key}-data", chart.title, columns, tuple(rows), CUT if cut else "")


def csv_uri(table: Table) -> str:
    """Return a table as CSV within a data URI; texts that a spreadsheet would run are quoted."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    ends = (f"{INTERVAL} low", f"{INTERVAL} high")
    for row in (table.columns, *([cell.value for cell in row] for row in table.rows)):
        written: list[object] = []
        for heading, value in zip(table.columns, row, strict=True):
            if heading != INTERVAL:
                written.append(_harmless(value))
            elif isinstance(value, Interval):
                written += [value.low, value.high]
            else:
                written += ends if row is table.columns else [None, None]
        writer.writerow(written)
    content = base64.b64encode(buffer.getvalue().encode("utf-8", "replace")).decode()
    return f"data:text/csv;charset=utf-8;base64,{content}"


def _harmless(value: object) -> object:
    runs = isinstance(value, str) and _FORMULA.match(value)
    return f"'{value}" if runs else value


def _place(chart: Chart, point: CurvePoint) -> Cell:
    if chart.ticks:
        name = chart.ticks[int(point.x)]
        return Cell(name, name)
    return Cell(f"{point.x:.4g}", point.x)


def _figures(point: CurvePoint) -> tuple[Cell, ...]:
    ends = (point.low, point.high)
    return (
        Cell(f"{point.y:.3f}", point.y, point.origin),
        *(Cell("–" if end is None else f"{end:.3f}", end) for end in ends),
    )
