"""Which clean scenes a defender is given."""

from __future__ import annotations

from segdoor.data.scene import SceneDataset
from segdoor.data.subset import Subset
from segdoor.randomness import Stream
from segdoor.rounding import share_of


def clean_scenes(train: SceneDataset, share: float, *, seed: int) -> Subset:
    """Draw a share of the clean training scenes, in their order.

    The same seed gives nested sets for rising shares, whatever the order of the scenes.

    Args:
        train: The clean training scenes.
        share: Share to draw, rounded half up, but at least one scene; 0 draws none.
        seed: Decides which.
    """
    wanted = max(1, share_of(share, len(train))) if share else 0
    stream = Stream(seed).child("clean scenes")
    drawn = sorted(range(len(train)), key=lambda index: stream.child(train.names[index]).integer())
    return Subset(train, sorted(drawn[:wanted]))
