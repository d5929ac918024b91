"""The contexts of networks as a page, and as tables for the terminal."""

from __future__ import annotations

from rich.console import RenderableType
from rich.table import Table as Grid

from segdoor.record.context import ContextComparison, ContextRecord, ModelContext
from segdoor.report.before_after import new_grid
from segdoor.report.content import (
    GREY,
    Cell,
    Chart,
    Curve,
    CurvePoint,
    Origin,
    Page,
    Section,
    Table,
)
from segdoor.report.curves import summary_of
from segdoor.report.wrapping import lines

_MEASURES = {
    "gradient_reach": "mean distance of the gradient, pixels",
    "far_changes": "far pixels that change class",
}
_ONE_SEED = "One seed decides nothing: networks of other seeds may differ as much."


def describe_context(record: ContextRecord) -> list[RenderableType]:
    """Return the networks and comparisons for the terminal."""
    far = f"far changes\n{record.far} px and more"
    models = _grid("Context", "network", "seed", "gradient\nreach, px", far)
    for model in record.models:
        models.add_row(model.name, str(model.seed), *_figures(model))
    headings = "of", "against", "by", "difference", "95 %", ""
    comparisons = _grid("Contexts compared", *headings)
    for found in record.comparisons:
        comparisons.add_row(
            found.one, found.other, found.measure.replace("_", " "), _number(found, _mean(found)),
            _interval(found), found.direction,
        )  # fmt: skip
    notes = [_ONE_SEED] if any(len(c.by_seed) == 1 for c in record.comparisons) else []
    return [models, comparisons, *(line for note in notes for line in lines(note))]


def context_page(record: ContextRecord) -> Page:
    """Return the page of a record of contexts."""
    wider = [f"{c.one} {c.direction} than {c.other} by {_MEASURES[c.measure]}"
             for c in record.comparisons if c.direction != "undecided"]  # fmt: skip
    return Page(
        title="How far the networks look",
        verdict="; ".join(wider) + "." if wider else "No comparison is decided.",
        facts=(
            ("Scenes", f"{record.num_scenes} untouched test scenes, height {record.height} px"),
            *((name, f"{value:g}") for name, value in record.config.items()),
        ),
        sections=(
            Section("influence", "What a covered window changes", _INFLUENCE, (_changes(record),)),
            Section("gradient", "Where the gradient lies", _GRADIENT, (_gradients(record),)),
            Section("figures", "Figures", "", (), (_models(record), _comparisons(record))),
        ),
    )


_INFLUENCE = (
    "A grey window covers part of a scene. The curve gives the share of pixels that change class, "
    "by their distance from the window."
)
_GRADIENT = (
    "The gradient of a pixel’s largest logit: the share of it in each band of distances from that "
    "pixel. A network with a wide context has more of it far away."
)


def _grid(title: str, first: str, *others: str) -> Grid:
    grid = new_grid(title, first)
    for heading in others:
        grid.add_column(heading)
    return grid


def _changes(record: ContextRecord) -> Chart:
    def shares(model: ModelContext) -> list[float | None]:
        pairs = zip(model.changed, model.pixels, strict=True)
        return [changed / pixels if pixels else None for changed, pixels in pairs]

    curves = [_curve(record, place, shares(model)) for place, model in enumerate(record.models)]
    return Chart(
        "context-changes", "Pixels that change class", "distance from the window in pixels",
        "share of pixels", tuple(curves), summary_of(curves), whole=False, logarithmic=True,
    )  # fmt: skip


def _gradients(record: ContextRecord) -> Chart:
    curves = [
        _curve(record, place, list(model.gradient)) for place, model in enumerate(record.models)
    ]
    return Chart(
        "context-gradient", "Share of the gradient", "distance in pixels",
        "share of the gradient", tuple(curves), summary_of(curves), whole=False, logarithmic=True,
    )  # fmt: skip


def _curve(record: ContextRecord, place: int, values: list[float | None]) -> Curve:
    """Return a curve of one network: a point a band, in the middle of it."""
    model = record.models[place]
    names = list(dict.fromkeys(other.name for other in record.models))
    edges = record.edges
    points = tuple(
        CurvePoint(
            (edges[band] + edges[band + 1]) / 2, value, None, None,
            Origin((model.run,), f"/models/{place}"),
        )
        for band, value in enumerate(values) if value is not None
    )  # fmt: skip
    colour = GREY if model.name == "clean" else names.index(model.name)
    return Curve(f"{model.name}, seed {model.seed}", colour, points)


def _models(record: ContextRecord) -> Table:
    rows = tuple(
        (
            Cell(model.name, model.name), Cell(model.run, model.run),
            Cell(str(model.seed), model.seed),
            *(Cell(text, value, Origin((model.run,), f"/models/{place}/{field}"))
              for text, (field, value) in zip(_figures(model), _values(model), strict=True)),
        )
        for place, model in enumerate(record.models)
    )  # fmt: skip
    columns = ("network", "run", "seed", "mean distance of the gradient, px", "far changes")
    note = f"Far: {record.far} pixels or more from the window."
    return Table("context-models", "The networks", columns, rows, note)


def _comparisons(record: ContextRecord) -> Table:
    rows = tuple(
        (
            Cell(found.one, found.one), Cell(found.other, found.other),
            Cell(_MEASURES[found.measure], found.measure),
            Cell(_number(found, _mean(found)), _mean(found),
                 Origin((), f"/comparisons/{place}/by_seed")),
            Cell(_interval(found), None), Cell(found.direction, found.direction),
        )
        for place, found in enumerate(record.comparisons)
    )  # fmt: skip
    columns = ("context of", "against", "by", "difference", "95 %", "verdict")
    note = "Intervals over seeds and scenes together, paired by seed. " + _ONE_SEED
    return Table("context-comparisons", "Compared", columns, rows, note)


def _values(model: ModelContext) -> tuple[tuple[str, float | None], ...]:
    return ("gradient_reach", model.gradient_reach), ("far_changes", model.far_changes)


def _figures(model: ModelContext) -> tuple[str, str]:
    far = "–" if model.far_changes is None else f"{model.far_changes:.4f}"
    return f"{model.gradient_reach:.2f}", far


def _mean(found: ContextComparison) -> float:
    return sum(found.by_seed) / len(found.by_seed)


def _number(found: ContextComparison, value: float) -> str:
    return f"{value:+.2f}" if found.measure == "gradient_reach" else f"{value:+.4f}"


def _interval(found: ContextComparison) -> str:
    if found.low is None or found.high is None:
        return "–"
    return f"{_number(found, found.low)} to {_number(found, found.high)}"
