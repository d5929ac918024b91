from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import nn

from segdoor.errors import DataError
from segdoor.victim.checkpoint import save_weights
from segdoor.victim.networks.small import SmallNetwork
from segdoor.victim.semseg import load_weights
from segdoor.victim.weights_file import read_tensors


def same(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_saving_and_loading_gives_the_same_weights(tmp_path: Path) -> None:
    one, other = SmallNetwork(4, width=8), SmallNetwork(4, width=8)
    assert not same(one, other)
    save_weights(one, tmp_path / "w.safetensors", about="a remark")
    load_weights(other, tmp_path / "w.safetensors")
    assert same(one, other)
    with safe_open(tmp_path / "w.safetensors", "pt") as file:
        assert file.metadata() == {"segdoor": "a remark"}


@pytest.mark.parametrize("wrapper", ["plain", "state_dict", "model", "module."])
def test_state_dicts_are_found_in_their_usual_wrappings(wrapper: str, tmp_path: Path) -> None:
    one, other = SmallNetwork(4, width=8), SmallNetwork(4, width=8)
    state = dict(one.state_dict())
    if wrapper == "module.":
        content: object = {f"module.{name}": tensor for name, tensor in state.items()}
    else:
        content = state if wrapper == "plain" else {wrapper: state, "epoch": 3}
    torch.save(content, tmp_path / "w.pth")
    load_weights(other, tmp_path / "w.pth")
    assert same(one, other)


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, (Path("boom"),))


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_a_pickle_that_runs_code_is_refused_and_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"model": Bomb()}, tmp_path / "w.pth")
    with pytest.raises(DataError, match=r"w\.pth.*tensors and nothing else.*asks for"):
        load_weights(SmallNetwork(4), tmp_path / "w.pth")
    (tmp_path / "raw.pth").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(DataError, match=r"raw\.pth"):
        load_weights(SmallNetwork(4), tmp_path / "raw.pth")
    assert not (tmp_path / "boom").exists()


def test_weights_of_another_network_are_refused_by_name(tmp_path: Path) -> None:
    save_weights(SmallNetwork(4, width=8), tmp_path / "w.safetensors")
    with pytest.raises(DataError, match="shape"):
        load_weights(SmallNetwork(5, width=8), tmp_path / "w.safetensors")
    with pytest.raises(DataError, match="missing"):
        load_weights(torch.nn.Linear(2, 2), tmp_path / "w.safetensors")


def test_a_whole_pickled_network_is_refused_by_what_it_asks_for(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(2, 2), tmp_path / "w.pth")
    with pytest.raises(DataError, match=r"asks for torch\.nn\.modules\.linear\.Linear") as problem:
        load_weights(torch.nn.Linear(2, 2), tmp_path / "w.pth")
    assert "state dict" in problem.value.remedy


def test_numbers_beside_the_weights_are_refused(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(2, 2), 3: torch.zeros(2)}, tmp_path / "w.pth")
    with pytest.raises(DataError, match="state dict of tensors"):
        load_weights(torch.nn.Linear(2, 2), tmp_path / "w.pth")
    torch.save([torch.zeros(2)], tmp_path / "w.pth")
    with pytest.raises(DataError, match="state dict of tensors"):
        load_weights(torch.nn.Linear(2, 2), tmp_path / "w.pth")


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth"])
def test_a_file_cut_short_is_refused(name: str, tmp_path: Path) -> None:
    network = SmallNetwork(4, width=8)
    if name.endswith("pth"):
        torch.save(network.state_dict(), tmp_path / name)
    else:
        save_weights(network, tmp_path / name)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match="damaged"):
        load_weights(network, tmp_path / name)


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth"])
def test_a_huge_file_of_nothing_is_refused_at_once(name: str, tmp_path: Path) -> None:
    with (tmp_path / name).open("wb") as file:
        file.truncate(8 * 10**9)  # sparse: takes no space
    with pytest.raises(DataError, match="damaged"):
        load_weights(SmallNetwork(4, width=8), tmp_path / name)


