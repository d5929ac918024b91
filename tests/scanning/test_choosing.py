"""Which methods run, and what is said of the others."""

from __future__ import annotations

import pytest

from scanning.methods import (
    HERE,
    Colours,
    Looking,
    OfFiles,
    Training,
    WithClean,
    WithSetting,
)
from segdoor.defense.filters.filter import Filter
from segdoor.errors import ConfigError
from segdoor.plugins import Registry
from segdoor.scanning.choosing import Choice, choose
from segdoor.scanning.data import REMEDIES
from segdoor.scanning.policy import MethodsPolicy


def known(*kinds: type[Filter]) -> Registry[Filter]:
    return Registry("filter", Filter, "filter", {kind.kind: kind for kind in kinds})


ALL = known(Colours, Training, Looking, OfFiles, WithClean, WithSetting)
PLAIN = MethodsPolicy(methods=None, controls=())


def chosen(
    *named: str,
    has: tuple[str, ...] = ("data",),
    policy: MethodsPolicy = PLAIN,
    registry: Registry[Filter] = ALL,
) -> Choice[Filter]:
    return choose(registry, named, policy, has=has, remedies=REMEDIES)


def test_by_default_what_needs_no_model_and_no_training_runs() -> None:
    choice = chosen()
    assert [type(method) for method in choice.run] == [Colours]
    why = {one.method: one.why for one in choice.skipped}
    assert why[Training] == f"trains networks first. Run it with --with {HERE}:Training."
    assert why[Looking] == "needs a model with gradients. Give one: --model and --weights."
    assert why[OfFiles].startswith("needs scenes from files. Scan a data set of files")
    assert why[WithClean] == "needs clean scenes. Give some: --clean FOLDER."
    assert why[WithSetting].endswith(f"Run it with --with {HERE}:WithSetting:SIZE.")


def test_what_is_there_counts() -> None:
    choice = chosen(has=("data", "files", "clean scenes", "black box", "white box"))
    assert [type(method) for method in choice.run] == [Colours, Looking, OfFiles, WithClean]


def test_named_methods_run_alone_even_if_they_train() -> None:
    choice = chosen(f"{HERE}:Training", f"{HERE}:Training", f"{HERE}:WithSetting,size=3")
    assert [str(method) for method in choice.run] == [
        f"{HERE}:Training", f"{HERE}:WithSetting:3",
    ]  # fmt: skip
    why = {one.method: one.why for one in choice.skipped}
    assert why[Colours] == f"other methods were named: --with {HERE}:Colours"


def test_the_policy_names_methods_and_controls() -> None:
    policy = MethodsPolicy(methods=(f"{HERE}:Training",), controls=())
    assert [type(method) for method in chosen(policy=policy).run] == [Training]
    policy = MethodsPolicy(methods=None, controls=(f"{HERE}:Colours", "not there yet"))
    with pytest.raises(ConfigError, match=r"a control, which finds nothing"):
        chosen(policy=policy, registry=known(Colours))


def test_a_named_method_that_lacks_something_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"--with .*Looking: needs a model with gradients"):
        chosen(f"{HERE}:Looking")
    with pytest.raises(ConfigError, match=r"needs clean scenes.*--clean FOLDER"):
        chosen(f"{HERE}:Colours", f"{HERE}:WithClean")


def test_an_unknown_method_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"--with: must name a known filter .*Colours"):
        chosen("patch-mining")


def test_without_any_method_there_is_no_scan() -> None:
    with pytest.raises(ConfigError, match=r"must name a filter that can be run .*none is built in"):
        chosen(registry=known())
