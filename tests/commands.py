"""Every command of the command line, those of groups included."""

from __future__ import annotations

from collections.abc import Iterator

from cyclopts import App


def commands(app: App, before: str = "") -> Iterator[tuple[str, App]]:
    """Yield each command that does something under its full name, such as ``study run``."""
    for name in app:
        if name.startswith("-"):
            continue
        found = app[name]
        if found.default_command is None:
            yield from commands(found, f"{before}{name} ")
        else:
            yield before + name, found


def options_of(app: App, command: str) -> list[str]:
    """Return the options of a command by its full name."""
    arguments = dict(commands(app))[command].assemble_argument_collection(
        default_parameter=app.default_parameter
    )
    return sorted(name for a in arguments if not a.children for name in a.names)
