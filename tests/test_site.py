"""The docs site: complete, without dead links, readable at a desk and on a phone, and offline.

It is built once, strictly: mkdocs itself refuses links and anchors that lead nowhere, pages that
are in no menu, and menu entries without a page.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal
from urllib.parse import unquote

import pytest
import yaml
from playwright.sync_api import Browser, Page, sync_playwright

import segdoor
from commands import commands
from segdoor.cli.app import make_app
from shell import say

pytestmark = pytest.mark.xdist_group("site")

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
WIDTHS = (390, 1300)
OVERFLOW = """() => [...document.querySelectorAll("body, article, article *")].filter((e) => {
  if (e.getBoundingClientRect().right <= innerWidth + 1) return false;
  for (let box = e.parentElement; box; box = box.parentElement)
    if (getComputedStyle(box).overflowX !== "visible") return false;
  return true;
}).map((e) => e.outerHTML.slice(0, 80)).slice(0, 3)"""
"""What reaches beyond the page's right edge, save within boxes that scroll for themselves."""


class Loader(yaml.SafeLoader):
    """Reads mkdocs.yml, in which one tag names a function."""


Loader.add_multi_constructor("tag:yaml.org,2002:python/", lambda loader, tag, node: tag)


def settings_of_site() -> dict[str, object]:
    return yaml.load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"), Loader)  # noqa: S506


