"""Pictures of a model's predictions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from segdoor.attack.poisoned_test import PoisonedTest
from segdoor.data.scene import ClassSet, Scene, SceneDataset
from segdoor.data.sheet import colour_label, sheet
from segdoor.evaluation.examiner import Examiner
from segdoor.experiment.pictures import write_pictures
from segdoor.record import GalleryScene, PlacedView, Role
from segdoor.scores.tables import TableSet
from segdoor.tensors import AnyImage, Image, Label


@dataclass(frozen=True)
class Placed:
    """A poisoned test.

    Attributes:
        test: Where its triggers lie.
        scenes: The test scenes with them.
        tables: The model's tables on them.
        rate: The attack success rate over scenes.
    """

    test: PoisonedTest
    scenes: SceneDataset
    tables: TableSet
    rate: Callable[[TableSet], float]


@dataclass(frozen=True)
class Elsewhere:
    """A scene with the trigger where another test places it.

    Attributes:
        test: The test.
        role: What the test is for.
        distance: From the trigger's centre to the nearest victim pixel, in pixels.
        asr: Attack success rate in this scene alone.
        triggered: The scene with the trigger.
        prediction: Predicted classes of it.
    """

    test: str
    role: Role
    distance: float | None
    asr: float
    triggered: Scene
    prediction: Label

    def painted(self, classes: ClassSet) -> dict[str, AnyImage]:
        """Return the two pictures by the names they have in a record."""
        return {
            "triggered_image": self.triggered.image,
            "triggered_prediction": colour_label(self.prediction, classes),
        }


@dataclass(frozen=True)
class Views:
    """One test scene and a model's predictions of it.

    Attributes:
        asr: Attack success rate in this scene alone.
        scene: The untouched scene.
        triggered: The scene with the trigger.
        prediction: Predicted classes of the untouched scene.
        triggered_prediction: Predicted classes of the scene with the trigger.
        elsewhere: The scene as other tests place the trigger in it.
    """

    asr: float
    scene: Scene
    triggered: Scene
    prediction: Label
    triggered_prediction: Label
    elsewhere: tuple[Elsewhere, ...] = ()

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
    examiner: Examiner, benign: SceneDataset, stamped: SceneDataset, chosen: Mapping[str, float]
) -> list[Views]:
    """Predict scenes chosen by their success rates, without and with trigger."""
    views: list[Views] = []
    for name, rate in chosen.items():
        scene, twin = _named(benign, name), _named(stamped, name)
        before, after = (next(iter(examiner.predict([shown]))) for shown in (scene, twin))
        views.append(Views(rate, scene, twin, before, after))
    return views


def look_elsewhere(
    examiner: Examiner, views: Sequence[Views], tests: Sequence[Placed]
) -> list[Views]:
    """Predict scenes with the trigger at other positions; scenes without one are left alone."""
    seen: list[Views] = []
    for view in views:
        name = view.scene.name
        everywhere = all(name in test.test.triggered for test in tests)
        found = [_elsewhere(examiner, name, test) for test in tests] if everywhere else []
        seen.append(replace(view, elsewhere=tuple(found)))
    return seen


def _elsewhere(examiner: Examiner, name: str, test: Placed) -> Elsewhere:
    twin = _named(test.scenes, name)
    return Elsewhere(
        test=test.test.name,
        role=test.test.role,
        distance=test.test.triggered[name].distance,
        asr=test.rate(test.tables.only([name])),
        triggered=twin,
        prediction=next(iter(examiner.predict([twin]))),
    )


def placement_sheet(views: Sequence[Views], classes: ClassSet) -> Image | None:
    """Return scenes with the trigger near and far, and predictions (the paper's Figure 3).

    None if no scene was predicted with the trigger elsewhere.
    """
    rows: list[tuple[str, list[AnyImage]]] = []
    titles: list[str] = []
    for view in (view for view in views if view.elsewhere):
        titles = [
            title
            for place in view.elsewhere
            for title in (f"trigger {place.role}", f"prediction, trigger {place.role}")
        ]
        told = [
            f"{place.role}: {place.distance or 0:.0f} px away, ASR {place.asr:.2f}"
            for place in view.elsewhere
        ]
        pictures = [p for place in view.elsewhere for p in place.painted(classes).values()]
        rows.append((f"{view.scene.name}: {'; '.join(told)}", pictures))
    return sheet(titles, rows, classes) if rows else None


def prediction_sheet(views: Sequence[Views], classes: ClassSet) -> Image:
    """Return scenes and predictions as one picture (the paper's Figures 1 and 4)."""
    rows = [
        (f"{view.scene.name}: ASR {view.asr:.2f}", list(view.painted(classes).values()))
        for view in views
    ]
    titles = ["image", "triggered image", "prediction", "prediction with trigger", "truth"]
    return sheet(titles, rows, classes)


def save_gallery(
    views: Sequence[Views], classes: ClassSet, out: Path, *, test: str
) -> tuple[GalleryScene, ...]:
    """Write every picture of the scenes as a file in the folder ``gallery`` of a run.

    Returns:
        The scenes as a record lists them.
    """
    entries: list[GalleryScene] = []
    for number, view in enumerate(views, start=1):
        # Scene names may contain characters that file names may not.
        files = write_pictures(out, f"gallery/{number}", view.painted(classes))
        elsewhere = [
            PlacedView(
                test=place.test,
                distance=place.distance,
                asr=place.asr,
                **write_pictures(out, f"gallery/{number}-{place.test}", place.painted(classes)),
            )
            for place in view.elsewhere
        ]
        entries.append(
            GalleryScene(
                name=view.scene.name, test=test, asr=view.asr, elsewhere=tuple(elsewhere), **files
            )
        )
    return tuple(entries)


def _named(dataset: SceneDataset, name: str) -> Scene:
    return dataset[list(dataset.names).index(name)]
