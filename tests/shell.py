"""Commands of the command line, run in this process, and what they say."""

from __future__ import annotations

import contextlib
import io
from typing import NamedTuple

from segdoor.cli.app import run_command_line


class Answer(NamedTuple):
    """What a command said."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        """All that was heard."""
        return self.out + self.err

    @property
    def complaint(self) -> str:
        """The last line of standard error, without what was said of progress before it."""
        return self.err.strip().splitlines()[-1]


def say(words: str = "", *more: object) -> Answer:
    """Run a command and hear what it says; further words are taken as they are."""
    out, err = _terminal("strict"), _terminal("backslashreplace")
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run_command_line([*words.split(), *map(str, more)])
    assert "Traceback" not in _heard(err)
    return Answer(code, _heard(out), _heard(err))


def _terminal(errors: str) -> io.TextIOWrapper:
    """Return a stream as Python opens them: it has its way with what UTF-8 cannot express."""
    return io.TextIOWrapper(io.BytesIO(), "utf-8", errors, write_through=True)


def _heard(terminal: io.TextIOWrapper) -> str:
    return terminal.buffer.getvalue().decode()
