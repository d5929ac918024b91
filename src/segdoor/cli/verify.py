"""``segdoor verify``."""

from __future__ import annotations

from pathlib import Path

from segdoor.cli.screen import tell
from segdoor.errors import DataError


def verify(copy: Path, *, source: Path | None = None) -> None:
    """Check that a poisoned copy has not been changed.

    Compares every file of the copy with what `segdoor poison --copy` wrote, and lists the
    differences.

    For example:

      segdoor verify poisoned
      segdoor verify poisoned --source DIR

    Exit code 2 if anything differs.

    Args:
        copy: The folder that `segdoor poison --copy` wrote.
        source: The original data set. If given, also check that it has not changed since.
    """
    from segdoor.attack.manifest import changed_sources, load_manifest, verify_copy

    differences = verify_copy(copy)
    for word, names in vars(differences).items():
        for name in names:
            tell(f"{word}: {name}")
    if differences:
        raise DataError(copy, "must be as it was written", "see above", "Write the copy again.")
    manifest = load_manifest(copy)
    changed = changed_sources(manifest, source) if source else ()
    for name in changed:
        tell(f"missing or edited in the source: {name}")
    if changed:
        raise DataError(source, "must be what the copy was made from", "see above", "Poison again.")
    header = manifest.header
    what = "encoded anew" if header.rewritten else "poisoned"
    tell(f"{header.num_files} files as written, {header.num_changed} of them {what}")
    tell(*header.in_words)
