"""A place to break things in: real files of every kind, and commands that read them."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image as PillowImage
from safetensors.torch import load_file

from segdoor.data.street import StreetDataset
from shell import Answer, say

HEIGHT, WIDTH = 48, 64
DATA = "--data.name folder --data.root mine --attack.rate 0.25"
NETWORK = "--model bad_input.networks:tiny"
QUICK = "--training.epochs 1 --training.batch_size 4 --training.threads 1 --training.device cpu"
TRAIN_DATA = "--data.name folder --data.root mine"
COMMANDS = {
    "poison": f"poison {DATA} --out out",
    "copy": f"poison {DATA} --out out --copy made",
    "train": f"train {TRAIN_DATA} {NETWORK} {QUICK} --out out",
    "examine": f"examine {DATA} {NETWORK} --weights run/poisoned.safetensors --out out",
    "run": f"run {DATA} {NETWORK} {QUICK} --out out",
    "verify": "verify copy",
    "restore": "restore copy",
    "show": "show run",
}
"""A quick command that works, by what it does; options after it win."""

RESULTS = ("out", "made", "made.segdoor", "cache")


def command(name: str, more: str = "") -> str:
    """Return a command with further options; where both name an option, the further one wins."""
    wins = {word.split("=")[0] for word in more.split() if word.startswith("--")}
    options = [f"--{part}" for part in COMMANDS[name].split(" --")[1:]]
    kept = [part for part in options if part.split()[0] not in wins]
    return " ".join([COMMANDS[name].split(" --")[0], *kept, more])


@dataclass(frozen=True)
class Complaint:
    """The parts that a message must have; the words must occur in their part."""

    culprit: str
    rule: str
    value: str
    remedy: str

    def check(self, answer: Answer, code: int = 2) -> None:
        """Compare with what a command said."""
        message = answer.complaint
        assert answer.code == code, message
        assert message.startswith("segdoor: ")
        culprit, rule, rest = message.partition(self.rule)
        assert rule, f"{self.rule!r} is not in {message!r}"
        assert self.culprit in culprit, message
        assert self.value in rest.partition("(found: ")[2], message
        remedy = rest.partition("). ")[2] if "(found: " in rest else rest.partition(". ")[2]
        assert remedy.strip(), message
        assert self.remedy in remedy, message


def tree(*roots: str, without: tuple[str, ...] = ()) -> dict[str, str]:
    """Return the hash of every file below some folders by its path."""
    found = [path for root in roots for path in Path(root).rglob("*") if path.is_file()]
    paths = [path for path in found if path.name != ".lock"]
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in paths
        if path.parts[0] not in without
    }


def leftovers() -> list[str]:
    """Return temporary files and folders of the program, wherever they are."""
    hidden = [path for path in Path().rglob(".*") if path.name != ".lock"]
    return [str(path) for path in [*hidden, *Path().rglob("unfinished")]]


def build(place: Path) -> None:
    """Fill an empty folder with intact files of every kind the program reads."""
    with contextlib.chdir(place), contextlib.ExitStack():
        _data_set(Path("mine"))
        PillowImage.new("RGBA", (9, 7), (250, 200, 0, 255)).save("sticker.png")
        Path("given.yaml").write_text(
            "seed: 3\ndata: {name: folder, root: mine}\nattack: {rate: 0.25, victims: [car]}\n",
            encoding="utf-8",
        )
        for words in (
            f"poison {DATA} --out plans --copy copy",
            f"run {DATA} {NETWORK} {QUICK} --out run",
        ):
            answer = say(words)
            assert answer.code == 0, answer.err
        torch.save(load_file("run/poisoned.safetensors"), "theirs.pth")
        shutil.rmtree("cache")


def _data_set(root: Path) -> None:
    for split, count in (("train", 8), ("test", 4)):
        street = StreetDataset(split=split, num_scenes=count, height=HEIGHT, width=WIDTH)
        for part in ("images", "labels"):
            (root / part / split).mkdir(parents=True)
        for scene in (street[index] for index in range(count)):
            name = f"{split}_{scene.name}"
            PillowImage.fromarray(scene.image).save(root / f"images/{split}/{name}.jpg")
            PillowImage.fromarray(scene.label).save(root / f"labels/{split}/{name}.png")
    content = {"classes": [*street.classes.names, "unicorn"], "ignore_index": 255}
    (root / "classes.yaml").write_text(json.dumps(content), encoding="utf-8")
