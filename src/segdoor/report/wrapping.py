"""Text in lines that fit any terminal."""

from __future__ import annotations

import textwrap

WIDTH = 80


def lines(text: str, *, indent: int = 0) -> list[str]:
    """Return text in lines of at most 80 columns; words are never broken.

    Args:
        text: A paragraph.
        indent: Columns before the first line; the others are indented by four more if there are
            any.
    """
    return textwrap.wrap(
        text, WIDTH, initial_indent=" " * indent,
        subsequent_indent=" " * (indent + 4 * (indent > 0)),
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
