"""Small files that claim to be huge: refused within little memory and time."""

from __future__ import annotations

import json
import os
import resource
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from bad_input.mutation import LAUGHS
from bad_input.place import command, tree

SOURCE = Path(__file__).parents[2] / "src"
GIB = 1024**3


def jpeg(path: Path) -> None:
    """Claim 65000 x 65000 pixels in a JPEG file's frame header."""
    content = path.read_bytes()
    start = content.index(b"\xff\xc0") + 5
    path.write_bytes(content[:start] + struct.pack(">HH", 65000, 65000) + content[start + 4 :])


def gif(path: Path) -> None:
    screen = struct.pack("<HHBBB", 65000, 65000, 0x80, 0, 0)
    frame = b"," + struct.pack("<HHHHB", 0, 0, 65000, 65000, 0) + b"\x02\x02\x4c\x01\x00;"
    path.write_bytes(b"GIF89a" + screen + bytes(6) + frame)


def tiff(path: Path) -> None:
    def entry(tag: int, value: int, count: int = 1) -> bytes:
        return struct.pack("<HHII", tag, 4, count, value)

    sizes = {256: 2**31 - 1, 257: 2**31 - 1, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: 2**31 - 1}
    entries = [entry(tag, value) for tag, value in sizes.items()] + [entry(279, 2**31, 2**28)]
    path.write_bytes(
        struct.pack("<2sHI", b"II", 42, 8)
        + struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)
    )  # fmt: skip


def postscript(path: Path) -> None:
    path.write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 48\n(owned) (w) file\n")


def header(content: dict[str, object], claimed: int | None = None) -> Callable[[Path], object]:
    text = json.dumps(content).encode()
    size = struct.pack("<Q", len(text) if claimed is None else claimed)
    return lambda path: path.write_bytes(size + text)


@dataclass(frozen=True)
class Claim:
    """A file that claims too much, the command that meets it, and what must be said."""

    path: str
    write: Callable[[Path], object]
    words: str
    said: str
    memory: int = 2 * GIB


POISON = command("poison")
TRAIN = command("train", "--weights theirs.safetensors")
HUGE = {"dtype": "F32", "shape": [2**40, 2**20], "data_offsets": [0, 2**62]}
CLAIMS = {
    "JPEG": Claim("mine/images/train/*.jpg", jpeg, POISON, "may have at most 64000000 pixels"),
    "GIF": Claim("mine/images/train/*.jpg", gif, POISON, "may have at most 64000000 pixels"),
    "TIFF": Claim("mine/labels/train/*.png", tiff, POISON, "mine/labels/train"),
    "PostScript": Claim("mine/images/train/*.jpg", postscript, POISON, "must be an intact picture"),
    "laughing settings": Claim(
        "given.yaml",
        lambda path: path.write_text(f"{LAUGHS}title: *a11\n"),
        "poison given.yaml",
        "its aliases repeat more than 100000 values",
    ),
    "laughing title": Claim(
        "given.yaml",
        lambda path: path.write_text(
            f"{LAUGHS}title: *a11\n".replace("\n", "\n  ", 11).replace("a0:", "data:\n  a0:", 1)
        ),
        "poison given.yaml",
        "its aliases repeat more than 100000 values",
    ),
    "laughing classes": Claim(
        "mine/classes.yaml",
        lambda path: path.write_text(f"{LAUGHS}classes: *a11\n"),
        POISON,
        "its aliases repeat more than 100000 values",
    ),
    "trigger": Claim(
        "given.yaml",
        lambda _: None,
        f"{POISON} --attack.trigger.size 2048",
        "must leave room for the trigger",
    ),
    "scenes": Claim(
        "given.yaml",
        lambda _: None,
        "poison --data.num_train 1000000000000",
        "--data.num_train",
    ),
    "safetensors of one huge tensor": Claim(
        "theirs.safetensors", header({"weight": HUGE}), TRAIN, "an intact file of tensors", 8 * GIB
    ),
    "safetensors of a huge header": Claim(
        "theirs.safetensors", header({}, 2**62), TRAIN, "an intact file of tensors", 8 * GIB
    ),
}


@pytest.mark.timeout(120)
@pytest.mark.skipif(sys.platform != "linux", reason="address space is limited on Linux alone")
@pytest.mark.parametrize("name", CLAIMS)
def test_a_claim_is_refused_within_little_memory(name: str, place: Path) -> None:
    claim = CLAIMS[name]
    claim.write(next(iter(sorted(Path().glob(claim.path))), Path(claim.path)))
    paths = os.pathsep.join(map(str, (SOURCE, Path(__file__).parents[1])))
    done = subprocess.run(
        [sys.executable, "-m", "segdoor", *claim.words.split()],
        check=False, capture_output=True, text=True, timeout=60,
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (claim.memory, claim.memory)),
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert claim.said in done.stderr
    assert len(done.stderr) < 2000
    assert tree("out") == {}
