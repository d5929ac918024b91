"""What `import segdoor` offers, as a strict type checker sees it from outside the package.

It looks once at every Python block of the pages, at a user's program, at planted mistakes and at
the type of each public name. Features of basedpyright that plain pyright lacks are off.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

import segdoor
from segdoor.plugins import Registry

ROOT = Path(__file__).parents[1]
PROGRAM = ROOT / "tests" / "user_program.py"
PAGES = sorted([*(ROOT / "docs").glob("*.md"), ROOT / "README.md"])
BLOCK = re.compile(r"^```python\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
PLANTED = {
    "segdoor.load_dataset(3)": "reportCallIssue",
    "segdoor.load_dataset(segdoor.DataConfig(), 3)": "reportArgumentType",
    "segdoor.load_datset": "reportAttributeAccessIssue",
    "segdoor.train_victims": "reportAttributeAccessIssue",
    "segdoor.DataConfig(nam='street')": "reportCallIssue",
    "segdoor.attack_success_rate('table', [1], 0)": "reportArgumentType",
    "from segdoor import plan_poisn": "reportAttributeAccessIssue",
    "from segdoor.attack.planning import PlanHeader": "reportPrivateImportUsage",
    "segdoor.plan_poison([1], segdoor.AttackConfig())": "reportArgumentType",
}
# What other packages leave untyped, as in the settings of our own source.
OF_OTHERS = {"reportUnknownMemberType", "reportUnknownVariableType", "reportUnknownArgumentType"}
Told = dict[str, list[tuple[int, str, str]]]


def page_blocks() -> dict[str, str]:
    """Return the Python of each page that has some, all its blocks one program."""
    blocks = {page.stem: BLOCK.findall(page.read_text(encoding="utf-8")) for page in PAGES}
    return {
        f"page_{name.replace('-', '_')}": "\n".join(code) for name, code in blocks.items() if code
    }


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """What the checker says: line, rule and message by program."""
    folder = tmp_path_factory.mktemp("outside")
    for name, code in page_blocks().items():
        (folder / f"{name}.py").write_text(code, encoding="utf-8")
    shutil.copy(PROGRAM, folder)
    (folder / "planted.py").write_text("\n".join(["import segdoor", *PLANTED]), encoding="utf-8")
    names = [f"reveal_type(segdoor.{name})" for name in segdoor.__all__]
    (folder / "revealed.py").write_text("\n".join(["import segdoor", *names]), encoding="utf-8")
    settings = {"typeCheckingMode": "strict", "enableBasedFeatures": False}
    (folder / "pyrightconfig.json").write_text(json.dumps(settings), encoding="utf-8")
    # Found as an installed package is, not as source beside the programs.
    found = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    command = [Path(sys.executable).with_name("basedpyright"), "--pythonpath", sys.executable]
    done = subprocess.run(
        [*command, "--threads", "1", "--outputjson", "--project", folder],
        capture_output=True, text=True, env=found, check=False,
    )  # fmt: skip
    answer = json.loads(done.stdout)
    assert answer["summary"]["filesAnalyzed"] == len(list(folder.glob("*.py")))
    said: Told = defaultdict(list)
    for note in answer["generalDiagnostics"]:
        line = note["range"]["start"]["line"]
        said[Path(note["file"]).stem].append((line, note.get("rule", ""), note["message"]))
    return said


@pytest.mark.parametrize("page", page_blocks())
def test_the_python_of_a_page_is_typed(told: Told, page: str) -> None:
    ours = [note for note in told[page] if note[1] not in OF_OTHERS or "segdoor" in note[2]]
    assert ours == []


def test_a_users_program_is_typed(told: Told) -> None:
    assert told["user_program"] == []


def test_a_users_program_runs(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, PROGRAM, tmp_path / "run"], capture_output=True, text=True, check=True
    )
    assert (
        done.stdout.splitlines()[-1]
        == "Known: street, camvid, voc, cityscapes, folder, coco, yolo; write your own as package.module:Class."
    )


@pytest.mark.parametrize("line", range(len(PLANTED)))
def test_a_planted_mistake_is_found(told: Told, line: int) -> None:
    rules = {rule for at, rule, _ in told["planted"] if at == line + 1}
    assert list(PLANTED.values())[line] in rules


def test_every_public_name_has_a_type_of_its_own(told: Told) -> None:
    kinds = [message.partition(" is ")[2].strip('"') for _, _, message in told["revealed"]]
    assert len(kinds) == len(segdoor.__all__)
    for name, kind in zip(segdoor.__all__, kinds, strict=True):
        assert "Unknown" not in kind, (name, kind)
        if isinstance(getattr(segdoor, name), Registry):
            assert kind.startswith("Registry["), (name, kind)
            continue
        assert kind == f"type[{name}]" if name[0].isupper() else kind.startswith("("), (name, kind)
