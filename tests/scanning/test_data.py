"""A data set is scanned: scores, thresholds, lists, pictures, what is resumed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from defense.planted import planted_scenes
from scanning.methods import HERE, Colours, stamped_scenes, write_folder
from segdoor.data.config import DataConfig
from segdoor.data.pictures import read_image
from segdoor.errors import ConfigError
from segdoor.record.defense import load_defenses
from segdoor.record.scan import ScanReport, load_scan
from segdoor.scanning.data import scan_data
from segdoor.scanning.judged import ScanOrder
from segdoor.scanning.opening import open_scenes
from segdoor.scanning.policy import LoadedPolicy, load_policy
from strategies import CLASSES, MemoryDataset

COLOURS = f"{HERE}:Colours"


def policy(tmp_path: Path, text: str) -> LoadedPolicy:
    (tmp_path / "policy.yaml").write_text(text)
    return load_policy(tmp_path / "policy.yaml")


def order(out: Path, *named: str, **more: object) -> ScanOrder:
    return ScanOrder(out=out, named=named or (COLOURS,), **more)


@pytest.fixture
def fixed(tmp_path: Path) -> LoadedPolicy:
    return policy(tmp_path, f"data: {{thresholds: {{'{COLOURS}': 0.01}}}}")


def test_stamped_scenes_are_found_by_a_threshold_of_the_policy(
    tmp_path: Path, fixed: LoadedPolicy
) -> None:
    scenes, out = stamped_scenes(12, 3), tmp_path / "out"
    report = scan_data(scenes, order(out, policy=fixed))
    stamped = ["planted-0", "planted-1", "planted-2"]
    assert sorted((out / "suspects.txt").read_text().split()) == stamped
    assert (out / "kept.txt").read_text().split() == list(scenes.names[3:])
    assert sorted(row.name for row in report.suspects if row.suspect) == stamped
    assert [finding.rule for finding in report.found] == ["scan-suspect-scene"] * 3
    assert all("What this cannot tell: Whenever a trigger" in f.message for f in report.found)
    assert report.checks[0].outcome == "finding"
    assert report.checks[0].num_suspects == 3
    assert "3 of 12 scenes score at least 0.01, set by the policy" in report.checks[0].why
    assert {mark.id for mark in report.atlas} >= {"AML.T0020", "AML.M0007"}
    assert load_scan(out / "scan.json") == report


def test_the_policy_is_kept_with_its_digest(tmp_path: Path, fixed: LoadedPolicy) -> None:
    out = tmp_path / "out"
    report = scan_data(stamped_scenes(4, 1), order(out, policy=fixed))
    digest = hashlib.sha256((out / "policy.json").read_bytes()).hexdigest()
    assert digest == report.policy == fixed.digest
    record = load_defenses(out / "defenses.json")
    assert record.policy == digest
    assert record.entries[0].scenes["planted-0"] > 0.01


def test_evidence_is_shown(tmp_path: Path, fixed: LoadedPolicy) -> None:
    out = tmp_path / "out"
    report = scan_data(stamped_scenes(4, 1), order(out, policy=fixed))
    sheet = read_image(out / report.files["pictures"])
    assert sheet.shape[0] > 300
    pictures = [one.picture for one in load_defenses(out / "defenses.json").entries[0].evidence]
    assert len(pictures) == 2
    masked = read_image(out / "evidence" / str(pictures[1]))
    assert masked.shape == (48, 64, 3)
    assert report.suspects[0].says == "A patch of colours that no class has"


def test_a_clean_data_set_passes(tmp_path: Path, fixed: LoadedPolicy) -> None:
    report = scan_data(planted_scenes(12), order(tmp_path / "out", policy=fixed))
    assert report.found == ()
    assert report.checks[0].outcome == "nothing found"
    assert (tmp_path / "out" / "suspects.txt").read_text() == ""
    assert len((tmp_path / "out" / "kept.txt").read_text().split()) == 12


class TestThresholdsFromCleanScenes:
    def clean(self, num_scenes: int) -> MemoryDataset:
        return planted_scenes(num_scenes, seed=5)

    def test_stamped_scenes_are_found(self, tmp_path: Path) -> None:
        report = scan_data(stamped_scenes(20, 9), order(tmp_path), clean=self.clean(40))
        assert sum(row.suspect for row in report.suspects) == 9
        assert "set by 20 clean scenes; so many or more by chance: p = " in report.checks[0].why
        assert report.num_clean_scenes == 40

    def test_clean_scenes_pass(self, tmp_path: Path) -> None:
        report = scan_data(planted_scenes(20), order(tmp_path), clean=self.clean(40))
        assert (report.checks[0].outcome, report.found) == ("nothing found", ())

    def test_one_scene_above_may_be_chance(self, tmp_path: Path) -> None:
        report = scan_data(stamped_scenes(20, 1), order(tmp_path), clean=self.clean(40))
        assert report.checks[0].outcome == "nothing found"
        assert "1 of 20 scenes score above" in report.checks[0].why
        assert report.suspects[0].name == "planted-0"

    @pytest.mark.parametrize("number", [0, 1, 38])
    def test_too_few_give_scores_and_no_verdict(self, number: int, tmp_path: Path) -> None:
        clean = self.clean(number) if number else None
        (tmp_path / "suspects.txt").write_text("of before\n")
        report = scan_data(stamped_scenes(20, 6), order(tmp_path), clean=clean)
        check = report.checks[0]
        assert check.outcome == "NOT RUN"
        assert check.num_suspects is None
        assert "takes 20 held-out clean scenes" in check.why
        assert not report.judged
        assert report.found == ()
        assert {f.rule for f in report.findings} == {"scan-not-run"}
        assert {row.name for row in report.suspects[:6]} == {f"planted-{i}" for i in range(6)}
        assert not (tmp_path / "suspects.txt").exists()

    def test_the_policy_may_ask_for_a_verdict(self, tmp_path: Path) -> None:
        asked = policy(tmp_path, "unjudged: finding")
        report = scan_data(stamped_scenes(5, 1), order(tmp_path / "out", policy=asked))
        assert [finding.rule for finding in report.found] == ["scan-unjudged"]

    def test_other_classes_are_refused(self, tmp_path: Path) -> None:
        other = replace(CLASSES, names=("road", "car", "tree", "sky", "tram"))
        clean = MemoryDataset(planted_scenes(3).scenes, other)
        with pytest.raises(ConfigError, match="must have the classes of the scanned scenes"):
            scan_data(planted_scenes(3), order(tmp_path), clean=clean)


class TestResuming:
    def test_a_finished_filter_is_not_run_again(self, tmp_path: Path) -> None:
        scenes = stamped_scenes(5, 1)
        first = scan_data(scenes, order(tmp_path))
        Colours.ran.clear()
        assert scan_data(scenes, order(tmp_path)) == first
        assert Colours.ran == []

    def test_another_threshold_judges_the_same_scores(
        self, tmp_path: Path, fixed: LoadedPolicy
    ) -> None:
        scenes, out = stamped_scenes(5, 1), tmp_path / "out"
        scan_data(scenes, order(out, policy=fixed))
        Colours.ran.clear()
        stricter = policy(tmp_path, f"data: {{thresholds: {{'{COLOURS}': 0.9}}}}")
        report = scan_data(scenes, order(out, policy=stricter))
        assert (Colours.ran, report.found) == ([], ())

    def test_other_settings_and_seeds_run_again(self, tmp_path: Path) -> None:
        scenes = stamped_scenes(5, 1)
        scan_data(scenes, order(tmp_path))
        for again in (order(tmp_path, seed=1), order(tmp_path, f"{COLOURS},offset=1")):
            Colours.ran.clear()
            scan_data(scenes, again)
            assert len(Colours.ran) == 1

    @pytest.mark.parametrize("harm", ["picture", "json"])
    def test_what_is_damaged_is_made_again(self, harm: str, tmp_path: Path) -> None:
        scenes = stamped_scenes(5, 1)
        first = scan_data(scenes, order(tmp_path))
        if harm == "picture":
            next((tmp_path / "evidence").glob("*.png")).unlink()
        else:
            (kept,) = (tmp_path / "work").glob("*.json")
            kept.write_text(kept.read_text()[:-9])
        Colours.ran.clear()
        again = scan_data(scenes, order(tmp_path))
        assert len(Colours.ran) == 1
        assert again == first

    def test_a_folder_with_another_scan_is_left_alone(self, tmp_path: Path) -> None:
        scan_data(stamped_scenes(5, 1), order(tmp_path))
        before = (tmp_path / "scan.json").read_bytes()
        with pytest.raises(ConfigError, match="must not hold the scan of something else"):
            scan_data(stamped_scenes(6, 1), order(tmp_path))
        assert (tmp_path / "scan.json").read_bytes() == before


class TestFailures:
    def test_one_that_fails_reads_not_run(self, tmp_path: Path) -> None:
        report = scan_data(stamped_scenes(5, 1), order(tmp_path, f"{HERE}:Failing", COLOURS))
        assert report.checks[0].outcome == "NOT RUN"
        assert "needs at least 1000 scenes (found: 5)" in report.checks[0].why
        assert [row.method for row in report.suspects] == [COLOURS] * 5

    def test_if_all_fail_so_does_the_scan(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="needs at least 1000 scenes"):
            scan_data(stamped_scenes(5, 1), order(tmp_path / "out", f"{HERE}:Failing"))
        assert not (tmp_path / "out" / "scan.json").exists()

    def test_scenes_without_files_are_no_case_for_files(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="needs scenes from files"):
            scan_data(planted_scenes(3), order(tmp_path, f"{HERE}:OfFiles"))


def test_findings_name_the_files(tmp_path: Path, fixed: LoadedPolicy) -> None:
    write_folder(tmp_path / "mine", stamped_scenes(5, 2))
    scenes = open_scenes(DataConfig(name="folder", root=tmp_path / "mine"), "train")
    both = order(tmp_path / "out", COLOURS, f"{HERE}:OfFiles", policy=fixed)
    report: ScanReport = scan_data(scenes, both)
    files = [Path(file).relative_to(tmp_path).as_posix() for file in report.found[0].files]
    assert files[0].startswith("mine/images/train/planted-")
    assert files[1].startswith("mine/labels/train/planted-")
    assert json.loads((tmp_path / "out" / "scan.json").read_text())["door"] == "data"


def test_two_filters_rank_together(tmp_path: Path) -> None:
    text = f"data: {{thresholds: {{'{COLOURS}': 0.01, '{HERE}:Looking': 0.01}}}}"
    mixed = policy(tmp_path, text)
    scenes = stamped_scenes(5, 2)
    report = scan_data(
        scenes, order(tmp_path / "out", COLOURS, f"{COLOURS},offset=0.001", policy=mixed)
    )
    assert len(report.found) == 2
    assert report.found[0].message.count(COLOURS) == 2
    assert [row.suspect for row in report.suspects] == [True] * 2 + [False] * 3
