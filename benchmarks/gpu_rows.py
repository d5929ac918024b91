"""The parts of ``benchmarks.gpu``: each yields rows, held against a bar, and plain figures."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.measure import Row, compared
from benchmarks.peer import PlainScenes, PlainTraining, write_scenes
from benchmarks.place import Kept, Place, Size, street
from segdoor.errors import MachineError
from segdoor.evaluation.config import ExaminationConfig
from segdoor.evaluation.counting import TableCounter
from segdoor.evaluation.examine import examine
from segdoor.progress import Silent
from segdoor.randomness import Stream
from segdoor.victim.answer import ask
from segdoor.victim.config import PRESETS, NetworkConfig, TrainingConfig
from segdoor.victim.device import Arithmetic, choose_arithmetic
from segdoor.victim.networks.building import build_network
from segdoor.victim.training.batches import SceneStore
from segdoor.victim.training.cache import SceneCache
from segdoor.victim.training.loop import Training, train_model, train_models
from segdoor.victim.training.streams import CudaStream
from segdoor.victim.training.trainer import Trainer

Figure = dict[str, object]
Found = Row | Figure

_VICTIMS = 4
# As often as training reads its loss.
_LEAST = 10


class Loop:
    """A training that never ends, and its step on one batch."""

    def __init__(
        self, place: Place, scenes: Kept, network: NetworkConfig, recipe: TrainingConfig
    ) -> None:
        """Build the network, and put a batch on the device."""
        store = SceneStore(scenes, SceneCache(place.device))
        self.model: nn.Module = build_network(network, len(scenes.classes))
        self.trainer = Trainer(store, self.model, recipe, network, Stream(0))
        self.stream = CudaStream(place.device)
        self.steps = self.trainer.steps(Silent(), None)
        with self.stream.turn():
            indices = np.arange(recipe.batch_size)
            self.fixed = self.trainer.batch(indices, np.random.default_rng(0))

    def real(self) -> None:
        """Do one step of the real loop."""
        with self.stream.turn():
            next(self.steps)

    def resident(self) -> None:
        """Do one step on the batch that is there."""
        with self.stream.turn():
            self.trainer.learner(self.fixed)


def _recipe(place: Place, batch_size: int, **settings: object) -> TrainingConfig:
    """Return the paper's recipe, of whole scenes and without end."""
    changes = {"epochs": 1_000_000, "batch_size": batch_size, "device": str(place.device)}
    recipe = PRESETS["cityscapes"]
    crop = {"augmentation": recipe.augmentation.model_copy(update={"crop": None})}
    return recipe.model_copy(update={**changes, **crop, "learning_rate": 1e-3, **settings})


def training(place: Place, name: str) -> Iterator[Found]:
    """Row 5: the loop over its step on a resident batch, and the usual code over the loop."""
    for size in place.sizes:
        for batch_size in place.batch_sizes:
            try:
                yield from list(_training(place, name, size, batch_size))
                break
            except (MachineError, torch.OutOfMemoryError):
                if batch_size == place.batch_sizes[-1]:
                    raise
            finally:
                place.tidy()


def _training(place: Place, name: str, size: Size, batch_size: int) -> Iterator[Found]:
    what = f"{name}, {size[0]}x{size[1]}, batch {batch_size}"
    network = NetworkConfig(name=name, depth=place.depth)
    scenes = street(size, max(place.num_scenes, batch_size))
    loop = Loop(place, scenes, network, _recipe(place, batch_size))
    yield place.compared(
        "5a",
        f"step on a resident batch over the real loop's: {what}",
        (loop.resident, loop.real),
        0.95,
        least=_LEAST,
    )
    with tempfile.TemporaryDirectory() as folder:
        write_scenes(scenes, Path(folder))
        files = PlainScenes(Path(folder), len(scenes), size, loop.trainer.config.augmentation)
        usual = PlainTraining(
            build_network(network, len(scenes.classes)),
            files,
            batch_size,
            device=place.device,
            workers=place.workers,
        )
        yield place.compared(
            "5b",
            f"the usual DataLoader and float32 step over ours: {what}",
            (usual.step, loop.real),
            2.0,
            least=_LEAST,
        )
        del usual
    del loop
    place.tidy()
    least = operations(network, size, batch_size) / matrix_rate(place)
    ways = ("plain", "captured") if place.on_gpu else ("plain",)
    for precision, way in itertools.product(("float32", "bfloat16"), ways):
        recipe = _recipe(place, batch_size, precision=precision, step=way)
        yield _figure(place, what, network, recipe, least, size)
        place.tidy()


