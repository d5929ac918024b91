from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch

from forms import forms, plain, plainly
from segdoor.data.street import StreetDataset
from segdoor.errors import ConfigError, DataError
from segdoor.experiment.models import check_network
from segdoor.experiment.wishes import wishes_from
from segdoor.papers.iba.reading import asked
from segdoor.plugins import Plugin, Registry
from segdoor.settings import validated
from segdoor.victim.answer import auxiliary_of, logits_of
from segdoor.victim.backbones.registry import BACKBONES
from segdoor.victim.backbones.resnet import ResNetPlugin
from segdoor.victim.checkpoint import loaded_into, save_weights
from segdoor.victim.config import NetworkConfig, TrainingConfig
from segdoor.victim.device import choose_arithmetic
from segdoor.victim.members import HasBackbone
from segdoor.victim.networks.building import build_network
from segdoor.victim.networks.network import NetworkPlugin
from segdoor.victim.networks.pspnet import PSPNetPlugin
from segdoor.victim.networks.registry import NETWORKS, network_class
from segdoor.victim.semseg import load_weights
from segdoor.victim.training.fingerprint import training_fingerprint
from segdoor.victim.training.step import make_optimiser
from victim import exported

CLASSES = 5


def _foreign() -> ModuleType:
    path = Path(__file__).with_name("foreign.py")
    spec = importlib.util.spec_from_file_location("foreign_network", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["foreign_network"] = module
    spec.loader.exec_module(module)
    return module


FOREIGN = _foreign()
FOLDER = "the folder of a model"
GIVEN: dict[str, dict[str, object]] = {
    "transformers": {"folder": FOLDER},
    "onnx": {"weights": "model.onnx"},
    "torchscript": {"weights": "model.pt"},
}
"""What networks cannot be built without, and no battery can know."""
QUICK: dict[str, dict[str, object]] = {"resnet": {"depth": 18}}
"""Backbones that there is a smaller form of."""
BACKBONE = "foreign_network:StridedPlugin"
MORE: dict[str, tuple[str, dict[str, object]]] = {
    "foreign_network:Single": ("foreign_network:Single", {"kernel": 5}),
    "foreign_network:build": ("foreign_network:build", {}),
    "deeplabv3 at a sixteenth": (
        "deeplabv3", {"backbone": "efficientnet_lite0", "output_stride": 16},
    ),
    "pspnet on more channels": ("pspnet", {"backbone": BACKBONE, "maps": 6}),
    "pspnet on a narrow small": ("pspnet", {"backbone": "small", "width": 8}),
}  # fmt: skip


def _cases() -> Iterator[tuple[str, tuple[str, dict[str, object]]]]:
    """Yield every network, on every backbone if it stands on one."""
    for name, plugin in NETWORKS.known.items():
        given = {**plain(plugin), **GIVEN.get(name, {})}
        if "backbone" not in plugin.model_fields:
            yield name, (name, given)
            continue
        for backbone in (*BACKBONES.known, BACKBONE):
            needed = plain(BACKBONES.named(backbone))
            whole = {**given, "backbone": backbone, **needed, **QUICK.get(backbone, {})}
            yield f"{name} on {backbone}", (name, whole)


KINDS: list[type[Plugin]] = [
    *NETWORKS.known.values(),
    *BACKBONES.known.values(),
    FOREIGN.Single,
    FOREIGN.StridedPlugin,
]
CASES = {**dict(_cases()), **MORE}
LEARNING = [case for case, (name, _) in CASES.items() if network_class(name).learns]
"""Those whose weights can be changed and saved; others are a file of somebody else's."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from transformers import SegformerConfig, SegformerForSemanticSegmentation

    folder = tmp_path_factory.mktemp("model")
    SegformerForSemanticSegmentation(SegformerConfig(num_labels=CLASSES)).save_pretrained(folder)
    exported.write_onnx(exported.convolutions(CLASSES), folder / "model.onnx")
    torch.jit.save(torch.jit.script(exported.convolutions(CLASSES)), folder / "model.pt")
    return folder


def config_of(case: str, folder: Path, **more: object) -> NetworkConfig:
    name, given = CASES[case]
    given = {key: folder if value == FOLDER else value for key, value in given.items()}
    if "weights" in given:
        given["weights"] = folder / str(given["weights"])
    return NetworkConfig.model_validate({"name": name, **given, **more})


def made(case: str, folder: Path) -> torch.nn.Module:
    try:
        return build_network(config_of(case, folder), CLASSES)
    except ConfigError as why:
        pytest.fail(
            f"{case} cannot be built: {why} If it needs a file, say which in GIVEN of "
            f"{Path(__file__).name}.",
            pytrace=False,
        )


def test_networks_and_backbones_that_were_there_are_still_tried() -> None:
    known = {"small", "pspnet", "deeplabv3", "segformer", "sam", "transformers"}
    assert known <= {name for name, _ in CASES.values()}
    backbones = {str(given.get("backbone")) for _, given in CASES.values()}
    assert {"resnet", "efficientnet_lite0", BACKBONE} <= backbones


def registry_of(plugin: type[Plugin]) -> Registry[Plugin]:
    return NETWORKS if issubclass(plugin, NetworkPlugin) else BACKBONES


@pytest.mark.parametrize("plugin", KINDS, ids=lambda plugin: plugin.__name__)
class TestEveryPlugin:
    """What the class of every network and backbone must do."""

    def test_introduces_itself_and_its_settings(self, plugin: type[Plugin]) -> None:
        assert registry_of(plugin).named(plugin.kind) is plugin
        assert all(vars(plugin.introduction).values())
        assert all(field.description for field in plugin.model_fields.values())
        assert plugin.main is None or plugin.main in plugin.model_fields

    def test_has_the_defaults_of_the_settings_that_all_networks_share_a_form_for(
        self, plugin: type[Plugin]
    ) -> None:
        made_, config = plainly(plugin), NetworkConfig()
        for name in plugin.model_fields.keys() & NetworkConfig.model_fields.keys():
            assert str(getattr(made_, name)) == str(getattr(config, name)), name

    def test_its_written_form_is_read_again(self, plugin: type[Plugin]) -> None:
        for given in forms(plugin):
            made_ = plugin(**given)
            assert registry_of(plugin).read(str(made_)) == made_


def spread(given: object) -> dict[str, object]:
    return validated(NetworkConfig, given, source="network").model_dump(exclude_unset=True)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("pspnet", {"name": "pspnet"}),
        ({"kind": "pspnet", "depth": 18}, {"name": "pspnet", "depth": 18}),
        ("small,dropout=0.2", {"name": "small", "dropout": 0.2}),
        ("segformer:b1", {"name": "segformer", "variant": "b1"}),
        ("transformers:my/model", {"name": "transformers", "folder": Path("my/model")}),
        (
            "deeplabv3:efficientnet_lite0,output_stride=16,dropout=.3",
            {
                "name": "deeplabv3",
                "backbone": "efficientnet_lite0",
                "output_stride": 16,
                "dropout": 0.3,
            },
        ),
        (
            {"name": "pspnet", "backbone": {"kind": "resnet", "depth": 18}},
            {"name": "pspnet", "backbone": "resnet", "depth": 18},
        ),
        (
            "pspnet:'resnet:18,stem=plain',weights=w.pth",
            {
                "name": "pspnet",
                "backbone": "resnet",
                "depth": 18,
                "stem": "plain",
                "weights": Path("w.pth"),
            },
        ),
        ("foreign_network:Single,kernel=7", {"name": "foreign_network:Single", "kernel": 7}),
        ("foreign_network:build", {"name": "foreign_network:build"}),
        (PSPNetPlugin(dropout=0.2), {"name": "pspnet", "dropout": 0.2}),
        (
            PSPNetPlugin(backbone=ResNetPlugin(depth=18)),
            {"name": "pspnet", "backbone": "resnet", "depth": 18},
        ),
    ],
)
def test_every_written_form_means_the_same_settings(
    given: object, expected: dict[str, object]
) -> None:
    assert spread(given) == expected
    config = validated(NetworkConfig, given, source="network")
    assert NetworkConfig.model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("small:3", "must not have a value after 'small:'"),
        ("pspnet,dpth=18", r"dpth: is not a known setting.*Did you mean 'depth'"),
        ({"name": "pspnet", "dpth": 18}, r"dpth: is not a known setting.*Did you mean 'depth'"),
        ({"name": "small", "kernel": 5}, "kernel: is not a known setting"),
        ({"name": "foreign_network:build", "kernel": 5}, "kernel: is not a known setting"),
        ({"name": "foreign_network:Single", "kernel": "big"}, "kernel: .*valid integer"),
        ({"name": "pspnet", "backbone": "resnet:18", "depth": 34}, "each setting once"),
        ({"name": "foreign_network:Single,kernel=3", "kernel": 5}, "each setting once"),
        ("pspnet:resnet:18", "must be written pspnet"),
        (3, "valid dictionary"),
    ],
)
def test_a_form_that_means_nothing_is_refused(given: object, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        validated(NetworkConfig, given, source="network")


def test_a_setting_of_ones_own_network_is_part_of_the_fingerprint() -> None:
    street = StreetDataset(split="train", num_scenes=1, height=32, width=32)
    marks = {
        training_fingerprint(
            street, TrainingConfig(), network=NetworkConfig.model_validate(given), seed=0
        )
        for given in ("foreign_network:Single", "foreign_network:Single,kernel=5", "small")
    }
    assert len(marks) == 3


def test_a_backbone_of_ones_own_says_what_images_its_weights_have_seen() -> None:
    given = {"name": "pspnet", "backbone": "foreign_network:StridedPlugin"}
    config = NetworkConfig.model_validate(given)
    assert (config.mean, config.std) == FOREIGN.StridedPlugin.expects


def test_on_a_files_word_no_class_is_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "touching.py").write_text("open('touched', 'w')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    for given in (
        {"name": "touching:Net", "kernel": 3},
        {"name": "pspnet", "backbone": "touching:Net,kernel=3"},
        {"name": "pspnet", "backbone": "touching:Net"},
        {"name": "pspnet", "backbone": "touching:Net", "mean": [0, 0, 0], "std": [1, 1, 1]},
    ):
        with pytest.raises(ConfigError, match="a file cannot cause code to run"):
            validated(NetworkConfig, given, source="record.json", recorded=True)
    plain = validated(NetworkConfig, {"name": "touching:Net"}, source="r", recorded=True)
    assert plain.name == "touching:Net"
    assert not Path("touched").exists()


@pytest.fixture
def network(case: str, folder: Path) -> torch.nn.Module:
    torch.manual_seed(0)
    return made(case, folder)


@pytest.mark.parametrize("case", CASES)
class TestEveryNetwork:
    """The battery every network passes."""

    @pytest.mark.parametrize("size", [(33, 47), (64, 64)])
    def test_answers_at_the_size_of_the_image(
        self, network: torch.nn.Module, size: tuple[int, int]
    ) -> None:
        network.eval()
        with torch.no_grad():
            output = network(torch.randn(2, 3, *size))
        assert logits_of(output).shape == (2, CLASSES, *size)
        assert auxiliary_of(output) is None

    def test_is_refused_where_it_should_learn_and_cannot(
        self, network: torch.nn.Module, case: str, folder: Path
    ) -> None:
        wishes = wishes_from({"network": config_of(case, folder).model_dump(exclude_unset=True)})
        if case in LEARNING:
            check_network(asked(wishes))
        else:
            with pytest.raises(ConfigError, match="can only be examined"):
                check_network(asked(wishes))

    def test_answers_a_scene_alike_whatever_its_batch(self, network: torch.nn.Module) -> None:
        network.eval()
        images = torch.randn(3, 3, 40, 40)
        with torch.no_grad():
            together, alone = logits_of(network(images))[1], logits_of(network(images[1:2]))[0]
        assert torch.allclose(together, alone, atol=1e-4)

    def test_runs_in_bfloat16_and_channels_last(self, network: torch.nn.Module) -> None:
        network.eval().to(memory_format=torch.channels_last)
        images = torch.randn(2, 3, 40, 48).contiguous(memory_format=torch.channels_last)
        with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
            rough = logits_of(network(images)).float()
        with torch.no_grad():
            exact = logits_of(network(images))
        assert (rough - exact).abs().max() < 0.1 * exact.abs().max() + 0.1


@pytest.mark.parametrize("case", LEARNING)
class TestEveryNetworkThatLearns:
    """The battery every network passes whose weights can be changed."""

    def test_gives_every_parameter_a_gradient(self, network: torch.nn.Module) -> None:
        network.train()
        output = network(torch.randn(2, 3, 64, 64))
        loss = logits_of(output).square().mean()
        auxiliary = auxiliary_of(output)
        if auxiliary is not None:
            loss = loss + auxiliary.square().mean()
        loss.backward()
        silent = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()]
        assert silent == []

    def test_saved_weights_fill_it_again(
        self, network: torch.nn.Module, case: str, folder: Path, tmp_path: Path
    ) -> None:
        save_weights(network, tmp_path / "w.safetensors")
        config = config_of(case, folder, weights=tmp_path / "w.safetensors")
        again = build_network(config, CLASSES)
        pairs = zip(network.state_dict().values(), again.state_dict().values(), strict=True)
        assert all(torch.equal(one, other) for one, other in pairs)
        loaded = loaded_into(again)
        assert loaded is not None
        assert (loaded.part, loaded.file) == ("network", "w.safetensors")
        assert loaded.num_taken == len(network.state_dict())

    def test_weights_of_another_network_are_refused(
        self, network: torch.nn.Module, tmp_path: Path
    ) -> None:
        save_weights(torch.nn.Sequential(torch.nn.Conv2d(3, 5, 1)), tmp_path / "w.safetensors")
        with pytest.raises(DataError, match="this very network"):
            load_weights(network, tmp_path / "w.safetensors")

    def test_backbone_and_heads_share_the_parameters_out(
        self, network: torch.nn.Module, case: str
    ) -> None:
        if not isinstance(network, HasBackbone):
            settings = network_class(CASES[case][0]).model_fields
            assert not settings.keys() & {"backbone", "backbone_weights", "folder"}
            return
        backbone = {id(parameter) for parameter in network.backbone_parameters()}
        heads = {id(parameter) for parameter in network.head_parameters()}
        assert not backbone & heads
        assert min(len(backbone), len(heads)) > 0
        assert backbone | heads == {id(parameter) for parameter in network.parameters()}
        optimiser = make_optimiser(network, TrainingConfig(learning_rate=0.1, head_multiplier=10))
        rates = {
            id(weight): group["lr"]
            for group in optimiser.param_groups
            for weight in group["params"]
        }
        assert {rates[weight] for weight in backbone} == {0.1}
        assert {rates[weight] for weight in heads} == {1.0}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"name": "small", "backbone_weights": "imagenet"}, "backbone_weights: is for pspnet"),
        ({"name": "small", "backbone": "efficientnet_lite0"}, "backbone: is for pspnet"),
        ({"name": "pspnet", "folder": "model"}, "folder: is for sam or transformers"),
        ({"name": "pspnet", "variant": "b1"}, "variant: is for segformer"),
        ({"name": "segformer", "output_stride": 16}, "output_stride: is for pspnet"),
        ({"name": "pspnet", "output_stride": 16}, "no meaning for the backbone resnet"),
        (
            {"name": "pspnet", "backbone": "efficientnet_lite0", "depth": 18},
            "depth: has no meaning for the backbone efficientnet_lite0",
        ),
        (
            {"name": "pspnet", "backbone": "efficientnet_lite0", "stem": "plain"},
            "stem: has no meaning",
        ),
        ({"name": "transformers"}, "folder: must name the folder"),
        (
            {"name": "foreign_network:build", "backbone_weights": "w.pth"},
            "backbone_weights: is for",
        ),
    ],
)
def test_settings_without_effect_are_refused(given: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        build_network(NetworkConfig.model_validate(given), CLASSES)


def test_mean_and_deviation_follow_the_backbone_unless_given() -> None:
    lite = NetworkConfig(name="pspnet", backbone="efficientnet_lite0")
    assert (lite.mean, lite.std) == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    own = NetworkConfig(name="pspnet", backbone="efficientnet_lite0", mean=(0.1, 0.2, 0.3))
    assert (own.mean, own.std) == ((0.1, 0.2, 0.3), (0.5, 0.5, 0.5))
    assert NetworkConfig(name="pspnet").mean == (0.485, 0.456, 0.406)
    assert NetworkConfig.model_validate(own.model_dump(mode="json")) == own


def test_the_small_network_is_small() -> None:
    network = build_network(NetworkConfig(), 8)
    assert 0.5e6 < sum(p.numel() for p in network.parameters()) < 0.8e6


def test_a_far_pixel_reaches_every_answer_of_the_small_network() -> None:
    torch.manual_seed(0)
    network = build_network(NetworkConfig(), CLASSES).eval()
    images = torch.randn(1, 3, 96, 160, requires_grad=True)
    logits_of(network(images))[0, :, 90, 150].sum().backward()
    assert images.grad is not None
    assert images.grad[0, :, :8, :8].abs().sum() > 0


def test_an_unknown_network_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="small, pspnet, deeplabv3"):
        build_network(NetworkConfig(name="pspnt"), CLASSES)


YOURS = """
import torch

def build(num_classes):
    return torch.nn.Conv2d(3, num_classes, 1)

def fixed():
    return torch.nn.Conv2d(3, 5, 1)

def needy(argument):
    return torch.nn.Conv2d(3, 5, 1)

def wrong():
    return "a string"

def failing():
    raise RuntimeError("no such file")

number = 3
"""


@pytest.fixture
def yours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name = f"nets_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(YOURS)
    monkeypatch.chdir(tmp_path)
    return name


@pytest.mark.parametrize("factory", ["build", "fixed"])
def test_a_network_of_yours_is_built(factory: str, yours: str) -> None:
    network = build_network(NetworkConfig(name=f"{yours}:{factory}"), CLASSES)
    assert isinstance(network, torch.nn.Conv2d)
    assert network.out_channels == CLASSES


@pytest.mark.parametrize(
    ("factory", "said"),
    [
        ("needy", "num_classes"),
        ("wrong", "torch.nn.Module"),
        ("failing", "no such file"),
        ("number", "callable"),
        ("absent", "absent"),
    ],
)
def test_a_network_of_yours_that_fails_is_explained(factory: str, said: str, yours: str) -> None:
    with pytest.raises(ConfigError, match=said):
        build_network(NetworkConfig(name=f"{yours}:{factory}"), CLASSES)


def test_a_module_that_is_not_there_is_explained() -> None:
    with pytest.raises(ConfigError, match="importable"):
        build_network(NetworkConfig(name="no_such_module_here:build"), CLASSES)


def test_auto_is_a_device_of_this_machine() -> None:
    arithmetic = choose_arithmetic("auto", "float32")
    assert arithmetic.device.type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert not arithmetic.bfloat16
    assert choose_arithmetic("cpu", "bfloat16").bfloat16
