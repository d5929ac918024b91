"""Pictures of what a victim makes of scenes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from segdoor.data.pictures import write_image
from segdoor.data.scene import ClassSet, Scene, SceneDataset
from segdoor.evaluation.examiner import Examiner
from segdoor.experiment.pictures import colour_label, for_screens, sheet
from segdoor.record import GalleryScene
from segdoor.tensors import AnyImage, Image, Label

_PHOTOGRAPHS = {"image", "triggered_image"}


@dataclass(frozen=True)
class Views:
    """One test scene and what a victim makes of it.

    Attributes:
        asr: Attack success rate in this scene alone.
        scene: The untouched scene.
        triggered: The scene with the trigger.
        prediction: Predicted classes of the untouched scene.
        triggered_prediction: Predicted classes of the scene with the trigger.
    """

    asr: float
    scene: Scene
    triggered: Scene
    prediction: Label
    triggered_prediction: Label

    def painted(self, classes: ClassSet) -> dict[str, AnyImage]:
        """Return the five pictures by the names they have in a record's gallery."""
        return {
            "image": self.scene.image,
            "triggered_image": self.triggered.image,
            "prediction": colour_label(self.prediction, classes),
            "triggered_prediction": colour_label(self.triggered_prediction, classes),
            "truth": colour_label(self.scene.label, classes),
        }


def look_at_scenes(
    examiner: Examiner, honest: SceneDataset, stamped: SceneDataset, chosen: Mapping[str, float]
) -> list[Views]:
    """Ask a victim about scenes without and with trigger.

    Args:
        examiner: The victim.
        honest: The test scenes.
        stamped: The same scenes with triggers.
        chosen: Names of the scenes, and the attack success rate in each.
    """
    views: list[Views] = []
    for name, rate in chosen.items():
        scene, twin = _named(honest, name), _named(stamped, name)
        predicted = [*examiner.predict([scene]), *examiner.predict([twin])]
        views.append(Views(rate, scene, twin, *predicted))
    return views


def prediction_sheet(views: Sequence[Views], classes: ClassSet) -> Image:
    """Return scenes and predictions as one picture (the paper's Figure 3)."""
    rows = [
        (f"{view.scene.name}: ASR {view.asr:.2f}", list(view.painted(classes).values()))
        for view in views
    ]
    titles = ["image", "triggered image", "prediction", "prediction with trigger", "truth"]
    return sheet(titles, rows, classes)


def save_gallery(
    views: Sequence[Views], classes: ClassSet, out: Path, *, exam: str
) -> tuple[GalleryScene, ...]:
    """Write every picture of the scenes as a file of its own.

    Args:
        views: Scenes and predictions.
        classes: The colours of label maps.
        out: The run's folder; the pictures come into ``gallery`` in it.
        exam: The poisoned test that the triggers are placed by.

    Returns:
        The scenes as a record lists them.
    """
    entries: list[GalleryScene] = []
    for number, view in enumerate(views, start=1):
        pictures = view.painted(classes)
        # Scenes' names may hold what file names may not.
        files = {kind: f"gallery/{number}-{kind}.png" for kind in pictures}
        for kind, picture in pictures.items():
            shown = for_screens(picture, painted=kind not in _PHOTOGRAPHS)
            write_image(out / files[kind], shown)
        entries.append(GalleryScene(name=view.scene.name, exam=exam, asr=view.asr, **files))
    return tuple(entries)


def _named(dataset: SceneDataset, name: str) -> Scene:
    return dataset[list(dataset.names).index(name)]
