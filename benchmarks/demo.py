"""Row 9: the demonstration, over the forward and backward passes of its two trainings.

Its stages are its own code with its own settings; only the trainings are measured on blocks of
steps, in alternation with as many bare passes, instead of whole.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch
import torch.nn.functional as F

from benchmarks.measure import Row, Work, quartiles, seconds
from segdoor.attack.planning import plan_poison
from segdoor.cli.screen import progress_bars
from segdoor.data.load import load_dataset
from segdoor.data.pack import pack
from segdoor.data.scene import SceneDataset
from segdoor.data.subset import Subset
from segdoor.experiment.config import ExperimentConfig
from segdoor.experiment.demo import demo_config
from segdoor.experiment.examination import scenes_of_tests
from segdoor.experiment.logbook import Logbook
from segdoor.experiment.poisoning import save_plans
from segdoor.experiment.run import Poisoning, Run, examine_and_record
from segdoor.papers.iba.reading import asked
from segdoor.progress import Silent
from segdoor.victim.answer import ask
from segdoor.victim.device import choose_arithmetic
from segdoor.victim.networks.building import build_network
from segdoor.victim.training.loop import train_model

_STEPS, _BLOCKS = 20, 12


class Demonstration:
    """The demonstration's stages, to be timed one by one in this order."""

    def __init__(self, folder: Path) -> None:
        """Choose a folder for everything it writes."""
        self.folder = folder
        self.asked = asked(demo_config(0))
        self.log = Logbook(Silent())

    def draw(self) -> None:
        """Draw and pack the scenes."""
        data = self.asked.data()
        cache = self.folder / "cache"
        self.train: SceneDataset = pack(load_dataset(data, data.train_split), cache)
        self.test: SceneDataset = pack(load_dataset(data, data.test_split), cache)
        self.config: ExperimentConfig = self.asked.facts_for(self.train)

    def plan(self) -> None:
        """Plan poison and poisoned tests, and write them with their preview."""
        self.poison = plan_poison(self.train, self.config.attack, seed=self.config.seed)
        self.scenes = scenes_of_tests(self.test, self.config)
        save_plans(self.folder, self.train, self.poison, self.scenes.tests)

    def examine(self) -> None:
        """Run all tests, and write tables, record and pictures."""
        classes = len(self.train.classes)
        victims = {
            name: build_network(self.config.network, classes).to(  # pyright: ignore[reportCallIssue]
                memory_format=torch.channels_last
            )
            for name in ("poisoned", "clean")
        }
        run = Run(self.asked, self.folder, self.log)
        poisoning = Poisoning(self.train, self.poison, handed=None)
        examine_and_record(run, self.config, self.scenes, victims, poisoning)

    def train_block(self) -> None:
        """Train for some steps as the demonstration does, progress bars and snapshots included."""
        size = self.config.training.batch_size
        scenes = Subset(self.train, range(_STEPS * size))
        recipe = self.config.training.model_copy(update={"epochs": 1})
        with progress_bars() as bars:
            train_model(
                scenes, recipe, network=self.config.network, observer=Logbook(bars),
                snapshot=self.folder / "snapshot",
            )  # fmt: skip
        (self.folder / "snapshot").unlink()

    def bare_block(self) -> Work:
        """Return as many forward and backward passes on a fixed batch."""
        recipe, classes = self.config.training, len(self.train.classes)
        arithmetic = choose_arithmetic("cpu", recipe.precision)
        network = build_network(self.config.network, classes).train()
        network = network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        height, width = self.train.label(0).shape
        images = torch.randn(recipe.batch_size, 3, height, width)
        images = images.contiguous(memory_format=torch.channels_last)
        labels = torch.stack(
            [torch.tensor(self.train.label(index)).long() for index in range(recipe.batch_size)]
        )

        def passes() -> None:
            for _ in range(_STEPS):
                network.zero_grad(set_to_none=True)
                with arithmetic.forward_context():
                    output = ask(network, images, num_classes=classes, size=(height, width))
                F.cross_entropy(output.logits, labels, ignore_index=255).backward()

        return passes


def rows() -> Iterator[Row]:
    """Yield the whole demonstration over its bare passes, and its stages."""
    torch.set_num_threads(2)
    with tempfile.TemporaryDirectory() as folder:
        yield _measured(Demonstration(Path(folder)))


def _measured(demo: Demonstration) -> Row:
    demo.draw()
    recipe = demo.config.training
    steps = 2 * recipe.epochs * (len(demo.train) // recipe.batch_size)
    bare = demo.bare_block()
    bare()
    demo.train_block()
    pairs = [(seconds(demo.train_block), seconds(bare)) for _ in range(_BLOCKS)]
    low, middle, high = quartiles(trained / passed for trained, passed in pairs)
    # Every other stage is compared with the bare passes right before and after it.
    demo_again = Demonstration(demo.folder / "again")
    others: dict[str, float] = {}
    for name, stage in (
        ("start-up", _start),
        ("drawing and packing the scenes", demo_again.draw),
        ("planning and preview", demo_again.plan),
        ("poisoned tests, tables, record, pictures", demo_again.examine),
    ):
        before = seconds(bare)
        taken = seconds(stage)
        others[name] = taken / statistics.mean((before, seconds(bare))) * _STEPS / steps
    rest = sum(others.values())
    parts = {"training": middle, **others}
    note = ", ".join(f"{name} {share:.3f}" for name, share in parts.items())
    return Row(
        "9",
        f"make demo over the forward and backward passes of its {steps} steps",
        middle + rest, low + rest, high + rest, 1.25, "at most", note, parts,
    )  # fmt: skip


def _start() -> None:
    # The first optimiser of a process imports torch's compiler.
    words = (
        "import segdoor.cli.app, segdoor.experiment.run, torch; torch.optim.SGD([torch.ones(1)])"
    )
    command = [sys.executable, "-c", words]
    subprocess.run(command, check=True)  # noqa: S603