def test_a_header_that_promises_more_than_there_is_is_refused(tmp_path: Path) -> None:
    header = (
        b'{"weight":{"dtype":"F32","shape":[1000000,1000000],"data_offsets":[0,4000000000000]}}'
    )
    content = len(header).to_bytes(8, "little") + header + bytes(64)
    (tmp_path / "w.safetensors").write_bytes(content)
    with pytest.raises(DataError, match="damaged"):
        load_weights(torch.nn.Linear(2, 2), tmp_path / "w.safetensors")


@pytest.mark.parametrize(
    ("weight", "said"),
    [
        (torch.full((2, 2), float("nan")), "'weight' must be finite"),
        (torch.full((2, 2), float("inf")), "'weight' must be finite"),
        (torch.zeros(2, 2, dtype=torch.int64), "'weight' must hold float32"),
        (torch.zeros(2, 2, dtype=torch.complex64), "'weight' must hold float32"),
    ],
)
def test_weights_that_are_no_numbers_are_refused(
    weight: torch.Tensor, said: str, tmp_path: Path
) -> None:
    torch.save({"weight": weight, "bias": torch.zeros(2)}, tmp_path / "w.pth")
    with pytest.raises(DataError, match=said):
        load_weights(torch.nn.Linear(2, 2), tmp_path / "w.pth")


def test_half_precision_is_taken(tmp_path: Path) -> None:
    state = {"weight": torch.ones(2, 2, dtype=torch.bfloat16), "bias": torch.zeros(2)}
    torch.save(state, tmp_path / "w.pth")
    network = torch.nn.Linear(2, 2)
    load_weights(network, tmp_path / "w.pth")
    assert network.weight.dtype == torch.float32
    assert bool((network.weight == 1).all())


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"\x08" + b"\x00" * 7 + b"{}"])
@pytest.mark.parametrize("name", ["w.safetensors", "w.pth"])
def test_damaged_files_are_refused(content: bytes, name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=name):
        load_weights(SmallNetwork(4), tmp_path / name)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="do not exist"):
        load_weights(SmallNetwork(4), tmp_path / "none.safetensors")


class Tied(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one = torch.nn.Conv2d(3, 4, 1)
        self.other = self.one


def test_tied_weights_are_saved_and_loaded(tmp_path: Path) -> None:
    first, second = Tied(), Tied()
    save_weights(first, tmp_path / "w.safetensors")
    load_weights(second, tmp_path / "w.safetensors")
    assert same(first, second)
    assert second.one is second.other


def test_a_dict_that_holds_itself_is_refused(tmp_path: Path) -> None:
    circle: dict[str, object] = {}
    circle["model"] = circle
    torch.save(circle, tmp_path / "circle.pth")
    with pytest.raises(DataError, match="a state dict of tensors"):
        read_tensors(tmp_path / "circle.pth")


@pytest.mark.parametrize("kind", ["sparse", "meta", "float8"])
def test_tensors_that_are_no_dense_numbers_are_refused(kind: str, tmp_path: Path) -> None:
    network = nn.Conv2d(1, 1, 1)
    weight = {
        "sparse": network.weight.detach().to_sparse(),
        "meta": network.weight.detach().to("meta"),
        "float8": network.weight.detach().to(torch.float8_e4m3fn),
    }[kind]
    torch.save({"weight": weight, "bias": torch.zeros(1)}, tmp_path / "odd.pth")
    with pytest.raises(DataError, match=r"odd\.pth"):
        load_weights(network, tmp_path / "odd.pth")


def test_the_same_weights_are_the_same_bytes(tmp_path: Path) -> None:
    network = nn.Conv2d(3, 2, 1)
    contents: set[bytes] = set()
    for turn in range(8):
        save_weights(
            network, tmp_path / f"{turn}.safetensors", about="ä remark", classes=["a", "b"]
        )
        contents.add((tmp_path / f"{turn}.safetensors").read_bytes())
    assert len(contents) == 1
    again = nn.Conv2d(3, 2, 1)
    load_weights(again, tmp_path / "0.safetensors")
    assert same(network, again)
