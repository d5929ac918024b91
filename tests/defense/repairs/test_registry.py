from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segdoor.defense.repairs.finetune import Finetune
from segdoor.defense.repairs.prune import Prune
from segdoor.defense.repairs.registry import REPAIRS
from segdoor.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "repair"),
    [
        ("prune:30", Prune(channels=30)),
        ("prune:0", Prune(channels=0)),
        ("prune:5,layer=a.b,share=0.2", Prune(channels=5, layer="a.b", share=0.2)),
        ("prune:channels=5", Prune(channels=5)),
        ("finetune:0.10", Finetune(share=0.1)),
        ("finetune:1", Finetune(share=1.0)),
        ("finetune:0.01,epochs=3,learning_rate=1e-3", Finetune(share=0.01, epochs=3, learning_rate=1e-3)),
    ],
)  # fmt: skip
def test_a_text_names_a_repair(text: str, repair: object) -> None:
    assert REPAIRS.read(text) == repair


@pytest.mark.parametrize(
    "text", ["prune:30", "prune:5,share=0.2,layer=a.b", "finetune:0.1", "finetune:0.01,epochs=3"]
)
def test_a_repair_is_written_as_it_is_read(text: str) -> None:
    assert str(REPAIRS.read(text)) == text


@given(
    st.floats(0, 1, exclude_min=True),
    st.integers(1, 99),
    st.one_of(st.none(), st.floats(0, 1e3, exclude_min=True)),
)
def test_writing_loses_nothing(share: float, epochs: int, rate: float | None) -> None:
    repair = Finetune(share=share, epochs=epochs, learning_rate=rate)
    assert REPAIRS.read(str(repair)) == repair


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "",
            r"known repair \(found: nothing\). Known: finetune, prune, fine_prune, clp, ft_sam, anp, bnp, rnp, i_bau, nad, region_adversarial, npd",
        ),
        (
            "distill:3",
            r"known repair \(found: distill\). Known: finetune, prune, fine_prune, clp, ft_sam, anp, bnp, rnp, i_bau, nad, region_adversarial, npd",
        ),
        ("prune", "prune:CHANNELS.*Channels to silence"),
        ("prune:", "needs a value after 'prune:'"),
        ("prune:3,", "prune:CHANNELS,"),
        ("prune:3,0.1", "prune:CHANNELS,"),
        ("prune:3,layer=a:b", "in quotes, or in a mapping"),
        ("prune,3", "prune:CHANNELS,"),
        (
            "nowhere:Repair",
            "nowhere:Repair: ModuleNotFoundError.*Known: finetune, prune, fine_prune, clp, ft_sam, anp, bnp, rnp, i_bau, nad, region_adversarial, npd",
        ),
        ("json:loads", "derived from Repair"),
        ("prune:3,channels=4", "each setting once"),
        ("prune:-1", "greater than or equal to 0"),
        ("prune:2.5", "valid integer"),
        ("prune:many", "--with prune:many: channels: input should be a valid integer"),
        ("finetune:0", "greater than 0"),
        ("finetune:1.1", "less than or equal to 1"),
        ("finetune:nan", "must|should|finite"),
        ("finetune:0.1,epochs=0", "epochs: input should be greater than or equal to 1"),
        ("finetune:0.1,epoch=2", "Did you mean 'epochs'"),
        ("finetune:0.1,learning_rate=-1", "greater than 0"),
        ("prune:3,share=2", "less than or equal to 1"),
    ],
)
def test_what_cannot_be_meant_is_refused(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        REPAIRS.read(text)
