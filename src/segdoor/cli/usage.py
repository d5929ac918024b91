"""What is said of words that no command takes."""

from __future__ import annotations

import re
from difflib import SequenceMatcher

from cyclopts import CycloptsError, MissingArgumentError
from pydantic import ValidationError

from segdoor.settings import explained

_ALIKE = 0.6

_RENAMED = {
    "--attack.prl.": "--attack.labels hide --attack.labels scatter:PIXELS,SETTING=VALUE",
    "--attack.placement.strategy": "--attack.placement KIND",
    "--controls.clean_victim": "--controls.clean_model",
    "--exams.": "--tests.SETTING",
    "--victim": "--model",
}
"""Options of before, by how they began, and what stands for them now."""


def told_of(problem: CycloptsError) -> str:
    """Return what is wrong with the words of a command, and what helps."""
    cause = problem.__cause__
    if isinstance(cause, ValidationError):
        return str(explained(cause, _source(problem, cause)))
    told = " ".join(str(problem).split())
    renamed = next((new for old, new in _RENAMED.items() if old in told), None)
    if renamed:
        return f"{told.partition(' Did you mean')[0]} It is now {renamed}."
    return _missing(problem) or _suggesting(told)


def _missing(problem: CycloptsError) -> str | None:
    """Return that a positional argument is missing, by the name that help gives it."""
    argument = problem.argument
    if not isinstance(problem, MissingArgumentError) or argument is None or argument.index is None:
        return None
    if argument.name in (problem.root_input_tokens or ()):
        return None
    name = argument.name.removeprefix("--").upper()
    verb = " ".join(problem.command_chain or ())
    return f"{name} is missing. See segdoor {verb} --help."


def _suggesting(told: str) -> str:
    """Return a message without a suggestion that is nothing like the word."""
    found = re.search(r"^Unknown option: -*(\S+)\. Did you mean -*(\S+)\?", told)
    if found is None or SequenceMatcher(None, found[1], found[2]).ratio() >= _ALIKE:
        return told
    return f"{told.partition(' Did you mean')[0]} --help-all lists the known ones."


def _source(problem: CycloptsError, cause: ValidationError) -> str:
    """Return what the option is called up to the setting that the failed validation names."""
    names = problem.argument.names if problem.argument else ()
    name = next(iter(names), "*")
    if name == "*":
        # A star stands for options at the top level.
        return "--"
    # Of a setting that is missing, the option already has its whole name.
    setting = ".".join(str(part) for part in cause.errors()[0]["loc"])
    return f"{name.removesuffix(f'.{setting}')}."
