"""Everything that can be wrong with data, settings, triggers, networks and artefacts, by verb."""

from __future__ import annotations

import json
import os
import shutil
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image as PillowImage
from safetensors.torch import load_file, save_file

from bad_input.place import COMMANDS, HEIGHT, RESULTS, WIDTH, Complaint, command, leftovers, tree
from shell import say

Break = Callable[[], object]
ALL = ("poison", "copy", "train", "examine", "run")
ATTACK = ("poison", "copy", "run")
READERS = ("verify", "restore")
KINDS = ("images", "labels")
# What Python makes of "café" as a machine of 1995 wrote it.
NO_TEXT = b"caf\xe9".decode("utf-8", "surrogateescape")


@dataclass(frozen=True)
class Case:
    """How to break something, which verbs meet it, and what they must say."""

    breaks: Break
    verbs: tuple[str, ...]
    says: Complaint
    words: str = ""


def first(kind: str, split: str = "train") -> Path:
    return min(Path("mine", kind, split).iterdir())


def nothing() -> None:
    """Break no file: the command alone is wrong."""


def each(kind: str, change: Callable[[Path], object]) -> Break:
    """Break the first file of a kind in both splits."""

    def breaks() -> None:
        for split in ("train", "test"):
            change(first(kind, split))

    return breaks


