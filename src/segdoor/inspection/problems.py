"""Problems of a data set as findings, by rules whose ids stay the same."""

from __future__ import annotations

import re
from collections.abc import Mapping

from segdoor.errors import DataError, SegdoorError
from segdoor.record.findings import Finding, found

_KINDS: Mapping[str, str] = {
    "data-missing-file": r"does not exist|must have a partner",
    "data-damaged-file": r"must be an intact picture|may have at most|must be a MATLAB file",
    "data-size": r"must have the same size",
    "data-label-value": r"(label values|train ids|label ids|values?) must",
}
"""What the rules of errors say, by the ids of findings; others are data-problem."""


def as_finding(problem: SegdoorError) -> Finding:
    """Return a problem as a finding, with the file that is to blame."""
    kinds = (kind for kind, said in _KINDS.items() if re.search(said, problem.rule))
    # Behind a file of settings the culprit names one of them.
    told = problem.culprit
    file = told if isinstance(problem, DataError) else told.partition(": ")[0]
    return found(next(kinds, "data-problem"), str(problem), files=(file,))
