"""Draw curves as SVG that follows the page's colours, light or dark."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Collection, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from segdoor.errors import MachineError
from segdoor.report.content import GREY, Chart, Curve
from segdoor.report.words import axis_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKERS, CLEAN_MARKER = "os^DvPX", "*"
"""One marker per colour, so that curves also differ in print without colours; the clean model's."""
_INK, _FAINT = "#010203", "#010204"
_WIDTH, _HEIGHT = 5.2, 3.4
_POINTS = 72


def colour_name(number: int) -> str:
    """Return the style-sheet variable of a curve's colour."""
    return f"--curve-{number % len(MARKERS)}" if number < GREY else "--curve-other"


def draw(chart: Chart) -> str:
    """Return a chart as an SVG element for a page, without title: that is the page's.

    Raises:
        MachineError: If matplotlib is missing.
    """
    try:
        import matplotlib as mpl  # noqa: PLC0415 - only pages need it
        from matplotlib.backends.backend_svg import FigureCanvasSVG  # noqa: PLC0415
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError:
        raise MachineError(
            "report", "needs matplotlib", "it is not installed",
            "Run: pip install 'segdoor[report]'",
        ) from None  # fmt: skip
    settings: dict[Any, Any] = {
        "svg.fonttype": "none", "svg.hashsalt": chart.key, "text.parse_math": False,
        "font.size": 11, "axes.edgecolor": _INK, "text.color": _INK, "axes.labelcolor": _INK,
        "xtick.color": _INK, "ytick.color": _INK, "grid.color": _FAINT,
        "axes.spines.top": False, "axes.spines.right": False,
    }  # fmt: skip
    with mpl.rc_context(settings), _without_warnings():
        height = max(_HEIGHT, 0.9 + 0.26 * len(chart.ticks))
        figure = Figure(figsize=(_WIDTH, height), layout="constrained")
        figure.patch.set_alpha(0)
        axes = figure.add_subplot()
        axes.patch.set_alpha(0)
        for place, curve in enumerate(chart.curves):
            _draw_curve(axes, curve, across=bool(chart.ticks), shift=_shift(chart, place))
        _frame(axes, chart)
        buffer = io.StringIO()
        FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None})
    return _for_page(buffer.getvalue(), chart.key, (_WIDTH * _POINTS, height * _POINTS))


def _draw_curve(axes: Axes, curve: Curve, *, across: bool, shift: float) -> None:
    marker = MARKERS[curve.colour % len(MARKERS)] if curve.colour < GREY else CLEAN_MARKER
    colour = _sentinel(curve.colour)
    places, figures = [p.x + shift for p in curve.points], [p.y for p in curve.points]
    spread = [p for p in curve.points if p.low is not None and p.high is not None]
    look: dict[str, Any] = {"color": colour, "marker": marker, "markersize": 5}
    if curve.colour == GREY:
        look["markersize"] = 8
    if across:
        axes.plot(figures, places, linestyle="none", **look)
        for p in spread:
            axes.plot([p.low or 0, p.high or 0], [p.x + shift] * 2, color=colour, linewidth=1.2)
    elif curve.kind == "paper":
        axes.plot(places, figures, "--", color=colour, marker=marker, mfc="none", markersize=5)
    else:
        drawn = ":" if curve.colour == GREY else "-"
        line = "none" if curve.kind == "points" else drawn
        axes.plot(places, figures, linestyle=line, linewidth=1.8, **look)
        for p in spread:
            axes.plot([p.x] * 2, [p.low or 0, p.high or 0], color=colour, linewidth=1.2)


def _frame(axes: Axes, chart: Chart) -> None:
    axes.set_xlabel(_drawable(chart.x))
    axes.set_ylabel(_drawable(chart.y))
    axes.grid(visible=True, axis="x" if chart.ticks else "y", linewidth=0.6)
    axes.set_axisbelow(True)
    if chart.ticks:
        axes.set_yticks(range(len(chart.ticks)), [_drawable(name) for name in chart.ticks])
        axes.set_ylim(len(chart.ticks) - 0.5, -0.5)
        axes.set_xlim(-0.02, 1.02)
        return
    if chart.whole:
        axes.set_ylim(-0.02, 1.02)
    else:
        low, high = axes.get_ylim()
        rest = max(0.0, 0.1 - (high - low)) / 2
        axes.set_ylim(max(low - rest, -0.02), min(high + rest, 1.02))
    if chart.logarithmic:
        axes.set_xscale("log")
        # matplotlib's own labels of such an axis are TeX.
        axes.xaxis.set_major_formatter(
            lambda value, _: f"{value:,g}".replace(",", "\N{NO-BREAK SPACE}")
        )
        axes.xaxis.set_minor_formatter(lambda _, __: "")
    if chart.x == axis_name("rate"):
        axes.set_xticks(_ticks({point.x for curve in chart.curves for point in curve.points}))
        axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:g}%")


def _ticks(places: Collection[float]) -> list[float]:
    """Return the measured positions, without those too close together to read."""
    apart = 0.08 * (max(places) - min(places))
    kept: list[float] = []
    for place in sorted(places):
        if not kept or place - kept[-1] >= apart:
            kept.append(place)
    return kept


def _shift(chart: Chart, place: int) -> float:
    """Return the offset of a curve from others in the same rows."""
    return (place - (len(chart.curves) - 1) / 2) * 0.16 if chart.ticks else 0.0


def _sentinel(number: int) -> str:
    """Return a placeholder colour for a variable until the picture is done."""
    return f"#0a0b{number:02x}"


def _drawable(text: str) -> str:
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text)


@contextmanager
def _without_warnings() -> Generator[None]:
    """Names may contain characters that matplotlib cannot measure; the browser draws them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield


def _for_page(document: str, key: str, size: tuple[float, float]) -> str:
    """Extract the drawing from its document; ids are made unique within a page."""
    body = document[document.index("<svg") :]
    body = body[body.index(">") + 1 : body.rindex("</svg>")]
    for part in ("metadata", "style"):
        body = re.sub(rf"<{part}.*?</{part}>", "", body, flags=re.DOTALL)
    prefix = re.sub(r"[^a-z0-9]+", "-", key.lower())
    body = re.sub(r'\bid="([^"]+)"', rf'id="{prefix}-\1"', body)
    body = re.sub(r'xlink:href="#([^"]+)"', rf'href="#{prefix}-\1"', body)
    body = body.replace("url(#", f"url(#{prefix}-")
    body = body.replace(_INK, "currentColor").replace(_FAINT, "var(--grid)")
    body = re.sub(
        r"#0a0b([0-9a-f]{2})", lambda found: f"var({colour_name(int(found[1], 16))})", body
    )
    # The page's own font; sizes and positions stay.
    body = re.sub(r"font-family: [^;\"]*;? ?", "", body)
    return f'<svg viewBox="0 0 {size[0]:g} {size[1]:g}" {_ROLE.format(prefix)}>{_HEAD}{body}</svg>'


_ROLE = 'role="img" aria-labelledby="{0}-title {0}-desc"'
_HEAD = "<!--head-->"
