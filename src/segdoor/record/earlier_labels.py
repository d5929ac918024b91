"""Attacks in records, plans and manifests from before label changes were plug-ins."""

from __future__ import annotations

from typing import TypeGuard

from segdoor.record.figures import Json

_PRL: Json = {
    "num_pixels": 0,
    "pool": "scene",
    "scope": "poisoned",
    "positions": "per_scene",
    "on_ignored": False,
    "order": "after",
}


_SETTING = "attack.prl."


def attack_with_labels(attack: Json) -> Json:
    """Return an attack's settings with label changes in place of victims, target and prl.

    Pixel random labelling that was switched off stays as a scatter of no pixels if it had unusual
    settings: names of runs and digests depend on them.

    Args:
        attack: The settings as a file has them, all or some; those of today come back as they are.
    """
    prl = attack.get("prl")
    if not isinstance(prl, dict) or "labels" in attack:
        return attack
    names = [name for name in ("victims", "target") if name in attack]
    changes: list[Json] = [{"kind": "hide", **{name: attack[name] for name in names}}]
    if {**_PRL, **prl} != _PRL:
        scatter = {name: value for name, value in prl.items() if name != "order"}
        place = 0 if prl.get("order") == "before" else 1
        changes.insert(place, {"kind": "scatter", **scatter})
    rest = {name: value for name, value in attack.items() if name not in {*names, "prl"}}
    return {**rest, "labels": changes}


def changes_with_labels(changes: list[object]) -> list[object]:
    """Return changes of a preset with one list of label changes in place of the settings of prl."""
    settings = [change.removeprefix(_SETTING) for change in changes if _is_of_prl(change)]
    if not settings:
        return changes
    scatter = ["kind: scatter", *(s.replace("=", ": ", 1) for s in settings if s[:6] != "order=")]
    listed = ["hide", f"{{{', '.join(scatter)}}}"]
    if "order=before" in settings:
        listed.reverse()
    rest = [change for change in changes if not _is_of_prl(change)]
    return [*rest, f"attack.labels=[{', '.join(listed)}]"]


def _is_of_prl(change: object) -> TypeGuard[str]:
    return isinstance(change, str) and change.startswith(_SETTING)