def compiled(place: Place) -> Iterator[Found]:
    """The compiled step, last because compiling takes minutes."""
    size, batch_size = place.small[0], place.batch_sizes[-1]
    network = NetworkConfig(name="deeplabv3", depth=place.depth)
    least = operations(network, size, batch_size) / matrix_rate(place)
    what = f"deeplabv3, {size[0]}x{size[1]}, batch {batch_size}"
    for way in ("captured", "compiled") if place.on_gpu else ("plain",):
        recipe = _recipe(place, batch_size, precision="bfloat16", step=way)
        yield _figure(place, what, network, recipe, least, size)


def _figure(
    place: Place,
    what: str,
    network: NetworkConfig,
    recipe: TrainingConfig,
    least: float,
    size: Size,
) -> Figure:
    """Time a step on a resident batch, and compare it with the time of its products alone."""
    loop = Loop(place, street(size, max(place.num_scenes, recipe.batch_size)), network, recipe)
    time = place.median(loop.resident)
    return {
        "step": what,
        "precision": recipe.precision,
        "way": recipe.step,
        "milliseconds": round(1e3 * time, 3),
        "scenes_per_second": round(recipe.batch_size / time, 1),
        "share_of_matrix_rate": round(least / time, 4),
    }


def matrix_rate(place: Place) -> float:
    """Return the rate of multiplying large bfloat16 matrices, in operations a second."""
    side = 8192 if place.on_gpu else 128
    left, right = torch.randn(2, side, side, device=place.device).bfloat16()
    return 2 * side**3 / place.median(lambda: left @ right)


def operations(network: NetworkConfig, size: Size, batch_size: int) -> int:
    """Return the operations of matrix products and convolutions in one step, both ways."""
    model = build_network(network, 19).to("meta").train()
    with FlopCounterMode(display=False) as counter:
        images = torch.empty(batch_size, 3, *size, device="meta")
        output = model(images)
        total = output.logits.sum()
        if output.auxiliary is not None:
            total = total + output.auxiliary.sum()
        total.backward()
    return counter.get_total_flops()


def rates(place: Place) -> Iterator[Found]:
    """What the shares are shares of."""
    yield {"bfloat16_matrix_operations_per_second": matrix_rate(place)}


def tables(place: Place) -> Iterator[Found]:
    """Row 3: counting on the device, and whether anything waits for it."""
    size, num_classes = (512, 1024) if place.on_gpu else place.large, 19
    truth = torch.randint(num_classes, size, device=place.device, dtype=torch.uint8)
    predicted = torch.randint(num_classes, size, device=place.device)
    tally = TableCounter(1, num_classes, place.device)

    def count() -> None:
        tally.add(0, truth, predicted)

    pixels = int(tally.tables().sum())
    assert pixels == 0
    count()
    assert int(tally.tables().sum()) == truth.numel()
    waits = 0.0
    if place.on_gpu:
        torch.cuda.set_sync_debug_mode("error")
        try:
            count()
        except RuntimeError:
            waits = 1.0
        finally:
            torch.cuda.set_sync_debug_mode("default")
    what = "waits for the device while a table is counted, 19 classes"
    yield Row("3d", what, waits, waits, waits, 0.0, "at most")
    copies, counts = place.median(lambda: (truth.clone(), predicted.clone())), place.median(count)
    yield {"copy_of_both_maps_over_count": round(copies / counts, 3), "seconds": counts}


