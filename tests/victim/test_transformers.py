"""Models that transformers saved: small random ones, written to disk by transformers itself."""

from __future__ import annotations

import builtins
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import transformers as theirs
from torch import Tensor, nn

from segdoor.errors import ConfigError, DataError, MachineError
from segdoor.victim.checkpoint import loaded_into
from segdoor.victim.config import NetworkConfig
from segdoor.victim.networks.building import build_network
from segdoor.victim.networks.hugging_face import TransformersNetwork

torch.set_num_threads(1)  # waiting threads cost more than they give at these sizes

CLASSES = 5
STAGES = ["stage1", "stage2", "stage3", "stage4"]


def segformer() -> nn.Module:
    config = theirs.SegformerConfig(
        num_labels=CLASSES, depths=[1, 1, 1, 1], hidden_sizes=[8, 16, 16, 16],
        num_attention_heads=[1, 2, 2, 2], decoder_hidden_size=16,
    )  # fmt: skip
    return theirs.SegformerForSemanticSegmentation(config)


def upernet() -> nn.Module:
    backbone = theirs.ConvNextConfig(
        depths=[1, 1, 1, 1], hidden_sizes=[8, 8, 16, 16], out_features=STAGES
    )
    config = theirs.UperNetConfig(
        num_labels=CLASSES, hidden_size=16, auxiliary_in_channels=16, auxiliary_channels=8,
        pool_scales=[1, 2], backbone_config=backbone,
    )  # fmt: skip
    return theirs.UperNetForSemanticSegmentation(config)


def mobilenet() -> nn.Module:
    config = theirs.MobileNetV2Config(num_labels=CLASSES, depth_multiplier=0.25, min_depth=4)
    return theirs.MobileNetV2ForSemanticSegmentation(config)


def mobilevit() -> nn.Module:
    config = theirs.MobileViTConfig(
        num_labels=CLASSES, hidden_sizes=[12, 16, 20], neck_hidden_sizes=[4, 4, 8, 8, 12, 16, 24],
        aspp_out_channels=8, num_attention_heads=2,
    )  # fmt: skip
    return theirs.MobileViTForSemanticSegmentation(config)


def beit() -> nn.Module:
    config = theirs.BeitConfig(
        num_labels=CLASSES, image_size=32, patch_size=4, hidden_size=16, num_hidden_layers=4,
        num_attention_heads=2, intermediate_size=16, out_indices=[1, 2, 3, 4], pool_scales=[1, 2],
        use_auxiliary_head=False,
    )  # fmt: skip
    return theirs.BeitForSemanticSegmentation(config)


def mask2former() -> nn.Module:
    backbone = theirs.SwinConfig(
        image_size=32, embed_dim=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2], window_size=4,
        out_features=STAGES,
    )  # fmt: skip
    config = theirs.Mask2FormerConfig(
        num_labels=CLASSES, hidden_dim=32, feature_size=32, mask_feature_size=32, num_queries=6,
        encoder_feedforward_dim=16, dim_feedforward=16, encoder_layers=1, decoder_layers=2,
        num_attention_heads=2, backbone_config=backbone,
    )  # fmt: skip
    return theirs.Mask2FormerForUniversalSegmentation(config)


MODELS = [segformer, upernet, mobilenet, mobilevit, beit]


def saved(make: Callable[[], nn.Module], folder: Path) -> nn.Module:
    torch.manual_seed(0)
    model = make().eval()
    model.save_pretrained(folder)  # pyright: ignore[reportCallIssue]
    return model


def built(folder: Path, *, classes: tuple[str, ...] | None = None, **settings: object) -> nn.Module:
    config = NetworkConfig.model_validate({"name": "transformers", "folder": folder, **settings})
    return build_network(config, len(classes or range(CLASSES)), classes=classes)


