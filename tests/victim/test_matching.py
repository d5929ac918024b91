"""Names in files of weights: prefixes, keys, and what neither side knows."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from segdoor.errors import DataError
from segdoor.victim.semseg import load_weights

State = dict[str, Tensor]


class Net(nn.Module):
    """Two layers and a norm."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        self.head = nn.Conv2d(4, 2, 1)


class Around(nn.Module):
    """Keeps it under a name that training puts before names, or frameworks do."""

    def __init__(self, name: str) -> None:
        super().__init__()
        setattr(self, name, Net())


def drawn() -> State:
    torch.manual_seed(1)
    return {
        name: torch.rand_like(at.float()).to(at.dtype) for name, at in Net().state_dict().items()
    }


def behind(prefix: str, state: State) -> State:
    return {prefix + name: tensor for name, tensor in state.items()}


def is_filled(network: nn.Module, state: State) -> bool:
    return all(torch.equal(network.state_dict()[name], tensor) for name, tensor in state.items())


PREFIXES = (
    "", "module.", "_orig_mod.", "model.", "net.", "network.", "backbone.", "segmentor.net.",
    "module._orig_mod.", "_orig_mod.module.", "model.module._orig_mod.",
)  # fmt: skip


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_prefix_is_found_and_told(prefix: str, tmp_path: Path) -> None:
    network, state = Net(), drawn()
    torch.save(behind(prefix, state), tmp_path / "w.pth")
    loaded = load_weights(network, tmp_path / "w.pth")
    assert is_filled(network, state)
    assert loaded.remarks == ((f"prefix '{prefix}' dropped",) if prefix else ())


@pytest.mark.parametrize("name", ["module", "model", "net", "backbone"])
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "model.net."])
def test_a_network_with_such_an_attribute_reads_its_own(
    name: str, prefix: str, tmp_path: Path
) -> None:
    network, state = Around(name), behind(f"{name}.", drawn())
    torch.save(behind(prefix, state), tmp_path / "w.pth")
    load_weights(network, tmp_path / "w.pth")
    assert is_filled(network, state)


def test_a_prefix_that_the_network_alone_has_is_added(tmp_path: Path) -> None:
    network, state = Around("model"), drawn()
    torch.save(state, tmp_path / "w.pth")
    assert load_weights(network, tmp_path / "w.pth").remarks == ("prefix 'model.' added",)
    assert is_filled(network, behind("model.", state))


def test_layers_that_were_compiled_or_parallel_alone_are_found(tmp_path: Path) -> None:
    network, state = Net(), drawn()
    wrapped = {
        name.replace("encoder.", "model.encoder._orig_mod.module.").replace("head.", "model.head."):
        tensor for name, tensor in state.items()
    }  # fmt: skip
    torch.save(wrapped, tmp_path / "w.pth")
    loaded = load_weights(network, tmp_path / "w.pth")
    assert is_filled(network, state)
    assert loaded.remarks[0].startswith("names such as 'model.encoder._orig_mod.module.0.weight'")


@pytest.mark.parametrize(
    "way",
    ["state_dict", "model", "net", "network", "weights", "model_state", "model_state_dict", "yours",
     "checkpoint.model"],
)  # fmt: skip
def test_a_state_is_found_under_its_key(way: str, tmp_path: Path) -> None:
    network, content = Net(), drawn()
    state: object = content
    for key in reversed(way.split(".")):
        state = {key: state, "epoch": 3, "optimizer": {"state": {0: {"step": torch.ones(1)}}}}
    torch.save(state, tmp_path / "w.pth")
    if way == "checkpoint.model":
        with pytest.raises(DataError, match="keys 'checkpoint, epoch, optimizer'"):
            load_weights(network, tmp_path / "w.pth")
        return
    assert load_weights(network, tmp_path / "w.pth").remarks == (f"weights under '{way}'",)
    assert is_filled(network, content)


def test_of_several_states_none_is_guessed(tmp_path: Path) -> None:
    torch.save({"student": drawn(), "teacher": drawn()}, tmp_path / "w.pth")
    with pytest.raises(DataError, match="'student, teacher' are such"):
        load_weights(Net(), tmp_path / "w.pth")
    torch.save({**behind("net.", drawn()), **behind("ema.", drawn())}, tmp_path / "w.pth")
    with pytest.raises(DataError, match=r"several times: behind 'net\.', 'ema\.'"):
        load_weights(Net(), tmp_path / "w.pth")


def test_what_lies_beside_a_prefix_is_left_out_and_told(tmp_path: Path) -> None:
    network, state = Net(), drawn()
    torch.save({**behind("model.", state), "criterion.weight": torch.ones(2)}, tmp_path / "w.pth")
    assert load_weights(network, tmp_path / "w.pth").left_out == ("criterion.weight",)
    assert is_filled(network, state)


@pytest.mark.parametrize("prefix", ["", "module."])
def test_counters_of_batch_norm_may_be_missing(prefix: str, tmp_path: Path) -> None:
    network, state = Net(), drawn()
    del state["encoder.1.num_batches_tracked"]
    torch.save(behind(prefix, state), tmp_path / "w.pth")
    loaded = load_weights(network, tmp_path / "w.pth")
    assert (loaded.num_taken, loaded.num_counters_missing) == (len(state), 1)
    assert is_filled(network, state)


def test_what_is_missing_is_told_behind_the_prefix(tmp_path: Path) -> None:
    state = drawn()
    del state["head.bias"]
    torch.save(behind("module.", state), tmp_path / "w.pth")
    with pytest.raises(DataError, match=r"1 missing \(head.bias\), 0 unknown.*'module\.'"):
        load_weights(Net(), tmp_path / "w.pth")


def test_names_of_both_sides_are_told_where_none_fits(tmp_path: Path) -> None:
    torch.save({"features.weight": torch.ones(2)}, tmp_path / "w.pth")
    with pytest.raises(DataError) as why:
        load_weights(Net(), tmp_path / "w.pth")
    assert "the network's are as encoder.0.bias" in why.value.remedy
    assert "the file's as features.weight" in why.value.remedy


@pytest.mark.parametrize("name", [".".join("a" * 9000), "." * 9000, "", ".weight"])
def test_any_name_is_refused_quickly(name: str, tmp_path: Path) -> None:
    torch.save({name: torch.ones(2)}, tmp_path / "w.pth")
    with pytest.raises(DataError, match="this very network"):
        load_weights(Net(), tmp_path / "w.pth")
