"""Models examined on purified images: the views of each image vote on its label map."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from segdoor.data.changes import ChangedDataset
from segdoor.data.scene import Scene, SceneDataset
from segdoor.defense.defense import Cost
from segdoor.defense.purifiers.purifier import (
    NO_VOTE,
    Purifier,
    PurifierContext,
    View,
    voted,
)
from segdoor.evaluation.counting import TableCounter
from segdoor.evaluation.examiner import Examiner
from segdoor.experiment.bench.case import Case
from segdoor.scores.tables import TableSet
from segdoor.tensors import AnyImage, Label


@dataclass(frozen=True)
class PurifiedTest:
    """One model in one test with purified images.

    Attributes:
        tables: What it predicted.
        views: How many images the model was shown instead of each, by its name.
        cost: What that took, the views included.
    """

    tables: TableSet
    views: Mapping[str, int]
    cost: Cost


class PurifiedExamination:
    """Shows purified images to a model."""

    def __init__(self, method: Purifier, model: nn.Module, case: Case) -> None:
        """Make a model ready."""
        classes = case.tests.benign.classes
        self.method, self.case, self.num_classes = method, case, len(classes)
        self.examiner = Examiner(model, classes, case.config.examination, case.network)
        self.context = PurifierContext(
            clean=case.clean_scenes(),
            network=case.network,
            recipe=case.recipe,
            seed=case.seed,
            observer=case.log,
            model=model,
        )

    def test(self, scenes: SceneDataset, changed: ChangedDataset | None = None) -> PurifiedTest:
        """Return the tables of some scenes.

        Args:
            scenes: What is shown.
            changed: Says which of their pixels are attacked; None where classes say it.
        """
        counter = TableCounter(len(scenes), self.num_classes, torch.device("cpu"))
        views, costs = dict[str, int](), list[Cost]()
        start = time.perf_counter()
        self.case.log.begin("purifying", len(scenes))
        for index in range(len(scenes)):
            scene = scenes[index]
            done = self.method(scene.image, self.context)
            predicted = self._predicted(scene.image, done.found)
            mark = changed.attacked(scene) if changed else None
            counter.add(
                index,
                torch.from_numpy(scene.label.copy()),
                torch.from_numpy(predicted.astype(np.int64)),
                None if mark is None else torch.from_numpy(mark.astype(np.uint8)),
            )
            views[scene.name] = len(done.found)
            costs.append(done.cost)
            self.case.log.advance()
        tables = TableSet(tuple(scenes.names), counter.tables(), None, counter.attacked())
        cost = Cost(
            seconds=time.perf_counter() - start,
            forward=sum(cost.forward for cost in costs) + sum(views.values()),
            backward=sum(cost.backward for cost in costs),
            clean_scenes=max((cost.clean_scenes for cost in costs), default=0),
        )
        return PurifiedTest(tables, views, cost)

    def _predicted(self, image: AnyImage, views: tuple[View, ...]) -> Label:
        label = voted([view.back(self._answer(view.image)) for view in views])
        unsure = label == NO_VOTE
        if unsure.any():
            # Somebody must decide there: the model, as it sees the image itself.
            label[unsure] = self._answer(image)[unsure]
        return label

    def _answer(self, image: AnyImage) -> Label:
        empty = np.zeros(image.shape[:2], np.uint8)
        return self.examiner.predict([Scene(image, empty, "view")])[0]