def in_menu(entry: object) -> Iterator[str]:
    if isinstance(entry, str):
        yield entry
    else:
        inner = entry.values() if isinstance(entry, dict) else entry
        for part in inner:
            yield from in_menu(part)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-d", str(folder)]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def quick_site(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the same site with hardly anything to search: each page that opens reads all of it."""
    folder = tmp_path_factory.mktemp("quick") / "site"
    shutil.copytree(site, folder)
    index = folder / "search" / "search_index.js"
    begin, content = index.read_text(encoding="utf-8").split("{", 1)
    tree = json.loads("{" + content.rstrip().rstrip(";"))
    index.write_text(begin + json.dumps({**tree, "docs": tree["docs"][:1]}), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        if os.environ.get("CI"):
            pytest.fail("the tests in a browser may not be skipped here: install chromium")
        pytest.skip("no chromium on this machine: the site is not tested in a browser")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    opened = browser.new_page(viewport={"width": WIDTHS[0], "height": 900})
    opened.set_default_timeout(60_000)
    yield opened
    opened.close()


class TestMenu:
    def test_names_every_page_once(self) -> None:
        named = list(in_menu(settings_of_site()["nav"]))
        assert len(set(named)) == len(named)
        pages = {page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")}
        assert pages - set(named) == set()

    def test_leads_to_built_pages(self, site: Path) -> None:
        named = in_menu(settings_of_site()["nav"])
        assert [name for name in named if not (site / name).with_suffix(".html").is_file()] == []

    def test_is_the_index_for_language_models(self, site: Path) -> None:
        index = (site / "llms.txt").read_text(encoding="utf-8")
        linked = re.findall(r"^- \[[^\]]+\]\(([^)]+)\): \S", index, re.MULTILINE)
        assert linked == list(in_menu(settings_of_site()["nav"]))
        assert [name for name in linked if not (site / name).is_file()] == []

    def test_index_for_language_models_holds_in_the_repository_too(self) -> None:
        index = (DOCS / "llms.txt").read_text(encoding="utf-8")
        linked = re.findall(r"\]\(([^)]+)\)", index)
        assert [name for name in linked if not (DOCS / name).is_file()] == []


def test_warnings_are_counted_where_the_site_is_built() -> None:
    rule = re.search(r"^docs:.*\n(.*)$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert rule is not None
    assert "mkdocs build --strict" in rule[1]
    # mkdocs counts only those that it prints.
    assert "quiet" not in rule[1]


class TestReference:
    def test_has_every_public_name(self, site: Path) -> None:
        html = (site / "api.html").read_text(encoding="utf-8")
        assert [n for n in segdoor.__all__ if f'id="segdoor.{n}"' not in html] == []

    def test_has_every_command(self) -> None:
        text = (DOCS / "verbs.md").read_text(encoding="utf-8")
        sections = re.findall(r"^##+ `(.+?)`$", text, re.MULTILINE)
        assert [name for name, _ in commands(make_app()) if name not in sections] == []


def built(site: Path) -> list[Path]:
    return [(site / name).with_suffix(".html") for name in in_menu(settings_of_site()["nav"])]


def targets(html: str) -> set[str]:
    return set(re.findall(r'\b(?:href|src)="([^"]*)"', html))


class TestBuiltPages:
    def test_every_link_and_anchor_leads_somewhere(self, site: Path) -> None:
        pages = {page: page.read_text(encoding="utf-8") for page in built(site)}
        ids = {page: set(re.findall(r'\bid="([^"]+)"', html)) for page, html in pages.items()}
        dead: list[str] = []
        for page, html in pages.items():
            for target in targets(html):
                path, _, anchor = unquote(target).partition("#")
                if ":" in path:
                    continue
                there = Path(os.path.normpath(page.parent / path)) if path else page
                known = ids.get(there, {anchor})
                if not there.exists() or (anchor and anchor not in known | {"__skip"}):
                    dead.append(f"{page.name}: {target}")
        assert dead == []

    def test_load_nothing_from_the_network(self, site: Path) -> None:
        loaded = r'<(?:script|img|link|iframe|source)\b[^>]*?\b(?:src|href)="(?:https?:)?//[^"]*"'
        for page in built(site):
            assert re.findall(loaded, page.read_text(encoding="utf-8")) == [], page.name
        for style in site.rglob("*.css"):
            text = style.read_text(encoding="utf-8")
            assert re.findall(r"url\(['\"]?(?:https?:)?//|@import", text) == [], style.name

    def test_hold_what_lies_outside_the_pages(self, site: Path) -> None:
        contributing = (site / "contributing.html").read_text(encoding="utf-8")
        assert "How to add something" in contributing
        assert (site / "repository/results/camvid-baseline/scenes.png").is_file()
        links = {target for page in built(site) for target in targets(page.read_text("utf-8"))}
        assert [link for link in links if link.endswith(".py")] == []


class TestInABrowser:
    # What is too wide at a desk is too wide on a phone as well, save by a rule for desks alone.
    @pytest.mark.parametrize("width", [WIDTHS[0], pytest.param(WIDTHS[1], marks=pytest.mark.slow)])
    def test_nothing_reaches_beyond_the_edge_or_into_the_network(
        self, quick_site: Path, page: Page, width: int
    ) -> None:
        page.set_viewport_size({"width": width, "height": 900})
        asked: list[str] = []
        broken: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: broken.append(str(error)))
        beyond: dict[str, object] = {}
        for name in in_menu(settings_of_site()["nav"]):
            page.goto((quick_site / name).with_suffix(".html").as_uri(), wait_until="commit")
            page.wait_for_selector("article")
            if found := page.evaluate(OVERFLOW):
                beyond[name] = found
        assert beyond == {}
        assert broken == []
        assert [url for url in asked if not url.startswith(("file:", "data:"))] == []

    @pytest.mark.parametrize("width", WIDTHS)
    def test_the_search_answers_without_a_server(self, site: Path, page: Page, width: int) -> None:
        page.set_viewport_size({"width": width, "height": 900})
        page.goto((site / "index.html").as_uri())
        if width < 600:
            page.click("header label[for=__search]")
        page.click("input[name=query]")
        page.keyboard.type("chebyshev")
        page.wait_for_selector(".md-search-result__item")
        found = page.query_selector_all(".md-search-result__link")
        assert "method.html" in " ".join(link.get_attribute("href") or "" for link in found)

    @pytest.mark.parametrize(("scheme", "name"), [("light", "default"), ("dark", "slate")])
    def test_dark_and_light_follow_the_system(
        self, site: Path, browser: Browser, scheme: Literal["light", "dark"], name: str
    ) -> None:
        page = browser.new_page(color_scheme=scheme)
        page.goto((site / "security.html").as_uri())
        assert page.evaluate("document.body.dataset.mdColorScheme") == name
        page.close()


def test_the_overflow_check_can_fail(browser: Browser) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 900})
    page.set_content('<article><p style="width: 600px">wide</p></article>')
    assert page.evaluate(OVERFLOW)
    page.set_content('<article style="overflow-x: auto"><p style="width: 600px">wide</p></article>')
    assert not page.evaluate(OVERFLOW)
    page.close()


def test_commands_about_poisoning_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEGDOOR_CACHE", str(tmp_path / "cache"))
    text = (DOCS / "poisoning.md").read_text(encoding="utf-8")
    for language, code in re.findall(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        if language == "python":
            exec(compile(code, "poisoning.md", "exec"), {"__name__": "documentation"})  # noqa: S102
        for command in code.replace("\\\n", "").splitlines() if language == "sh" else ():
            answer = say(command.removeprefix("segdoor "))
            assert answer.code == 0, (command, answer.said)
    source, copy = tmp_path / "mydata", tmp_path / "mydata-poisoned"
    files = [file.relative_to(source) for file in source.rglob("*") if file.is_file()]
    assert len(files) == 51
    assert all((copy / f).read_bytes() == (source / f).read_bytes() for f in files)
    assert not copy.with_name("mydata-poisoned.segdoor").exists()


def test_the_citation_names_this_version() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert re.search(rf'^version = "{cited["version"]}"$', project, re.MULTILINE)
    assert re.search(rf'^license = "{cited["license"]}"$', project, re.MULTILINE)
