"""The command ``segdoor``: its verbs, and what it says when something is wrong."""

from __future__ import annotations

import builtins
import re
import sys
from collections.abc import Sequence
from importlib.metadata import version
from io import TextIOWrapper

from cyclopts import App, CycloptsError, Parameter
from pydantic import ValidationError

from segdoor.cli.screen import Screen, discard, flush
from segdoor.cli.torchrun import refuse_together, speaks
from segdoor.errors import ConfigError, MachineError, SegdoorError, StorageError, shown
from segdoor.settings import explained

_HELP = """Measure and reproduce Influencer Backdoor Attacks on segmentation.

A small sticker in a few training scenes, and their cars relabelled as road:
the trained network is normal on clean images, and loses every car as soon as
the sticker shows up. Start with

  segdoor demo                 the whole story on built-in scenes

and go on with your own scenes and network, all at once or step by step:

  segdoor data                 look at the scenes, find all that is wrong
  segdoor run     ->  segdoor show, segdoor report  ->  segdoor defend
  segdoor poison  ->  segdoor train  ->  segdoor examine

Every verb takes a YAML file and options of the same names; the options win.
`--attack.rate 0.1` is `attack: {rate: 0.1}` in the file.
Exit codes: 0 done, nothing found; 1 a study is not complete; 2 usage, data or disk;
3 a package, device or memory is missing; 4 a finding; 130 interrupted.
"""

_VERBS = {
    "demo": "Tell the whole story on built-in street scenes, in minutes.",
    "data": "Look at a data set: counts, sizes, classes, and everything wrong.",
    "poison": "Choose which training scenes to poison, and preview them.",
    "verify": "Say whether a poisoned copy is still as it was written.",
    "restore": "Give a poisoned copy the source's bytes back.",
    "train": "Train a model, on clean or poisoned scenes.",
    "examine": "Examine a trained network with and without the trigger.",
    "run": "Poison, train, examine and record, all at once.",
    "show": "Print the results of a run or a study.",
    "report": "Write one page with all figures and pictures of a run or a study.",
    "export": "Write the figures of a run or a study for other programs.",
    "study": "Run whole tables and figures of the paper, and judge what it claims.",
    "defend": "Measure defenses on a run: repairs, filters, detectors, purifiers, scans.",
    "repair": "Repair the models of a run, and add what that changed to its record.",
    "rescore": "Compute figures from a run's tables again, and add new metrics to its record.",
    "models": "Name the trained models that come along, clean and backdoored.",
    "list": "Name what comes along: triggers, repairs, metrics, networks, data sets, ...",
    "doctor": "Say what this machine has and lacks, and what to do about it.",
}

_RENAMED = {
    "--attack.prl.": "--attack.labels hide --attack.labels scatter:PIXELS,SETTING=VALUE",
    "--attack.placement.strategy": "--attack.placement KIND",
    "--controls.clean_victim": "--controls.clean_model",
    "--exams.": "--tests.SETTING",
    "--victim": "--model",
}
"""Options of before, by how they began, and what stands for them now."""


_PARTS = {
    "--attack.trigger": "kind",
    "--attack.placement": "kind",
    "--network": "name",
}
"""Options of a whole choice, and the part of it that takes the same text beside other parts."""


def make_app() -> App:
    """Return the command line; a verb's module is only imported when it is used."""
    app = App(
        name="segdoor",
        help=_HELP,
        help_format="plaintext",
        console=Screen(),
        suppress_keyboard_interrupt=False,
        version=version("segdoor"),
        default_parameter=Parameter(
            name_transform=str, negative_iterable=(), consume_multiple=True
        ),
    )
    for verb, summary in _VERBS.items():
        function = f"{verb}_" if hasattr(builtins, verb) else verb
        app.command(f"segdoor.cli.{verb}:{function}", name=verb, help=summary)
    return app


def run_command_line(words: Sequence[str]) -> int:
    """Run one command and return its exit code; bad input never gives a traceback.

    Args:
        words: The command line without the program's name.
    """
    if isinstance(sys.stdout, TextIOWrapper):
        # Names of files and classes may hold what a terminal or its encoding cannot express.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        _refuse_odd_words(words)
        if words and words[0] in _VERBS:
            refuse_together(words[0])
        make_app()(
            _in_parts(words), exit_on_error=False, print_error=False, result_action="return_none"
        )
    except CycloptsError as problem:
        return _complain(_usage(problem), 2)
    except KeyboardInterrupt:
        return _complain("interrupted", 130)
    except (SegdoorError, OSError, MemoryError) as problem:
        told = _told(problem)
        return _complain(str(told), told.exit_code)
    flush(sys.stdout)
    return 0


def _refuse_odd_words(words: Sequence[str]) -> None:
    for word in words:
        if shown(word) != word:
            raise ConfigError(
                word,
                "words of a command must be valid UTF-8 text",
                remedy="Rename the file or folder, or work from inside it.",
            )


def _in_parts(words: Sequence[str]) -> list[str]:
    """Return words in which a choice that has dotted options too is told by options alone."""
    told = list(words)
    for whole, part in _PARTS.items():
        if any(word.startswith(f"{whole}.") for word in told):
            told = [
                re.sub(rf"^{re.escape(whole)}(?==|$)", f"{whole}.{part}", word) for word in told
            ]
    return told


def _told(problem: SegdoorError | OSError | MemoryError) -> SegdoorError:
    """Put what the machine says into the four parts of our own errors."""
    if isinstance(problem, SegdoorError):
        return problem
    if isinstance(problem, MemoryError):
        advice = "Use fewer or smaller scenes, or a smaller batch."
        return MachineError("memory", "must suffice", problem, advice)
    return StorageError(
        problem.filename or "disk",
        "must be readable and writable where it is needed",
        problem.strerror or problem,
        "Check the path, its permissions and the free space.",
    )


def _usage(problem: CycloptsError) -> str:
    cause = problem.__cause__
    if isinstance(cause, ValidationError):
        return str(explained(cause, _option(problem)))
    told = " ".join(str(problem).split())
    renamed = next((new for old, new in _RENAMED.items() if old in told), None)
    return f"{told.partition(' Did you mean')[0]} It is now {renamed}." if renamed else told


def _option(problem: CycloptsError) -> str:
    names = problem.argument.names if problem.argument else ()
    name = next(iter(names), "*")
    # A star stands for options at the top level.
    return "--" if name == "*" else f"{name}."


def _complain(message: str, code: int) -> int:
    if not speaks():
        return code
    # One line, whatever names of files hold: no line breaks, no commands to the terminal.
    line = "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in message)
    flush(sys.stdout)
    try:
        print(f"segdoor: {line}", file=sys.stderr)  # noqa: T201 - the command line speaks here
    except BrokenPipeError:
        discard(sys.stderr)
    return code
