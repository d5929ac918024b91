from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from segdoor.errors import DataError
from segdoor.scores.tables import TableSet, load_tables, save_tables


@st.composite
def table_sets(draw: st.DrawFn, prefix: str = "") -> TableSet:
    names = draw(st.lists(st.integers(0, 99), unique=True, max_size=5))
    counts = draw(arrays.arrays(np.int64, (len(names), 3, 3), elements=st.integers(0, 10**12)))
    return TableSet(tuple(f"{prefix}{number}" for number in names), counts)


def some(num_scenes: int = 4) -> TableSet:
    counts = np.random.default_rng(0).integers(0, 50, (num_scenes, 3, 3))
    return TableSet(tuple(f"scene_{k}" for k in range(num_scenes)), counts)


def same(first: TableSet, second: TableSet) -> bool:
    return first.names == second.names and np.array_equal(first.counts, second.counts)


@given(table_sets("a"), table_sets("b"))
def test_shards_merged_equal_one_pass(first: TableSet, second: TableSet) -> None:
    joined = first.joined(second)
    assert set(joined.names) == {*first.names, *second.names}
    assert np.array_equal(joined.total(), first.total() + second.total())
    assert np.array_equal(joined.total(), second.joined(first).total())
    assert same(joined.only(first.names), first)
    assert same(joined.only(second.names), second)


def test_sets_that_share_a_scene_cannot_be_joined() -> None:
    with pytest.raises(DataError, match="scene_0"):
        some().joined(some(1))


@given(table_sets(), st.data())
def test_a_choice_of_scenes_keeps_their_tables_in_order(
    tables: TableSet, data: st.DataObject
) -> None:
    chosen = data.draw(st.sets(st.sampled_from(tables.names))) if tables.names else set()
    part = tables.only(chosen)
    assert list(part.names) == [name for name in tables.names if name in chosen]
    for name, table in zip(part.names, part.counts, strict=True):
        assert np.array_equal(table, tables.counts[tables.names.index(name)])
    assert np.array_equal(tables.total(chosen), part.counts.sum(axis=0))
    assert same(tables.only(None), tables)


def test_no_scene_chosen_is_not_every_scene() -> None:
    assert some().only([]).names == ()
    assert some().total([]).tolist() == np.zeros((3, 3)).tolist()


def test_the_digest_follows_names_and_counts() -> None:
    tables = some()
    renamed = TableSet(("x", *tables.names[1:]), tables.counts)
    counts = tables.counts.copy()
    counts[3, 2, 1] += 1
    assert some().digest == tables.digest
    assert len({tables.digest, renamed.digest, TableSet(tables.names, counts).digest}) == 3


@settings(max_examples=50)
@given(
    st.dictionaries(
        st.sampled_from(["poisoned/near", "clean/far_8_12", "a.counts", "b.names"]), table_sets()
    )
)
def test_saving_and_loading_is_the_identity(
    tmp_path_factory: pytest.TempPathFactory, tables: dict[str, TableSet]
) -> None:
    path = tmp_path_factory.mktemp("tables") / "deep" / "tables.npz"
    save_tables(path, tables)
    loaded = load_tables(path)
    assert list(loaded) == list(tables)
    for name, table in tables.items():
        assert same(loaded[name], table)
        assert loaded[name].counts.dtype == np.int64
        assert loaded[name].digest == table.digest


@pytest.mark.parametrize("name", ["ümläut-猫", "aachen/000019", "with space", "a\u2028b"])
def test_unusual_scene_names_survive(tmp_path: Path, name: str) -> None:
    path = tmp_path / "tables.npz"
    tables = TableSet((name,), np.ones((1, 3, 3), np.int64))
    save_tables(path, {"benign": tables})
    loaded = load_tables(path)["benign"]
    assert same(loaded, tables)
    assert type(loaded.names[0]) is str


