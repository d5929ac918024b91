"""Where and with what a run was made."""

from __future__ import annotations

from typing import Literal

from segdoor.settings import Settings


class LoadedWeights(Settings):
    """Weights that a network loaded from a file."""

    part: Literal["network", "backbone"]
    """The loaded part: the whole network, or only its backbone."""
    file: str
    """The file's name; for a model in a folder, the folder's."""
    sha256: str
    """SHA-256 of its bytes."""
    style: str
    """Recognised naming scheme of the tensors."""
    num_taken: int
    """Tensors loaded."""
    num_counters_missing: int
    """Batch norm's counters that the file lacks, as older ones do; they change nothing."""
    left_out: tuple[str, ...]
    """Tensors of the file that the network does not use, such as the classifier of ImageNet."""
    classes: tuple[str, ...] | None = None
    """Names of the classes that the file's logits stand for; null if it does not say."""
    remarks: tuple[str, ...] = ()
    """Further remarks: a prefix or key that was skipped, another order of classes."""

    @property
    def in_words(self) -> str:
        """Return a line that says what was loaded and what was left out."""
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
    """Commit of segdoor's source; null outside a checkout. Ends in + if files were changed."""
    python: str
    """Version of Python."""
    packages: dict[str, str]
    """Versions of the packages that decide results."""
    device: str
    """Name of the device that trained, or examined if nothing was trained."""
    precision: str
    """Arithmetic of the forward passes in training, or in the poisoned tests if nothing was
    trained."""
    threads: int
    """CPU threads."""
