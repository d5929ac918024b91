"""Auxiliary: compare the main head with the auxiliary head, which reads an earlier layer."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from segdoor.data.scene import SceneDataset
from segdoor.defense.asking import Asker, some_of
from segdoor.defense.defense import Access, DefenseContext
from segdoor.defense.detectors.detector import Detector, Judge, judge_of_classes
from segdoor.defense.regions import Regions, regions_of
from segdoor.plugins import Introduction
from segdoor.tensors import AnyImage, Heat
from segdoor.victim.answer import SegmentationOutput


class Auxiliary(Detector):
    """Score an image by how far the main head's answer is from the auxiliary head's."""

    kind: ClassVar[str] = "auxiliary"
    main: ClassVar[str | None] = "scenes"
    access: ClassVar[frozenset[Access]] = frozenset({"white box", "clean scenes"})
    introduction: ClassVar[Introduction] = Introduction(
        source="segdoor; the idea that modules disagree under a backdoor is from arXiv 2409.16057, "
        "for object detectors",
        does="Compares the two heads of a network: one that reads an earlier layer, with less "
        "context, may not follow a trigger far away.",
        needs="A network with an auxiliary head, clean scenes, and one forward pass an image.",
        fails="Where the auxiliary head has learned the backdoor too: it is trained on the same "
        "poisoned labels.",
    )

    scenes: int = Field(default=8, ge=1)
    """Clean scenes, at most, that the usual disagreement is measured on."""

    def judge(self, model: nn.Module, context: DefenseContext) -> Judge:
        """Measure how far the heads usually are from each other, and return a judge.

        Raises:
            ConfigError: If the network has no auxiliary head, or answers otherwise with it.
        """
        clean = context.clean
        # Calling a detector makes sure of them.
        assert clean is not None
        asker = self._with_auxiliary(Asker.of(model, context), clean)

        def look(image: AnyImage) -> Regions:
            output = next(asker.outputs([image]))
            label = output.logits[0].argmax(dim=0).to(torch.uint8).cpu().numpy()
            far = divergence_of(output.logits[0], self._auxiliary(output)[0])
            return regions_of(far, label, len(clean.classes))

        says = "The two heads disagree more than usual where the main one sees this class."
        return judge_of_classes(look, some_of(clean, self.scenes, self.kind, context.seed), says)

    def _with_auxiliary(self, asker: Asker, clean: SceneDataset) -> Asker:
        """Return an asker whose answers hold the auxiliary head's.

        Our networks run that head in training mode alone. A copy is put into that mode, but none of
        its layers, so that batch norm and dropout work as before.
        """
        image = clean[0].image
        output = next(asker.outputs([image]))
        if output.auxiliary is not None:
            return asker
        network = copy.deepcopy(asker.model)
        network.training = True
        training = replace(asker, model=network)
        again = next(training.outputs([image]))
        self._auxiliary(again)
        if not torch.equal(again.logits, output.logits):
            raise self.refused(
                "needs a network whose main head answers alike when the auxiliary head runs",
                f"{type(network).__name__} answers otherwise",
                "Let it return the auxiliary head's scores in evaluation mode too.",
            )
        return training

    def _auxiliary(self, output: SegmentationOutput) -> Tensor:
        if output.auxiliary is None:
            raise self.refused(
                "needs a network with an auxiliary head",
                "none",
                "Take another detector, or a network that returns the scores of such a head under "
                "the key aux or the attribute auxiliary.",
            )
        return output.auxiliary


def divergence_of(main: Tensor, auxiliary: Tensor) -> Heat:
    """Return the Kullback-Leibler divergence of the heads at each pixel, in nats.

    Args:
        main: Logits of the main head, K x H x W.
        auxiliary: Logits of the auxiliary head, K x H x W.
    """
    ours, theirs = main.double().log_softmax(dim=0), auxiliary.double().log_softmax(dim=0)
    return (ours.exp() * (ours - theirs)).sum(dim=0).cpu().numpy()
