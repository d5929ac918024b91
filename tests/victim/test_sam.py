"""SAM with a prompt for each class, on small random models of transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
import transformers as theirs

from segdoor.errors import ConfigError, DataError
from segdoor.victim.checkpoint import loaded_into
from segdoor.victim.config import NetworkConfig
from segdoor.victim.networks.building import build_network
from segdoor.victim.networks.sam import ENCODERS, Sam, SamPlugin, _fresh

torch.set_num_threads(1)
CLASSES, SIDE = 3, 64


@pytest.fixture(scope="module")
def theirs_saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sam")
    torch.manual_seed(1)
    model: Any = _fresh("tiny", SIDE)
    model.save_pretrained(folder)
    return folder


def test_a_class_has_the_mask_that_sam_gives_for_its_prompt(theirs_saved: Path) -> None:
    network = SamPlugin(folder=theirs_saved).build(CLASSES).eval()
    sam: Any = theirs.SamModel.from_pretrained(theirs_saved).eval()
    images = torch.randn(2, 3, SIDE, SIDE)
    with torch.inference_mode():
        found = network(images).logits
        for number in range(CLASSES):
            embeddings = sam.get_image_embeddings(images)
            dense = sam.prompt_encoder.no_mask_embed.weight.reshape(1, -1, 1, 1)
            masks, *_ = sam.mask_decoder(
                image_embeddings=embeddings,
                image_positional_embeddings=sam.get_image_wide_positional_embeddings().repeat(
                    2, 1, 1, 1
                ),
                sparse_prompt_embeddings=network.prompts[number].expand(2, 1, 1, -1),
                dense_prompt_embeddings=dense.expand(2, -1, *embeddings.shape[-2:]),
                multimask_output=False,
            )
            expected = F.interpolate(masks[:, 0], size=(SIDE, SIDE), mode="bilinear")
            torch.testing.assert_close(found[:, number], expected[:, 0], rtol=1e-4, atol=1e-5)
    loaded = loaded_into(network)
    assert loaded is not None
    assert (loaded.part, loaded.style) == ("backbone", "transformers, SamModel")


def test_a_wide_image_is_padded_below_and_the_padding_is_cut_off() -> None:
    torch.manual_seed(0)
    network = SamPlugin(image_size=SIDE).build(CLASSES).eval()
    wide = torch.randn(1, 3, SIDE // 2, SIDE)
    with torch.inference_mode():
        whole = network(F.pad(wide, (0, 0, 0, SIDE // 2))).logits
        torch.testing.assert_close(network(wide).logits, whole[:, :, : SIDE // 2])
        assert network(torch.randn(1, 3, 50, 30)).logits.shape == (1, CLASSES, 50, 30)


def test_it_learns_two_classes_from_one_image() -> None:
    torch.manual_seed(0)
    network = SamPlugin(image_size=SIDE).build(2)
    labels = torch.zeros(1, SIDE, SIDE, dtype=torch.long)
    labels[:, :, SIDE // 2 :] = 1
    images = (labels[:, None] * 2.0 - 1).expand(-1, 3, -1, -1) + 0.1 * torch.randn(1, 3, SIDE, SIDE)
    optimiser = torch.optim.AdamW(network.parameters(), 3e-3)
    for _ in range(25):
        optimiser.zero_grad()
        F.cross_entropy(network(images).logits, labels).backward()
        optimiser.step()
    right = network(images).logits.argmax(1) == labels
    assert right.float().mean() > 0.9


def test_the_papers_sizes_have_the_papers_numbers_of_parameters() -> None:
    # About 91, 308 and 636 million (the authors' repository); b is built, the others reckoned.
    torch.manual_seed(0)
    with torch.device("meta"):
        for size, millions in (("b", 91), ("l", 308), ("h", 636)):
            encoder = ENCODERS[size]
            blocks = encoder.depth * 12 * encoder.width**2
            assert blocks / 1e6 == pytest.approx(millions, rel=0.07)
        network = Sam(CLASSES, _fresh("b", 1024))
    total = sum(parameter.numel() for parameter in network.parameters())
    # SAM's 93.74, without the unused three of four small networks and the one that rates masks.
    unused = 3 * (2 * (256**2 + 256) + 256 * 32 + 32) + 2 * (256**2 + 256) + 256 * 4 + 4
    assert total / 1e6 == pytest.approx(93.74 - unused / 1e6, abs=0.02)


def test_folders_without_a_sam_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="must be a folder that save_pretrained wrote"):
        SamPlugin(folder=tmp_path / "no").build(CLASSES)
    config = theirs.SegformerConfig(num_labels=CLASSES)
    config.save_pretrained(tmp_path)
    with pytest.raises(DataError, match="must hold a SAM"):
        SamPlugin(folder=tmp_path).build(CLASSES)


def test_it_is_chosen_by_name() -> None:
    config = NetworkConfig.model_validate({"name": "sam", "encoder": "tiny", "image_size": SIDE})
    assert isinstance(build_network(config, CLASSES), Sam)
