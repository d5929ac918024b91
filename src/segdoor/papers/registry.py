"""The built-in papers."""

from __future__ import annotations

from segdoor.errors import ConfigError
from segdoor.papers.iba.paper import IBA
from segdoor.study.grid import without_paper
from segdoor.study.library import of_ones_own, study_names
from segdoor.study.paper import AnyPaper

PAPERS: dict[str, AnyPaper] = {"iba": IBA}
"""Papers by name; a study file without a name belongs to the first."""


def paper_of(study: str) -> AnyPaper:
    """Return the paper of a study, by name or path; a grid of settings has none.

    Raises:
        ConfigError: If a file names an unknown paper.
        DataError: If a file is no plain YAML.
    """
    for paper in PAPERS.values():
        if study in study_names(paper):
            return paper
    given = of_ones_own(study)
    asked = given.get("paper")
    if not isinstance(asked, str):
        first = next(iter(PAPERS.values()))
        return without_paper(first) if "grid" in given else first
    if asked not in PAPERS:
        known = ", ".join(PAPERS)
        raise ConfigError(f"{study}: paper", "must be a known paper", asked, f"Known: {known}.")
    return PAPERS[asked]
