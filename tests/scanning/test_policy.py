"""The policy: one file, safe, strict, with a digest of what it says."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from segdoor.errors import ConfigError, DataError
from segdoor.scanning.policy import BUILT_IN, load_policy

ROOT = Path(__file__).parents[2]


def test_the_built_in_policy_is_whole() -> None:
    loaded = load_policy()
    assert loaded.source == "built-in"
    assert loaded.policy.images.false_alarms == 0.05
    assert loaded.policy.model.least_null == 8
    assert loaded.digest == hashlib.sha256(loaded.policy.text.encode()).hexdigest()


def test_a_file_replaces_what_it_says_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("data: {thresholds: {mine: 2.5}, false_alarms: 0.01}\n")
    mine, usual = load_policy(file), load_policy()
    assert mine.source == "mine.yaml"
    assert mine.policy.data.thresholds == {**usual.policy.data.thresholds, "mine": 2.5}
    assert mine.policy.data.false_alarms == 0.01
    assert mine.policy.images == usual.policy.images
    assert mine.digest != usual.digest


def test_equal_policies_have_one_digest(tmp_path: Path) -> None:
    copy, empty = tmp_path / "copy.yaml", tmp_path / "empty.yaml"
    copy.write_text(f"# a remark\n{BUILT_IN.read_text()}")
    empty.write_text("")
    assert {load_policy(file).digest for file in (copy, empty, None)} == {load_policy().digest}


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("imagse: {}", ConfigError, "Did you mean 'images'"),
        ("images: {false_alarm: 0.1}", ConfigError, "Did you mean 'false_alarms'"),
        ("images: {false_alarms: 0}", ConfigError, "images.false_alarms"),
        ("images: {false_alarms: .nan}", ConfigError, "images.false_alarms"),
        ("data: 3", ConfigError, "data"),
        ("data: {thresholds: {a: high}}", ConfigError, "data.thresholds.a"),
        ("- a list", DataError, "must hold settings by name"),
        ("a: [", DataError, "must be plain YAML"),
        ("a: !!python/object/apply:os.getcwd []", DataError, "must be plain YAML"),
    ],
)
def test_mistakes_are_told(text: str, error: type[Exception], said: str, tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(text)
    with pytest.raises(error, match=said) as caught:
        load_policy(file)
    assert "policy.yaml" in str(caught.value)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.yaml"):
        load_policy(tmp_path / "none.yaml")


def test_the_page_shows_the_built_in_policy() -> None:
    assert BUILT_IN.read_text() in (ROOT / "docs" / "scan.md").read_text()
