"""From the options of ``segdoor scan`` to a scan, and from its report to the screen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from torch import nn

from segdoor.cli.gate import check_sarif, write_sarif
from segdoor.cli.options import ModelOptions, configuration
from segdoor.cli.screen import progress_bars, tell, tell_json
from segdoor.cluster import workers_on
from segdoor.data.config import DataConfig
from segdoor.data.scene import SceneDataset
from segdoor.errors import ConfigError, FindingError
from segdoor.experiment.models import as_trained
from segdoor.experiment.resolving import Asked
from segdoor.experiment.wishes import DataWishes, NetworkWishes, TrainingWishes
from segdoor.progress import Observer
from segdoor.record.scan import ScanReport
from segdoor.report.scan import describe_scan
from segdoor.scanning.data import scan_data
from segdoor.scanning.images import scan_images
from segdoor.scanning.judged import ScanOrder
from segdoor.scanning.model import scan_model
from segdoor.scanning.opening import CleanModels, ImageFiles, open_model, open_scenes
from segdoor.scanning.policy import LoadedPolicy, load_policy
from segdoor.settings import validated
from segdoor.victim.config import NetworkConfig, TrainingConfig
from segdoor.workers import Alone, Workers, hired

if TYPE_CHECKING:
    from segdoor.cli.scan import ScanOptions, WorkersOptions


@dataclass(frozen=True)
class Given:
    """The options that all scans have.

    Attributes:
        config: A YAML file.
        named: The methods, as they are written.
        options: Policy, seed, and how the report is told.
        out: Folder for the report.
        model: Short forms for the network.
        data: The scenes.
        network: The network.
        training: Recipe and device.
    """

    config: Path | None
    named: tuple[str, ...]
    options: ScanOptions
    out: Path
    model: ModelOptions | None
    data: DataWishes | None
    network: NetworkWishes | None
    training: TrainingWishes | None

    @cached_property
    def policy(self) -> LoadedPolicy:
        """Return the policy."""
        return load_policy(self.options.policy)

    @cached_property
    def asked(self) -> Asked:
        """Return the settings, with those of the network from the header of its weights."""
        asked = configuration(
            self.config, None, self.model, data=self.data, network=self.network,
            training=self.training,
        )  # fmt: skip
        return as_trained(asked)

    def data_config(self, what: str) -> DataConfig:
        """Return which scenes are meant; nobody scans the built-in ones by accident.

        Raises:
            ConfigError: If no data set is named.
        """
        wishes = self.asked.wishes.data
        preset = self.asked.layer.data(self.asked.wishes)
        if wishes.name is None and wishes.root is None and "name" not in preset:
            raise ConfigError(
                "--data.name", f"must name {what}", "none",
                "For files of your own: --data.name folder --data.root DIR.",
            )  # fmt: skip
        if wishes.name is None and "name" not in preset:
            # A folder of one's own is what a root without a name means here.
            return validated(DataConfig, {"name": "folder", **wishes.tree()}, source="data.")
        return self.asked.data()

    @property
    def network_config(self) -> NetworkConfig:
        """Return the network, as its settings and the header of its weights say."""
        tree = self.asked.wishes.network.tree()
        return validated(NetworkConfig, tree, source="network.")

    @property
    def has_model(self) -> bool:
        """Tell whether a trained network is named: own factories may load their weights."""
        name = self.asked.network
        return self.network_config.weights is not None or name == "transformers" or ":" in name

    def check_model(self) -> None:
        """Refuse to scan with an untrained network.

        Raises:
            ConfigError: If no trained network is named.
        """
        if not self.has_model:
            raise ConfigError(
                "--weights", "must name the trained weights", "none",
                "A network without is untrained.",
            )  # fmt: skip

    def order(
        self, observer: Observer, workers: Workers | None = None, minutes: float | None = None
    ) -> ScanOrder:
        """Return how to scan.

        Raises:
            ConfigError: If a setting breaks a rule.
        """
        given = self.options.seed
        seed = self.asked.wishes.seed if given is None else given
        if seed < 0:
            raise ConfigError("--seed", "must be 0 or more", seed, "Correct it.")
        return ScanOrder(
            out=self.out,
            policy=self.policy,
            named=self.named,
            seed=seed,
            network=self.network_config,
            recipe=self._recipe,
            seconds=None if minutes is None else 60 * minutes,
            workers=workers or Alone(),
            observer=observer,
        )

    @property
    def _recipe(self) -> TrainingConfig:
        return validated(TrainingConfig, self.asked.wishes.training.tree(), source="training.")

    def loaded(self, scenes: SceneDataset, weights: Path | None = None) -> nn.Module:
        """Return the trained network, or the same network with other weights."""
        network = self.network_config
        if weights is not None:
            network = network.model_copy(update={"weights": weights})
        return open_model(network, scenes, self._recipe.device)

    def check(self) -> None:
        """Refuse mistakes in options before any work is done."""
        if self.options.sarif is not None:
            check_sarif(self.options.sarif)
        assert self.policy
        assert self.asked


@dataclass(frozen=True)
class DataDoor:
    """``segdoor scan data``.

    Attributes:
        given: The options that all scans have.
        split: The split to scan.
        clean: The clean scenes' folder or file.
        clean_split: Their split.
        machine: Who shares the work.
    """

    given: Given
    split: str | None
    clean: Path | None
    clean_split: str | None
    machine: WorkersOptions

    def scan(self) -> ScanReport:
        """Scan a data set."""
        given, machine = self.given, self.machine
        given.check()
        config = given.data_config("the data set to scan")
        scenes = open_scenes(config, self.split or config.train_split)
        clean = self._clean(config)
        model = given.loaded(clean or scenes) if given.has_model else None
        with (
            workers_on(machine.on, machine.workers, machine.address) as team,
            hired(team) as workers,
            progress_bars() as bars,
        ):
            return scan_data(scenes, given.order(bars, workers), clean=clean, model=model)

    def _clean(self, config: DataConfig) -> SceneDataset | None:
        """Return the clean scenes: a folder like the data set's, or what a YAML file says."""
        if self.clean is None:
            if self.clean_split is not None:
                raise ConfigError(
                    "--clean-split", "is about clean scenes", "no --clean", "Add --clean FOLDER."
                )
            return None
        if not self.clean.exists():
            raise ConfigError(
                "--clean", "must be a folder or YAML file that exists", self.clean,
                "Check the path.",
            )  # fmt: skip
        if self.clean.is_file():
            config = configuration(self.clean).data()
        else:
            config = config.model_copy(
                update={"root": self.clean, "num_train": None, "exclude": None}
            )
        return open_scenes(config, self.clean_split or config.train_split)


