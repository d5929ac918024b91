from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import strategies  # noqa: F401  (loads the Hypothesis profile)
from segdoor.errors import SegdoorError, StorageError
from segdoor.files import write_atomically


@settings(max_examples=40)
@given(st.one_of(st.binary(max_size=200), st.text(max_size=200)))
def test_what_is_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, content: bytes | str
) -> None:
    path = tmp_path_factory.mktemp("files") / "deep" / "er" / "file"
    expected = content.encode() if isinstance(content, str) else content
    for _ in range(2):
        write_atomically(path, content)
        assert path.read_bytes() == expected
        assert [entry.name for entry in path.parent.iterdir()] == ["file"]


def test_an_older_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"x" * 10_000)
    write_atomically(path, b"short")
    assert path.read_bytes() == b"short"


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o000])
def test_permissions_follow_the_umask(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        write_atomically(tmp_path / "file", b"content")
        assert os.umask(mask) == mask
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o666 & ~mask


@pytest.mark.parametrize("call", ["fsync", "fdopen", "replace"])
def test_a_failure_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    # Whether the file is renamed through os or pathlib is the code's own business.
    monkeypatch.setattr(os, call, full)
    if call == "replace":
        monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(StorageError, match="No space left"):
        write_atomically(path, b"new")
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_an_interruption_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, b"new")
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_places_that_cannot_be_written_are_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder" / "inner").mkdir(parents=True)
    for path in (tmp_path / "file" / "below", tmp_path / "folder", tmp_path / ("x" * 300)):
        with pytest.raises(StorageError, match=str(path)[:40]):
            write_atomically(path, b"content")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file", "folder"]


def test_text_that_cannot_be_encoded_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(SegdoorError, match="file"):
        write_atomically(tmp_path / "file", "caf\udce9")
    assert list(tmp_path.iterdir()) == []


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    contents = [bytes([letter]) * 200_000 for letter in b"ab"]
    write_atomically(path, contents[0])
    done = threading.Event()
    seen: list[bytes] = []

    def read() -> None:
        while not done.is_set():
            seen.append(path.read_bytes())

    reader = threading.Thread(target=read)
    reader.start()
    for turn in range(30):
        write_atomically(path, contents[turn % 2])
    done.set()
    reader.join()
    assert seen
    assert all(content in contents for content in seen)
