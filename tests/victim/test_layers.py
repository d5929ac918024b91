"""The pieces of the heads."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from segdoor.victim.networks.layers import ConvBnRelu, upsampled, upsampled_logits


def test_conv_bn_relu_keeps_height_and_width_and_is_never_negative() -> None:
    block = ConvBnRelu(2, 5, kernel=3, dilation=4)
    maps = block(torch.randn(2, 2, 7, 6))
    assert maps.shape == (2, 5, 7, 6)
    assert maps.min() == 0


def test_conv_bn_relu_is_three_named_layers_without_a_redundant_bias() -> None:
    block = ConvBnRelu(2, 5)
    assert [(name, type(layer)) for name, layer in block.named_children()] == [
        ("conv", nn.Conv2d),
        ("norm", nn.BatchNorm2d),
        ("relu", nn.ReLU),
    ]
    assert {name for name, _ in block.named_parameters()} == {
        "conv.weight",
        "norm.weight",
        "norm.bias",
    }
    assert block.out_channels == 5


def test_upsampling_lets_the_corners_meet() -> None:
    maps = torch.tensor([[[[0.0, 3.0]]]])
    # With align_corners=False the answer would be 0, 0.25, ... and 0, 0.75, 2.25, 3 for size 4.
    torch.testing.assert_close(
        upsampled(maps, (1, 4)), torch.tensor([[[[0.0, 1.0, 2.0, 3.0]]]]), rtol=0, atol=1e-6
    )


def test_upsampling_spreads_a_single_cell_and_keeps_the_number_format() -> None:
    spread = upsampled(torch.full((1, 1, 1, 1), 2.0, dtype=torch.bfloat16), (3, 5))
    assert spread.dtype == torch.bfloat16
    assert spread.shape == (1, 1, 3, 5)
    assert bool((spread == 2).all())


@pytest.mark.parametrize(
    ("cells", "pixels"),
    [((14, 20), (112, 160)), ((1, 1), (3, 5)), ((1, 4), (1, 9)), ((5, 3), (5, 3)), ((7, 6), (3, 2)),
     ((4, 4), (1, 1))],
)  # fmt: skip
@pytest.mark.parametrize("channels_last", [False, True])
def test_matrix_products_upsample_logits_as_torch_does(
    cells: tuple[int, int], pixels: tuple[int, int], *, channels_last: bool
) -> None:
    logits = torch.randn(2, 3, *cells, dtype=torch.float64)
    if channels_last:
        logits = logits.contiguous(memory_format=torch.channels_last)
    ours, theirs = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    told, wanted = upsampled_logits(ours, pixels), upsampled(theirs, pixels)
    torch.testing.assert_close(told, wanted, rtol=0, atol=1e-12)
    weights = torch.randn_like(wanted)
    (told * weights).sum().backward()
    (wanted * weights).sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=0, atol=1e-10)


def test_upsampled_logits_stay_in_single_precision_under_autocast_and_after_inference() -> None:
    logits = torch.randn(1, 2, 11, 13)
    with torch.inference_mode():
        upsampled_logits(logits, (88, 104))
    logits.requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        told = upsampled_logits(logits, (88, 104))
    assert told.dtype == torch.float32
    torch.testing.assert_close(told, upsampled(logits, (88, 104)), rtol=0, atol=1e-5)
    told.sum().backward()
    assert logits.grad is not None
