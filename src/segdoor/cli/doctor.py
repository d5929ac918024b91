"""``segdoor doctor``."""

from __future__ import annotations

from pathlib import Path

from segdoor.cli.screen import tell, tell_json
from segdoor.errors import MachineError


def doctor(*folders: Path, json: bool = False) -> None:
    """Check this machine: versions, devices, memory, packages.

    Also looks for data sets and weights in the given folders, and says how to fix what is missing.
    Nothing is written.

    For example:

      segdoor doctor
      segdoor doctor datasets weights

    Exit code 3 if something is broken that segdoor needs.

    Args:
        folders: Where to look for data sets and weights. If left out, the current folder.
        json: Print the findings as JSON instead of text.
    """
    from segdoor.inspection.diagnosis import diagnose

    diagnosis = diagnose(folders or (Path(),))
    if json:
        tell_json(diagnosis)
    else:
        width = max(len(finding.subject) for finding in diagnosis.findings)
        for finding in diagnosis.findings:
            line = f"{finding.state:8} {finding.subject:{width}}  {finding.found}"
            tell(f"{line}. {finding.remedy}" if finding.remedy else line)
    if diagnosis.broken:
        first = diagnosis.broken[0]
        raise MachineError(first.subject, "must work", first.found, first.remedy)