def halve(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def save(picture: PillowImage.Image) -> Callable[[Path], object]:
    return lambda path: picture.save(path, "PNG")


def saved_again(kind: str, **options: object) -> Callable[[Path], object]:
    """Save a picture in another format under its name."""

    def change(path: Path) -> None:
        with PillowImage.open(path) as picture:
            picture.load()
        picture.save(path, kind, **options)

    return change


def tagged(orientation: int) -> Callable[[Path], object]:
    exif = PillowImage.Exif()
    exif[0x0112] = orientation
    return saved_again("JPEG", exif=exif)


def deep(path: Path) -> None:
    """Store a picture as PNG of 16 bits a channel."""
    done, content = cv2.imencode(".png", cv2.imread(str(path)).astype(np.uint16) * 257)
    assert done
    path.write_bytes(content.tobytes())


def renamed(path: Path) -> None:
    path.rename(path.with_name(NO_TEXT).with_suffix(path.suffix))


def written_file(name: str) -> Path:
    path = Path(name)
    path.parent.mkdir()
    path.write_text("of no scene")
    return path


def relabelled(value: int) -> Callable[[Path], object]:
    def change(path: Path) -> None:
        label = np.array(PillowImage.open(path))
        label[3, 4] = value
        PillowImage.fromarray(label).save(path)

    return change


def bomb(path: Path) -> None:
    """Write a PNG of a few bytes that claims 2.5 billion pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 0, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(bytes(50_000)))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body + chunk(b"IEND", b""))


def without(part: str) -> Break:
    def breaks() -> None:
        for path in sorted(Path("mine").rglob(part), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()

    return breaks


def listed(*lines: str) -> Break:
    def breaks() -> None:
        for split in ("train", "test"):
            Path(f"mine/{split}.txt").write_text("\n".join(lines), encoding="utf-8")

    return breaks


def written(path: str, content: str | bytes) -> Break:
    data = content.encode() if isinstance(content, str) else content
    return lambda: Path(path).write_bytes(data)


SCENES = {
    "the folder is missing": Case(
        nothing,
        ALL,
        Complaint("data.root", "must be a folder that exists", "elsewhere", "Check the path."),
        "--data.root elsewhere",
    ),
    "the class file is missing": Case(
        without("classes.yaml"),
        ALL,
        Complaint("mine/classes.yaml", "must be a readable YAML", "No such", "'classes: [road"),
    ),
    "the folder is empty": Case(
        without("*/*"),
        ALL,
        Complaint("mine", "must hold at least one scene", "0", "Check root and split."),
    ),
    "pictures are missing": Case(
        without("images/**/*.jpg"),
        ALL,
        Complaint("mine/labels/", "must have a partner of the same name", "none in", "Add the"),
    ),
    "the split is unknown": Case(
        nothing,
        ALL,
        Complaint("mine", "must hold dusk", "none of them", "layouts"),
        "--data.train_split dusk --data.test_split dusk2",
    ),
    "an image has no label": Case(
        each("labels", Path.unlink),
        ALL,
        Complaint("mine/images/", "must have a partner", "none in mine/labels", "Add the missing"),
    ),
    "a label has no image": Case(
        each("images", Path.unlink),
        ALL,
        Complaint("mine/labels/", "must have a partner", "none in mine/images", "Add the missing"),
    ),
    "sizes differ": Case(
        each("labels", save(PillowImage.new("L", (WIDTH + 1, HEIGHT)))),
        ALL,
        Complaint(
            "mine/labels/", "must have the same size", "image 48x64, label 48x65", "Replace the"
        ),
    ),
    "a JPEG is cut off": Case(
        each("images", halve),
        ALL,
        Complaint("mine/images/", "must be an intact picture", "runcated", "Replace the file."),
    ),
    "a PNG is cut off": Case(
        each("labels", halve),
        ALL,
        Complaint("mine/labels/", "must be an intact picture", "truncated", "Replace the file."),
    ),
    "an image is empty": Case(
        each("images", lambda path: path.write_bytes(b"")),
        ALL,
        Complaint("mine/images/", "must be an intact picture", "cannot identify", "Replace the"),
    ),
    "an image is a bomb": Case(
        each("images", bomb),
        ALL,
        Complaint("mine/images/", "at most 64000000 pixels", "2500000000", "Cut or shrink"),
    ),
    "a label is a bomb": Case(
        each("labels", bomb),
        ALL,
        Complaint("mine/labels/", "at most 64000000 pixels", "2500000000", "Cut or shrink"),
    ),
    "an image is large beyond use": Case(
        each("images", save(PillowImage.new("1", (9000, 8000)))),
        ALL,
        Complaint("mine/images/", "at most 64000000 pixels", "9000x8000", "Cut or shrink"),
    ),
    "a label value is no class": Case(
        each("labels", relabelled(77)),
        ALL,
        Complaint("mine/labels/", "label values must be 0 to", "77", "Correct the label map, or"),
    ),
    "a label has 16 bits": Case(
        each("labels", save(PillowImage.new("I;16", (WIDTH, HEIGHT)))),
        ALL,
        Complaint("mine/labels/", "must hold one class id of 8 bits", "I;16", "Convert its"),
    ),
    "a label has colours": Case(
        each("labels", save(PillowImage.new("RGB", (WIDTH, HEIGHT)))),
        ALL,
        Complaint("mine/labels/", "must hold one class id of 8 bits", "mode RGB", "Convert its"),
    ),
    "an image has 16 bits": Case(
        each("images", save(PillowImage.new("I;16", (WIDTH, HEIGHT)))),
        ALL,
        Complaint("mine/images/", "must have 8 bits a channel", "16 bits", "Convert it"),
    ),
    "an image has colours of 16 bits": Case(
        each("images", deep),
        ALL,
        Complaint("mine/images/", "must have 8 bits a channel", "16 bits", "Convert it"),
    ),
    "a label map is a JPEG": Case(
        each("labels", saved_again("JPEG", quality=100)),
        ALL,
        Complaint("mine/labels/", "must be stored without loss", "JPEG", "Export it anew as PNG"),
    ),
    "a label map is a lossy WEBP": Case(
        each("labels", saved_again("WEBP", quality=100)),
        ALL,
        Complaint("mine/labels/", "must be stored without loss", "lossy WEBP", "Export it anew"),
    ),
    "a quarter turn leaves sizes unequal": Case(
        each("images", tagged(6)),
        ALL,
        Complaint(
            "mine/labels/",
            "must have the same size",
            "image 64x48 (turned by its orientation tag 6), label 48x64",
            "take the tag out of a file",
        ),
    ),
    "an orientation that some readers find": Case(
        each("images", saved_again("JPEG", xmp=b'<a tiff:Orientation="6"/>')),
        ALL,
        Complaint("mine/images/", "must stand in EXIF data", "6 in XMP", "exiftool -EXIF:Orient"),
    ),
    "a file's name is no text": Case(
        each("images", renamed),
        ALL,
        Complaint("/caf\\xe9.jpg", "must be valid UTF-8 text", "", "Rename it; 'convmv"),
    ),
    "a file of no scene whose name is no text": Case(
        lambda: renamed(written_file("mine/old/notes.txt")),
        ("copy",),
        Complaint("mine/old/caf\\xe9.txt", "must be valid UTF-8 text", "", "Rename it; 'convmv"),
    ),
    "a folder whose name is no text": Case(
        lambda: renamed(written_file("mine/old/notes.txt").parent),
        ("copy",),
        Complaint("mine/caf\\xe9", "must be valid UTF-8 text", "", "Rename it; 'convmv"),
    ),
    "a class's name is half a character": Case(
        written("mine/classes.yaml", '["ro\\ud800ad", car]'),
        ALL,
        Complaint("mine/classes.yaml", "must be plain YAML", "ro\\ud800ad is no valid", "Correct"),
    ),
    "the command names a folder that is no text": Case(
        nothing,
        (*ALL, *READERS),
        Complaint("caf\\xe9", "must be valid UTF-8 text", "", "Rename the file or folder"),
        f"--data.root {NO_TEXT}",
    ),
    "a list names a missing scene": Case(
        listed("images/train/none.jpg labels/train/none.png"),
        ALL,
        Complaint("mine/images/train/none.jpg: the file", "does not exist", "", "Correct mine/"),
    ),
    "a list leaves the folder": Case(
        listed("../sticker.png ../sticker.png"),
        ALL,
        Complaint(".txt", "must stay inside the data set's", "../sticker.png", "Move the file"),
    ),
    "a list has three columns": Case(
        listed("a b c"),
        ALL,
        Complaint(".txt", "must be two paths: image and label", "a b c", "Separate them"),
    ),
    "a list is empty": Case(
        listed(""), ALL, Complaint("mine", "must hold at least one scene", "0", "Check root")
    ),
    "more scenes than there are": Case(
        nothing,
        ALL,
        Complaint("data.num_t", "must be at most", "99", "Lower it"),
        "--data.num_train 99 --data.num_test 99",
    ),
    "a class file without classes": Case(
        written("mine/classes.yaml", "ignore_index: 3"),
        ALL,
        Complaint("mine/classes.yaml: classes", "must be given", "", "classes: [road, car, sky]"),
    ),
    "a class twice": Case(
        written("mine/classes.yaml", "[road, car, road]"),
        ALL,
        Complaint(
            "mine/classes.yaml: classes",
            "must have distinct names",
            "road, car, road",
            "Rename one",
        ),
    ),
}

SETTINGS = {
    "victims occur nowhere": Case(
        nothing,
        ("poison", "copy", "examine", "run"),
        Complaint("attack.victims", "must occur in at least one", "unicorn", "Choose another"),
        "--attack.victims unicorn",
    ),
    "victim is target": Case(
        nothing,
        ("poison", "copy", "examine", "run"),
        Complaint("attack.target", "must not be a victim class", "car", "Name another class"),
        "--attack.target car --attack.victims car",
    ),
    "an unknown victim": Case(
        nothing,
        ("poison", "copy", "examine", "run"),
        Complaint("attack.victims", "must be a class of the data set", "lorry", "Known: road, "),
        "--attack.victims lorry",
    ),
    "an unknown target": Case(
        nothing,
        ("poison", "copy", "run"),
        Complaint("attack.target", "must be a class of the data set", "lane", "Known: road, "),
        "--attack.target lane",
    ),
    "a rate above 1": Case(
        nothing,
        (*ATTACK, "examine"),
        Complaint("--attack.rate", "less than or equal to 1", "1.5", "from 0 to 1, such as 0.2."),
        "--attack.rate 1.5",
    ),
    "a rate below 0": Case(
        nothing,
        (*ATTACK, "examine"),
        Complaint(
            "--attack.rate", "greater than or equal to 0", "-0.5", "from 0 to 1, such as 0.2."
        ),
        "--attack.rate=-0.5",
    ),
    "no number for a rate": Case(
        nothing,
        ATTACK,
        Complaint("--attack.rate", "finite number", "nan", "from 0 to 1, such as 0.2."),
        "--attack.rate nan",
    ),
    "more scenes than have room": Case(
        nothing,
        ATTACK,
        Complaint(
            "attack.rate",
            "asks for 8 of 8 scenes, but only 7 show a victim and only 5 of these have room",
            "1.0",
            "Lower the rate, or set attack.shortfall",
        ),
        "--attack.rate 1 --attack.trigger.size 20",
    ),
    "a trigger larger than the image": Case(
        nothing,
        (*ATTACK, "examine"),
        Complaint("attack.trigger.size", "must leave room", "100x100", "Use a smaller trigger"),
        "--attack.trigger.size 100",
    ),
    "a trigger of no size": Case(
        nothing,
        (*ATTACK, "examine"),
        Complaint("--attack.trigger.size", "greater than or equal to 1", "0", "such as 16."),
        "--attack.trigger.size 0",
    ),
    "lower above upper": Case(
        nothing,
        ATTACK,
        Complaint(
            "--attack.placement", "lower (20.0) must not exceed upper (10.0)", "", "Give the"
        ),
        "--attack.placement.lower 20 --attack.placement.upper 10",
    ),
    "near band upside down": Case(
        nothing,
        ("examine", "run"),
        Complaint("--tests", "near needs 0 <= lower <= upper", "", "Give the smaller one first."),
        "--tests.near 20 10",
    ),
    "a misspelt key": Case(
        written("given.yaml", "attack: {rat: 0.1}"),
        (*ALL,),
        Complaint(
            "given.yaml: attack.rat", "is not a known setting", "rat", "Known settings here: rate,"
        ),
        "--config given.yaml",
    ),
    "a misspelt key at the top": Case(
        written("given.yaml", "attak: {rate: 0.1}"),
        (*ALL,),
        Complaint("given.yaml: attak", "is not a known setting", "attak", "Did you mean 'attack'"),
        "--config given.yaml",
    ),
}

STICKER = "--attack.trigger.file sticker.png"
TRIGGERS = {
    "the trigger is missing": Case(
        lambda: Path("sticker.png").unlink(),
        (*ATTACK, "examine"),
        Complaint("sticker.png", "the picture does not exist", "", "Check the path."),
        STICKER,
    ),
    "the trigger is a folder": Case(
        nothing,
        (*ATTACK, "examine"),
        Complaint("mine", "the picture does not exist", "", "Check the path."),
        "--attack.trigger.file mine",
    ),
    "the trigger is no picture": Case(
        written("sticker.png", "a smiling face"),
        (*ATTACK, "examine"),
        Complaint("sticker.png", "must be an intact picture", "cannot identify", "Replace the"),
        STICKER,
    ),
    "the trigger is cut off": Case(
        lambda: halve(Path("sticker.png")),
        (*ATTACK, "examine"),
        Complaint("sticker.png", "must be an intact picture", "", "Replace the file."),
        STICKER,
    ),
    "the trigger cannot be seen": Case(
        lambda: PillowImage.new("RGBA", (9, 7), (1, 2, 3, 0)).save("sticker.png"),
        (*ATTACK, "examine"),
        Complaint("attack.trigger", "not wholly transparent", "opacity 1.0", "Raise attack"),
        STICKER,
    ),
    "an opacity that rounds to nothing": Case(
        nothing,
        (*ATTACK, "examine"),
        Complaint("attack.trigger", "not wholly transparent", "opacity 0.001", "Raise attack"),
        "--attack.trigger.opacity 0.001",
    ),
    "the trigger has 16 bits": Case(
        lambda: deep(Path("sticker.png")),
        (*ATTACK, "examine"),
        Complaint("sticker.png", "must have 8 bits a channel", "16 bits", "Convert it"),
        STICKER,
    ),
    "the trigger's orientation is found by some readers": Case(
        lambda: saved_again("WEBP", xmp=b"<tiff:Orientation>8</tiff:Orientation>")(
            Path("sticker.png")
        ),
        (*ATTACK, "examine"),
        Complaint("sticker.png", "must stand in EXIF data", "8 in XMP", "exiftool -EXIF:Orient"),
        STICKER,
    ),
    "the trigger is a bomb": Case(
        lambda: bomb(Path("sticker.png")),
        (*ATTACK, "examine"),
        Complaint("sticker.png", "at most 64000000 pixels", "2500000000", "Cut or shrink"),
        STICKER,
    ),
}


def network(name: str) -> str:
    return f"--model bad_input.networks:{name}"


NETWORKS = {
    "NaN": Case(
        nothing,
        ("train", "run"),
        Complaint("training", "the loss must stay finite", "nan", "Lower training.learning_rate"),
        network("nan"),
    ),
    "NaN in a poisoned test": Case(
        lambda: save_file(
            {f"inner.{k}": v for k, v in load_file("run/poisoned.safetensors").items()},
            "theirs.safetensors",
        ),
        ("examine",),
        Complaint("network", "must return finite logits", "NaN or infinity", "Check its weights."),
        f"{network('nan')} --weights theirs.safetensors",
    ),
    "weights that are NaN": Case(
        lambda: save_file(
            {k: v * torch.nan for k, v in load_file("run/poisoned.safetensors").items()},
            "theirs.safetensors",
        ),
        ("examine",),
        Complaint("theirs.safetensors", "must be finite", "NaN or infinity", "an earlier file"),
        "--weights theirs.safetensors",
    ),
    "infinity": Case(
        nothing,
        ("train", "run"),
        Complaint("training", "the loss must stay finite", "nan", "Lower training.learning_rate"),
        network("infinite"),
    ),
    "a class too many": Case(
        nothing,
        ("train", "run"),
        Complaint("network", "x 9 x H x W: scenes, then classes", "(4, 10, ", "number of classes"),
        network("one_class_more"),
    ),
    "two axes": Case(
        nothing,
        ("train", "run"),
        Complaint("", "scores, batch x classes x height x width", "shape (4, ", "Return scores"),
        network("flat"),
    ),
    "nothing at all": Case(
        nothing,
        ("train", "run"),
        Complaint("network output", "must hold a tensor of logits", "NoneType", "Return a"),
        network("nothing"),
    ),
    "words": Case(
        nothing,
        ("train", "run"),
        Complaint("network output", "must hold a tensor of logits", "'answer'", "Return a"),
        network("words"),
    ),
    "an error of its own": Case(
        nothing,
        ("train", "run"),
        Complaint("network Poor", "must answer images of shape", "my own mistake", "Check its"),
        network("failing"),
    ),
}

STATE = "run/poisoned.safetensors"
WEIGHTS_VERBS = ("train", "examine", "run")


class Planted:
    """What a hostile checkpoint holds: unpickling it would make a folder."""

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, ("owned",)


WEIGHTS = {
    "weights of other shapes": Case(
        nothing,
        WEIGHTS_VERBS,
        Complaint(STATE, "tensor 'weight' must have shape (9, 3, 5, 5)", "(9, 3, 3, 3)", "Use a"),
        f"{network('wider')} --weights {STATE}",
    ),
    "weights of another network": Case(
        nothing,
        WEIGHTS_VERBS,
        Complaint(STATE, "must hold the weights of this very network", "4 missing", "Set the same"),
        f"{network('deeper')} --weights {STATE}",
    ),
    "weights that are missing": Case(
        nothing,
        WEIGHTS_VERBS,
        Complaint("none.pth", "the weights do not exist", "", "Check the path."),
        "--weights none.pth",
    ),
    "weights cut off": Case(
        lambda: halve(Path(STATE)),
        WEIGHTS_VERBS,
        Complaint(STATE, "must be an intact file of tensors", "SafetensorError", "It is damaged"),
        f"--weights {STATE}",
    ),
    "a pickle cut off": Case(
        lambda: halve(Path("theirs.pth")),
        WEIGHTS_VERBS,
        Complaint("theirs.pth", "must be an intact file of tensors", "Error", "It is damaged"),
        "--weights theirs.pth",
    ),
    "a pickle that runs code": Case(
        lambda: torch.save({"weight": Planted()}, "theirs.pth"),
        WEIGHTS_VERBS,
        Complaint("theirs.pth", "anything more can run code", "posix.mkdir", "was not loaded"),
        "--weights theirs.pth",
    ),
    "a whole network in a pickle": Case(
        lambda: torch.save(torch.nn.Conv2d(1, 1, 1), "theirs.pth"),
        WEIGHTS_VERBS,
        Complaint("theirs.pth", "anything more can run code", "Conv2d", "Save the state dict"),
        "--weights theirs.pth",
    ),
    "a pickle without tensors": Case(
        lambda: torch.save({"epoch": 3}, "theirs.pth"),
        WEIGHTS_VERBS,
        Complaint("theirs.pth", "must hold a state dict of tensors", "", "Save model.state_dict"),
        "--weights theirs.pth",
    ),
    "clean weights of another network": Case(
        lambda: save_file({"weight": torch.zeros(2)}, "theirs.safetensors"),
        ("examine", "run"),
        Complaint("theirs.safetensors", "must hold the weights of this very", "1 missing", "Set"),
        "--controls.clean_weights theirs.safetensors",
    ),
}


def edited(path: str, change: Callable[[list[dict[str, object]]], object]) -> Break:
    """Change the rows of a file of JSON lines in place."""

    def breaks() -> None:
        rows = [json.loads(line) for line in Path(path).read_text().splitlines()]
        change(rows)
        Path(path).write_text("".join(f"{json.dumps(row)}\n" for row in rows))

    return breaks


MANIFEST = "copy.segdoor/manifest.jsonl"
PLAN = "plans/plan.jsonl"
MANIFESTS = {
    "a manifest of a newer schema": Case(
        edited(MANIFEST, lambda rows: rows[0].update(schema_version=99)),
        READERS,
        Complaint(MANIFEST, "must have schema version 1 or older", "99", "Update segdoor."),
    ),
    "a manifest that climbs": Case(
        edited(MANIFEST, lambda rows: rows[2].update(name="../given.yaml")),
        READERS,
        Complaint(f"{MANIFEST}: line 3", "must stay inside", "../given.yaml", "Correct"),
    ),
    "a manifest with an absolute path": Case(
        edited(MANIFEST, lambda rows: rows[2].update(name="/etc/hostname")),
        READERS,
        Complaint(f"{MANIFEST}: line 3", "must stay inside", "/etc/hostname", "Correct"),
    ),
    "a manifest with a row twice": Case(
        edited(MANIFEST, lambda rows: rows.append(rows[1])),
        READERS,
        Complaint(MANIFEST, "line 27 must not repeat a name", "classes.yaml", "Restore the file."),
    ),
    "a manifest with a row lost": Case(
        edited(MANIFEST, lambda rows: rows.pop()),
        READERS,
        Complaint(MANIFEST, "must hold the rows its header counts", "24", "Restore the file"),
    ),
    "a manifest cut off": Case(
        lambda: halve(Path(MANIFEST)),
        READERS,
        Complaint(MANIFEST, "must be a JSON object", "", "Restore the file."),
    ),
    "no manifest": Case(
        Path(MANIFEST).unlink,
        READERS,
        Complaint("copy", "must be a poisoned copy", "no such file", "was restored before"),
    ),
    "a plan for a manifest": Case(
        lambda: Path(PLAN).replace(MANIFEST),
        READERS,
        Complaint(f"{MANIFEST}: line 1: kind", "should be", "poison-plan", "Did you mean"),
    ),
    "a copy that was edited": Case(
        written("copy/classes.yaml", "[road]"),
        READERS,
        Complaint("copy", "must be as it was written", "", "."),
    ),
    "an original that is damaged": Case(
        lambda: halve(next(Path("copy.segdoor/originals").rglob("*.png"))),
        ("restore",),
        Complaint(
            "copy.segdoor/originals", "must be the intact original", "damaged", "from the source"
        ),
    ),
}

WITH_PLAN = f"--plan {PLAN}"
PLANS = {
    "a plan of a newer schema": Case(
        edited(PLAN, lambda rows: rows[0].update(schema_version=99)),
        ("train",),
        Complaint(PLAN, "must have schema version 1 or older", "99", "Update segdoor."),
        WITH_PLAN,
    ),
    "a plan with a row twice": Case(
        edited(PLAN, lambda rows: rows.append(rows[1])),
        ("train",),
        Complaint(PLAN, "line 4 must not repeat a name", "train_", "Restore the file."),
        WITH_PLAN,
    ),
    "a plan with half a character": Case(
        edited(PLAN, lambda rows: rows[1].update(name="\ud800")),
        ("train",),
        Complaint(PLAN, "line 2 must be a JSON object", "ud800", "Restore the file."),
        WITH_PLAN,
    ),
    "a plan cut off": Case(
        lambda: halve(Path(PLAN)),
        ("train",),
        Complaint(PLAN, "must be a JSON object", "", "Restore the file."),
        WITH_PLAN,
    ),
    "a plan for other scenes": Case(
        edited(PLAN, lambda rows: rows[0].update(data_digest="00" * 32)),
        ("train",),
        Complaint("poison plan", "must have been made for this very data set", "00", "Plan again"),
        WITH_PLAN,
    ),
    "a plan with another trigger": Case(
        edited(PLAN, lambda rows: rows[0].update(trigger_digest="00" * 32)),
        ("train",),
        Complaint("trigger 'smiley'", "must be the one the plan was made with", "", "Restore the"),
        WITH_PLAN,
    ),
    "a plan that stamps outside": Case(
        edited(PLAN, lambda rows: rows[1].update(box=[47, 63, 5, 5])),
        ("train",),
        Complaint("trigger", "must lie inside the 48x64 image", "rows 47 to", "Plan again"),
        WITH_PLAN,
    ),
    "a plan with a box of another size": Case(
        edited(PLAN, lambda rows: rows[1].update(box=[3, 5, 4, 4])),
        ("train",),
        Complaint("poison plan, scene 'train_", "the trigger's size (5, 5)", "4, 4)", "Plan again"),
        WITH_PLAN,
    ),
}

RECORDS = {
    "no record": Case(
        lambda: Path("run/record.json").unlink(),
        ("show",),
        Complaint("run/record.json", "must be a readable record", "No such", "Name a run's"),
    ),
    "a record cut off": Case(
        lambda: halve(Path("run/record.json")),
        ("show",),
        Complaint("run/record.json", "must be a readable record", "line", "Name a run's"),
    ),
    "a list for a record": Case(
        written("run/record.json", "[1]"),
        ("show",),
        Complaint("run/record.json", "must be a record of segdoor", "list", "Name a run's"),
    ),
    "a newer record": Case(
        written("run/record.json", '{"schema_version": 99}'),
        ("show",),
        Complaint("run/record.json", "schema version 3 or older", "99", "Update segdoor."),
    ),
}
CASES = {**SCENES, **SETTINGS, **TRIGGERS, **NETWORKS, **WEIGHTS, **MANIFESTS, **PLANS, **RECORDS}
MEETINGS = [(name, verb) for name, case in CASES.items() for verb in case.verbs]


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(("name", "verb"), MEETINGS, ids=lambda part: part)
def test_the_complaint_is_clear_and_nothing_is_left(name: str, verb: str) -> None:
    case = CASES[name]
    case.breaks()
    before = tree(".", without=RESULTS)
    case.says.check(say(command(verb, case.words)))
    assert tree(".", without=RESULTS) == before
    assert leftovers() == []
    assert not Path("owned").exists()
    results = [Path(name).name for name in tree("out", "made", "made.segdoor")]
    # A run writes down its plan, whole, before it trains; nothing else may be there.
    early = {"plan.jsonl", "poison.png"} if name in NETWORKS and verb == "run" else set()
    assert {result for result in results if not result.startswith(("near", "far", "any"))} <= early


def poisoned_image() -> Path:
    """Return the image of a scene that the command poisons."""
    assert say(command("poison", "--out first")).code == 0
    row = json.loads(Path("first/plan.jsonl").read_text().splitlines()[1])
    shutil.rmtree("first")
    return Path(f"mine/images/train/{row['name']}.jpg")


def cut_in_its_pixels(path: Path) -> None:
    """Cut off the end of a JPEG file, whose header stays intact."""
    path.write_bytes(path.read_bytes()[:-200])


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("verb", ["poison", "copy"])
@pytest.mark.parametrize("workers", [1, 3])
def test_a_damaged_image_of_a_poisoned_scene_is_named_and_nothing_is_left(
    verb: str, workers: int
) -> None:
    image = poisoned_image()
    cut_in_its_pixels(image)
    answer = say(command(verb, f"--workers {workers}"))
    Complaint(str(image), "must be an intact picture", "runcated", "Replace the").check(answer)
    assert tree("out", "made", "made.segdoor") == {}
    assert leftovers() == []


@pytest.mark.usefixtures("place")
def test_a_copy_is_not_given_up_for_one_that_cannot_be_made() -> None:
    assert say(COMMANDS["copy"]).code == 0
    cut_in_its_pixels(poisoned_image())
    before = tree("out", "made", "made.segdoor")
    assert say(f"{COMMANDS['copy']} --replace").code == 2
    assert tree("out", "made", "made.segdoor") == before
    assert say("verify made").code == 0
    assert leftovers() == []


@pytest.mark.usefixtures("place")
def test_images_of_untouched_scenes_are_left_to_the_verb_that_looks_at_all() -> None:
    touched = poisoned_image()
    other = next(path for path in sorted(touched.parent.iterdir()) if path != touched)
    cut_in_its_pixels(other)
    words = "--attack.rate 0.125"
    assert say(command("copy", words)).code == 0
    assert Path("made/images/train", other.name).samefile(other)
    answer = say("data --data.name folder --data.root mine --out looked")
    assert answer.code == 2
    assert other.name in answer.out


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("number", [0, -1, 257])
def test_no_such_number_of_workers(number: int) -> None:
    Complaint("--workers", "must lie between 1 and 256", str(number), "Leave it out").check(
        say(command("poison", f"--workers={number}"))
    )
    assert tree("out") == {}


@pytest.mark.usefixtures("place")
def test_a_complaint_is_one_line_and_commands_no_terminal() -> None:
    Path("copy/two\nlines\x1b[31m.txt").write_text("added")
    answer = say(COMMANDS["restore"])
    assert answer.code == 2
    assert answer.err.count("\n") == 1
    assert "two\\nlines\\x1b[31m.txt" in answer.err


@pytest.mark.usefixtures("place")
def test_a_pack_of_other_scenes_is_refused() -> None:
    assert say(COMMANDS["train"]).code == 0
    (index,) = Path("cache").glob("*/index.json")
    index.write_text(index.read_text().replace("train_train_00003", "train_train_00099"))
    Complaint(str(index), "must be of this very data set", "", "Delete cache/").check(
        say(command("train", "--out again"))
    )
