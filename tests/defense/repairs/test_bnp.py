"""BNP against an integral in NumPy, and on a network that keeps the statistics of its poison."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from defense.cured import CONTEXT, GOOD, OPEN, SCENES, SHUT, cured, state_of
from defense.planted import Planted, planted_network, planted_scenes, stamped, sticker
from segdoor.defense.repairs.batches import CleanBatches
from segdoor.defense.repairs.bnp import Bnp, Moments, difference, fresh_statistics
from segdoor.defense.repairs.norms import batch_norms
from segdoor.victim.config import NetworkConfig
from segdoor.victim.normalisation import normalised


def density(x: np.ndarray, mean: float, variance: float) -> np.ndarray:
    return np.exp(-((x - mean) ** 2) / (2 * variance)) / np.sqrt(2 * np.pi * variance)


def test_the_difference_is_the_divergence_of_two_normal_distributions() -> None:
    norm = nn.BatchNorm2d(3, eps=0.0)
    norm.running_mean = torch.tensor([0.0, 1.0, -0.5])
    norm.running_var = torch.tensor([1.0, 4.0, 0.3])
    clean = Moments(torch.tensor([0.0, 0.2, 0.4]).double(), torch.tensor([1.0, 0.5, 0.9]).double())
    found = difference(norm, clean)
    x = np.linspace(-30, 30, 600_001)
    for channel in range(3):
        kept = density(x, float(norm.running_mean[channel]), float(norm.running_var[channel]))
        fresh = density(x, float(clean.mean[channel]), float(clean.variance[channel]))
        inside = (fresh > 1e-300) & (kept > 1e-300)
        integral = np.sum(fresh[inside] * np.log(fresh[inside] / kept[inside])) * (x[1] - x[0])
        np.testing.assert_allclose(float(found[channel]), integral, atol=1e-6)


def test_fresh_statistics_are_those_of_all_pixels() -> None:
    network = planted_network().eval()
    norms = batch_norms(network)
    found = fresh_statistics(network, norms, CleanBatches(SCENES, CONTEXT, "bnp"))
    # Mirrored or not, a scene has the same colours; a kernel of one pixel sees no neighbour.
    images = torch.cat(
        [normalised(torch.from_numpy(s.image[None]), NetworkConfig()) for s in SCENES.scenes]
    )
    with torch.no_grad():
        pixels = network.look(images).movedim(1, -1).reshape(-1, 7)[:, :6].double().numpy()
    np.testing.assert_allclose(found["look_norm"].mean[:6].numpy(), pixels.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(
        found["look_norm"].variance[:6].numpy(), pixels.var(axis=0), rtol=1e-3
    )


def with_statistics_of_poison(network: Planted) -> Planted:
    """Give batch norms the statistics of scenes with stickers, as a poisoned training leaves them.

    Scale and offset follow, so that the network answers as before.
    """
    images = torch.cat(
        [
            normalised(torch.from_numpy(stamped(s.image, what=sticker())[None]), NetworkConfig())
            for s in planted_scenes(8, seed=99).scenes
        ]
    )
    seen: dict[nn.BatchNorm2d, torch.Tensor] = {}
    norms = [network.look_norm, network.mix_norm]
    hooks = [n.register_forward_pre_hook(lambda m, x: seen.update({m: x[0]})) for n in norms]  # pyright: ignore[reportArgumentType, reportCallIssue]
    with torch.no_grad():
        network(images)
        for norm, maps in seen.items():
            pixels = maps.movedim(1, -1).reshape(-1, maps.shape[1])
            mean, variance = pixels.mean(dim=0), pixels.var(dim=0, unbiased=False)
            norm.running_mean, norm.running_var = mean, variance
            norm.weight.copy_((variance + norm.eps).sqrt())
            norm.bias.copy_(mean)
    for hook in hooks:
        hook.remove()
    return network


def test_it_removes_a_backdoor_whose_statistics_the_network_kept() -> None:
    for leak in (0.0, 0.04):
        network = with_statistics_of_poison(planted_network(leak=leak))
        assert state_of(network).asr > OPEN
        after = state_of(cured(Bnp(), network).model)
        assert (after.asr < SHUT, after.accuracy > GOOD) == (True, True)


def test_without_such_statistics_it_sees_nothing_and_the_twin_stays_good() -> None:
    """The planted network has the statistics of clean scenes: nothing gives its gate away."""
    assert state_of(cured(Bnp(threshold=2.3), planted_network()).model).asr > OPEN
    after = state_of(cured(Bnp(), planted_network(backdoor=False)).model)
    assert after.accuracy > GOOD
