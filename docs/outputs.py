"""Write what commands print into the pages that show it: ``python docs/outputs.py``.

A page shows commands in blocks ``sh``. Below one, a block ``text`` after a comment
``<!-- output -->`` holds all that its commands print, and one after
``<!-- output: FIRST .. LAST -->`` the lines from the first that contains FIRST to the next that
contains LAST. Blocks ``python`` are run where they stand. All of a page happens in one empty
folder. Commands that install something are not run.
"""
# ruff: noqa: INP001 - a script beside the pages, not a package

from __future__ import annotations

import contextlib
import io
import re
import shlex
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from segdoor.cli.app import run_command_line

HERE: Final = Path(__file__).parent
PAGES: Final = (HERE.parent / "README.md", HERE / "start.md")
_BLOCK: Final = re.compile(
    r"(?:^<!-- output(?:: (?P<first>.+?) \.\. (?P<last>.+?))? -->\n)?"
    r"^```(?P<language>\w+)\n(?P<content>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_NUMBER: Final = re.compile(r"\d+(?:\.\d+)?")
Run = Callable[[str], str]


@dataclass(frozen=True)
class Shown:
    """A block of output.

    Attributes:
        page: What it says on the page.
        printed: What the commands above it print.
        span: Where it stands in the page's text.
    """

    page: str
    printed: str
    span: tuple[int, int]

    def differences(self, *, tolerance: float) -> list[str]:
        """Return the lines that differ by more than rounding: words, or figures by more than that.

        Args:
            tolerance: How far figures with a decimal point may lie apart; others must be equal.
        """
        page, printed = self.page.splitlines(), self.printed.splitlines()
        if len(page) != len(printed):
            return [f"{len(page)} lines on the page, {len(printed)} printed"]
        pairs = zip(page, printed, strict=True)
        return [f"{old!r}: {new!r}" for old, new in pairs if not _alike(old, new, tolerance)]


def outputs(text: str, run: Run) -> Iterator[Shown]:
    """Run a page's blocks in the working folder, and yield its blocks of output.

    Args:
        text: The page.
        run: Runs a command line and returns what it prints.

    Raises:
        ValueError: If a block shows lines that the commands do not print.
    """
    printed = ""
    namespace: dict[str, object] = {"__name__": "page"}
    for block in _BLOCK.finditer(text):
        content = block["content"]
        if block["language"] == "python":
            exec(compile(content, "page", "exec"), namespace)  # noqa: S102
        elif block["language"] == "sh":
            printed = "".join(map(run, _commands(content)))
        elif block[0].startswith("<!--"):
            part = _part(printed, block["first"], block["last"])
            yield Shown(content, part, block.span("content"))


def refreshed(text: str, run: Run) -> str:
    """Return a page with what its commands print now."""
    for shown in reversed(list(outputs(text, run))):
        start, end = shown.span
        text = text[:start] + shown.printed + text[end:]
    return text


def run_segdoor(command: str) -> str:
    """Run a command of segdoor in this process, and return what it prints."""
    stdout = io.StringIO()
    with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(io.StringIO()) as stderr:
        code = run_command_line(shlex.split(command, comments=True)[1:])
    if code:
        raise ValueError(f"{command}: exit code {code}: {stderr.getvalue()}")
    return stdout.getvalue()


def _commands(block: str) -> list[str]:
    lines = block.replace("\\\n", " ").splitlines()
    return [line for line in lines if line.startswith("segdoor ")]


def _part(printed: str, first: str | None, last: str | None) -> str:
    lines = [line.rstrip() for line in printed.splitlines()]
    if first is not None and last is not None:
        start = _find(lines, first, 0)
        lines = lines[start : _find(lines, last, start) + 1]
    return "".join(f"{line}\n" for line in lines)


def _find(lines: list[str], words: str, start: int) -> int:
    for number in range(start, len(lines)):
        if words in lines[number]:
            return number
    raise ValueError(f"no command of the page prints {words!r}: {lines}")


def _alike(old: str, new: str, tolerance: float) -> bool:
    words = [" ".join(_NUMBER.sub("#", line).split()) for line in (old, new)]
    pairs = zip(_NUMBER.findall(old), _NUMBER.findall(new), strict=False)
    near = (a == b or ("." in a + b and abs(float(a) - float(b)) <= tolerance) for a, b in pairs)
    return words[0] == words[1] and all(near)


def main() -> None:
    """Write every page anew."""
    for page in PAGES:
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            text = refreshed(page.read_text(encoding="utf-8"), run_segdoor)
        page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
