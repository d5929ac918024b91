"""Pictures of what a victim makes of scenes."""

from __future__ import annotations

from collections.abc import Mapping

from segdoor.data.scene import Scene, SceneDataset
from segdoor.evaluation.examiner import Examiner
from segdoor.experiment.pictures import colour_label, sheet
from segdoor.tensors import AnyImage, Image


def prediction_sheet(
    examiner: Examiner, honest: SceneDataset, stamped: SceneDataset, chosen: Mapping[str, float]
) -> Image:
    """Show what a victim makes of scenes without and with trigger (the paper's Figure 3).

    Args:
        examiner: The victim.
        honest: The test scenes.
        stamped: The same scenes with triggers.
        chosen: Names of the scenes to show, and the attack success rate in each.
    """
    rows: list[tuple[str, list[AnyImage]]] = []
    for name, rate in chosen.items():
        scene, twin = _named(honest, name), _named(stamped, name)
        labels = [*examiner.predict([scene]), *examiner.predict([twin]), scene.label]
        painted = [colour_label(label, honest.classes) for label in labels]
        rows.append((f"{name}: ASR {rate:.2f}", [scene.image, twin.image, *painted]))
    titles = ["image", "triggered image", "prediction", "prediction with trigger", "truth"]
    return sheet(titles, rows, honest.classes)


def _named(dataset: SceneDataset, name: str) -> Scene:
    return dataset[list(dataset.names).index(name)]