class Trap:
    """Unpickling it creates a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.path,))


def test_pickled_content_is_refused_and_never_run(tmp_path: Path) -> None:
    sprung, path = tmp_path / "sprung", tmp_path / "tables.npz"
    trap = np.empty(1, object)
    trap[0] = Trap(sprung)
    np.savez(path, **{"benign.names": trap, "benign.counts": np.zeros((1, 3, 3), np.int64)})
    with pytest.raises(DataError, match=r"tables\.npz.*pickled content"):
        load_tables(path)
    path.write_bytes(pickle.dumps(Trap(sprung)))
    with pytest.raises(DataError, match=r"tables\.npz.*pickled content"):
        load_tables(path)
    assert not sprung.exists()


@pytest.mark.parametrize(
    "content", [b"", b"PK", b"PK\x03\x04 and nonsense", b"plain text", b"\x80\x04"]
)
def test_a_file_that_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "tables.npz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"tables\.npz"):
        load_tables(path)


def test_a_bare_array_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tables.npz"
    with path.open("wb") as file:
        np.save(file, np.zeros((1, 3, 3), np.int64))
    with pytest.raises(DataError, match=r"tables\.npz"):
        load_tables(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere"):
        load_tables(tmp_path / "nowhere.npz")


def test_a_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tables.npz"
    save_tables(path, {"benign": some(20)})
    content = path.read_bytes()
    for length in range(0, len(content), 7):
        path.write_bytes(content[:length])
        with pytest.raises(DataError, match=r"tables\.npz"):
            load_tables(path)


@pytest.mark.parametrize("damaged", ["names", "counts"])
def test_an_array_that_lost_its_first_bytes_is_refused(damaged: str, tmp_path: Path) -> None:
    path, torn = tmp_path / "tables.npz", tmp_path / "torn.npz"
    save_tables(path, {"benign": some(20)})
    with zipfile.ZipFile(path) as whole, zipfile.ZipFile(torn, "w") as part:
        for name in whole.namelist():
            # NumPy takes what does not begin as an array for bytes.
            part.writestr(name, whole.read(name)[1 if damaged in name else 0 :])
    with pytest.raises(DataError, match=r"torn\.npz.*no arrays"):
        load_tables(torn)


def test_a_flipped_byte_is_refused_or_harmless(tmp_path: Path) -> None:
    path = tmp_path / "tables.npz"
    tables = some(20)
    save_tables(path, {"benign": tables})
    content = path.read_bytes()
    for position in range(0, len(content), 5):
        damaged = bytearray(content)
        damaged[position] ^= 0x5A
        path.write_bytes(damaged)
        try:
            loaded = load_tables(path)
        except DataError:
            continue
        if "benign" in loaded:
            assert same(loaded["benign"], tables), f"byte {position}"


def archive(path: Path, **arrays_: np.ndarray) -> Path:
    buffer = io.BytesIO()
    np.savez(buffer, **{key.replace("__", "."): value for key, value in arrays_.items()})
    path.write_bytes(buffer.getvalue())
    return path


@pytest.mark.parametrize(
    ("names", "counts"),
    [
        (["a", "b"], np.zeros((3, 2, 2), np.int64)),
        (["a"], np.zeros((1, 2, 3), np.int64)),
        (["a"], np.zeros((2, 2), np.int64)),
        (["a"], np.full((1, 2, 2), 0.5)),
        (["a"], np.full((1, 2, 2), np.nan)),
        (["a"], np.full((1, 2, 2), -1)),
        (["a", "a"], np.zeros((2, 2, 2), np.int64)),
    ],
    ids=["lengths", "oblong", "flat", "fractions", "nan", "negative", "repeated"],
)
def test_tables_that_cannot_be_are_refused(
    tmp_path: Path, names: list[str], counts: np.ndarray
) -> None:
    path = archive(tmp_path / "tables.npz", x__names=np.array(names), x__counts=counts)
    with pytest.raises(DataError, match=r"tables\.npz"):
        load_tables(path)


def test_names_without_counts_are_refused(tmp_path: Path) -> None:
    path = archive(tmp_path / "tables.npz", x__names=np.array(["a"]))
    with pytest.raises(DataError, match=r"tables\.npz"):
        load_tables(path)


def test_the_file_holds_plain_arrays_alone(tmp_path: Path) -> None:
    path = tmp_path / "tables.npz"
    save_tables(path, {"benign": some()})
    with zipfile.ZipFile(path) as content:
        assert sorted(content.namelist()) == ["benign.counts.npy", "benign.names.npy"]
