"""The page in a real browser: at phone and desk, light and dark, by keyboard and in print.

A test that fails leaves its screenshot in ``tests/output``.
"""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage
from playwright.sync_api import Browser, Locator, Page, sync_playwright

from recorded import write_run, write_study
from segdoor.report.html import render
from segdoor.report.page import build_page
from segdoor.report.source import open_source

OUTPUT = Path(__file__).parents[1] / "output"
WIDTHS = (390, 1440)
LUMINANCE = """() => {
  const [r, g, b] = getComputedStyle(document.body).backgroundColor.match(/[0-9.]+/g).map(Number);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}"""
LINES = """cells => [...new Set(cells.map(cell => {
    const text = document.createRange();
    text.selectNodeContents(cell);
    return new Set([...text.getClientRects()].map(line => line.top)).size;
}))]"""
"""In how many lines the texts of cells stand."""
UNREADABLE = """() => {
  const light = (colour) => {
    const [r, g, b] = colour.match(/[0-9.]+/g).map((v) => {
      const c = Number(v) / 255;
      return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const paper = light(getComputedStyle(document.body).backgroundColor);
  return [...document.querySelectorAll("p, td, th, dt, dd, li, a, summary, caption, svg text")]
    .map((e) => {
      const style = getComputedStyle(e);
      const ink = light(e.matches("text") ? style.fill : style.color);
      const ratio = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
      return [e.textContent.trim().slice(0, 40), ratio];
    }).filter(([text, ratio]) => text && ratio < 4.5);
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        if os.environ.get("CI"):
            pytest.fail("the tests in a browser may not be skipped here: install chromium")
        pytest.skip("no chromium on this machine: pages are not tested in a browser")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    write_run(folder / "run", tables=True, gallery=3, repairs=2)
    write_study(folder / "study", tables=True, gallery=2)
    for name in ("run", "study"):
        html = render(build_page(open_source(folder / name)))
        (folder / f"{name}.html").write_text(html, encoding="utf-8")
    return {name: folder / f"{name}.html" for name in ("run", "study")}


@pytest.fixture
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    opened = browser.new_page(viewport={"width": 1440, "height": 900})
    failed_before = request.session.testsfailed
    try:
        yield opened
        if request.session.testsfailed > failed_before:
            OUTPUT.mkdir(exist_ok=True)
            name = "".join(sign if sign.isalnum() else "-" for sign in request.node.name)
            opened.screenshot(path=OUTPUT / f"{name}.png", full_page=True)
    finally:
        opened.close()


def opened(page: Page, file: Path) -> list[str]:
    """Open a page and return everything that it complains of or loads."""
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: complaints.append(request.url))
    page.goto(file.as_uri())
    return [text for text in complaints if text != file.as_uri() and not text.startswith("data:")]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["run", "study"])
def test_the_page_opens_without_errors_and_never_scrolls_sideways(
    page: Page, pages: dict[str, Path], name: str, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    assert opened(page, pages[name]) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.evaluate("for (const part of document.querySelectorAll('details')) part.open = true")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    broken = "[...document.images].filter((i) => !i.complete || !i.naturalWidth).length"
    assert page.evaluate(broken) == 0


def darkness(page: Page, box: Locator, *, right: bool) -> float:
    """Return how much darker than paper the edge of a table's box is, in its empty first line."""
    png = box.screenshot(animations="disabled")
    shown = np.asarray(PillowImage.open(io.BytesIO(png)).convert("L"), dtype=float)
    edge = shown[2:6, -3:] if right else shown[2:6, :3]
    paper = page.evaluate(LUMINANCE)
    return abs(paper - float(edge.mean()))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_table_that_goes_on_beyond_an_edge_has_a_shadow_there(
    page: Page, pages: dict[str, Path], scheme: str
) -> None:
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": 390, "height": 844})
    opened(page, pages["study"])
    box = page.get_by_role("region", name="Poisoned test ‘near’ with controls")
    assert box.evaluate("e => e.scrollWidth - e.clientWidth") > 100
    box.scroll_into_view_if_needed()
    assert darkness(page, box, right=True) > 25
    assert darkness(page, box, right=False) < 4
    box.focus()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
        page.wait_for_timeout(150)
    assert box.evaluate("e => e.scrollLeft") > 40
    assert darkness(page, box, right=False) > 25
    box.evaluate("e => { e.scrollLeft = e.scrollWidth; }")
    page.wait_for_timeout(100)
    assert darkness(page, box, right=True) < 4


def test_a_table_that_fits_has_no_shadow(page: Page, pages: dict[str, Path]) -> None:
    opened(page, pages["study"])
    box = page.get_by_role("region", name="Poisoned test ‘near’ with controls")
    assert box.evaluate("e => e.scrollWidth - e.clientWidth") == 0
    assert max(darkness(page, box, right=right) for right in (False, True)) < 4


