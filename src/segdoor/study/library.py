"""Finding study files: built-in ones by name, others by path."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import yaml

from segdoor import plain_yaml
from segdoor.errors import ConfigError
from segdoor.experiment.resolving import in_full, merged
from segdoor.settings import Tree, brief, validated
from segdoor.study.paper import AnyPaper, Paper, PresetT, StudyT

STUDIES = Path(__file__).with_name("studies")
"""Built-in studies that belong to no paper."""


def own_names() -> list[str]:
    """Return the names of the built-in studies that belong to no paper."""
    return sorted(path.stem for path in STUDIES.glob("*.yaml"))


def study_names(paper: AnyPaper) -> list[str]:
    """Return the names of all studies of a paper, tables first, in the paper's order."""
    return sorted((path.stem for path in paper.files.glob("*.yaml")), key=_in_order)


def preset_names(paper: AnyPaper) -> list[str]:
    """Return the names of all presets of a paper."""
    return sorted(path.stem for path in (paper.files / "presets").glob("*.yaml"))


def of_ones_own(study: str) -> Tree:
    """Return the content of a user's own study file, or of a built-in one without a paper.

    It is not yet validated. Nothing for other names.

    Raises:
        DataError: If the file is no plain YAML.
    """
    path = STUDIES / f"{study}.yaml" if study in own_names() else Path(study)
    return _tree(path) if _is_file(path) else {}


def load_study(paper: Paper[StudyT, PresetT], name: str) -> StudyT:
    """Read a study by its name or by the path of its file.

    Raises:
        ConfigError: If there is none of that name, or a value in it breaks a rule.
        DataError: If the file is no plain YAML.
    """
    if name in own_names():
        path = STUDIES / f"{name}.yaml"
    else:
        path = _find(name, paper.files, "study", [*study_names(paper), *own_names()])
    return validated(paper.study, _tree(path), source=path)


def load_preset(paper: Paper[StudyT, PresetT], name: str, changes: Sequence[str] = ()) -> PresetT:
    """Read a preset by its name or by the path of its file.

    Args:
        paper: The paper whose studies are run on it.
        name: Name or path.
        changes: Settings that differ from the file, as ``training.epochs=2``.

    Raises:
        ConfigError: If there is none of that name, or a value in it breaks a rule.
        DataError: If the file is no plain YAML.
    """
    path = _find(name, paper.files / "presets", "preset", preset_names(paper))
    tree = _tree(path)
    validated(paper.preset, tree, source=path)
    for change in changes:
        tree = merged(in_full(tree), _change(change))
    return validated(paper.preset, tree, source="--set" if changes else path)


def label_of(name: str) -> str:
    """Return the name used in file names: a name unchanged, a path by its last part."""
    return Path(name).stem


def _find(name: str, folder: Path, kind: str, known: Sequence[str]) -> Path:
    if name in known:
        return folder / f"{name}.yaml"
    path = Path(name)
    if _is_file(path):
        return path
    raise ConfigError(
        kind,
        "must be a known name or the path of a .yaml file",
        name,
        f"Known: {', '.join(known)}.",
    )


def _tree(path: Path) -> Tree:
    content = plain_yaml.read_yaml(path, remedy="See docs/studies.md.")
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise ConfigError(path, "must hold settings by name", brief(content), "Write 'title: ...'.")
    return cast("Tree", content)


def _is_file(path: Path) -> bool:
    return path.suffix in {".yaml", ".yml"} and path.is_file()


def _change(text: str) -> Tree:
    """Read ``training.epochs=2`` as a tree of settings."""
    key, sign, value = text.partition("=")
    if not sign or not all(key.split(".")):
        raise ConfigError(
            "--set", "must be written as key=value", text, "Write --set training.epochs=2."
        )
    if not value.strip():
        raise ConfigError(
            f"--set {key}", "must have a value after the equals sign", "nothing",
            f"Write --set {key}=VALUE; null derives it.",
        )  # fmt: skip
    try:
        tree: object = yaml.safe_load(value)
    except yaml.YAMLError as why:
        said = " ".join(str(why).split())
        raise ConfigError(f"--set {key}", "must have a plain value", said, "Correct it.") from None
    for part in reversed(key.split(".")):
        tree = {part: tree}
    return cast("Tree", tree)


def _in_order(name: str) -> tuple[bool, bool, int, str]:
    digits = "".join(filter(str.isdigit, name))
    return not name.startswith("table"), not digits, int(digits or 0), name
