"""``segdoor models``."""

from __future__ import annotations

from pathlib import Path

from rich.table import Table as Grid
from rich.text import Text

from segdoor.cli.screen import tell, tell_json
from segdoor.errors import ConfigError
from segdoor.settings import Settings


class ModelEntry(Settings):
    """A model that comes along, with its main figures."""

    name: str
    """What it is called."""
    summary: str
    """What it is, in a line."""
    weights: str
    """Its file."""
    cba: float | None
    """Clean benign accuracy."""
    asr: dict[str, float | None]
    """ASR by poisoned test; of the clean model, in the tests of the baseline."""


class ModelShelf(Settings):
    """All models that come along."""

    models: tuple[ModelEntry, ...]
    """The models, the clean one first."""


def models(name: str | None = None, /, *, out: Path | None = None, json: bool = False) -> None:
    """Name the trained models that come along: a clean one, and four with a backdoor.

    They were trained on the built-in street scenes, so a defense can be tried on them at once:

      segdoor models baseline --out mine
      segdoor repair mine/baseline --with finetune:0.1

    Args:
        name: A model, whose figures and file are printed; if left out, all of them in a table.
        out: Copy the model into this folder, and the clean model beside it.
        json: Print as JSON instead of text; of one model, its record.
    """
    from segdoor.models.catalogue import NAMES, shipped
    from segdoor.report.terminal import describe

    if name is None:
        if out is not None:
            known = ", ".join(NAMES)
            raise ConfigError("--out", "needs the name of a model", remedy=f"Known: {known}.")
        shelf = ModelShelf(models=tuple(_entry(name) for name in NAMES))
        tell_json(shelf) if json else tell(_grid(shelf), "One of them: segdoor models NAME")
        return
    model = shipped(name)
    copied = model.copy_to(out) if out is not None else None
    if json:
        tell_json(model.record)
        return
    tell(
        Text(f"{name}: {model.does}", style="bold"),
        *describe(model.record),
        f"Weights: {model.weights}",
        "For trying defenses. It was trained on painted scenes: it is of no use on photographs.",
        f"Examine it here: segdoor demo --model {name}",
        *([f"Copied to {copied}"] if copied else []),
    )


def _entry(name: str) -> ModelEntry:
    from segdoor.models.catalogue import CLEAN, shipped

    model = shipped(name)
    record, clean = model.record, name == CLEAN
    benign = record.controls.clean_model if clean else record.scores.benign
    assert benign is not None
    tests = record.scores.tests.items()
    return ModelEntry(
        name=name,
        summary=model.does,
        weights=str(model.weights),
        cba=benign.cba.value,
        asr={test: found.asr_clean_model if clean else found.asr.value for test, found in tests},
    )


def _grid(shelf: ModelShelf) -> Grid:
    from segdoor.report.before_after import new_grid, share

    grid = new_grid("Trained models that come along", "model")
    for heading in ("CBA", "least\nASR", "largest\nASR", "what it is"):
        grid.add_column(heading, justify="left" if heading == "what it is" else "right")
    for model in shelf.models:
        found = [figure for figure in model.asr.values() if figure is not None]
        figures = (model.cba, min(found, default=None), max(found, default=None))
        grid.add_row(Text(model.name), *map(share, figures), Text(model.summary))
    return grid