@pytest.mark.parametrize("make", MODELS, ids=lambda make: make.__name__)
def test_a_saved_model_answers_as_it_did(make: Callable[[], nn.Module], tmp_path: Path) -> None:
    model = saved(make, tmp_path)
    network = built(tmp_path).eval()
    images = torch.randn(2, 3, 32, 64)
    with torch.inference_mode():
        expected = nn.functional.interpolate(
            model(pixel_values=images).logits, size=(32, 64), mode="bilinear", align_corners=False
        )
        torch.testing.assert_close(network(images).logits, expected)
    loaded = loaded_into(network)
    assert loaded is not None
    assert (loaded.part, loaded.file) == ("network", tmp_path.name)
    assert loaded.style == f"transformers, {type(model).__name__}"
    assert loaded.num_taken == len(model.state_dict())


class Masks(nn.Module):
    """Answers as Mask2Former does: six masks, and five classes or nothing for each."""

    def forward(self, pixel_values: Tensor) -> SimpleNamespace:
        torch.manual_seed(len(pixel_values))
        masks = torch.randn(len(pixel_values), 6, 4, 6)
        masks = nn.functional.interpolate(masks, size=(16, 24), mode="bicubic") * 3
        classes = torch.randn(len(pixel_values), 6, CLASSES + 1) * 2
        return SimpleNamespace(class_queries_logits=classes, masks_queries_logits=masks)


@torch.inference_mode()
def test_masks_become_scores_of_pixels_as_their_authors_do_it() -> None:
    images = torch.randn(2, 3, 384, 384)
    logits = TransformersNetwork(Masks())(images).logits
    assert bool(logits.isfinite().all())
    processor = theirs.Mask2FormerImageProcessorPil
    expected = torch.stack(
        processor.post_process_semantic_segmentation(processor(), Masks()(images))
    )
    # At 384 x 384 pixels, by way of which they go for any size.
    assert torch.equal(logits.argmax(dim=1), expected)
    assert len(expected.unique()) > 2


@torch.inference_mode()
def test_a_model_that_answers_with_masks_is_read(tmp_path: Path) -> None:
    saved(mask2former, tmp_path)
    network = built(tmp_path).eval()
    logits = network(torch.randn(2, 3, 64, 96)).logits
    assert logits.shape == (2, CLASSES, 64, 96)
    # Scores of pixels: no more than one mask's certainty a mask.
    assert bool((logits.exp().sum(dim=1) < 6).all())


@pytest.mark.parametrize("make", [segformer, mask2former], ids=lambda make: make.__name__)
def test_a_saved_model_learns(make: Callable[[], nn.Module], tmp_path: Path) -> None:
    saved(make, tmp_path)
    network = built(tmp_path).train()
    images = torch.randn(2, 3, 32, 32)
    labels = torch.full((2, 32, 32), 2)
    optimiser = torch.optim.Adam(network.parameters(), 1e-2)
    losses: list[float] = []
    for _ in range(10):
        optimiser.zero_grad()
        loss = nn.functional.cross_entropy(network(images).logits, labels)
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.8 * losses[0]


def test_another_number_of_classes_is_refused(tmp_path: Path) -> None:
    saved(segformer, tmp_path)
    config = NetworkConfig(name="transformers", folder=tmp_path)
    with pytest.raises(DataError, match=r"the data set's 7 classes \(found: 5\)"):
        build_network(config, 7)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda f: (f / "config.json").unlink(), "no config.json in it"),
        (lambda f: (f / "config.json").write_text("{"), "that transformers knows"),
        (lambda f: (f / "config.json").write_text('{"model_type": "nonesuch"}'), "that transformers"),
        (lambda f: (f / "config.json").write_text("[1]"), "that transformers knows"),
        (lambda f: (f / "model.safetensors").unlink(), "intact safetensors"),
        (lambda f: (f / "model.safetensors").write_bytes(b"\x00" * 99), "intact safetensors"),
        (lambda f: (f / "preprocessor_config.json").write_text("{"), "readable JSON"),
    ],
)  # fmt: skip
def test_a_spoilt_folder_is_refused(
    spoil: Callable[[Path], None], said: str, tmp_path: Path
) -> None:
    saved(segformer, tmp_path)
    spoil(tmp_path)
    with pytest.raises(DataError, match=said):
        built(tmp_path)


