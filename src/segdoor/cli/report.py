"""``segdoor report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from segdoor.cli.screen import tell
from segdoor.errors import ConfigError


def report(
    source: Path,
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])] = Path("report.html"),
    replace: bool = False,
) -> None:
    """Write one page with every figure, table and picture of a run or a study.

    The page is a single file that needs no network, for phone, desk and print.

    Args:
        source: The folder of a run or a study, or its record.json or study.json.
        out: The page.
        replace: Write over an earlier page.
    """
    from segdoor.files import write_atomically
    from segdoor.report.html import render
    from segdoor.report.page import build_page
    from segdoor.report.source import open_source

    if out.exists() and not replace:
        raise ConfigError(
            f"--out {out}", "must not be there yet", "an earlier file", "Add --replace, or rename."
        )
    page = render(build_page(open_source(source)))
    write_atomically(out, page)
    tell(f"{out}: {len(page.encode()) / 1e6:.1f} MB")
