"""What pipelines ask for: thresholds that end a call with exit code 4, and a SARIF file."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from segdoor.cli.panels import OUTPUT
from segdoor.cli.screen import tell, tell_json
from segdoor.errors import FindingError, StorageError
from segdoor.experiment.resolving import Asked
from segdoor.files import write_atomically
from segdoor.record import ExperimentRecord
from segdoor.record.findings import Finding, Findings
from segdoor.record.thresholds import OPTION, Threshold, place_of, read_thresholds

FailOn = Annotated[tuple[str, ...], Parameter(name=OPTION, group=OUTPUT)]
Sarif = Annotated[Path | None, Parameter(name="--sarif", group=OUTPUT)]


@dataclass(frozen=True)
class Gate:
    """The thresholds of a call, and where findings go.

    Attributes:
        verb: The verb.
        thresholds: What the figures must not cross.
        sarif: The SARIF file; None if none is asked for.
    """

    verb: str
    thresholds: tuple[Threshold, ...]
    sarif: Path | None

    @classmethod
    def of(cls, verb: str, thresholds: Sequence[str], sarif: Path | None) -> Gate:
        """Read the options, before any work begins.

        Raises:
            ConfigError: If a threshold is not as it must be.
            StorageError: If the SARIF file cannot be written.
        """
        if sarif is not None:
            check_sarif(sarif)
        return cls(verb, read_thresholds(thresholds), sarif)

    def check(self, asked: Asked, split: str) -> None:
        """Look up the tests and classes that thresholds name, before any work begins.

        Raises:
            SegdoorError: If one is not there, or settings or data do not allow the run.
        """
        if not self.thresholds:
            return
        from segdoor.experiment.judged import names_of

        names = names_of(asked, split)
        for threshold in self.thresholds:
            place_of(threshold, names)

    def finish(self, asked: Asked, record: ExperimentRecord, out: Path, *, as_json: bool) -> None:
        """Judge and print a run, and write what was asked for beside its record.

        Raises:
            FindingError: If there are findings, which end the call with exit code 4.
        """
        from segdoor.report.terminal import describe

        findings = self._judged(asked, record, out)
        if as_json:
            tell_json(record, self._beside(findings))
        else:
            tell(*describe(record), f"Record and pictures: {out}")
            self._tell(findings)
        self._close(findings, out)

    def _judged(self, asked: Asked, record: ExperimentRecord, out: Path) -> Findings:
        from segdoor.experiment.judged import image_files, judge

        found = judge(record, out, self.thresholds)
        images = image_files(asked, [name for each in found for name in each.scenes])
        findings = Findings(
            thresholds=tuple(threshold.text for threshold in self.thresholds),
            findings=tuple(_with_files(each, images, out / "record.json") for each in found),
        )
        if self.thresholds:
            write_atomically(out / "findings.json", f"{findings.model_dump_json(indent=1)}\n")
        if self.sarif is not None:
            code = FindingError.exit_code if found else 0
            root = asked.data().root
            write_sarif(self.sarif, findings.findings, self.verb, exit_code=code, root=root)
        return findings

    def _beside(self, findings: Findings) -> dict[str, object]:
        return findings.model_dump(mode="json", include={"findings"}) if self.thresholds else {}

    def _tell(self, findings: Findings) -> None:
        if self.thresholds and not findings.findings:
            tell(f"No threshold is crossed: {', '.join(findings.thresholds)}")
        for finding in findings.findings:
            seen = ", ".join(finding.scenes)
            tell(f"Crossed: {finding.message}{f'; worst in {seen}' if seen else ''}")

    def _close(self, findings: Findings, out: Path) -> None:
        if findings.findings:
            crossed = dict.fromkeys(str(finding.threshold) for finding in findings.findings)
            raise FindingError(
                OPTION,
                "thresholds must not be crossed",
                f"{len(crossed)} of {len(self.thresholds)}: {', '.join(crossed)}",
                f"All is done; see {out / 'findings.json'}.",
            )


def check_sarif(path: Path) -> None:
    """Refuse a place for a SARIF file before work is done for it.

    Raises:
        StorageError: If it is a folder, or nothing can be written there.
    """
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if path.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        what = "a folder" if path.is_dir() else f"{folder} cannot be written"
        raise StorageError(f"--sarif {path}", "must be a file to write", what, "Name another one.")


def write_sarif(
    path: Path, findings: Sequence[Finding], verb: str, *, exit_code: int, root: Path | None
) -> None:
    """Write findings as SARIF, atomically."""
    from segdoor.report.sarif import as_sarif

    content = as_sarif(findings, verb, exit_code=exit_code, root=root)
    write_atomically(path, f"{json.dumps(content, indent=1)}\n")


def _with_files(finding: Finding, images: dict[str, Path], record: Path) -> Finding:
    """Return a finding with the images of its scenes; painted scenes have none but the record."""
    files = [str(images[name]) for name in finding.scenes if name in images] or [str(record)]
    return finding.model_copy(update={"files": tuple(files)})
