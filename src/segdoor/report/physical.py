"""A physical test for people: tables for the terminal, and a page with curves and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import RenderableType
from rich.table import Table as Grid
from rich.text import Text

from segdoor.record.physical import PhysicalAxis, PhysicalPicture, PhysicalRecord, PhysicalRow
from segdoor.report.before_after import new_grid, share, share_range
from segdoor.report.content import (
    GREY,
    INTERVAL,
    Cell,
    Chart,
    Column,
    Curve,
    CurvePoint,
    Origin,
    Page,
    Section,
    SideBySide,
    Table,
)
from segdoor.report.curves import summary_of
from segdoor.report.gallery import picture
from segdoor.report.source import beside
from segdoor.report.wrapping import lines
from segdoor.scores.intervals import Interval

_FILE = "physical.json"
_CONTROLS = {
    "another sticker": "asr_other_trigger",
    "clean model": "asr_clean_model",
    "no sticker": "asr_without_trigger",
}
_RENDERED = (
    "The sticker is rendered, not photographed: docs/physical.md says what is simulated and what "
    "is not."
)


def describe_physical(record: PhysicalRecord) -> list[RenderableType]:
    """Return a physical test's parts for the terminal, in the order to be read."""
    return [
        Text(f"Physical test: {record.run}", style="bold"),
        *lines(f"{record.trigger}; {_camera(record)}; {_size(record)}"),
        *(
            ["Printer, light, sensor and JPEG are left out, except where they are varied."]
            if record.ideal
            else []
        ),
        "",
        *(_grid(axis) for axis in record.axes),
        *_film_lines(record),
        *lines(
            "ASR: share of the victim pixels that become the target class. px: longest edge of the "
            "print in the image. another: another sticker in the same place and light."
        ),
        *lines(_RENDERED),
        *lines(verdict_of(record)),
    ]


def verdict_of(record: PhysicalRecord) -> str:
    """Return in a sentence or two how far the flat sticker's success survives the rendering."""
    rows = {row.name: row for axis in record.axes for row in axis.rows}
    flat, board = rows.get("flat sticker"), rows.get("board") or rows.get("+ JPEG")
    if flat is None or board is None or flat.asr.value is None or board.asr.value is None:
        return "No situation was measured with a flat sticker beside it."
    ideal = record.ideal and "board" in rows
    how = "drawn in perspective alone" if ideal else "printed and put up"
    told = (
        f"Stamped flat the sticker turns {share(flat.asr.value)} of the victim pixels into "
        f"{record.target}; {how} as large, {share(board.asr.value)}"
    )
    without = board.asr_without_trigger
    rest = "" if without is None else f" ({share(without)} without any sticker)"
    return f"{told}{rest}."


def physical_page(record: PhysicalRecord, folder: Path) -> Page:
    """Return the page of a physical test.

    Args:
        record: The record.
        folder: The folder that its pictures lie in.

    Raises:
        DataError: If a picture is missing, damaged or outside the folder.
    """
    sections = [_section(axis, record, folder) for axis in record.axes]
    film = _film(record, folder)
    return Page(
        title=f"Physical test: {record.run}",
        verdict=verdict_of(record),
        facts=(
            ("trigger", record.trigger),
            ("victim → target", f"{', '.join(record.victims)} → {record.target}"),
            ("camera", _camera(record)),
            ("print", _size(record)),
            ("scenes", f"{record.num_scenes} test scenes with victims"),
            ("other sticker", record.other_trigger),
            ("rendering", _RENDERED),
        ),
        sections=(*([film] if film else []), *sections),
    )


def _camera(record: PhysicalRecord) -> str:
    camera = record.camera
    told = (
        f"focal length {camera.focal:g} image heights, {camera.height:g} m above the ground, "
        f"looking {camera.pitch:g} degrees down"
    )
    return f"{told} (assumed)" if camera.assumed else told


def _size(record: PhysicalRecord) -> str:
    return f"usually {record.side:.2f} m wide, which is as wide as the trigger from 8 m"


def _grid(axis: PhysicalAxis) -> Grid:
    grid = new_grid(f"{axis.name}: {axis.title}", axis.name)
    headings = ("ASR", "95 %", "no\nsticker", "another", "clean\nmodel", "px", "scenes")
    for heading in headings:
        grid.add_column(heading, justify="right", no_wrap=True)
    for row in axis.rows:
        figures = (row.asr_without_trigger, row.asr_other_trigger, row.asr_clean_model)
        grid.add_row(
            Text(row.name), share(row.asr.value), share_range(row.asr),
            *(share(figure) for figure in figures), _short(row.pixels),
            str(row.num_scenes),
        )  # fmt: skip
    return grid


