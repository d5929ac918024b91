"""Where and with what a run was made."""

from __future__ import annotations

from typing import Literal

from segdoor.settings import Settings


class LoadedWeights(Settings):
    """Weights that a network was filled with from a file."""

    part: Literal["network", "backbone"]
    """What the file filled: the whole network, or only its backbone."""
    file: str
    """Name of the file, or of the folder for a model in a folder."""
    sha256: str
    """SHA-256 of its bytes."""
    style: str
    """The naming scheme that was recognised in the file."""
    num_taken: int
    """Number of tensors that were loaded."""
    num_counters_missing: int
    """Number of batch norm counters that the file lacks, as older files do; they change nothing."""
    left_out: tuple[str, ...]
    """Tensors of the file that the network has no use for: the classifier of ImageNet."""
    classes: tuple[str, ...] | None = None
    """Names of the classes of the file's logits; null if it does not say."""
    remarks: tuple[str, ...] = ()
    """Other remarks: a prefix or key that was skipped, another order of classes."""

    @property
    def in_words(self) -> str:
        """Return a line that says what was taken and what was left out."""
        left = (
            f", {len(self.left_out)} left out, such as {self.left_out[0]}" if self.left_out else ""
        )
        taken = f"{self.num_taken} tensors taken" if self.num_taken else "the whole model"
        said = "".join(f"; {remark}" for remark in self.remarks)
        return f"{self.part} from {self.file} ({self.style}): {taken}{left}{said}"


class Environment(Settings):
    """Where and with what a run was made."""

    segdoor: str
    """Version of segdoor."""
    commit: str | None
    """Commit of segdoor's source, with a + if files were changed; null outside a checkout."""
    python: str
    """Version of Python."""
    packages: dict[str, str]
    """Versions of the packages that affect results."""
    device: str
    """Name of the device used for training, or for the tests if nothing was trained."""
    precision: str
    """Arithmetic of the forward passes in training, or in the poisoned tests if nothing was
    trained."""
    threads: int
    """Number of CPU threads."""
