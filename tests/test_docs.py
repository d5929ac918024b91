"""The documentation is true: it is generated, runs, links to what exists and leaves nothing out."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from commands import commands, options_of
from segdoor.cli.app import make_app
from segdoor.data.registry import DATASETS
from segdoor.defense.detectors.registry import DETECTORS
from segdoor.defense.filters.registry import FILTERS
from segdoor.defense.purifiers.registry import PURIFIERS
from segdoor.defense.repairs.registry import REPAIRS
from segdoor.defense.scans.registry import SCANS
from segdoor.experiment.wishes import wishes_from
from segdoor.scores.metrics.registry import METRICS
from segdoor.stickers import DRAWINGS
from segdoor.victim.backbones.registry import BACKBONES
from segdoor.victim.networks.registry import NETWORKS

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
# The pages of the notebooks are made from them, and test_front.py runs these.
PAGES = sorted(
    [
        *(page for page in DOCS.rglob("*.md") if page.parent.name != "notebooks"),
        *ROOT.glob("README.md"),
        *ROOT.glob("CHANGELOG.md"),
    ]
)
FORBIDDEN = [
    r"(^|[^A-Za-z0-9_.])/(work|farm|home|root|tmp|mnt|data)/",
    r"[A-Z]:\\",
    r"localhost|127\.0\.0\.1|\b10\.\d+\.\d+\.\d+",
    r"index-url|://[^ )]*(simple|pypi)",
    r"(?i)\b(as an ai|language model)\b",
    r"\b(TODO|FIXME|XXX|MEASURED)\b",
]
TORCHRUN = {"--nproc-per-node", "--nnodes", "--node-rank", "--master-addr"}
BLOCK = re.compile(r"^```(?P<info>[^\n]*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def blocks(page: Path, language: str) -> list[str]:
    found = BLOCK.finditer(page.read_text(encoding="utf-8"))
    return [match["code"] for match in found if match["info"].strip() == language]


def prose(page: Path) -> str:
    return BLOCK.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    heads = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^a-z0-9_ -]", "", head.lower()).replace(" ", "-") for head in heads}


def test_there_are_pages() -> None:
    assert {"record.md", "configuration.md", "data.md", "method.md", "decisions.md"} <= {
        page.name for page in PAGES
    }


def test_generated_pages_are_current(generator: ModuleType) -> None:
    pages = generator.pages()
    assert {"record.md", "configuration.md", "python.md", "verbs.md", "plugins.md"} < set(pages)
    stale = [
        name
        for name, text in pages.items()
        if not (DOCS / name).is_file() or (DOCS / name).read_text(encoding="utf-8") != text
    ]
    assert stale == [], "run: python docs/generate.py"
    assert {page.name for page in DOCS.glob("plugins-*.md")} <= set(pages)


@every_page
def test_python_blocks_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEGDOOR_CACHE", str(tmp_path / "cache"))
    namespace: dict[str, object] = {"__name__": "documentation"}
    for number, code in enumerate(blocks(page, "python"), start=1):
        exec(compile(code, f"{page.name}, block {number}", "exec"), namespace)  # noqa: S102


@every_page
def test_yaml_blocks_are_plain_yaml(page: Path) -> None:
    for code in blocks(page, "yaml"):
        content = yaml.safe_load(code)
        if page.name == "configuration.md":
            wishes_from(content, source=page.name)


@every_page
def test_commands_in_blocks_exist(page: Path) -> None:
    app = make_app()
    verbs = re.findall(r"^\s*segdoor ([a-z]+)", "\n".join(blocks(page, "sh")), re.MULTILINE)
    assert [verb for verb in verbs if verb not in set(app)] == []


@every_page
def test_options_in_pages_exist(page: Path) -> None:
    app = make_app()
    known = {name for verb, _ in commands(app) for name in options_of(app, verb)}
    # A choice can be written whole, too; listed are its settings.
    known |= {
        "--help",
        "--help-all",
        "--version",
        "--network",
        "--attack.placement",
        "--attack.trigger",
    } | TORCHRUN
    ours = re.sub(r"^ray .*$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    written = set(re.findall(r"(?<![\w-])--[a-z][\w.-]*[a-z_]", ours))
    assert written - known == set()


@every_page
def test_relative_links_lead_somewhere(page: Path) -> None:
    for target in (match["target"] for match in LINK.finditer(prose(page))):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        assert file.exists(), target
        if anchor:
            assert anchor in anchors(file), target


@every_page
def test_no_page_speaks_of_one_machine_or_of_unfinished_work(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    found = [hit[0] for pattern in FORBIDDEN for hit in re.finditer(pattern, text, re.MULTILINE)]
    assert found == []


@pytest.mark.parametrize(
    "path", [f"/{'work'}/main", f"see /{'farm'}/x", "C:\\data", "TODO"], ids=["1", "2", "3", "4"]
)
def test_the_list_of_forbidden_words_finds_them(path: str) -> None:
    text = path if path.endswith("O") else f"{path}/"
    assert any(re.search(pattern, text, re.MULTILINE) for pattern in FORBIDDEN)


@pytest.mark.parametrize(
    "name",
    [
        *DATASETS.known,
        *DRAWINGS,
        *NETWORKS.known,
        *BACKBONES.known,
        *REPAIRS.known,
        *FILTERS.known,
        *DETECTORS.known,
        *PURIFIERS.known,
        *SCANS.known,
        *METRICS.known,
        *(v for v in make_app() if not v.startswith("-")),
    ],
)
def test_every_plug_in_and_verb_is_described(name: str) -> None:
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert re.search(rf"`(segdoor )?{name}`", text)


def test_every_deviation_in_the_code_is_listed() -> None:
    listed = re.findall(r"^\| (\d+) \| `(.+?)` \|", (DOCS / "method.md").read_text(), re.MULTILINE)
    source = ROOT / "src" / "segdoor"
    numbered = [
        (number, str(module.relative_to(source)))
        for module in sorted(source.rglob("*.py"))
        for number in re.findall(r"Deviation (\d+)", module.read_text(encoding="utf-8"))
    ]
    assert sorted(listed) == sorted(numbered)


def test_deviations_have_numbers_of_their_own() -> None:
    listed = re.findall(r"^\| (\d+) \| `(.+?)` \|", (DOCS / "method.md").read_text(), re.MULTILINE)
    numbers = [number for number, _ in listed]
    assert len(set(numbers)) == len(numbers)


def test_every_dependency_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    asked = [*project["dependencies"], *(asked for extra in extras for asked in extra)]
    names = [re.split(r"[^\w-]", requirement)[0] for requirement in asked]
    text = (DOCS / "decisions.md").read_text(encoding="utf-8")
    assert [name for name in names if f"`{name}`" not in text] == []
