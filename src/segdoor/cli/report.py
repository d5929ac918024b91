"""``segdoor report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from segdoor.cli.screen import tell
from segdoor.errors import ConfigError
from segdoor.report.source import Source, open_source


def report(
    source: Path,
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])] = Path("report.html"),
    replace: bool = False,
) -> None:
    """Write one page with the figures and tables of a run or a study.

    The page is a single HTML file with all pictures in it. It loads nothing from the network, and
    fits phones, screens and paper.

    For example:

      segdoor report runs/run
      segdoor report runs/run -o page.html --replace

    Args:
        source: The folder of a run or a study, or its record.json or study.json.
        out: The page to write.
        replace: Overwrite an earlier page.
    """
    write_page(open_source(source), out, replace=replace)


def write_page(source: Source, page: Path, *, replace: bool) -> None:
    """Write the page of a run or a study, and say so.

    Raises:
        ConfigError: If an earlier page lies there and must not be replaced.
        StorageError: If it cannot be written.
    """
    from segdoor.files import write_atomically
    from segdoor.report.html import render
    from segdoor.report.page import build_page

    if page.exists() and not replace:
        raise ConfigError(
            f"-o {page}", "must not be there yet", "an earlier file", "Add --replace, or rename."
        )
    content = render(build_page(source))
    write_atomically(page, content)
    tell(f"{page}: {len(content.encode()) / 1e6:.1f} MB")
