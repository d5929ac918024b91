"""Findings as SARIF 2.1.0, the format read by code hosts and dashboards."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from urllib.parse import quote

from segdoor.files import digest_of
from segdoor.record.figures import Json
from segdoor.record.findings import ATLAS, RULES, Finding, Rule

_SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
_HERE, _ROOT = "%SRCROOT%", "DATAROOT"
_BASES = {
    _HERE: "The folder that segdoor was started in.",
    _ROOT: "The folder of the data set, data.root.",
}


def as_sarif(
    findings: Sequence[Finding], verb: str, *, exit_code: int, root: Path | None = None
) -> Json:
    """Return findings as the content of a SARIF file.

    No path in it is absolute: files below the current folder are relative to it, others of the
    data set to its root, and all others have only their names.

    Args:
        findings: What was found.
        verb: The command that found it.
        exit_code: Its exit code.
        root: Folder of the data set; None if it has none.
    """
    places = _Places(root)
    rules = list(RULES)
    results = [_result(finding, rules.index(finding.rule), places) for finding in findings]
    driver = {
        "name": "segdoor",
        "semanticVersion": version("segdoor"),
        "rules": [_rule(name, rule) for name, rule in RULES.items()],
    }
    run = {
        "tool": {"driver": driver},
        "automationDetails": {"id": f"segdoor/{verb}/"},
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {
            name: {"description": {"text": told}} for name, told in _BASES.items()
        },
        "invocations": [{"executionSuccessful": True, "exitCode": exit_code}],
        "artifacts": places.artifacts,
        "results": results,
    }
    return {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(name: str, rule: Rule) -> Json:
    return {
        "id": name,
        "name": "".join(word.capitalize() for word in name.split("-")),
        "shortDescription": {"text": f"{rule.title}."},
        "fullDescription": {"text": f"{rule.title}. {rule.help}"},
        "help": {"text": rule.help},
        "defaultConfiguration": {"level": rule.level},
        "properties": {
            "tags": ["security", *(f"external/mitre-atlas/{mark}" for mark in rule.atlas)],
            "mitreAtlas": list(rule.atlas),
            "mitreAtlasNames": [ATLAS[mark] for mark in rule.atlas],
        },
    }


def _result(finding: Finding, index: int, places: _Places) -> Json:
    files = [Path(file) for file in finding.files]
    return {
        "ruleId": finding.rule,
        "ruleIndex": index,
        "level": finding.level,
        "message": {"text": places.without_root(finding.message)},
        "locations": [places.location(file) for file in files],
        "partialFingerprints": {"findingHash/v1": _fingerprint(finding, places, files)},
    }


def _fingerprint(finding: Finding, places: _Places, files: Sequence[Path]) -> str:
    """Return a hash that stays the same until other files or contents have the same fault."""
    told = [finding.rule, finding.threshold, finding.test]
    told += [places.uri(file)[0] for file in files]
    # Findings on a model do not depend on bytes, and its record differs every time.
    told += [places.digest(file) for file in files if finding.threshold is None]
    return hashlib.sha256(repr((told, finding.scenes)).encode()).hexdigest()


class _Places:
    """How files are named, and their known properties."""

    def __init__(self, root: Path | None) -> None:
        """Store the folders that names are relative to."""
        self.root = _whole(root.expanduser()) if root else None
        self.artifacts: list[Json] = []
        self._indices: dict[Path, int] = {}
        self._digests: dict[Path, str | None] = {}

    def location(self, path: Path) -> Json:
        uri, base = self.uri(path)
        named = {"uri": uri, **({"uriBaseId": base} if base else {})}
        if path not in self._indices:
            self._indices[path] = len(self.artifacts)
            digest = self.digest(path)
            hashes = {"hashes": {"sha-256": digest}} if digest else {}
            self.artifacts.append({"location": named, **hashes})
        return {"physicalLocation": {"artifactLocation": {**named, "index": self._indices[path]}}}

    def uri(self, path: Path) -> tuple[str, str | None]:
        """Return a file's relative URI, and its base."""
        whole = _whole(path)
        for folder, base in ((Path.cwd(), _HERE), (self.root, _ROOT)):
            if folder is not None and whole.is_relative_to(folder):
                # The bytes of the name: not every file name is text.
                return quote(os.fsencode(whole.relative_to(folder).as_posix())), base
        return quote(os.fsencode(path.name)), None

    def digest(self, path: Path) -> str | None:
        """Return the SHA-256 of a file; None if there is none to read."""
        if path not in self._digests:
            try:
                self._digests[path] = digest_of(path)
            except OSError:
                self._digests[path] = None
        return self._digests[path]

    def without_root(self, message: str) -> str:
        """Return a message with files of the data set relative to its root."""
        text = message if self.root is None else message.replace(f"{self.root}{os.sep}", "")
        return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)


def _whole(path: Path) -> Path:
    """Return an absolute path without dots; links stay, since people know files by them."""
    return Path(os.path.normpath(path.absolute()))
