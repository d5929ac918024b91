"""The sticker in a film: frames of a data set, or a camera move rendered over one of its scenes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from segdoor.attack.physical.axes import USUAL, Situation
from segdoor.attack.physical.camera import Camera, Matrix
from segdoor.attack.physical.homography import bounds, corners
from segdoor.attack.physical.placing import Put
from segdoor.attack.physical.rendering import Conditions, render
from segdoor.attack.physical.tracking import motion_between, moved, turned_and_zoomed
from segdoor.data.pictures import write_image
from segdoor.data.scene import Scene, SceneDataset
from segdoor.data.sheet import colour_label, sheet
from segdoor.errors import ConfigError
from segdoor.evaluation.examiner import Examiner
from segdoor.experiment.physical.case import PhysicalCase
from segdoor.experiment.recording import task_of
from segdoor.progress import Observer
from segdoor.randomness import Stream
from segdoor.record.physical import FilmRecord
from segdoor.scores.metrics.metric import Task
from segdoor.tensors import AnyImage, AnyMask, Image, Label

STRIP = "physical/film.png"
"""Where the picture of the frames lies beside a run's record."""
_TURN, _ZOOM = math.radians(5), 1.1
_AROUND = 4
_SHOWN = 6


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame with the sticker.

    Attributes:
        scene: The untouched frame.
        image: The frame with the sticker.
        matrix: Where the sticker is.
        error: Reprojection error of the step to it in pixels; None for the first.
        num_inliers: Features that agree with that step.
        off: How far the tracked corners are from where they truly are; None if that is not known.
    """

    scene: Scene
    image: Image
    matrix: Matrix
    error: float | None = None
    num_inliers: int = 0
    off: float | None = None


def film_of(case: PhysicalCase, scenes: SceneDataset, out: Path, observer: Observer) -> FilmRecord:
    """Put the sticker up in the first frame, follow its plane, and count what it does.

    Args:
        case: The models, the sticker and the camera.
        scenes: The split that holds the frames, in their order.
        out: The run's folder.
        observer: Receives progress.

    Raises:
        ConfigError: If there is no such frame, or no room for the sticker in it.
    """
    options = case.options
    names = list(scenes.names)
    if options.film not in names:
        raise ConfigError(
            "--film", "must be a scene of the split", options.film,
            f"The first is {names[0]}; name the split by --film-split.",
        )  # fmt: skip
    first = names.index(options.film)
    stills, truths = [scenes[first]], list[Matrix]()
    if options.still:
        camera = case.places(stills[0].label.shape).camera
        truths = [_truth(camera, n, options.num_frames) for n in range(options.num_frames)]
        stills = [_seen(stills[0], truth, scenes.classes.ignore_index) for truth in truths]
    else:
        last = min(len(names), first + options.num_frames)
        stills = [scenes[index] for index in range(first, last)]
    observer.begin("following the plane", len(stills))
    frames = list(_followed(case, stills, truths, observer))
    return _record(case, frames, len(stills), out)


def _followed(
    case: PhysicalCase, stills: Sequence[Scene], truths: Sequence[Matrix], observer: Observer
) -> Iterator[Frame]:
    """Yield frames with the sticker until its plane is lost or leaves the image."""
    put = _first_place(case, stills[0])
    matrix, before = put.matrix, stills[0]
    shown = _printed(case, before, matrix, put.conditions)
    yield Frame(before, before.image if shown is None else shown, matrix)
    for number, still in enumerate(stills[1:], start=1):
        observer.advance()
        on = None if truths else _plane(before.label, matrix)
        motion = motion_between(before.image, still.image, on)
        following = moved(matrix, motion) if motion else None
        if motion is None or following is None:
            return
        matrix, before, off = following, still, None
        if truths:
            true = corners(truths[number] @ put.matrix)
            off = float(np.linalg.norm(corners(matrix) - true, axis=1).max())
        image = _printed(case, still, matrix, put.conditions)
        if image is None:
            return
        yield Frame(still, image, matrix, motion.error, motion.num_inliers, off)


def _first_place(case: PhysicalCase, scene: Scene) -> Put:
    """Return where the sticker is put up in the first frame: on a wall, or else on a board."""
    places = case.places(scene.label.shape)
    for surface in ("wall", "board"):
        situation: Situation = replace(USUAL, surface=surface)
        for chance in (0.5, 0.3, 0.7, 0.1, 0.9):
            put = places.find(scene.label, situation, chance)
            if put is not None and (surface == "board" or _has_room(scene.label, put)):
                return put
    raise ConfigError(
        "--film", "must begin with a frame that has room for the sticker", scene.name,
        "Begin with another frame.",
    )  # fmt: skip


def _has_room(label: Label, put: Put) -> bool:
    """Return whether a plane goes on around a print, so that it can be followed."""
    return bool(_plane(label, put.matrix).sum() > 20 * put.pixels**2 / _AROUND)


def _plane(label: Label, matrix: Matrix) -> AnyMask:
    """Return pixels around a print that have the class under it."""
    box = bounds(matrix)
    height, width = label.shape
    middle = (
        min(max(0, box.top + box.height // 2), height - 1),
        min(max(0, box.left + box.width // 2), width - 1),
    )
    reach = _AROUND * max(box.height, box.width)
    near = np.zeros(label.shape, bool)
    near[
        max(0, middle[0] - reach) : middle[0] + reach, max(0, middle[1] - reach) : middle[1] + reach
    ] = True
    return near & (label == label[middle])


def _printed(
    case: PhysicalCase, scene: Scene, matrix: Matrix, conditions: Conditions
) -> Image | None:
    """Return a frame with the print; None if it has left the image."""
    stream = Stream(0).child("film", scene.name)
    rendered = render(scene.image, case.own.drawing, matrix, conditions, stream)
    return None if rendered is None else rendered.image


def _truth(camera: Camera, number: int, count: int) -> Matrix:
    """Return how pixels of the still scene move up to a frame."""
    share = number / max(1, count - 1)
    return turned_and_zoomed(camera, _TURN * share, _ZOOM**share)


def _seen(scene: Scene, matrix: Matrix, ignored: int) -> Scene:
    """Return a scene after the camera has moved; what was not seen before is ignored."""
    height, width = scene.label.shape
    image = cv2.warpPerspective(scene.image, matrix, (width, height), borderMode=cv2.BORDER_REFLECT)
    label = cv2.warpPerspective(
        scene.label, matrix, (width, height), flags=cv2.INTER_NEAREST, borderValue=ignored
    )
    return Scene(np.asarray(image, np.uint8), np.asarray(label, np.uint8), scene.name)


def _record(case: PhysicalCase, frames: Sequence[Frame], asked: int, out: Path) -> FilmRecord:
    examiner = Examiner(
        case.models["poisoned"], case.benign.classes, case.config.examination, case.config.network
    )
    task = task_of(case.config, case.benign.classes)
    after = [examiner.predict([replace(f.scene, image=f.image)])[0] for f in frames]
    before = [examiner.predict([frame.scene])[0] for frame in frames]
    rates = [_rate(f.scene.label, p, task) for f, p in zip(frames, after, strict=True)]
    write_image(out / STRIP, _strip(case, frames, after, rates))
    lost = f"The plane was lost or left the image after frame {len(frames)} of {asked}."
    return FilmRecord(
        first=frames[0].scene.name,
        num_frames=len(frames),
        still=case.options.still,
        reprojection=tuple(frame.error for frame in frames),
        inliers=tuple(frame.num_inliers for frame in frames),
        off=tuple(frame.off for frame in frames),
        asr=tuple(rates),
        asr_without_trigger=tuple(
            _rate(f.scene.label, p, task) for f, p in zip(frames, before, strict=True)
        ),
        stopped=lost if len(frames) < asked else None,
        strip=STRIP,
    )


def _rate(label: Label, predicted: Label, task: Task) -> float | None:
    """Return the share of victim pixels predicted as their target; None without any."""
    hit = sum(int(((label == v) & (predicted == t)).sum()) for v, t in task.pairs)
    total = int(np.isin(label, task.victims).sum())
    return hit / total if total else None


def _strip(
    case: PhysicalCase,
    frames: Sequence[Frame],
    predicted: Sequence[Label],
    rates: Sequence[float | None],
) -> AnyImage:
    """Return a film strip: some frames, each with its prediction beside it."""
    classes = case.benign.classes
    shown = np.unique(np.linspace(0, len(frames) - 1, _SHOWN).astype(int))
    rows: list[tuple[str, list[AnyImage]]] = []
    for number in shown:
        frame, rate = frames[number], rates[number]
        told = "no victims" if rate is None else f"ASR {rate:.2f}"
        error = "" if frame.error is None else f", reprojection error {frame.error:.2f} px"
        caption = f"frame {number + 1}, {frame.scene.name}: {told}{error}"
        rows.append((caption, [frame.image, colour_label(predicted[number], classes)]))
    return sheet(["frame with the print", "prediction"], rows, classes)
