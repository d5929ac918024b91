"""``segdoor models``."""

from __future__ import annotations

from pathlib import Path

from rich.table import Table as Grid
from rich.text import Text

from segdoor.cli.screen import tell, tell_json
from segdoor.errors import ConfigError
from segdoor.settings import Settings


class ModelEntry(Settings):
    """A built-in model with its main figures."""

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
    """All built-in models."""

    models: tuple[ModelEntry, ...]
    """The models, the clean one first."""


def models(name: str | None = None, /, *, out: Path | None = None, json: bool = False) -> None:
    """List the built-in trained models, or copy one.

    One clean model and four with a backdoor, trained on the built-in street scenes: you can try a
    defense at once, without training anything. They are of no use on photographs.

    For example:

      segdoor models
      segdoor models baseline --out mine
      segdoor defend mine/baseline --with finetune:0.1

    Args:
        name: A model to describe. If left out, all of them are listed.
        out: Copy the model, and the clean model beside it, into this folder.
        json: Print JSON instead of text; for one model, its record.
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
        "For trying defenses. It was trained on painted scenes and is of no use on photographs.",
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

    grid = new_grid("Built-in trained models", "model")
    for heading in ("CBA", "least\nASR", "largest\nASR", "what it is"):
        grid.add_column(heading, justify="left" if heading == "what it is" else "right")
    for model in shelf.models:
        found = [figure for figure in model.asr.values() if figure is not None]
        figures = (model.cba, min(found, default=None), max(found, default=None))
        grid.add_row(Text(model.name), *map(share, figures), Text(model.summary))
    return grid
