"""The page as a file: self-contained, escaped, labelled, and its tables as CSV."""

from __future__ import annotations

import base64
import csv
import io
import itertools
import re
import sys
import xml.etree.ElementTree as ET
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest

from recorded import write_run, write_study
from segdoor.errors import MachineError
from segdoor.report.content import Cell, Chart, Curve, CurvePoint, Page, Table
from segdoor.report.figures import draw
from segdoor.report.html import csv_uri, render, table_of
from segdoor.report.page import build_page
from segdoor.report.source import open_source
from segdoor.scores.intervals import Interval

EVIL = '"><script>alert(1)</script><img src=x onerror=alert(2)>$x_{</svg>'


class Reader(HTMLParser):
    """Collects tags, and the text of tables and titles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inside: list[str] = []
        self.text: list[tuple[str, str]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self.inside and self.inside.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        self.text.append((self.inside[-1] if self.inside else "", data))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Page:
    folder = tmp_path_factory.mktemp("study")
    write_study(folder, tables=True, gallery=2)
    return build_page(open_source(folder))


@pytest.fixture(scope="module")
def html(page: Page) -> str:
    return render(page)


@pytest.fixture(scope="module")
def reader(html: str) -> Reader:
    return Reader(html)


def test_the_page_needs_no_other_file(html: str, reader: Reader) -> None:
    for _, attributes in reader.tags:
        for name in ("src", "href", "data", "action", "poster", "srcset"):
            value = attributes.get(name)
            assert value is None or value.startswith(("data:", "#")), value
    assert "@import" not in html
    assert set(re.findall(r"https?://[^\s\"'<>]+", html)) == set()
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", html))


def test_the_page_forbids_itself_to_load_anything(reader: Reader) -> None:
    policy = [m["content"] for m in reader.all("meta") if m.get("http-equiv")]
    assert policy
    assert "default-src 'none'" in str(policy[0])


def test_ids_are_unique_and_links_lead_somewhere(reader: Reader) -> None:
    ids = Counter(a["id"] for _, a in reader.tags if a.get("id"))
    assert [name for name, count in ids.items() if count > 1] == []
    pointing = [
        target
        for _, attributes in reader.tags
        for key in ("aria-labelledby", "aria-controls", "for")
        for target in (attributes.get(key) or "").split()
    ]
    pointing += [str(a["href"])[1:] for _, a in reader.tags if str(a.get("href")).startswith("#")]
    assert pointing
    assert set(pointing) <= set(ids)


def test_pictures_charts_and_controls_have_names(reader: Reader) -> None:
    assert all(image.get("alt") for image in reader.all("img"))
    assert len(reader.all("img")) == 5 * 2 * 3
    charts = [svg for svg in reader.all("svg") if svg.get("role") == "img"]
    assert len(charts) == len(reader.all("svg")) >= 8
    titles = [text for tag, text in reader.text if tag == "title"]
    assert len(titles) == len(charts) + 1
    assert all(text.strip() for text in titles)
    assert len([text for tag, text in reader.text if tag == "desc"]) == len(charts)
    assert all(slider.get("aria-label") for slider in reader.all("input"))
    assert all(head.get("scope") for head in reader.all("th"))


def test_headings_are_in_order(reader: Reader) -> None:
    levels = [int(tag[1]) for tag, _ in reader.tags if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_figures_of_tables_tell_their_origin(reader: Reader) -> None:
    cells = [cell for cell in reader.all("td") if cell.get("data-field")]
    assert len(cells) > 150
    for cell in cells:
        assert cell["data-runs"]
        assert str(cell["data-field"]) in str(cell["title"])


def test_comparisons_behind_a_claim_tell_their_runs(reader: Reader) -> None:
    runs = [item["data-runs"] for item in reader.all("li") if item.get("data-runs")]
    assert runs == ["nni-0.05-s0", "nni-0.05-s0"]
    assert all(item["title"] for item in reader.all("li") if item.get("data-runs"))


def test_an_axis_of_rates_is_labelled_where_was_measured() -> None:
    points = tuple(CurvePoint(x, 0.5, None, None, None) for x in (0.01, 0.011, 0.05, 0.2))
    svg = draw(Chart("k", "t", "poisoning rate", "ASR", (Curve("c", 0, points),), ""))
    assert re.findall(r">([0-9.]+%)<", svg) == ["1%", "5%", "20%"]


@pytest.mark.parametrize("where", ["title", "class", "scene", "test", "victim"])
def test_names_are_never_markup(where: str, tmp_path: Path) -> None:
    def rename(content: dict[str, object]) -> None:
        if where == "title":
            content["title"] = EVIL
        elif where == "class":
            content["data"]["classes"][0]["name"] = EVIL
        elif where == "scene":
            content["gallery"][0]["name"] = EVIL
        elif where == "test":
            tests = content["scores"]["tests"]
            tests[EVIL] = tests.pop("far_21.1_31.6")
        else:
            content["target"] = EVIL
            content["data"]["classes"][3]["name"] = EVIL

    write_run(tmp_path / "run", tables=True, gallery=1, change=rename)
    html = render(build_page(open_source(tmp_path / "run")))
    reader = Reader(html)
    assert len(reader.all("script")) == 1
    assert "alert(1)" in html
    assert all("onerror" not in attributes for _, attributes in reader.tags)
    assert len(reader.all("img")) == 5


def test_class_names_that_look_like_mathematics_are_drawn_as_they_are() -> None:
    points = (CurvePoint(0.0, 0.5, 0.4, 0.6, None), CurvePoint(1.0, 0.6, None, None, None))
    names = ("$\\frac{a}{$", "\u4e2d\u6587 \x07")
    chart = Chart("k", "t", "IoU", "", (Curve("c", 0, points, "points"),), "s", names)
    svg = draw(chart)
    assert "$\\frac{a}{$" in svg
    ET.fromstring(svg)  # noqa: S314 - written a line above


def test_charts_are_the_same_every_time(page: Page) -> None:
    charts = [chart for part in page.sections for chart in part.charts]
    assert [draw(chart) for chart in charts[:3]] == [draw(chart) for chart in charts[:3]]


def test_charts_follow_the_colours_of_the_page(page: Page) -> None:
    for chart in (chart for part in page.sections for chart in part.charts):
        svg = draw(chart)
        assert "var(--curve-" in svg
        assert "currentColor" in svg
        assert not re.findall(r"#[0-9a-f]{6}\b", re.sub(r'"#[^"]*"|url\(#[^)]*\)', "", svg))


def test_every_table_can_be_had_as_csv_and_says_the_same(page: Page, reader: Reader) -> None:
    links = [a for a in reader.all("a") if "download" in a]
    tables = {t.key: t for part in page.sections for t in part.tables if t.rows}
    tables |= {t.key: t for part in page.sections for t in map(table_of, part.charts)}
    assert len(links) == len(tables) == len(reader.all("table"))
    uris = {str(link["href"]) for link in links}
    for table in tables.values():
        assert csv_uri(table) in uris
        rows = rows_of(csv_uri(table))
        heads = [[f"{c} low", f"{c} high"] if c == "95 %" else [c] for c in table.columns]
        assert rows[0] == list(itertools.chain(*heads))
        assert len(rows) == len(table.rows) + 1
        for row, written in zip(table.rows, rows[1:], strict=True):
            texts = iter(written)
            for cell, head in zip(row, heads, strict=True):
                values = [cell.value] * len(head)
                if isinstance(cell.value, Interval):
                    values = [cell.value.low, cell.value.high]
                assert [next(texts) for _ in head] == [text_of(value) for value in values]
            assert not list(texts)


def text_of(value: object) -> str:
    return "" if value is None else str(value)


def test_an_interval_is_two_columns_of_numbers_in_a_file(page: Page) -> None:
    tables = {t.key: t for part in page.sections for t in part.tables}
    head, *rows = rows_of(csv_uri(tables["headline"]))
    place = head.index("95 % low")
    assert head[place - 1 : place + 2] == ["ASR", "95 % low", "95 % high"]
    for row in rows:
        asr, low, high = map(float, row[place - 1 : place + 2])
        assert 0 <= low < asr < high <= 1
    assert "95 %" in tables["headline"].columns
    # Cells that nothing was measured for, and those of one seed, have no interval.
    head, *rows = rows_of(csv_uri(tables["cells"]))
    assert {row[head.index("95 % low")] for row in rows} == {""}


def rows_of(uri: str) -> list[list[str]]:
    kind, content = uri.split(",", 1)
    assert kind == "data:text/csv;charset=utf-8;base64"
    return list(csv.reader(io.StringIO(base64.b64decode(content).decode())))


def test_a_spreadsheet_runs_no_name_as_a_formula() -> None:
    cells = (Cell("=1+1", "=1+1"), Cell("-0.5", -0.5), Cell("+x", "+x"), Cell("-", "-"))
    rows = rows_of(csv_uri(Table("k", "t", ("a", "b", "c", "d"), (cells,))))
    assert rows[1] == ["'=1+1", "-0.5", "'+x", "-"]


@pytest.mark.parametrize("package", ["jinja2", "matplotlib"])
def test_a_missing_package_is_named_with_its_remedy(
    package: str, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MachineError, match=r"segdoor\[report\]") as problem:
        render(page)
    assert package in str(problem.value)


@pytest.mark.parametrize(
    ("places", "labels"),
    [((1, 10, 70), {"1", "10"}), ((10, 150, 75_000), {"10", "100", "1\u00a0000", "10\u00a0000"})],
)
def test_a_logarithmic_axis_has_few_plain_labels(places: tuple[int, ...], labels: set[str]) -> None:
    points = tuple(CurvePoint(float(x), 0.5, None, None, None) for x in places)
    chart = Chart("q", "t", "Q", "ASR", (Curve("c", 0, points),), "", logarithmic=True)
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", draw(chart))
    drawn = [text for text in texts if text[:1].isdigit() and "." not in text]
    assert len(drawn) == len(set(drawn))
    assert labels <= set(drawn)
    assert "mathdefault" not in "".join(texts)


def test_no_page_holds_tex(html: str) -> None:
    assert "mathdefault" not in html
