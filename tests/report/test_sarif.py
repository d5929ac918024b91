"""SARIF files: their structure, written down apart from the code, and what is in them.

The structure is that of SARIF 2.1.0 (OASIS), for the properties that are written: required ones
and the types and values of all. Unknown properties are refused, as the makers' schema refuses them.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from segdoor.record.findings import RULES, Finding, found
from segdoor.report.sarif import as_sarif

TEXT = {
    "type": "object",
    "required": ["text"],
    "properties": {"text": {"type": "string", "minLength": 1}},
    "additionalProperties": False,
}
LEVEL = {"enum": ["none", "note", "warning", "error"]}
# A relative reference of RFC 3986: no scheme, no drive, nothing from the top.
URI = {"type": "string", "pattern": r"^(?!/)(?:[A-Za-z0-9._~!$&'()*+,;=@/-]|%[0-9A-F]{2})+$"}


def closed(required: str, **properties: object) -> dict[str, object]:
    return {
        "type": "object",
        "required": required.split(),
        "properties": properties,
        "additionalProperties": False,
    }


def many(items: object) -> dict[str, object]:
    return {"type": "array", "items": items}


PLACE = closed(
    "uri", uri=URI, uriBaseId={"type": "string"}, index={"type": "integer", "minimum": 0}
)
RULE = closed(
    "id", id={"type": "string"}, name={"type": "string", "pattern": "^([A-Z][a-z]+)+$"},
    shortDescription=TEXT, fullDescription=TEXT, help=TEXT,
    defaultConfiguration=closed("", level=LEVEL),
    properties=closed("", tags={**many({"type": "string"}), "uniqueItems": True}, mitreAtlas=many({"type": "string", "pattern": r"^AML\.[TM]\d{4}(\.\d{3})?$"}), mitreAtlasNames=many({"type": "string", "minLength": 1})),
)  # fmt: skip
RESULT = closed(
    "message ruleId ruleIndex level locations partialFingerprints",
    ruleId={"type": "string"}, ruleIndex={"type": "integer", "minimum": 0}, level=LEVEL,
    message=TEXT, locations=many(closed("", physicalLocation=closed("artifactLocation", artifactLocation=PLACE))),
    partialFingerprints={"type": "object", "additionalProperties": {"type": "string"}},
)  # fmt: skip
RUN = closed(
    "tool results",
    tool=closed("driver", driver=closed("name", name={"const": "segdoor"}, semanticVersion={"type": "string", "pattern": r"^\d+\.\d+\.\d+"}, rules=many(RULE))),
    automationDetails=closed("id", id={"type": "string"}),
    columnKind={"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
    originalUriBaseIds={"type": "object", "additionalProperties": closed("description", description=TEXT)},
    invocations=many(closed("executionSuccessful", executionSuccessful={"type": "boolean"}, exitCode={"type": "integer"})),
    artifacts=many(closed("", location=PLACE, hashes={"type": "object", "additionalProperties": {"type": "string", "pattern": "^[0-9a-f]{64}$"}})),
    results=many(RESULT),
)  # fmt: skip
LOG = closed(
    "version runs", **{"$schema": {"type": "string"}}, version={"const": "2.1.0"}, runs=many(RUN)
)


def checked(content: object) -> dict[str, object]:
    """Check structure and references, and return the one run."""
    Draft202012Validator(LOG).validate(content)
    json.dumps(content, allow_nan=False).encode()
    (run,) = content["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert len({rule["id"] for rule in rules}) == len(rules)
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        for location in result["locations"]:
            place = location["physicalLocation"]["artifactLocation"]
            listed = run["artifacts"][place["index"]]["location"]
            assert listed == {key: place[key] for key in ("uri", "uriBaseId") if key in place}
            assert place.get("uriBaseId", "DATAROOT") in run["originalUriBaseIds"]
    return run


def place_of(finding: Finding, root: Path | None = None) -> dict[str, object]:
    run = checked(as_sarif([finding], "data", exit_code=2, root=root))
    place = run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]
    return {key: place[key] for key in place if key != "index"}


def test_nothing_found_is_a_file_too() -> None:
    run = checked(as_sarif([], "data", exit_code=0))
    assert run["results"] == run["artifacts"] == []
    assert run["invocations"] == [{"executionSuccessful": True, "exitCode": 0}]


def test_every_rule_is_told_with_its_level_and_atlas() -> None:
    driver = checked(as_sarif([], "data", exit_code=0))["tool"]["driver"]
    told = {rule["id"]: rule for rule in driver["rules"]}
    assert list(told) == list(RULES)
    for name, rule in RULES.items():
        assert told[name]["defaultConfiguration"]["level"] == rule.level
        assert {f"external/mitre-atlas/{mark}" for mark in rule.atlas} <= {
            *told[name]["properties"]["tags"]
        }
    # Other programs know findings again by these: they may become more, and never others.
    assert {
        "data-missing-file", "data-damaged-file", "data-size", "data-label-value", "data-problem", "data-encoding",
        "data-unlabelled", "data-class-absent", "data-class-in-one-split", "data-one-class-scenes",
        "data-palette", "data-same-picture", "data-near-duplicate", "model-threshold",
        "model-not-measured",
    } <= set(told)  # fmt: skip


@pytest.mark.usefixtures("own_folder")
def test_paths_are_told_from_here_or_from_the_root(tmp_path: Path) -> None:
    mine, far = Path("mine data/ä#1.png"), tmp_path.parent / "far" / "images" / "b.png"
    named = {"uri": "mine%20data/%C3%A4%231.png", "uriBaseId": "%SRCROOT%"}
    assert place_of(found("data-problem", "x", files=(str(mine),))) == named
    assert place_of(found("data-problem", "x", files=(str(mine.absolute()),))) == named
    finding = found("data-problem", f"{far}: must", files=(str(far),))
    assert place_of(finding, far.parents[1]) == {"uri": "images/b.png", "uriBaseId": "DATAROOT"}
    whole = json.dumps(as_sarif([finding], "data", exit_code=2, root=far.parents[1]))
    assert str(tmp_path.parent) not in whole
    assert place_of(finding) == {"uri": "b.png"}
    out = found("data-problem", "x", files=("../elsewhere/c.png",))
    assert place_of(out) == {"uri": "c.png"}


@pytest.mark.usefixtures("own_folder")
def test_names_that_are_no_text_are_written_as_their_bytes() -> None:
    finding = found("data-problem", "bad\udcff.png: must\nbe", files=("bad\udcff.png",))
    assert place_of(finding)["uri"] == "bad%FF.png"
    text = checked(as_sarif([finding], "data", exit_code=2))["results"][0]["message"]["text"]
    assert text == "bad\\udcff.png: must\\nbe"


@pytest.mark.usefixtures("own_folder")
def test_files_have_their_hash_and_findings_a_fingerprint() -> None:
    Path("a.png").write_bytes(b"one")

    def prints(*findings: Finding) -> list[str]:
        run = checked(as_sarif(findings, "data", exit_code=2))
        return [result["partialFingerprints"]["findingHash/v1"] for result in run["results"]]

    finding = found("data-problem", "x", files=("a.png",))
    lost = found("data-missing-file", "x", files=("b.png",))
    run = checked(as_sarif([finding, lost, finding], "data", exit_code=2))
    there, gone = run["artifacts"]
    assert there["hashes"]["sha-256"] == hashlib.sha256(b"one").hexdigest()
    assert "hashes" not in gone
    before = prints(finding, lost)
    assert before == prints(finding.model_copy(update={"message": "y"}), lost)
    Path("a.png").write_bytes(b"two")
    assert before[0] != prints(finding)[0]
    # What a model does does not hang on the bytes of its record.
    crossed = found("model-threshold", "x", files=("a.png",), threshold="asr>0.3", test="near")
    before = prints(crossed)
    Path("a.png").write_bytes(b"three")
    assert before == prints(crossed.model_copy(update={"value": 0.5}))
    assert before != prints(crossed.model_copy(update={"test": "far"}))
