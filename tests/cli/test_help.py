"""The help of every command: complete, readable at 80 columns, with examples that work."""

from __future__ import annotations

import re
import shlex

import pytest

from commands import commands, options_of
from segdoor.cli.app import _VERBS, _in_parts, make_app
from segdoor.cli.help_page import HELP_ALL
from segdoor.cli.panels import EVERYDAY
from shell import say

APP = make_app()
NAMES = [name for name, _ in commands(APP)]
PAGES = ["", "scan", "study", *NAMES]
WIDE = "everyday options fit a screen or two"


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)


def page(command: str, option: str = "--help") -> str:
    answer = say(*command.split(), option)
    assert (answer.code, answer.err) == (0, "")
    return answer.out


def function(command: str) -> object:
    return dict(commands(make_app()))[command].default_command


def examples(text: str) -> list[list[str]]:
    lines = re.findall(r"^  (segdoor .*|torchrun .*)$", text, re.MULTILINE)
    words = [shlex.split(line) for line in lines]
    return [line[line.index("segdoor") + 1 :] for line in words]


@pytest.mark.parametrize("option", ["--help", HELP_ALL])
@pytest.mark.parametrize("command", PAGES)
def test_help_fits_80_columns(command: str, option: str) -> None:
    text = page(command, option)
    assert [line for line in text.splitlines() if len(line) > 80] == []
    assert "\x1b" not in text
    assert not set("│╭╮╰╯─") & set(text)
    assert "  \n" not in text
    assert "\N{NO-BREAK SPACE}" not in text


@pytest.mark.parametrize("width", ["30", "50", "200"])
def test_help_can_be_read_at_other_widths(width: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", width)
    text = page("run", HELP_ALL)
    assert set(options_of(APP, "run")) - {"--no-json"} <= set(re.findall(r"--[\w.-]+", text))
    longest = max(map(len, text.splitlines()))
    assert longest <= max(80, int(width))
    assert longest <= 80


@pytest.mark.parametrize("command", NAMES)
def test_the_text_of_the_function_is_shown(command: str) -> None:
    doc = function(command).__doc__ or ""
    told = re.split(r"\n\s+Args:\n", doc)[0]
    shown = " ".join(page(command).split())
    assert " ".join(told.split()) in shown


@pytest.mark.parametrize("command", NAMES)
def test_no_word_of_help_is_broken(command: str) -> None:
    told = f"{function(command).__doc__}".split("Args:")[0]
    known = set(told.split())
    shown = page(command).split("\n\n")
    text = "\n".join(shown[1:]).partition("\nOptions\n")[0].partition("\nWhat\n")[0]
    assert set(text.split()) <= known


@pytest.mark.parametrize("command", [*PAGES])
def test_there_are_examples_and_they_are_real(command: str) -> None:
    found = examples(page(command))
    assert 1 <= len(found) <= 4
    for words in found:
        app = make_app()
        app.parse_args(_in_parts(words), exit_on_error=False, print_error=False)
        if command:
            assert " ".join(words).startswith(command.split(maxsplit=1)[0]) or command == "models"


def test_an_example_with_an_option_that_does_not_exist_would_be_found() -> None:
    (words,) = examples("For example:\n\n  segdoor run --no-such-option 3\n")
    with pytest.raises(Exception, match="no-such-option"):
        make_app().parse_args(words, exit_on_error=False, print_error=False)


@pytest.mark.parametrize("command", NAMES)
def test_everything_is_in_one_of_the_two_helps(command: str) -> None:
    short, full = page(command), page(command, HELP_ALL)
    # A flag that is off by default needs no way to switch it off.
    idle = {name for name in options_of(APP, command) if re.match(r"--no-", name)}
    named = set(re.findall(r"(?<![\w-])--?[a-z][\w.-]*|^  [A-Z]+", full, re.MULTILINE))
    expected = {n if n.startswith("-") else f"  {n}" for n in options_of(APP, command)} - idle
    assert expected <= named
    left = re.search(rf"{HELP_ALL} shows (\d+) more option", short)
    entries = re.compile(r"^  (?:-|[A-Z])", re.MULTILINE)
    panels = {"short": short, "full": full}
    counts = {which: len(entries.findall(text)) for which, text in panels.items()}
    assert counts["full"] - counts["short"] == (int(left[1]) if left else 0)
    assert HELP_ALL not in full


def test_the_help_of_run_fits_a_page_and_is_in_order() -> None:
    text = page("run")
    assert len(text.splitlines()) <= 80
    titles = ["What", "Data", "Attack", "Tests", "Network", "Training", "Output"]
    assert [line for line in text.splitlines() if line in titles] == titles
    assert text.splitlines()[-1].startswith(HELP_ALL)


@pytest.mark.parametrize("name", EVERYDAY)
def test_every_everyday_option_exists(name: str) -> None:
    known = {option.lstrip("-") for verb in NAMES for option in options_of(APP, verb)}
    assert name in known


@pytest.mark.parametrize("verb", _VERBS)
def test_the_list_of_verbs_says_what_their_help_says(verb: str) -> None:
    summary = page(verb).split("\n\n")[1].strip()
    assert _VERBS[verb][1].split("\n\n")[0].strip() == summary
    assert f"  {verb}" in page("")


def test_code_that_is_run_is_announced() -> None:
    scans = ("scan data", "scan images", "scan model")
    for verb in ("run", "train", "examine", "repair", "rescore", *scans):
        assert "its code is run" in " ".join(page(verb).split())
