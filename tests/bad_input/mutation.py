"""Damage to files, drawn from a seed: bytes of any file, and values within files of known form."""

from __future__ import annotations

import copy
import io
import json
import random
import struct
import zipfile
import zlib
from collections.abc import Callable

import yaml

Damage = Callable[[bytes, random.Random], bytes]

STRANGE = (
    None, True, False, 0, 1, -1, 255, 256, 2**31, 2**63, 2**64, 10**30, 0.5, -0.0, 1e-320, 1e300,
    float("nan"), float("inf"), -float("inf"), "", "a", "car", "../x", "/", "NaN", "\x00", "\ud800",
    "\u202e", "\U0001d51e" * 3, "x" * 5000, "%s{}[/b]", [], {}, [[]], [0], [1, 2], [-1, -1], {"a": 1},
    {"": []}, "2026-11-01", "\n", "class:", "class:car", [0, 0, 4, 4], [None] * 4,
)  # fmt: skip


def damaged(content: bytes, form: str, seed: int) -> bytes:
    """Return a damaged copy of a file's content; the same for the same seed."""
    rng = random.Random(f"{form} {seed}")  # noqa: S311 - repeatable, not secret
    within = FORMS.get(form)
    if within is None or rng.random() < 0.4:
        for _ in range(rng.choice((1, 1, 1, 2, 8))):
            content = rng.choice(BLIND)(content, rng)
        return content
    return within(content, rng)


def _flip(content: bytes, rng: random.Random) -> bytes:
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 4, 32)) if data else 0):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(data)


def _cut(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.randrange(len(content) + 1)]


def _block(content: bytes, rng: random.Random) -> tuple[int, int]:
    start = rng.randrange(len(content) + 1)
    return start, min(len(content), start + rng.choice((1, 2, 7, 64, 1000)))


def _delete(content: bytes, rng: random.Random) -> bytes:
    start, stop = _block(content, rng)
    return content[:start] + content[stop:]


def _repeat(content: bytes, rng: random.Random) -> bytes:
    start, stop = _block(content, rng)
    return content[:stop] + content[start:stop] * rng.choice((1, 1, 50)) + content[stop:]


def _insert(content: bytes, rng: random.Random) -> bytes:
    start, stop = _block(content, rng)
    return content[:start] + rng.randbytes(stop - start) + content[start:]


def _zero(content: bytes, rng: random.Random) -> bytes:
    start, stop = _block(content, rng)
    return content[:start] + bytes(stop - start) + content[stop:]


def _swap(content: bytes, rng: random.Random) -> bytes:
    start, middle = sorted(rng.randrange(len(content) + 1) for _ in range(2))
    return content[middle:] + content[start:middle] + content[:start]


BLIND: tuple[Damage, ...] = (_flip, _flip, _cut, _delete, _repeat, _insert, _zero, _swap)


def changed(value: object, rng: random.Random) -> object:
    """Return a document with one value, key or element of it changed."""
    document = [copy.deepcopy(value)]
    places = list(_places(document))
    holder, key = rng.choice(places)
    _change(holder, key, rng)
    return document[0] if document else None


def _places(holder: object) -> list[tuple[list[object] | dict[str, object], object]]:
    keys = list(holder) if isinstance(holder, dict) else range(len(holder))
    found: list[tuple[list[object] | dict[str, object], object]] = []
    for key in keys:
        found.append((holder, key))
        if isinstance(holder[key], (list, dict)):
            found += _places(holder[key])
    return found


def _change(holder: list[object] | dict[str, object], key: object, rng: random.Random) -> None:
    old = holder[key]
    match rng.choice(
        ("strange", "strange", "strange", "delete", "nest", "number", "rename", "more")
    ):
        case "delete":
            del holder[key]
        case "nest":
            for _ in range(rng.choice((1, 3, 200))):
                holder[key] = [holder[key]] if rng.random() < 0.5 else {"a": holder[key]}
        case "number" if isinstance(old, (int, float)):
            holder[key] = rng.choice((old + 1, old - 1, -old, old * 10**9, float(old), str(old)))
        case "rename" if isinstance(holder, dict):
            holder[rng.choice((f"{key}s", str(key)[1:], "é", str(key).upper()))] = holder.pop(key)
        case "more" if isinstance(holder, list):
            holder.extend([old] * rng.choice((1, 1, 300)))
        case "more" if isinstance(old, list):
            holder[key] = old * 3
        case _:
            holder[key] = copy.deepcopy(rng.choice(STRANGE))


def _twice(text: str, rng: random.Random) -> str:
    """Give an object one of its keys twice now and then, which only text can express."""
    if rng.random() > 0.1 or '": ' not in text:
        return text
    return text.replace("{", '{"name": 3, "kind": [], ', 1)