def examination(place: Place) -> Iterator[Found]:
    """Row 6: forward passes alone, over a poisoned test of as many scenes."""
    network = NetworkConfig(name="deeplabv3", depth=place.depth)
    for size in place.sizes[:2]:
        scenes = street(size, place.num_scenes)
        num_classes = len(scenes.classes)
        model = build_network(network, num_classes).eval()
        model = model.to(place.device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        config = ExaminationConfig(batch_size=min(8, place.num_scenes), precision="auto")
        arithmetic = choose_arithmetic(str(place.device), config.precision)
        images = torch.randn(config.batch_size, 3, *size, device=place.device)
        images = images.contiguous(memory_format=torch.channels_last)
        yield place.compared(
            "6c",
            f"forward passes alone over a poisoned test: deeplabv3, {size[0]}x{size[1]}",
            (
                partial(_forward, model, images, arithmetic, num_classes, len(scenes)),
                partial(examine, model, scenes, config),
            ),
            0.95,
        )


def _forward(
    model: nn.Module, images: torch.Tensor, arithmetic: Arithmetic, num_classes: int, count: int
) -> None:
    size = images.shape[2], images.shape[3]
    with torch.inference_mode(), arithmetic.forward_context():
        for _ in range(count // len(images)):
            ask(model, images, num_classes=num_classes, size=size)


def victims(place: Place) -> Iterator[Found]:
    """Row 7: victims trained one after another, over all of them abreast."""
    batch_size = min(8, place.num_scenes)
    config = TrainingConfig(epochs=place.epochs, batch_size=batch_size, device=str(place.device))
    for size in place.small:
        copies = [street(size, place.num_scenes, relabelled) for relabelled in range(_VICTIMS)]
        trainings = [
            Training(dataset=copy, config=config, seed=seed) for seed, copy in enumerate(copies)
        ]
        yield compared(
            "7",
            f"{_VICTIMS} trainings of the small network one after another over abreast: "
            f"{size[0]}x{size[1]}, batch {batch_size}",
            (partial(_in_turn, trainings, place), partial(_abreast, trainings, place)),
            bar=1.5,
            bound="at least",
            repetitions=min(5, place.repetitions),
        )


def _in_turn(trainings: list[Training], place: Place) -> None:
    for training in trainings:
        train_models([training])
    place.wait()


def _abreast(trainings: list[Training], place: Place) -> None:
    train_models(trainings)
    place.wait()


class _Curve(Silent):
    def __init__(self) -> None:
        self.losses: list[float] = []

    def advance(self, **facts: float) -> None:
        if facts:
            self.losses.append(facts["loss"])


def parity(place: Place) -> Iterator[Found]:
    """The same loss curve and the same tables on the device as on the CPU."""
    scenes, network = street((64, 128), 16), NetworkConfig(dropout=0.0)
    ways = ("plain", "captured") if place.on_gpu else ("plain",)
    allowed = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        model, expected = _learned(scenes, network, "cpu", "plain", place)
        for way in ways:
            _, found = _learned(scenes, network, str(place.device), way, place)
            worst = max(abs(a - b) / b for a, b in zip(found, expected, strict=True))
            what = f"largest relative difference of loss curves, CPU and device, {way} steps"
            yield Row("parity", what, worst, worst, worst, 0.02, "at most")
        there = examine(model, scenes, network=network).total()
        here = examine(model.to(place.device), scenes, network=network).total()
        differing = float(np.abs(there - here).sum() / 2 / there.sum())
        what = "share of pixels in other cells of the tables"
        yield Row("parity", what, differing, differing, differing, 1e-3, "at most")
    finally:
        torch.backends.cudnn.allow_tf32 = allowed


def _learned(
    scenes: Kept, network: NetworkConfig, device: str, way: str, place: Place
) -> tuple[nn.Module, list[float]]:
    heard = _Curve()
    config = TrainingConfig(
        epochs=10 if place.on_gpu else 1, batch_size=4, device=device, precision="float32", step=way
    )
    return train_model(scenes, config, network=network, observer=heard), heard.losses


PARTS: dict[str, Callable[[Place], Iterator[Found]]] = {
    "rates": rates,
    "parity": parity,
    "tables": tables,
    "examination": examination,
    "victims": victims,
    "deeplabv3": partial(training, name="deeplabv3"),
    "pspnet": partial(training, name="pspnet"),
    "compiled": compiled,
}
"""What is measured, by name and in order."""
