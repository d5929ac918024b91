"""Problems of a data set as findings, by rules whose ids stay the same."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from segdoor.errors import SegdoorError
from segdoor.files import is_file
from segdoor.record.findings import Finding, found

_KINDS: Mapping[str, str] = {
    "data-missing-file": r"does not exist|must have a partner",
    "data-damaged-file": r"must be an intact picture|may have at most|must be a MATLAB file",
    "data-encoding": r"stored without loss|8 bits a (channel|pixel)",
    "data-size": r"must have the (same )?size",
    "data-label-value": r"(label values|train ids|label ids|values?|every colour) must",
}
"""What the rules of errors say, by the ids of findings; others are data-problem."""


def as_finding(problem: SegdoorError) -> Finding:
    """Return a problem as a finding, with its file."""
    kinds = (kind for kind, said in _KINDS.items() if re.search(said, problem.rule))
    told = problem.culprit
    # After a file the culprit may name a setting, an annotation or a line of it.
    parts = (told.partition(sign)[0] for sign in (": ", ", line "))
    file = told if is_file(Path(told)) else next(filter(lambda p: is_file(Path(p)), parts), told)
    return found(next(kinds, "data-problem"), str(problem), files=(file,))