def _short(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _film_lines(record: PhysicalRecord) -> list[RenderableType]:
    film = record.film
    if film is None:
        return []
    errors = [error for error in film.reprojection if error is not None]
    mean = f"{sum(errors) / len(errors):.2f} px" if errors else "-"
    told = f"Film from {film.first}: {film.num_frames} frames, mean reprojection error {mean}"
    off = [value for value in film.off if value is not None]
    truth = f", corners at most {max(off):.2f} px from the truth" if off else ""
    return [*lines(f"{told}{truth}. {film.stopped or ''}".strip())]


def _section(axis: PhysicalAxis, record: PhysicalRecord, folder: Path) -> Section:
    index = record.axes.index(axis)
    rest = (
        "Printer, light, sensor and JPEG are left out, except where they are varied."
        if record.ideal
        else "All else is usual."
    )
    shown = [entry for entry in record.pictures if entry.axis == axis.name]
    return Section(
        key=axis.name,
        title=axis.name.capitalize(),
        lead=f"{axis.title[0].upper()}{axis.title[1:]}. {rest}",
        charts=(_chart(axis, index),),
        tables=(_table(axis, index),),
        lineups=_lineups(shown, folder),
    )


def _chart(axis: PhysicalAxis, index: int) -> Chart:
    curves = [Curve("backdoored model", 0, _points(axis, index, None))]
    for number, (name, field) in enumerate(_CONTROLS.items(), start=1):
        colour = GREY if name == "clean model" else number
        curves.append(Curve(name, colour, _points(axis, index, field)))
    curves = [curve for curve in curves if curve.points]
    named = any(row.value is None for row in axis.rows)
    values = [row.value for row in axis.rows if row.value is not None]
    return Chart(
        key=f"physical-{axis.name}", title=f"ASR by {axis.name}", x="ASR" if named else axis.title,
        y="" if named else "ASR", curves=tuple(curves), summary=summary_of(curves),
        ticks=tuple(row.name for row in axis.rows) if named else (),
        logarithmic=bool(values) and min(values) > 0 and max(values) >= 50 * min(values),
    )  # fmt: skip


def _points(axis: PhysicalAxis, index: int, field: str | None) -> tuple[CurvePoint, ...]:
    found: list[CurvePoint] = []
    for number, row in enumerate(axis.rows):
        place = float(number) if row.value is None else row.value
        low, high = (row.asr.low, row.asr.high) if field is None else (None, None)
        value = row.asr.value if field is None else getattr(row, field)
        origin = _origin(index, number, field or "asr/value")
        if value is not None:
            found.append(CurvePoint(place, value, low, high, origin))
    return tuple(found)


def _origin(axis: int, row: int, field: str) -> Origin:
    return Origin((_FILE,), f"/axes/{axis}/rows/{row}/{field}")


def _table(axis: PhysicalAxis, index: int) -> Table:
    columns = (axis.name, "ASR", INTERVAL, *_CONTROLS, "target pixels", "victim pixels", "scenes",
               "edge in px", "width in m", "distance in m")  # fmt: skip
    rows = [_cells(row, index, number) for number, row in enumerate(axis.rows)]
    return Table(f"physical-{axis.name}-table", f"By {axis.name}", columns, tuple(rows))


def _cells(row: PhysicalRow, axis: int, number: int) -> tuple[Cell, ...]:
    def figure(value: float | None, field: str, form: str = ".2f") -> Cell:
        text = "–" if value is None else format(value, form)
        return Cell(text, value, _origin(axis, number, field))

    low, high = row.asr.low, row.asr.high
    ends = None if low is None or high is None else Interval(low, high)
    return (
        Cell(row.name, row.name if row.value is None else row.value),
        figure(row.asr.value, "asr/value"),
        Cell(share_range(row.asr), ends),
        *(figure(getattr(row, field), field) for field in _CONTROLS.values()),
        figure(row.num_target_pixels, "num_target_pixels", "d"),
        figure(row.num_victim_pixels, "num_victim_pixels", "d"),
        figure(row.num_scenes, "num_scenes", "d"),
        figure(row.pixels, "pixels", ".1f"),
        figure(row.metres, "metres"),
        figure(row.distance, "distance", ".1f"),
    )


def _lineups(shown: Sequence[PhysicalPicture], folder: Path) -> tuple[SideBySide, ...]:
    columns = [
        Column(
            entry.value, f"{entry.scene}, ASR {share(entry.asr)}",
            tuple(
                picture(beside(folder, file), f"{entry.scene}, {entry.value}: {what}")
                for file, what in ((entry.image, "image"), (entry.prediction, "prediction"))
            ),
        )
        for entry in shown
    ]  # fmt: skip
    return (
        (SideBySide("The image, and below it the prediction", tuple(columns)),) if columns else ()
    )


def _film(record: PhysicalRecord, folder: Path) -> Section | None:
    film = record.film
    if film is None:
        return None
    series = {
        "with the sticker": film.asr, "without it": film.asr_without_trigger,
    }  # fmt: skip
    curves = [
        Curve(name, number, tuple(
            CurvePoint(float(i + 1), value, None, None, Origin((_FILE,), f"/film/{field}/{i}"))
            for i, value in enumerate(values) if value is not None
        ))
        for number, ((name, values), field) in enumerate(
            zip(series.items(), ("asr", "asr_without_trigger"), strict=True)
        )
    ]  # fmt: skip
    chart = Chart("film", "ASR by frame", "frame", "ASR", tuple(curves), summary_of(curves))
    strip = picture(beside(folder, film.strip), f"{film.num_frames} frames from {film.first}")
    errors = [error for error in film.reprojection if error is not None]
    lead = "The sticker stays on its plane, which is followed from frame to frame by features."
    worst = f" The largest reprojection error is {max(errors):.2f} pixels." if errors else ""
    off = [value for value in film.off if value is not None]
    if off:
        worst += f" Tracked corners are at most {max(off):.2f} pixels from where they truly are."
    return Section(
        "film", "Film", f"{lead}{worst}", charts=(chart,),
        lineups=(SideBySide("Frames", (Column(film.first, "", (strip,)),)),),
        notes=(film.stopped,) if film.stopped else (),
    )  # fmt: skip