def _json(content: bytes, rng: random.Random) -> bytes:
    return _twice(json.dumps(changed(json.loads(content), rng)), rng).encode()


def _json_lines(content: bytes, rng: random.Random) -> bytes:
    lines = content.decode().splitlines()
    match rng.choice(("one", "one", "one", "one", "order", "twice", "lose")):
        case "one":
            number = rng.randrange(len(lines)) if rng.random() < 0.6 else 0
            lines[number] = _json(lines[number].encode(), rng).decode()
        case "order":
            rng.shuffle(lines)
        case "twice":
            lines.insert(rng.randrange(len(lines)), rng.choice(lines))
        case _:
            del lines[rng.randrange(len(lines))]
    return "".join(f"{line}\n" for line in lines).encode()


LAUGHS = "a0: &a0 [x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
)
"""YAML of a few lines whose value has 9 ** 11 elements."""

_TRICKS = (
    LAUGHS + "title: *a11\n",
    "classes: &c [road, car, *c]\n",
    "title: !!python/object/apply:os.system ['false']\n",
    "? [1, 2]\n: 3\n",
    "1: 2\nnull: 3\n",
    "<<: {seed: 1}\n",
    "--- 1\n--- 2\n",
    "seed: 1_000\nseed: 0x10\n",
    "[" * 3000,
    "{a: " * 3000,
    "seed: " + "9" * 5000 + "\n",
)


def _yaml(content: bytes, rng: random.Random) -> bytes:
    if rng.random() < 0.2:
        return rng.choice(_TRICKS).encode()
    document = changed(yaml.safe_load(content), rng)
    text = yaml.safe_dump(document, allow_unicode=rng.random() < 0.5)
    return text.encode(errors="surrogatepass")


def _lines(content: bytes, rng: random.Random) -> bytes:
    lines = content.decode().splitlines()
    words = lines[rng.randrange(len(lines))].split()
    strange = ("", ".", "..", "/", "a\x00b", "../../etc", "é" * 300, "x" * 5000, "\ufeff", words[0])
    words[rng.randrange(len(words))] = rng.choice(strange)
    lines[rng.randrange(len(lines))] = " ".join(words)
    return "\n".join(lines).encode()


def _png(content: bytes, rng: random.Random) -> bytes:
    """Change a chunk of a PNG file and make its checksum fit again."""
    chunks: list[tuple[bytes, bytes]] = []
    place = 8
    while place < len(content):
        (size,) = struct.unpack(">I", content[place : place + 4])
        chunks.append((content[place + 4 : place + 8], content[place + 8 : place + 8 + size]))
        place += 12 + size
    number = 0 if rng.random() < 0.4 else rng.randrange(len(chunks))
    kind, body = chunks[number]
    if rng.random() < 0.3 and kind == b"IDAT":
        body = zlib.compress(rng.choice(BLIND)(zlib.decompress(body), rng))
    else:
        body = rng.choice(BLIND)(body, rng)
    chunks[number] = rng.choice((kind, kind, kind, b"tRNS", b"PLTE", b"zTXt", b"acTL")), body
    parts = [_png_chunk(kind, body) for kind, body in chunks]
    return content[:8] + b"".join(parts)


def _png_chunk(kind: bytes, body: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(kind + body))
    return struct.pack(">I", len(body)) + kind + body + check


def _safetensors(content: bytes, rng: random.Random) -> bytes:
    (size,) = struct.unpack("<Q", content[:8])
    header = json.dumps(changed(json.loads(content[8 : 8 + size]), rng)).encode()
    claimed = rng.choice((len(header),) * 4 + (0, 2**40, 2**63))
    return struct.pack("<Q", claimed) + header + content[8 + size :]


def _zip(content: bytes, rng: random.Random) -> bytes:
    """Change one member of a zip file, as .pth and .npz files are, and zip it again."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(buffer, "w") as new:
        chosen = rng.choice(old.namelist())
        for name in old.namelist():
            # By its name alone, a member would bear the time of day.
            member, body = zipfile.ZipInfo(name), old.read(name)
            if name != chosen:
                new.writestr(member, body)
            elif rng.random() < 0.9:
                new.writestr(member, rng.choice(BLIND)(body, rng))
    return buffer.getvalue()


FORMS: dict[str, Damage] = {
    "json": _json,
    "json lines": _json_lines,
    "yaml": _yaml,
    "lines": _lines,
    "png": _png,
    "safetensors": _safetensors,
    "zip": _zip,
}
"""Damage within files of a known form; others are damaged blindly alone."""
