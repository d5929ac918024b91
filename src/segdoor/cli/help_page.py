"""What ``--help`` prints: at most 80 columns, no boxes, and first what is needed every day."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator
from typing import ClassVar

from cyclopts.help import HelpEntry, HelpPanel
from rich.console import Console, ConsoleOptions
from rich.text import Text

from segdoor.cli.panels import EVERYDAY

HELP_ALL = "--help-all"
_WIDEST, _NARROW = 80, 60
_INDENT = 2
_DEFAULT = " [default: "
_FIXED = "\N{NO-BREAK SPACE}"
_SENTENCE = re.compile(r"(?<=\.) (?=[A-Z`])")
_MEANING = 28
"""Column where meanings begin, unless the screen is narrow."""


class HelpPage:
    """Prints usage, text and panels of one command.

    Attributes:
        short: The option of a whole choice, by the option for its kind.
    """

    short: ClassVar[dict[str, str]] = {
        "--attack.trigger.kind": "--attack.trigger",
        "--attack.placement.kind": "--attack.placement",
    }

    def __init__(self, *, everything: bool) -> None:
        """Print everyday options alone, or everything."""
        self._everything = everything
        self._num_hidden = 0

    def render_usage(self, console: Console, options: ConsoleOptions, usage: object) -> None:
        """Print how a command is written."""
        lines = _wrapped(f"Usage: {str(usage).strip()}", _width(options), hanging=7)
        _print(console, Text("\n".join(lines), style="bold"))

    def render_description(self, console: Console, options: ConsoleOptions, text: object) -> None:
        """Print the text of a command: paragraphs are wrapped, indented lines are kept."""
        plain = getattr(getattr(text, "primary_renderable", text), "plain", "")
        for paragraph in plain.strip("\n").split("\n\n"):
            kept = paragraph.startswith(" ")
            lines = [paragraph] if kept else _wrapped(paragraph, _width(options))
            _print(console, Text("\n" + "\n".join(lines).rstrip(), style="cyan" if kept else ""))

    def __call__(self, console: Console, options: ConsoleOptions, panel: HelpPanel) -> None:
        """Print one panel of commands or options."""
        entries = list(panel.entries)
        if panel.format == "parameter" and not self._everything:
            kept = sorted(filter(_shown, entries), key=_place)
            self._num_hidden += len(entries) - len(kept)
            entries = kept
        if not entries:
            return
        _print(console, Text(f"\n{panel.title}", style="bold"))
        for entry in entries:
            _print(console, self._entry(entry, _width(options), panel.format))

    def finish(self, console: Console) -> None:
        """Say how many options were left out, if any."""
        if self._num_hidden:
            more = f"{self._num_hidden} more option{'s' * (self._num_hidden > 1)}"
            _print(console, Text(f"\n{HELP_ALL} shows {more} and longer explanations."))

    def _entry(self, entry: HelpEntry, width: int, what: str) -> Text:
        """Return a name and its meaning beside it, or below it where the name is long."""
        label = ", ".join(self._names(entry))
        meaning = _meaning(entry, brief=not self._everything and _is_setting(_key(entry)))
        column = _MEANING if width >= _NARROW else 2 * _INDENT
        if what == "command":
            column = min(column, 14)
        lines = _wrapped(meaning, width - column)
        name_lines = _wrapped(label, width - _INDENT, hanging=2)
        told = Text("\n".join(" " * _INDENT + line for line in name_lines), style="cyan")
        beside = len(name_lines) == 1 and _INDENT + len(label) <= column - 2
        for number, line in enumerate(lines):
            gap = column - _INDENT - len(label) if beside and not number else column
            told.append(("" if beside and not number else "\n") + " " * gap)
            told.append(line, style="default")
        return told

    def _names(self, entry: HelpEntry) -> Iterator[str]:
        """Yield an option's names; what only repeats a default is left out."""
        whole = [self.short[name] for name in entry.positive_names if name in self.short]
        if whole and not self._everything:
            yield f"{whole[0]} KIND"
            return
        yield from whole
        if entry.default == "False":
            entry = entry.copy(negative_names=())
        if entry.metavar and entry.metavar.startswith("CHOICE|"):
            values = "|".join(entry.choices or ())
            entry = entry.copy(metavar=entry.metavar.replace("CHOICE", values))
        yield from entry.display_labels_with_metavar


def _shown(entry: HelpEntry) -> bool:
    return entry.required or bool(entry.positional_label) or _key(entry) in EVERYDAY


def _is_setting(key: str) -> bool:
    """Tell whether an option is a setting or short for one, explained in full elsewhere."""
    return "." in key or key in {"model", "weights"}


def _place(entry: HelpEntry) -> tuple[bool, int]:
    """Return where an option stands in its panel: positional ones first, then everyday ones."""
    key = _key(entry)
    number = EVERYDAY.index(key) if key in EVERYDAY else len(EVERYDAY)
    return not entry.positional_label, number


def _key(entry: HelpEntry) -> str:
    return next(iter(entry.positive_names), "").lstrip("-")


def _meaning(entry: HelpEntry, *, brief: bool) -> str:
    """Return what an option does, its choices and its default; the first sentence if brief."""
    found = getattr(entry.description, "primary_renderable", entry.description)
    text, _, default = " ".join(str(found).split()).partition(_DEFAULT)
    if brief:
        text = _SENTENCE.split(text, maxsplit=1)[0]
    # The defaults of settings stand in their description, others in the entry.
    default = default.rstrip("]") or entry.default
    idle = default in {None, "False", "()"} or (brief and str(default).startswith("from "))
    # Choices beside a path stand in the placeholder of the value.
    mixed = "|" in (entry.metavar or "")
    choices = () if mixed else entry.choices or ()
    brackets = [
        *([f"one of {', '.join(choices)}"] if choices else []),
        *([] if idle else [f"default: {default}"]),
        *(["required"] if entry.required and not entry.positional_label else []),
    ]
    kept = [bracket.replace("default: ", f"default:{_FIXED}") for bracket in brackets]
    return f"{text} [{'; '.join(kept)}]" if brackets else text


def _wrapped(text: str, width: int, *, hanging: int = 0) -> list[str]:
    lines = textwrap.wrap(
        text, width, subsequent_indent=" " * hanging,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
    return [line.replace(_FIXED, " ") for line in lines]


def _width(options: ConsoleOptions) -> int:
    return min(options.max_width, _WIDEST)


def _print(console: Console, text: Text) -> None:
    console.print(text, soft_wrap=True, highlight=False)


def help_words(words: Iterable[str]) -> list[str]:
    """Return words with the option for all help in the form that the parser knows."""
    return ["--help" if word == HELP_ALL else word for word in words]