def test_pickled_weights_are_refused_and_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved(segformer, tmp_path)
    (tmp_path / "model.safetensors").unlink()

    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[Path]]:
            return (Path.touch, (tmp_path / "boom",))

    torch.save({"weight": Bomb()}, tmp_path / "pytorch_model.bin")
    with pytest.raises(DataError, match="Pickled weights are refused"):
        built(tmp_path)
    assert not (tmp_path / "boom").exists()


def test_code_of_the_folder_is_refused_and_not_run(tmp_path: Path) -> None:
    saved(segformer, tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config |= {"model_type": "own", "auto_map": {"AutoConfig": "own.OwnConfig"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "own.py").write_text(f"open({str(tmp_path / 'boom')!r}, 'w')\nclass OwnConfig: ...")
    with pytest.raises(DataError, match="code of their own"):
        built(tmp_path)
    assert not (tmp_path / "boom").exists()


def test_weights_that_do_not_fill_the_model_are_refused(tmp_path: Path) -> None:
    saved(segformer, tmp_path)
    from safetensors.torch import load_file, save_file

    tensors = load_file(tmp_path / "model.safetensors")
    del tensors["decode_head.classifier.bias"]
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(DataError, match=r"1 missing \(decode_head.classifier.bias\)"):
        built(tmp_path)


def test_a_model_of_another_task_is_refused(tmp_path: Path) -> None:
    model = theirs.ResNetForImageClassification(
        theirs.ResNetConfig(depths=[1, 1, 1, 1], layer_type="basic", num_labels=CLASSES)
    )
    model.save_pretrained(tmp_path)
    with pytest.raises(DataError, match=r"found: resnet.*Known: .*segformer.*mask2former"):
        built(tmp_path)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        built(tmp_path / "nowhere")


HALVES = {"do_normalize": True, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}


@pytest.mark.parametrize(
    ("preparation", "settings", "said"),
    [
        (HALVES, {}, "0.5 0.5 0.5"),
        # The scale of bytes, and one of -1 to 1 without its shift.
        (
            {"do_rescale": False, "image_mean": [127.5] * 3, "image_std": [51.0] * 3},
            {},
            "0.5 0.5 0.5 and 0.2 0.2 0.2",
        ),
        (
            {"do_rescale": False, "do_normalize": False},
            {},
            "0.0 0.0 0.0 and 0.00392156862745098 0.00392156862745098 0.00392156862745098",
        ),
        (
            {"rescale_factor": 1 / 127.5, "image_mean": [1.0] * 3, "image_std": [1.0] * 3},
            {},
            "0.5 0.5 0.5 and 0.5 0.5 0.5",
        ),
        ({"rescale_factor": 0.00392156862745098, **HALVES}, {}, "0.5 0.5 0.5 and 0.5 0.5 0.5"),
        ({"do_flip_channel_order": True}, {}, "0.0 0.0 0.0 and 1.0 1.0 1.0"),
        (HALVES, {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}, ""),
        ({"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}, {}, ""),
        ({"do_normalize": True, "image_mean": "many"}, {}, "many"),
    ],
)
def test_the_input_is_normalised_as_the_folder_says_or_as_you_say(
    preparation: dict[str, object], settings: dict[str, object], said: str, tmp_path: Path
) -> None:
    saved(segformer, tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(preparation))
    if said:
        with pytest.raises(ConfigError, match=said):
            built(tmp_path, **settings)
    else:
        built(tmp_path, **settings)


@pytest.mark.parametrize("factor", [0, -1, "much", None, True, float("inf")])
def test_a_factor_that_is_none_is_refused(factor: object, tmp_path: Path) -> None:
    saved(segformer, tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"rescale_factor": factor}))
    with pytest.raises(DataError, match=r"preprocessor_config.json: rescale_factor must be"):
        built(tmp_path)


NAMES = ("road", "car", "sky", "tree", "wall")


def named(folder: Path, names: tuple[str, ...]) -> nn.Module:
    """Save a model that names its classes."""
    model = saved(segformer, folder)
    config = json.loads((folder / "config.json").read_text())
    config["id2label"] = {str(index): name for index, name in enumerate(names)}
    config["label2id"] = {name: index for index, name in enumerate(names)}
    (folder / "config.json").write_text(json.dumps(config))
    return model


@torch.inference_mode()
def test_the_folders_names_of_classes_are_compared(tmp_path: Path) -> None:
    named(tmp_path, NAMES)
    images = torch.randn(1, 3, 32, 32)
    plain = built(tmp_path, classes=NAMES).eval()(images).logits
    network = built(tmp_path, classes=NAMES[::-1]).eval()
    assert torch.equal(network(images).logits, plain.flip(1))
    loaded = loaded_into(network)
    assert loaded is not None
    assert "are brought into the data set's order" in loaded.in_words
    with pytest.raises(
        DataError, match=r"road, car, sky, tree, wall.*The data set has a, b, c, d, e"
    ):
        built(tmp_path, classes=tuple("abcde"))
    # Weights of such a model that were saved without names mean what the folder says.
    torch.save(plain_state := network.state_dict(), tmp_path / "w.pth")
    again = built(tmp_path, classes=NAMES[::-1], weights=tmp_path / "w.pth").eval()
    assert plain_state.keys() == again.state_dict().keys()
    assert torch.equal(again(images).logits, plain.flip(1))


@torch.inference_mode()
def test_void_among_the_folders_classes_is_left_out_if_you_say_where(tmp_path: Path) -> None:
    named(tmp_path, ("background", *NAMES[:4]))
    with pytest.raises(DataError, match=r"network\.void_logit 4, for the last one"):
        built(tmp_path, classes=NAMES[:4])
    images = torch.randn(1, 3, 32, 32)
    all_of_them = built(tmp_path).eval()(images).logits
    found = built(tmp_path, classes=NAMES[3::-1], void_logit=0).eval()(images).logits
    assert torch.equal(found, all_of_them[:, [4, 3, 2, 1]])


@pytest.mark.parametrize("name", ["LABEL_{}", "{}", "class {}", "Label{}"])
def test_numbered_classes_say_nothing_and_are_told_of(name: str, tmp_path: Path) -> None:
    named(tmp_path, tuple(name.format(index) for index in range(5)))
    (tmp_path / "preprocessor_config.json").write_text(
        '{"do_reduce_labels": true, "do_normalize": true}'
    )
    loaded = loaded_into(built(tmp_path, classes=NAMES))
    assert loaded is not None
    assert loaded.classes is None
    assert "does not name its classes" in loaded.in_words
    assert "do_reduce_labels" in loaded.in_words
    with pytest.raises(DataError, match=r"label 0 ignored.*list the classes without the first"):
        built(tmp_path, classes=(*NAMES, "more"))


def test_channels_are_not_swapped_twice(tmp_path: Path) -> None:
    saved(mobilevit, tmp_path)
    (tmp_path / "preprocessor_config.json").write_text('{"do_flip_channel_order": true}')
    with pytest.raises(ConfigError, match=r"network\.channels: must be left out"):
        built(tmp_path, mean=(0, 0, 0), std=(1, 1, 1), channels="bgr")


@torch.inference_mode()
def test_channels_are_swapped_for_a_model_that_reads_bgr(tmp_path: Path) -> None:
    model = saved(mobilevit, tmp_path)
    (tmp_path / "preprocessor_config.json").write_text('{"do_flip_channel_order": true}')
    network = built(tmp_path, mean=(0, 0, 0), std=(1, 1, 1)).eval()
    images = torch.rand(1, 3, 64, 64)
    expected = model(pixel_values=images[:, [2, 1, 0]]).logits
    found = nn.functional.interpolate(network(images).logits, size=expected.shape[2:])
    assert found.shape == expected.shape
    same = nn.functional.interpolate(expected, size=(64, 64), mode="bilinear")
    torch.testing.assert_close(network(images).logits, same)


def test_a_library_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved(segformer, tmp_path)
    real = builtins.__import__

    def without(name: str, *rest: object, **options: object) -> object:
        if name == "transformers":
            raise ImportError(name)
        return real(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MachineError, match=r"segdoor\[transformers\]"):
        built(tmp_path)


def test_the_library_is_loaded_only_when_used() -> None:
    code = "import segdoor.victim.networks.registry, sys; print('transformers' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
