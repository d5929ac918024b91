"""The errors a user can meet: each names the culprit, the rule, the value and the remedy."""

from __future__ import annotations


class SegdoorError(Exception):
    """An error that the user can fix; the command line prints it without a traceback.

    Attributes:
        culprit: The file, option or argument at fault.
        rule: What must hold, as a clause: "must lie in [0, 1]".
        value: What was found instead, already as text; empty when there is nothing to show.
        remedy: What to do about it, as a sentence.
    """

    exit_code = 2

    def __init__(self, culprit: object, rule: str, value: object = "", remedy: str = "") -> None:
        """Keep the four parts and join them into one readable message."""
        self.culprit = shown(str(culprit))
        self.rule = shown(rule)
        # Numbers of errors and repeated paths say nothing to people.
        self.value = shown(str((isinstance(value, OSError) and value.strerror) or value))
        self.remedy = shown(remedy)
        found = f" (found: {self.value})" if self.value else ""
        advice = f" {remedy}" if remedy else ""
        super().__init__(f"{self.culprit}: {rule}{found}.{advice}")

    def __reduce__(self) -> tuple[type[SegdoorError], tuple[str, str, str, str]]:
        """Pickle the error by its four parts, so that it can cross processes."""
        return type(self), (self.culprit, self.rule, self.value, self.remedy)


class ConfigError(SegdoorError):
    """A setting, option or argument breaks a rule."""


class BusyError(ConfigError):
    """Another process is writing to the same place; try again later."""


class DataError(SegdoorError):
    """A file or data set on disk cannot be used as it is."""


class StorageError(SegdoorError):
    """A place on disk cannot be read or written: it is not accessible, full or broken."""


class MachineError(SegdoorError):
    """The machine lacks something: a package, memory, a device."""

    exit_code = 3


class UnfinishedError(SegdoorError):
    """Part of the work is done and kept; the rest failed or is left for a later call."""

    exit_code = 1


class FindingError(SegdoorError):
    """The work is done and written, but the result is not what the caller demanded."""

    exit_code = 4


def shown(text: str) -> str:
    r"""Return text that UTF-8 can encode: other bytes of file names become ``\xe9``."""
    try:
        data = text.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        data = text.encode(errors="backslashreplace")
    return data.decode(errors="backslashreplace")


def first_line(why: BaseException) -> str:
    """Return the type of a foreign error and the first line of its message."""
    said = str(why).strip().splitlines()
    return f"{type(why).__name__}: {said[0]}" if said else type(why).__name__