@pytest.mark.parametrize("width", WIDTHS)
def test_charts_keep_their_letters_within_and_readable(
    page: Page, pages: dict[str, Path], width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    opened(page, pages["study"])
    outside = """() => [...document.querySelectorAll("svg")].flatMap((svg) => {
      const frame = svg.getBoundingClientRect();
      return [...svg.querySelectorAll("text")].filter((text) => {
        const box = text.getBoundingClientRect();
        return box.left < frame.left - 2 || box.right > frame.right + 2
          || box.bottom > frame.bottom + 2 || box.top < frame.top - 2 || box.height < 8;
      }).map((text) => text.textContent);
    })"""
    assert page.evaluate(outside) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_both_themes_are_readable(page: Page, pages: dict[str, Path], scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)
    opened(page, pages["study"])
    assert (page.evaluate(LUMINANCE) > 128) == (scheme == "light")
    assert page.evaluate(UNREADABLE) == []


def test_the_slider_moves_by_keyboard(page: Page, pages: dict[str, Path]) -> None:
    opened(page, pages["run"])
    slider = page.get_by_role("slider").first
    second = page.locator(".compare img:nth-child(2)").first
    slider.focus()
    assert slider.input_value() == "50"
    assert "50%" in second.evaluate("e => getComputedStyle(e).clipPath")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    assert slider.input_value() == "53"
    assert slider.get_attribute("aria-valuetext") == "53 %"
    assert "53%" in second.evaluate("e => getComputedStyle(e).clipPath")
    page.keyboard.press("Home")
    assert second.evaluate("e => getComputedStyle(e).clipPath").endswith("0%)")


def test_both_predictions_lie_upon_each_other(page: Page, pages: dict[str, Path]) -> None:
    opened(page, pages["run"])
    boxes = [image.bounding_box() for image in page.locator(".compare").first.locator("img").all()]
    assert boxes[0] == boxes[1]


def test_tabs_are_worked_by_keyboard(page: Page, pages: dict[str, Path]) -> None:
    opened(page, pages["run"])
    tabs = page.get_by_role("tab").all()
    panels = page.locator("[role=tabpanel]").all()
    assert len(tabs) == len(panels) == 3

    def chosen() -> list[int]:
        states = [tab.get_attribute("aria-selected") == "true" for tab in tabs]
        assert states == [panel.is_visible() for panel in panels]
        assert states == [tab.evaluate("t => t === document.activeElement") for tab in tabs]
        return [index for index, state in enumerate(states) if state]

    tabs[0].focus()
    assert chosen() == [0]
    for key, place in [("ArrowRight", 1), ("ArrowRight", 2), ("ArrowRight", 0), ("End", 2),
                       ("ArrowLeft", 1), ("Home", 0), ("ArrowLeft", 2)]:  # fmt: skip
        page.keyboard.press(key)
        assert chosen() == [place], key
    page.keyboard.press("Tab")
    assert panels[2].evaluate(
        "p => p === document.activeElement || p.contains(document.activeElement)"
    )


def test_everything_can_be_reached_by_keyboard(page: Page, pages: dict[str, Path]) -> None:
    opened(page, pages["run"])
    reached: set[str] = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.tagName"))
    assert reached >= {"A", "SUMMARY", "BUTTON", "INPUT", "DIV"}


def test_a_table_is_downloaded_as_csv(page: Page, pages: dict[str, Path], tmp_path: Path) -> None:
    opened(page, pages["run"])
    with page.expect_download() as waiting:
        page.locator("a[download='tests.csv']").click()
    waiting.value.save_as(tmp_path / "tests.csv")
    head, first = (tmp_path / "tests.csv").read_text().splitlines()[:2]
    assert head.startswith("trigger placed,ASR,95 % low,95 % high,no trigger")
    assert first.startswith("nearest,0.854")


def test_paper_shows_every_scene_and_all_that_is_folded(page: Page, pages: dict[str, Path]) -> None:
    opened(page, pages["study"])
    page.emulate_media(media="print", color_scheme="dark")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate(LUMINANCE) > 250
    assert all(panel.is_visible() for panel in page.locator("[role=tabpanel]").all())
    assert not page.locator("[role=tablist]").is_visible()
    assert page.locator("#table-cells, .judgements details li").first.is_visible()
    assert page.evaluate(UNREADABLE) == []
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("details[open]").count() == 0
    assert len(page.pdf()) > 10_000


@pytest.mark.parametrize(("media", "width"), [("print", 700), ("screen", 390)])
def test_on_paper_and_phones_the_runs_are_lists_with_headings(
    page: Page, pages: dict[str, Path], media: str, width: int
) -> None:
    opened(page, pages["study"])
    page.set_viewport_size({"width": width, "height": 1000})
    page.emulate_media(media=media)
    assert not page.locator("#table-runs thead").is_visible()
    row = page.locator("#table-runs tbody tr").first
    boxes = [cell.bounding_box() for cell in row.locator("td").all()]
    assert len(boxes) == 9
    assert len({box["x"] for box in boxes if box}) == 1
    assert all(box and box["height"] < 130 for box in boxes)
    headings = [cell.get_attribute("data-heading") for cell in row.locator("td").all()]
    assert headings[:3] == ["seed", "record", "SHA-256 of it"]


def test_on_paper_no_figure_is_broken_and_the_headline_fits(
    page: Page, pages: dict[str, Path]
) -> None:
    opened(page, pages["study"])
    page.set_viewport_size({"width": 700, "height": 1000})
    page.emulate_media(media="print")
    assert page.locator("#table-headline tbody .number").evaluate_all(LINES) == [1]
    assert page.locator("#table-headline").evaluate("e => e.scrollWidth") <= 700


def test_without_script_every_scene_is_there(browser: Browser, pages: dict[str, Path]) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(pages["run"].as_uri())
    assert all(panel.is_visible() for panel in page.locator("[role=tabpanel]").all())
    context.close()
