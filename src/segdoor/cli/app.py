"""The command ``segdoor``: its verbs, and what it says when something is wrong."""

from __future__ import annotations

import builtins
import re
import sys
from collections.abc import Sequence
from importlib.metadata import version
from io import TextIOWrapper

from cyclopts import App, CycloptsError, Group, Parameter

from segdoor.cli.help_page import HELP_ALL, HelpPage, help_words
from segdoor.cli.panels import OPTIONS
from segdoor.cli.screen import Screen, discard, flush
from segdoor.cli.torchrun import refuse_together, speaks
from segdoor.cli.usage import told_of
from segdoor.errors import ConfigError, MachineError, SegdoorError, StorageError, shown

_HELP = """Measure backdoor attacks on segmentation networks, and defend against them.

An attacker puts a small sticker into a few training scenes and relabels their
cars as road. The trained network works normally on clean images, but misses
every car as soon as the sticker is in the image.

See it on built-in scenes, then try your own scenes and network:

  segdoor demo
  segdoor data --data.name folder --data.root DIR
  segdoor run --data.name folder --data.root DIR --attack.victims car

Commands take a YAML file, options of the same names, or both; options win.
`--attack.rate 0.1` is `attack: {rate: 0.1}` in the file.

Exit codes: 0 success; 1 a study is not complete; 2 wrong usage, data or disk;
3 a package, device or memory is missing; 4 a threshold was crossed, or a scan
found something; 130 interrupted. Run an interrupted command again to resume it.
"""

_STUDY = """Reproduce tables and figures of the paper.

A study is a grid of runs behind a table or figure: methods, poisoning rates, networks and seeds. It
is run on a preset, which says on which scenes and networks. The verdicts say which claims of the
paper the runs support.

For example:

  segdoor study list
  segdoor study run table1 --preset street --dry-run
  segdoor study run table1 --preset street
  segdoor study report table1 --preset street

The built-in preset street needs no files. Interrupted studies resume: run the same command again.
"""

_SCAN = """Scan data, images or a model for signs of a backdoor.

For a defender who knows nothing of an attack: `data` scans a data set before you train on it,
`images` what a model is about to be used on, and `model` a trained model with a few clean scenes.
Every finding says what it cannot tell, and a check that was not run says NOT RUN and why.

For example:

  segdoor scan data --data.name folder --data.root DIR
  segdoor scan images FOLDER --weights m.safetensors --data.root CLEAN
  segdoor scan model --weights m.safetensors --data.root CLEAN

Exit code 4 if there is a finding.
"""

_START, _MEASURE, _RESULTS, _COPIES = (
    Group(title, sort_key=place)
    for place, title in enumerate(("Start", "Measure", "Results", "Poisoned copies"))
)

_VERBS = {
    "demo": (_START, "Train and attack a small network on built-in street scenes."),
    "doctor": (_START, "Check this machine: versions, devices, memory, packages."),
    "list": (_START, "List what is built in: triggers, networks, repairs, metrics..."),
    "models": (_START, "List the built-in trained models, or copy one."),
    "data": (_MEASURE, "Check a data set: counts, sizes, classes and problems."),
    "run": (_MEASURE, "Poison, train and examine in one command."),
    "poison": (_MEASURE, "Choose the training scenes to poison, and preview them."),
    "train": (_MEASURE, "Train a network on clean or poisoned scenes."),
    "examine": (_MEASURE, "Test a trained network with and without the trigger."),
    "defend": (_MEASURE, "Measure defenses on a run, each beside its controls."),
    "optimise": (_MEASURE, "Find which trigger at which place changes most in a model."),
    "physical": (_MEASURE, "Print a run's sticker and put it up in the test scenes."),
    "repair": (_MEASURE, "Repair the models of a run; defend replaces it."),
    "context": (_MEASURE, "Measure how far the networks of finished runs look."),
    "scan": (_MEASURE, _SCAN),
    "study": (_MEASURE, _STUDY),
    "show": (_RESULTS, "Print the results of a run or a study."),
    "report": (_RESULTS, "Write one page with the figures and tables of a run or a study."),
    "export": (_RESULTS, "Export the figures of a run or a study to other programs."),
    "rescore": (_RESULTS, "Compute a run's figures again, or add new metrics."),
    "verify": (_COPIES, "Check that a poisoned copy has not been changed."),
    "restore": (_COPIES, "Undo the poisoning of a copy."),
}
"""The verbs in the order of the list, with their panels and help, of which it shows a line."""

_GROUPS = {"scan", "study"}
"""Verbs with commands of their own; their text stands here."""

_RESUMING = {
    "demo", "train", "run", "examine", "study", "defend", "repair", "scan", "optimise", "context"
}  # fmt: skip
"""Verbs that continue where an interrupted call stopped."""

_PARTS = {
    "--attack.trigger": "kind",
    "--attack.placement": "kind",
    "--network": "name",
}
"""Options of a whole choice, and the part of it that takes the same text beside other parts."""


def make_app(page: HelpPage | None = None, *, used: str | None = None) -> App:
    """Return the command line; a verb's module is only imported when it is used.

    Args:
        page: What prints help.
        used: The verb that is used; its help is the text of its function, if it is one.
    """
    app = App(
        name="segdoor",
        help=_HELP,
        help_format="plaintext",
        help_formatter=page or HelpPage(everything=False),
        group_arguments=OPTIONS,
        group_parameters=OPTIONS,
        group_commands=Group("Options", sort_key=9),
        console=Screen(),
        suppress_keyboard_interrupt=False,
        version=version("segdoor"),
        default_parameter=Parameter(
            name_transform=str, negative_iterable=(), consume_multiple=True
        ),
    )
    for place, (verb, (panel, summary)) in enumerate(_VERBS.items()):
        function = f"{verb}_" if hasattr(builtins, verb) else verb
        app.command(
            f"segdoor.cli.{verb}:{function}",
            name=verb,
            help=None if verb == used and verb not in _GROUPS else summary,
            group=panel,
            sort_key=place,
        )
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
        page = HelpPage(everything=HELP_ALL in words)
        app = make_app(page, used=next((word for word in words if word in _VERBS), None))
        app(
            _in_parts(help_words(words)),
            exit_on_error=False,
            print_error=False,
            result_action="return_none",
        )
        page.finish(app.console)
    except CycloptsError as problem:
        return _complain(told_of(problem), 2)
    except KeyboardInterrupt:
        return _complain(_interrupted(words), 130)
    except (SegdoorError, OSError, MemoryError) as problem:
        told = _told(problem)
        return _complain(str(told), told.exit_code)
    flush(sys.stdout)
    return 0


def _interrupted(words: Sequence[str]) -> str:
    if words and words[0] in _RESUMING:
        return "interrupted; finished work is kept, run the same command again to resume"
    return "interrupted"


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
