"""The small network learns the same whatever the layout of its gradients."""

from __future__ import annotations

import pytest
import torch

from segdoor.victim.answer import logits_of
from segdoor.victim.networks.small import SmallNetwork


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_gradients_are_those_of_the_plain_enlargement(
    layout: torch.memory_format, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gradients() -> list[torch.Tensor]:
        torch.manual_seed(0)
        network = SmallNetwork(5, width=8, dropout=0.0).to(memory_format=layout)
        images = torch.randn(2, 3, 32, 48).contiguous(memory_format=layout)
        labels = torch.randint(5, (2, 32, 48))
        torch.nn.functional.cross_entropy(logits_of(network(images)), labels).backward()
        return [weight.grad for weight in network.parameters()]

    found = gradients()
    monkeypatch.setattr(torch.Tensor, "register_hook", lambda *_: None)
    for one, other in zip(found, gradients(), strict=True):
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-6)