def scanned_images(given: Given, files: Sequence[Path], split: str | None) -> ScanReport:
    """Scan images."""
    given.check()
    given.check_model()
    images = ImageFiles.of(files)
    config = given.data_config("clean scenes")
    clean = open_scenes(config, split or config.test_split)
    model = given.loaded(clean)
    with progress_bars() as bars:
        return scan_images(images, clean, model, given.order(bars))


def scanned_model(
    given: Given, split: str | None, clean_models: Sequence[Path], minutes: float | None
) -> ScanReport:
    """Scan a model."""
    given.check()
    given.check_model()
    if minutes is not None and not minutes > 0:
        raise ConfigError("--minutes", "must be above 0", minutes, "Leave it out for no limit.")
    for path in clean_models:
        if not path.is_file():
            raise ConfigError("--clean-models", "must be files", path, "Check the path.")
    config = given.data_config("clean scenes")
    clean = open_scenes(config, split or config.test_split)
    model = given.loaded(clean)
    known = CleanModels(clean_models, lambda path: given.loaded(clean, path))
    with progress_bars() as bars:
        return scan_model(model, clean, given.order(bars, minutes=minutes), known)


def told(given: Given, report: ScanReport) -> None:
    """Print a report, write its SARIF file, and end the call by what was found.

    Raises:
        FindingError: If something was found.
    """
    found, sarif = report.found, given.options.sarif
    if sarif is not None:
        code = FindingError.exit_code if found else 0
        root = given.asked.wishes.data.root
        write_sarif(sarif, report.findings, f"scan-{report.door}", exit_code=code, root=root)
    if given.options.json:
        tell_json(report)
    else:
        tell(*describe_scan(report, given.out, shown=given.policy.policy.shown))
    if found:
        raise FindingError(
            f"scan {report.door}", "ends with exit code 4 if something is suspect",
            f"{len(found)} findings", f"The scan is complete; see {given.out / 'scan.json'}.",
        )  # fmt: skip
