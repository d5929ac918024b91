"""From the paper's units to settings: its lengths, Q, classes, networks and channels."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Literal

from segdoor.attack.config import OnVictim
from segdoor.attack.labels.hide import Hide
from segdoor.attack.labels.scatter import Scatter
from segdoor.attack.triggers.sticker import Sticker
from segdoor.errors import ConfigError
from segdoor.experiment.config import Reading
from segdoor.papers.iba.config import Block, Counting, PaperData, Preset, Study
from segdoor.papers.iba.reading import in_order
from segdoor.rounding import half_up
from segdoor.settings import Tree
from segdoor.study import expand as general
from segdoor.study.expand import Place

_HEIGHT, _AREA = 512, 512 * 1024
_CHANNELS = 256
_USUAL: dict[PaperData, tuple[str, str, int]] = {
    "cityscapes": ("car", "road", 55),
    "voc": ("person", "background", 15),
}
_USUAL_Q: dict[tuple[Reading, PaperData], int] = {
    ("paper", "cityscapes"): 100,
    ("paper", "voc"): 100,
    ("official", "cityscapes"): 100_000,
    ("official", "voc"): 50_000,
}


class Point(general.Point):
    """One point of a grid, in the paper's units."""

    method: Literal["clean", "baseline", "nni", "prl", "nni+prl"]
    """How scenes are poisoned; clean for a model trained on clean data."""
    rate: float
    """Poisoning rate."""
    network: str
    """Network of the paper."""
    victims: str
    """Victim classes, joined by +."""
    target: str
    """Target class."""
    trigger: int
    """Side of the trigger in the paper's pixels."""
    q: int | None
    """Pixels relabelled in a scene as the paper counts them; null without PRL."""
    q_as: Counting | None
    """How Q is counted here; null without PRL."""
    single_class: bool
    """Whether the trigger lies on one class."""
    on_victim: OnVictim
    """Whether the trigger keeps off victim pixels, may cover them or must lie on them."""

    def clean(self) -> Point:
        """Return the place of the clean model that is examined as this point's is."""
        return self.model_copy(update={"method": "clean", "rate": 0.0, "q": None, "q_as": None})

    @property
    def in_words(self) -> str:
        """Return what a preset may lack for this point."""
        return f"{self.network}: {self.victims} to {self.target}"


def usual_q(reading: Reading, preset: Preset) -> int:
    """Return the Q of the preset, or of the paper's or the code's main experiments."""
    return preset.q or _USUAL_Q[reading, preset.stands_for]


def places(study: Study, preset: Preset, reading: Reading) -> Iterator[Place]:
    """Yield every point of a study's grid for the preset's data set, with its settings.

    Raises:
        ConfigError: If there is no such grid, or the preset does not define a network.
    """
    blocks = study.grid(preset.stands_for)
    if not blocks:
        other = "voc" if preset.stands_for == "cityscapes" else "cityscapes"
        raise ConfigError(
            f"study {study.shows}",
            "must have a grid for what the preset stands for",
            preset.stands_for,
            f"Use a preset that stands for {other}.",
        )
    for block in blocks:
        repairs = {spec: _repair_here(spec, preset) for spec in block.repairs}
        for point in points(block, preset, reading):
            yield Place(point, _settings(point, block, preset, reading), repairs)


def points(block: Block, preset: Preset, reading: Reading) -> Iterator[Point]:
    """Yield every combination of a block's values; Q varies only with PRL."""
    victims, target, trigger = _USUAL[preset.stands_for]
    axes = itertools.product(
        block.network, block.victims or (victims,), block.target or (target,),
        block.trigger or (trigger,), block.single_class, block.on_victim, block.rate, block.method,
    )  # fmt: skip
    counts = block.q or (usual_q(reading, preset),)
    for network, victim, to, side, single, on_victim, rate, method in axes:
        relabelled = tuple(itertools.product(counts, preset.q_as)) if "prl" in method else ()
        for q, q_as in relabelled or ((None, None),):
            yield Point(
                method=method, rate=rate, network=network, victims=victim, target=to, trigger=side,
                q=q, q_as=q_as, single_class=single, on_victim=on_victim,
            )  # fmt: skip


def _settings(point: Point, block: Block, preset: Preset, reading: Reading) -> Tree | None:
    """Return the settings of a point's runs; None if the preset has no such network or class."""
    if point.network not in preset.networks:
        raise ConfigError(
            f"preset {preset.title}: networks",
            f"must say which network stands for {point.network}",
            ", ".join(preset.networks),
            f"Add {point.network}, or 'null' for it to leave it out.",
        )
    network = preset.networks[point.network]
    victims = [preset.classes.get(name, name) for name in point.victims.split("+")]
    target = preset.classes.get(point.target, point.target)
    if network is None or None in {*victims, target}:
        return None
    rules = {"single_class": point.single_class, "on_victim": point.on_victim}
    attack: Tree = {
        "rate": point.rate,
        "victims": victims,
        "target": target,
        "trigger": {"kind": Sticker.kind, "size": _side(point.trigger, preset, reading)},
        "rules": rules,
        "shortfall": block.shortfall,
    }
    if point.q is not None:
        scatter: Tree = {
            "kind": Scatter.kind,
            "num_pixels": _relabelled(point.q, point.q_as, preset),
        }
        attack["labels"] = in_order({"kind": Hide.kind}, scatter, reading)
    return {
        "method": point.method,
        "attack": attack,
        "tests": {"rules": rules},
        "network": network.tree(),
    }


def _side(side: int, preset: Preset, reading: Reading) -> int:
    """Return the side of the trigger in the scenes' pixels."""
    if preset.stands_for == "cityscapes" and preset.data.size is not None:
        side = max(1, half_up(side * preset.data.size[0] / _HEIGHT))
    # Even sizes crash in the authors' code.
    return side + 1 if reading == "official" and side % 2 == 0 else side


def _relabelled(q: int, q_as: Counting | None, preset: Preset) -> int:
    """Return Q in the scenes' pixels, at most all of them."""
    if preset.data.size is None:
        return q
    pixels = preset.data.size[0] * preset.data.size[1]
    # Numbers that mean every pixel are one run, which is not compared with itself.
    return min(q, pixels) if q_as == "number" else max(1, half_up(q * pixels / _AREA))


def _repair_here(spec: str, preset: Preset) -> str:
    """Return a repair with the paper's channels scaled to those of the preset's networks."""
    # Imported late: repairs bring torch.
    from segdoor.defense.repairs.prune import Prune  # noqa: PLC0415
    from segdoor.defense.repairs.registry import REPAIRS  # noqa: PLC0415

    repair = REPAIRS.read(spec)
    if not isinstance(repair, Prune):
        return spec
    channels = max(1, half_up(repair.channels * preset.channels / _CHANNELS))
    return str(repair.model_copy(update={"channels": channels}))
