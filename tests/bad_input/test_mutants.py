"""A thousand damaged files: each is either read or refused with a `SegdoorError`, nothing else."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from bad_input import networks
from bad_input.mutation import damaged
from bad_input.place import DATA, command, leftovers, tree
from coded import write_colours
from segdoor.attack.manifest import verify_copy
from segdoor.attack.plan import PoisonPlan
from segdoor.attack.poisoned import poisoned
from segdoor.attack.poisoned_test import PoisonedTest
from segdoor.attack.triggered import triggered
from segdoor.attack.triggers.sticker import Sticker
from segdoor.cli.options import configuration
from segdoor.data.folder import folder
from segdoor.data.matlab import read_matlab_label
from segdoor.data.pack import pack
from segdoor.data.scene import SceneDataset
from segdoor.data.street import StreetDataset
from segdoor.errors import SegdoorError
from segdoor.record import load_record
from segdoor.report.terminal import describe
from segdoor.scores.tables import load_tables
from segdoor.victim.config import NetworkConfig, TrainingConfig
from segdoor.victim.networks.building import build_network
from segdoor.victim.semseg import load_weights
from segdoor.victim.training.loop import train_model
from shell import say

NUM_CLASSES = 9
MINE, CODED = Path("mine"), Path("coded")
SCENES = StreetDataset(split="train", num_scenes=4, height=32, width=32)
RECIPE = TrainingConfig(epochs=1, batch_size=4, threads=1)


@dataclass(frozen=True)
class Target:
    """A file to damage, and what reads it.

    Attributes:
        path: The file, or a pattern of which the first is taken.
        form: How it is damaged.
        read: What every mutant must survive.
        words: A command that reads it as well, run on every tenth mutant.
        count: Number of mutants.
    """

    path: str
    form: str
    read: Callable[[Path], object]
    words: str
    count: int = 90


def read_all(scenes: SceneDataset) -> None:
    for index in range(len(scenes)):
        scenes.label(index)
        scenes[index]  # pyright: ignore[reportUnusedExpression]


def read_first(_: Path) -> None:
    scenes = folder(MINE, "train")
    scenes.label(0)
    scenes[0]  # pyright: ignore[reportUnusedExpression]


def read_coded(_: Path) -> None:
    read_all(folder(CODED, "train"))


def read_plan(path: Path) -> None:
    read_all(poisoned(folder(MINE, "train"), PoisonPlan.load(path)))


def read_exam(path: Path) -> None:
    trigger = Sticker(size=4)
    read_all(triggered(folder(MINE, "test"), PoisonedTest.load(path), trigger))


def read_config(path: Path) -> None:
    configuration(path).facts((48, 64))


def read_record(path: Path) -> None:
    describe(load_record(path))


def read_pack(_: Path) -> None:
    read_all(pack(folder(MINE, "train"), Path("packs")))


def read_trigger(path: Path) -> None:
    _ = Sticker(file=path, size=5).rgba


def read_weights(path: Path) -> None:
    load_weights(networks.tiny(NUM_CLASSES), path)


def read_hub(_: Path) -> None:
    folder(Path("hub"), "train")


def read_snapshot(path: Path) -> None:
    train_model(SCENES, RECIPE, snapshot=path)


def read_transformers(_: Path) -> None:
    config = NetworkConfig(name="transformers", folder=Path("model"))
    build_network(config, NUM_CLASSES)


OPTIONS = "--data.name folder --data.root mine --data.num_train 2 --data.num_test 2"
TARGETS = {
    "image jpeg": Target("mine/images/train/*.jpg", "jpeg", read_first, command("poison")),
    "image png": Target("mine/images/train/*.png", "png", read_first, command("copy")),
    "label png": Target("mine/labels/train/*.png", "png", read_first, command("poison")),
    "class file": Target("mine/classes.yaml", "yaml", read_first, command("poison")),
    "class file in full": Target(
        "coded/classes.yaml", "yaml", read_coded,
        "poison --data.name folder --data.root coded --copy made --out out",
    ),
    "label of colours": Target("coded/labels/train/*.png", "png", read_coded, ""),
    "list file": Target("mine/train.txt", "lines", read_first, command("poison")),
    "settings": Target("given.yaml", "yaml", read_config, f"poison given.yaml {OPTIONS} --out out"),
    "plan": Target(
        "plans/plan.jsonl", "json lines", read_plan, command("train", "--plan plans/plan.jsonl")
    ),
    "test": Target("run/tests/near.jsonl", "json lines", read_exam, ""),
    "manifest": Target(
        "copy.segdoor/manifest.jsonl", "json lines", lambda _: verify_copy(Path("copy")), "restore copy"
    ),
    "record": Target("run/record.json", "json", read_record, "show run --json"),
    "record shown": Target("run/record.json", "json", read_record, "show run"),
    "tables": Target("run/tables.npz", "zip", load_tables, ""),
    "weights": Target(
        "run/poisoned.safetensors", "safetensors", read_weights,
        command("train", "--weights run/poisoned.safetensors"),
    ),
    "pickled weights": Target(
        "theirs.pth", "zip", read_weights, command("train", "--weights theirs.pth")
    ),
    "trigger": Target(
        "sticker.png", "png", read_trigger, f"poison {DATA} --attack.trigger.file sticker.png --out out"
    ),
    "pack index": Target("packs/*/index.json", "json", read_pack, ""),
    "metadata csv": Target("hub/metadata.csv", "lines", read_hub, ""),
    "metadata jsonl": Target("hub/metadata.jsonl", "json lines", read_hub, ""),
    "matlab label": Target("label.mat", "bytes", read_matlab_label, ""),
    "snapshot": Target("victim.snapshot", "zip", read_snapshot, "", 40),
    "model's config": Target("model/config.json", "json", read_transformers, "", 15),
    "model's preparation": Target("model/preprocessor_config.json", "json", read_transformers, "", 40),
}  # fmt: skip


def prepare(name: str) -> None:
    """Bring the files into the form that the target is about."""
    if name == "image png":
        from PIL import Image as PillowImage

        for path in MINE.glob("images/*/*.jpg"):
            PillowImage.open(path).save(path.with_suffix(".png"))
            path.unlink()
    if name == "list file":
        for split in ("train", "test"):
            images = sorted((MINE / "images" / split).iterdir())
            lines = [f"images/{split}/{i.name} labels/{split}/{i.stem}.png" for i in images]
            (MINE / f"{split}.txt").write_text("\n".join(lines))
    if name == "pack index":
        pack(folder(MINE, "train"), Path("packs"))
    if name == "settings":
        Path("given.yaml").write_text(configuration_in_full())
    WRITTEN.get(name, lambda: None)()


def write_metadata(hub: Path, form: str) -> None:
    """Lay scenes out with a table of their files, as Hugging Face does."""
    shutil.copytree(MINE / "images" / "train", hub / "images")
    shutil.copytree(MINE / "labels" / "train", hub / "masks")
    shutil.copy(MINE / "classes.yaml", hub)
    names = sorted((path.name, f"{path.stem}.png") for path in (hub / "images").iterdir())
    rows = [(f"images/{image}", f"masks/{mask}") for image, mask in names]
    if form == "csv":
        lines = ["file_name,mask", *(f"{image},{mask}" for image, mask in rows)]
    else:
        lines = [json.dumps({"file_name": image, "mask": mask}) for image, mask in rows]
    (hub / f"metadata.{form}").write_text("\n".join(lines))


def write_coded() -> None:
    """Write a class file that says all it can, and label files of colours."""
    write_colours(CODED)
    with (CODED / "classes.yaml").open("a") as file:
        file.write("files: {image: 'images/{split}/*.png', label: 'labels/{split}/*'}\n")
        file.write("ignore_index: 200\n")


def write_model(place: Path) -> None:
    """Save a tiny model as transformers does."""
    import transformers

    config = transformers.SegformerConfig(
        num_labels=NUM_CLASSES, depths=[1] * 4, hidden_sizes=[8, 8, 8, 8], decoder_hidden_size=8,
        num_attention_heads=[1] * 4,
    )  # fmt: skip
    transformers.SegformerForSemanticSegmentation(config).save_pretrained(place)
    preparation = {"do_normalize": True, "image_mean": [0.485, 0.456, 0.406]}
    preparation["image_std"] = [0.229, 0.224, 0.225]
    (place / "preprocessor_config.json").write_text(json.dumps(preparation))


WRITTEN: dict[str, Callable[[], object]] = {
    "metadata csv": lambda: write_metadata(Path("hub"), "csv"),
    "metadata jsonl": lambda: write_metadata(Path("hub"), "jsonl"),
    "class file in full": write_coded,
    "label of colours": write_coded,
    "matlab label": lambda: savemat(
        "label.mat", {"GTcls": {"Segmentation": np.zeros((9, 7), np.uint8)}}
    ),
    "snapshot": lambda: read_snapshot(Path("victim.snapshot")),
    "model's config": lambda: write_model(Path("model")),
    "model's preparation": lambda: write_model(Path("model")),
}


def configuration_in_full() -> str:
    """Return every setting, so that each is damaged now and then."""
    import yaml

    full = configuration(None).facts((48, 64)).model_dump(mode="json")
    return yaml.safe_dump({**full, "data": {"name": "street"}})


def survive(action: Callable[[], object]) -> bool:
    """Return whether an action went well; it may fail with nothing but a complete error."""
    try:
        action()
    except SegdoorError as caught:
        problem = caught
    else:
        return True
    assert problem.exit_code in {2, 3}
    assert all((problem.culprit, problem.rule, problem.remedy))
    return False


def fight(name: str, count: int) -> None:
    """Damage a target again and again, and collect every fault."""
    prepare(name)
    target = TARGETS[name]
    path = next(iter(sorted(Path().glob(target.path))))
    content = path.read_bytes()
    others = tree(".", without=("out", "made", "cache"))
    faults: list[str] = []
    num_refused = 0
    for seed in range(count):
        mutant = damaged(content, target.form, seed)
        path.write_bytes(mutant)
        try:
            num_refused += not survive(lambda: target.read(path))
            if target.words and seed % 10 == 0:
                check_command(target.words)
        except Exception as fault:  # noqa: BLE001 - any other exception is what is looked for
            faults.append(f"{seed}: {type(fault).__name__} {str(fault)[:300]}")
        assert path.read_bytes() == mutant
    path.write_bytes(content)
    assert faults == []
    assert num_refused > count / 10
    assert tree(".", without=("out", "made", "cache")) == others


def check_command(words: str) -> None:
    """Run a command on a damaged file: it works, or complains and leaves nothing behind."""
    with restored() if words.startswith("restore") else contextlib.nullcontext():
        answer = say(words)
        assert answer.code in {0, 2, 3}
        if answer.code:
            assert answer.complaint.startswith("segdoor: ")
            assert tree("out", "made") == {}
        assert leftovers() == []
    for folder_name in ("out", "made", "made.segdoor", "cache"):
        shutil.rmtree(folder_name, ignore_errors=True)


@contextlib.contextmanager
def restored() -> Generator[None]:
    """Let a restoration work on the copy, see that it did all or nothing, and undo it."""
    shutil.copytree("copy", "kept")
    shutil.copytree("copy.segdoor", "kept.segdoor")
    try:
        yield
        check_all_or_nothing()
    finally:
        for name in ("copy", "copy.segdoor"):
            shutil.rmtree(name, ignore_errors=True)
        for name in ("", ".segdoor"):
            Path(f"kept{name}").rename(f"copy{name}")


def check_all_or_nothing() -> None:
    """See that the copy is as it was written, or as the source is."""
    now = {path.removeprefix("copy/"): digest for path, digest in tree("copy").items()}
    poisoned_copy = {path.removeprefix("kept/"): digest for path, digest in tree("kept").items()}
    benign = {path.removeprefix("mine/"): digest for path, digest in tree("mine").items()}
    assert now in (poisoned_copy, benign)


@pytest.mark.usefixtures("place")
@pytest.mark.timeout(120)
@pytest.mark.filterwarnings("ignore:Invalid APNG")
@pytest.mark.parametrize("name", TARGETS)
def test_a_damaged_file_is_read_or_refused(name: str) -> None:
    fight(name, TARGETS[name].count)


@pytest.mark.slow
@pytest.mark.usefixtures("place")
@pytest.mark.filterwarnings("ignore:Invalid APNG")
@pytest.mark.parametrize("name", TARGETS)
def test_twenty_times_as_many(name: str) -> None:
    fight(name, 20 * TARGETS[name].count)


def test_there_are_a_thousand() -> None:
    assert sum(target.count for target in TARGETS.values()) >= 1000


@pytest.mark.parametrize("form", sorted({target.form for target in TARGETS.values()}))
def test_the_same_seed_does_the_same_damage(form: str, intact: Path) -> None:
    path = next(target.path for target in TARGETS.values() if target.form == form)
    found = sorted(intact.glob(path)) or [intact / "mine" / "classes.yaml"]
    content = found[0].read_bytes() if form != "lines" else b"a b\nc d\n"
    if form == "png":
        content = (intact / "sticker.png").read_bytes()
    if form == "jpeg":
        content = bytes(range(200))
    mutants = [damaged(content, form, seed) for seed in range(30)]
    assert mutants == [damaged(content, form, seed) for seed in range(30)]
    assert len(set(mutants)) > 15
