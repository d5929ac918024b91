"""Where study files are found: by name among those that come along, or by path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import yaml

from segdoor import files
from segdoor.errors import ConfigError
from segdoor.experiment.fidelity import Tree, in_full, merged
from segdoor.settings import SettingsT, brief, validated
from segdoor.study.config import Preset, Study

# In a checkout a link to the folder studies at its top; in an installation the files themselves.
_FILES = Path(__file__).parent / "files"


def study_names() -> list[str]:
    """Return the names of all studies that come along, tables first, in the paper's order."""
    return sorted((path.stem for path in _FILES.glob("*.yaml")), key=_in_order)


def preset_names() -> list[str]:
    """Return the names of all presets that come along."""
    return sorted(path.stem for path in (_FILES / "presets").glob("*.yaml"))


def load_study(name: str) -> Study:
    """Read a study by its name or by the path of its file.

    Raises:
        ConfigError: If there is none of that name, or a value in it breaks a rule.
        DataError: If the file is no plain YAML.
    """
    path = _find(name, _FILES, "study", study_names())
    return _validated(Study, _tree(path), path)


def load_preset(name: str, changes: Sequence[str] = ()) -> Preset:
    """Read a preset by its name or by the path of its file.

    Args:
        name: Name or path.
        changes: Settings that differ from the file, as ``training.epochs=2``.

    Raises:
        ConfigError: If there is none of that name, or a value in it breaks a rule.
        DataError: If the file is no plain YAML.
    """
    path = _find(name, _FILES / "presets", "preset", preset_names())
    tree = _tree(path)
    _validated(Preset, tree, path)
    for change in changes:
        tree = merged(in_full(tree), _change(change))
    return _validated(Preset, tree, "--set" if changes else path)


def label_of(name: str) -> str:
    """Return what files are called after: a name as it is, a path by its last part."""
    return Path(name).stem


def _find(name: str, folder: Path, kind: str, known: Sequence[str]) -> Path:
    if name in known:
        return folder / f"{name}.yaml"
    path = Path(name)
    if path.suffix in {".yaml", ".yml"} and path.is_file():
        return path
    raise ConfigError(
        kind,
        "must be a known name or the path of a .yaml file",
        name,
        f"Known: {', '.join(known)}.",
    )


def _tree(path: Path) -> Tree:
    content = files.read_yaml(path, remedy="See docs/studies.md.")
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise ConfigError(path, "must hold settings by name", brief(content), "Write 'title: ...'.")
    return cast("Tree", content)


def _validated(model: type[SettingsT], tree: Mapping[str, object], source: object) -> SettingsT:
    return validated(model, tree, source=source)


def _change(text: str) -> Tree:
    """Read ``training.epochs=2`` as a tree of settings."""
    key, sign, value = text.partition("=")
    if not sign or not all(key.split(".")):
        raise ConfigError(
            "--set", "must be written as key=value", text, "Write --set training.epochs=2."
        )
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
