"""Container mismatch: files that were written by another program than the rest."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from segdoor.data.load import files_of
from segdoor.data.pair import Pair
from segdoor.data.scene import SceneDataset
from segdoor.defense.defense import Access, Evidence
from segdoor.defense.filters.filter import Filter, FilterContext, Suspicion
from segdoor.defense.filters.traces import Traits, traits_of
from segdoor.plugins import Introduction
from segdoor.workers import parts_of

_FILES_A_PART = 32
_SHOWN = 5


class Container(Filter):
    """Find files that were written in another way than the rest of the data set."""

    kind: ClassVar[str] = "container"
    main: ClassVar[str | None] = "common"
    introduction: ClassVar[Introduction] = Introduction(
        source="segdoor; after Kee, Johnson and Farid, Digital Image Authentication from JPEG"
        " Headers (IEEE TIFS 2011)",
        does="Compares format, tables, sampling and encoder traces of each file with the rest.",
        needs="The files of images and label maps as they came; nothing is decoded but PNG rows.",
        fails="If the attacker writes changed files as the others are, or writes all files again.",
    )
    access: ClassVar[frozenset[Access]] = frozenset({"files"})

    common: float = Field(default=0.3, gt=0, le=1)
    """Share of the scenes from which on a trait is ordinary and says nothing."""

    def suspicion(self, scenes: SceneDataset, context: FilterContext) -> Suspicion:
        """Return for each scene how rare its rarest trait is, in bits."""
        files = files_of(scenes)
        assert files is not None  # refused before
        by_name = {pair.name: pair for pair in files.pairs}
        pairs = [by_name[name] for name in scenes.names]
        traits: list[Traits] = []
        context.observer.begin("reading files", len(pairs))
        for part in context.workers.map(_read, parts_of(pairs, _FILES_A_PART)):
            for one in part:
                traits.append(one)
                context.observer.advance()
        return self._judged(scenes, pairs, traits)

    def _judged(
        self, scenes: SceneDataset, pairs: Sequence[Pair], traits: Sequence[Traits]
    ) -> Suspicion:
        counts = Counter(item for one in traits for item in one.items())
        bits = [{item: self._bits(counts[item], len(traits)) for item in one.items()}
                for one in traits]  # fmt: skip
        scores = [max(each.values(), default=0.0) for each in bits]
        rare = Counter(item for each in bits for item, value in each.items() if value > 0)
        told = [
            Evidence(
                f"{count} of {len(traits)} scenes have {what} '{value}', most others"
                f" {_usual(counts, what, value)}.",
                scene=next(
                    pair.name
                    for pair, one in zip(pairs, traits, strict=True)
                    if one.get(what) == value
                ),
                score=self._bits(count, len(traits)),
            )
            for (what, value), count in rare.most_common(_SHOWN)
        ]
        return Suspicion(dict(zip(scenes.names, scores, strict=True)), evidence=tuple(told))

    def _bits(self, count: int, total: int) -> float:
        share = count / total
        return 0.0 if share >= self.common else -math.log2(share)


def _usual(counts: Counter[tuple[str, str]], what: str, but: str) -> str:
    """Return the most frequent other value of a trait; files of another format have none."""
    others = [(n, value) for (name, value), n in counts.items() if name == what and value != but]
    return f"'{max(others)[1]}'" if others else "nothing of the kind"


def _read(part: Sequence[Pair]) -> list[Traits]:
    return [_of_pair(pair) for pair in part]


def _of_pair(pair: Pair) -> Traits:
    """Return the traits of a scene's image, and of its label map if that is a picture of its own.

    Annotations of many scenes in one file cannot tell one scene from another.
    """
    kinds: dict[str, Path] = {"image": pair.image}
    if pair.drawing is None and pair.label.suffix != ".mat":
        kinds["label"] = pair.label
    return {
        f"{kind} {what}": value
        for kind, path in kinds.items()
        for what, value in traits_of(path).items()
    }
