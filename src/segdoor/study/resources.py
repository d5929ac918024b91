"""Where a study's runs are made."""

from __future__ import annotations

from pydantic import Field, field_validator

from segdoor.cluster import On
from segdoor.errors import ConfigError
from segdoor.settings import Settings
from segdoor.workers import MOST_WORKERS


class Resources(Settings):
    """Where tasks run, and with what resources."""

    on: On = "local"
    """Work on this machine only, or on a Ray cluster."""
    jobs: int | None = Field(default=None, ge=1, le=MOST_WORKERS)
    """Number of runs at the same time on this machine. If left out, as many as the cores allow, and
    one on a GPU. Each uses training.threads threads, or 1. Results do not depend on it."""
    address: str | None = None
    """Address of the cluster: auto, host:port or ray://host:port. If left out, a temporary one is
    started on this machine."""
    cpus: int | None = Field(default=None, ge=1)
    """Cores for each run on the cluster, and its threads unless training.threads is set. If left
    out, training.threads, or 1."""
    gpus: float | None = Field(default=None, ge=0)
    """GPUs for each run on the cluster; a fraction shares one GPU. If left out, 1 where there are
    GPUs."""
    autoscaling: bool = False
    """The cluster adds machines when there is work, so runs wait for a machine with enough room.
    Needs --address and --gpus."""
    store: str | None = None
    """URL for finished runs, such as s3://bucket/studies. Needed if the cluster's machines do not
    share the folder --out."""

    @field_validator("gpus")
    @classmethod
    def _divides(cls, gpus: float | None) -> float | None:
        if gpus is not None and gpus > 1 and not gpus.is_integer():
            raise ValueError("must be a part of one GPU or a whole number of them")
        return gpus


def check_resources(machines: Resources) -> None:
    """Refuse options that do not go together.

    Raises:
        ConfigError: If there are options of a cluster for work on this machine alone, or the other
            way round, or too few for a cluster that grows.
    """
    if machines.on == "local":
        for option in ("address", "cpus", "gpus", "autoscaling", "store"):
            value: object = getattr(machines, option)
            if value is not None and value is not False:
                raise ConfigError(f"--{option}", "must come with --on ray", value, "Add --on ray.")
    elif machines.jobs is not None:
        raise ConfigError(
            "--jobs", "must come with --on local", machines.jobs,
            "Leave it out: a cluster runs as many at once as it has room for.",
        )  # fmt: skip
    # Ray does not say whether or how far a cluster grows (ray-project/ray, issue 18608): the
    # running machines do not show whether there will be GPUs.
    for option, example in (("address", "auto"), ("gpus", "1, or 0 for none")):
        if machines.autoscaling and getattr(machines, option) is None:
            raise ConfigError(
                f"--{option}", "must come with --autoscaling", remedy=f"Add --{option} {example}."
            )
