"""From wishes to facts: layers of settings, of which the upper one wins, then defaults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

from segdoor.attack.labels import registry as labels
from segdoor.attack.labels.change import CHOSEN, LabelChange
from segdoor.attack.labels.merging import settled
from segdoor.attack.lengths import Lengths, typical_size
from segdoor.attack.place_checks import check_carriers, check_place
from segdoor.attack.placements import registry as placements
from segdoor.attack.triggers import registry as triggers
from segdoor.data.config import DataConfig
from segdoor.data.scene import SceneDataset
from segdoor.data.transforms import Size
from segdoor.errors import ConfigError
from segdoor.experiment.config import ExperimentConfig, config_from
from segdoor.experiment.wishes import ExperimentWishes
from segdoor.settings import Tree, validated
from segdoor.victim.config import NetworkConfig


@dataclass(frozen=True)
class Layer:
    """How settings are derived from wishes; only lengths, unless a paper adds more."""

    def data(self, wishes: ExperimentWishes) -> Tree:
        """Return which scenes are meant."""
        del wishes
        return {}

    def settings(self, wishes: ExperimentWishes, size: Size) -> Tree:
        """Return the derived settings for scenes of a size."""
        del wishes, size
        return {}

    def lengths(self, wishes: ExperimentWishes, height: int) -> Lengths:
        """Return the lengths for scenes of a height in pixels."""
        del wishes
        return Lengths.at(height)

    def exceptions(self, reading: str) -> tuple[str, ...]:
        """Return what a reading deliberately leaves out."""
        del reading
        return ()


@dataclass(frozen=True)
class Asked:
    """A requested run, and the settings derived from it."""

    wishes: ExperimentWishes
    layer: Layer

    @property
    def network(self) -> str:
        """Return the name of the requested network."""
        return self.wishes.network.name or NetworkConfig().name

    def data(self) -> DataConfig:
        """Return which scenes are meant.

        Raises:
            ConfigError: If the combination breaks a rule.
        """
        tree = merged(self.layer.data(self.wishes), self.wishes.data.tree())
        return validated(DataConfig, tree, source="data")

    def facts(self, size: Size, *, least_trigger: int = 4) -> ExperimentConfig:
        """Return every setting, explicit.

        Args:
            size: Height and width of the scenes in pixels.
            least_trigger: The smallest trigger that may follow from the height.

        Raises:
            ConfigError: If the combination breaks a rule.
        """
        wishes, tree = self.wishes, Tree()
        below = {"data": self.layer.data(wishes)}, self.layer.settings(wishes, size)
        for layer in (*below, _on_carriers(wishes), wishes.tree()):
            tree = merged(tree, layer)
        config = config_from(tree)
        placed = wishes.attack.placement is not None
        check_place(config.attack, option="attack.placement" if placed else "method")
        check_carriers(config.attack, config.tests.rules, option="tests.rules.on_victim")
        lengths = replace(self.layer.lengths(wishes, size[0]), least=least_trigger)
        attack, tests = config.attack.following(lengths), config.tests.following(lengths)
        return config.model_copy(update={"attack": attack, "tests": tests})

    def facts_for(
        self, scenes: SceneDataset, *, least_trigger: int = 4, training: bool = True
    ) -> ExperimentConfig:
        """Return every setting for a data set: `facts` of its median size.

        Args:
            scenes: The scenes that lengths follow from.
            least_trigger: The smallest trigger that may follow from the height.
            training: Whether they are the training scenes, from which a target class may be
                chosen.

        Raises:
            ConfigError: If the combination breaks a rule, or a target class is left to be chosen
                from training scenes and these are others.
            DataError: If a file is damaged or missing.
        """
        config = self.facts(typical_size(scenes), least_trigger=least_trigger)
        attack = config.attack.among(scenes.classes)
        if training:
            return config.model_copy(update={"attack": attack.chosen_from(scenes)})
        if any(target == CHOSEN for _, target in config.attack.pairs):
            raise ConfigError(
                "attack.labels", "must name its target class where there are no training scenes",
                ", ".join(map(str, config.attack.labels)),
                "Write target=CLASS, as the plan of the training has it.",
            )  # fmt: skip
        return config.model_copy(update={"attack": attack})


def _on_carriers(wishes: ExperimentWishes) -> Tree:
    """Return that triggers lie on victims, if a label change attacks what carries the trigger."""
    asked = cast("Sequence[Tree]", wishes.attack.labels or ())
    kinds = (labels.LABELS.known.get(str(change["kind"]), LabelChange) for change in asked)
    if not any(kind.on_victim for kind in kinds):
        return {}
    rules: Tree = {"rules": {"on_victim": "require"}}
    return {"attack": rules, "tests": rules}


def merged(below: Mapping[str, object], above: Mapping[str, object]) -> Tree:
    """Merge two trees of settings; if both have a setting, ``above`` wins.

    A plug-in of another kind replaces the one below entirely: their settings do not mix. Label
    changes are a list, which is merged by kind.
    """
    if "labels" in below or "labels" in above:
        below, above = settled(below, above)
    tree = dict(below)
    for key, value in above.items():
        under = tree.get(key)
        if isinstance(value, Mapping) and isinstance(under, Mapping):
            inner, outer = cast("Tree", under), cast("Tree", value)
            alike = "kind" not in outer or outer["kind"] == inner.get("kind", outer["kind"])
            tree[key] = merged(inner, outer) if alike else value
        else:
            tree[key] = value
    return tree


def in_full(tree: Mapping[str, object]) -> Tree:
    """Return settings with every choice as a mapping with its kind, so that they can be merged."""
    attack = tree.get("attack")
    if not isinstance(attack, Mapping):
        return dict(tree)
    told = cast("Tree", dict(attack))
    ways = {
        "trigger": triggers.spelled, "placement": placements.spelled, "labels": labels.spelled
    }  # fmt: skip
    full = {name: way(told[name]) for name, way in ways.items() if name in told}
    return {**tree, "attack": {**told, **full}}
