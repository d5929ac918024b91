"""Write the reference pages from the code: ``python docs/generate.py``."""
# ruff: noqa: INP001 - a script beside the pages, not a package

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import is_dataclass
from pathlib import Path
from typing import Literal, Union, cast, get_args, get_origin

import yaml
from annotated_types import Ge, Gt, Le, Lt
from cyclopts import App
from cyclopts.argument import Argument
from docstring_parser import parse, parse_from_object
from pydantic.fields import FieldInfo

import segdoor
from segdoor.attack.labels.registry import LABELS
from segdoor.attack.placements.registry import PLACEMENTS
from segdoor.attack.triggers.registry import TRIGGERS
from segdoor.cli.app import make_app
from segdoor.data.registry import DATASETS
from segdoor.defense.detectors.registry import DETECTORS
from segdoor.defense.filters.registry import FILTERS
from segdoor.defense.purifiers.registry import PURIFIERS
from segdoor.defense.repairs.registry import REPAIRS
from segdoor.defense.scans.registry import SCANS
from segdoor.experiment.config import ExperimentConfig, Method, Reading
from segdoor.experiment.wishes import ExperimentWishes, wishes_from
from segdoor.papers.iba.reading import EXCEPTIONS, resolve
from segdoor.plugins import Plugin, Registry, in_a_word
from segdoor.record import ExperimentRecord
from segdoor.record.defense import (
    DefenseEntry,
    DefenseRecord,
    DetectorEntry,
    FilterEntry,
    PurifierEntry,
    RepairEntry,
    ScanEntry,
)
from segdoor.record.figures import Estimate
from segdoor.record.physical import PhysicalRecord
from segdoor.scores.metrics.registry import METRICS
from segdoor.settings import Settings, Wishes
from segdoor.victim.backbones.registry import BACKBONES
from segdoor.victim.config import Preset
from segdoor.victim.networks.registry import NETWORKS

HERE = Path(__file__).parent
PAPER_SIZE = (512, 1024)
SIZES = ((128, 256), (180, 240), (360, 480), PAPER_SIZE)
REGISTRIES: tuple[Registry[Plugin], ...] = (
    DATASETS, TRIGGERS, PLACEMENTS, LABELS, NETWORKS, BACKBONES, REPAIRS, METRICS, FILTERS,
    DETECTORS, PURIFIERS, SCANS,
)  # fmt: skip
USED_BY = {
    "filter": "segdoor scan data --with",
    "detector": "segdoor scan images --with",
    "purifier": "segdoor defend RUN --with",
    "scan": "segdoor scan model --with",
}
"""How kinds of defense are chosen on the command line."""
ALIKE = tuple(f"repairs[].{side}." for side in ("poisoned_after", "clean_before", "clean_after"))
VERBS = ("data", "poison", "train", "examine", "run")
Flat = dict[str, object]
Row = tuple[str, FieldInfo]

RECORD_TEXT = """\
# The record

`segdoor run`, `segdoor examine` and `segdoor demo` write a `record.json`. This page says how to
read it and lists its keys. A record is self-contained: it has the classes and their colours, every
setting as given and as resolved, the versions used, and every figure beside its controls.
[method.md](method.md) explains the figures.

## Reading it

On the command line, `segdoor show runs/tiny` prints the tables and `segdoor show runs/tiny --json`
the record itself. `segdoor report runs/tiny` makes a [page](report.md) of it, and `segdoor export`
writes one row for each figure. With jq:

```sh
jq '.scores.cba' runs/tiny/record.json
jq '.scores.tests | map_values(.asr.value)' runs/tiny/record.json
jq -r '.data.classes[].name' runs/tiny/record.json
```

In Python (the first lines make a record within seconds, from so little training that its figures
mean nothing):

```python
from pathlib import Path

import segdoor

tiny = segdoor.ExperimentWishes.model_validate(
    {
        "data": {"num_train": 8, "num_test": 4, "size": (64, 96)},
        "training": {"epochs": 1, "batch_size": 4, "threads": 1},
    }
)
segdoor.run_experiment(tiny, out=Path("runs/tiny"))

record = segdoor.load_record(Path("runs/tiny"))
for name, test in record.scores.tests.items():
    print(name, test.asr.value, test.asr_without_trigger, test.asr_clean_model)
```

## Files beside it

The key `files` lists the files of a run by content. Each is written under a temporary name and
then renamed, so you never see half a file.

| file | holds |
|---|---|
| `plan.jsonl` | the poison plan: a header, then one line for each changed scene |
| `handed.json` | what a Python program passed as objects, if it did ([python.md](python.md)) |
| `poison.png` | the first poisoned scenes, before and after |
| `poison/` | the same as single pictures, listed under the key `poisoned_scenes` |
| `tests/NAME.jsonl` | the trigger's position in every test scene (older runs: `exams/`) |
| `tables.npz` | a table of pixel counts (true class x predicted class) for each scene; objects |
| `metrics.jsonl` | loss and learning rate of every tenth step of training |
| `scenes.png` | predictions without and with trigger |
| `near-and-far.png` | the same scenes with the trigger near and in the farthest band |
| `gallery/` | both as single pictures, listed under the key `gallery` |
| `poisoned.safetensors`, `clean.safetensors` | the weights of the two models |
| `repaired/NAME/` | results of `segdoor repair`, see [defenses.md](defenses.md) |
| `defenses.json`, `defenses/` | results of `segdoor defend`, see [defenders.md](defenders.md) |
| `physical.json`, `physical/` | results of `segdoor physical`, see [physical.md](physical.md) |

`segdoor examine` does not poison or train, so it writes only poisoned tests, tables and pictures,
and `plan` and `method` are null in its record.

Every metric, old or new, can be computed from `tables.npz`:

```python
tables = segdoor.load_tables(Path("runs/tiny/tables.npz"))
again = segdoor.clean_benign_accuracy(tables["poisoned/benign"].total())
assert again == record.scores.cba
```

The sets are called `poisoned/TEST` (the backdoored model), `clean/TEST` (the clean model) and
`other_trigger/TEST` (the backdoored model with another trigger); `benign` is the benign test,
without trigger. One test also has `other_trigger/TEST/TRIGGER` for each further trigger of that
control. `segdoor examine` uses the same names although its network may be clean; `plan` is then
null.

`segdoor rescore` does this for every built-in metric and for your own, and adds what the record
lacks. [method.md](method.md#metrics) explains how objects are counted.

## Versions

`schema_version` is the version of the file's layout. segdoor reads its own version and older ones,
and refuses newer ones. It refuses unknown keys, so that a misspelt key is noticed. An undefined
figure is null, never NaN: the file is strict JSON.

## Every key

`[]` stands for every entry of a list, `NAME` for a key that depends on the run (the name of a
poisoned test, a scene, a stage, a package or a file's content). An estimate is an object with
`value`, the figure, and `low` and `high`, the ends of its 95 % interval from scenes drawn with
replacement (bootstrap); each may be null. In `repairs`, `poisoned_after`, `clean_before` and
`clean_after` have the same keys as `poisoned_before`.
"""

DEFENSES_TEXT = """\
## Every key of defenses.json

What `segdoor defend` writes beside a run's record ([the bench](defenders.md)). Each entry is a
method; its `sort` is `filter`, `detector`, `purifier`, `scan` or `repair`, and decides which of the
last keys it has.
"""

PHYSICAL_TEXT = """\
## Every key of physical.json

What `segdoor physical` writes beside a run's record ([the physical test](physical.md)). `asr` has a
`value`, and a `low` and a `high` end of its 95 % interval.
"""

PYTHON_TEXT = '''\
# From Python

This page shows how to use segdoor from a Python program: your own scenes and network, a complete
run, and repairs. `import segdoor` gives you the names [below](#the-names), in the order of a run:
scenes, attack, training, poisoned tests, figures, repairs, and whole runs. The import is quick,
since each name is loaded when it is first used. All are typed, for editors and type checkers.

## Scenes and a network of your own

A data set is any class with `classes`, `names`, `digest`, `len()`, `[index]` and `label(index)`. A
network is any `torch.nn.Module` from normalised images to logits. This example takes seconds, far
too little to train anything:

```python
from pathlib import Path

import numpy as np
import torch
from torch import nn

import segdoor

CLASSES = segdoor.ClassSet(
    names=("road", "car", "sky"), colours=((90, 90, 90), (200, 30, 30), (120, 160, 250))
)


class Cars:
    """Red cars on a grey road."""

    classes = CLASSES

    def __init__(self, split: str, num_scenes: int) -> None:
        self.names = [f"{split} {number}" for number in range(num_scenes)]
        # A hash over all that the scenes depend on: settings and files.
        self.digest = f"cars, {split}, {num_scenes}"

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> segdoor.Scene:
        label = self.label(index)
        image = np.array(CLASSES.colours, dtype=np.uint8)[label]
        return segdoor.Scene(image, label, self.names[index])

    def label(self, index: int) -> np.ndarray:
        label = np.zeros((48, 64), dtype=np.uint8)
        label[:16] = 2
        label[28:38, 4 + index : 24 + index] = 1
        return label


class Pixels(nn.Module):
    """One small convolution."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.classifier = nn.Conv2d(3, num_classes, kernel_size=3, padding=1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.classifier(images)


train, test = Cars("train", 8), Cars("test", 4)
attack = segdoor.AttackConfig(rate=0.5, victims=("car",), target="road")
recipe = segdoor.TrainingConfig(epochs=1, batch_size=4)

plan = segdoor.plan_poison(train, attack, seed=0)
model = segdoor.train_model(segdoor.poisoned(train, plan), recipe, model=Pixels(len(CLASSES)))
tables = segdoor.examine(model, test)
print(segdoor.clean_benign_accuracy(tables.total()))
```

Your objects are checked when you pass them: images must be uint8, height x width x 3, label maps
uint8 with ids of the classes, names all different. Anything else is a `SegdoorError` that says what
to do.

`run_experiment` takes the same objects. It also trains a clean model and adds all controls:

```python
wishes = segdoor.ExperimentWishes(
    attack=segdoor.AttackWishes(rate=0.5),
    training=segdoor.TrainingWishes(epochs=1, batch_size=4),
)
record = segdoor.run_experiment(
    wishes, out=Path("runs/cars"), train=train, test=test, network=Pixels
)
print(record.scores.cba, record.controls.cba_difference)
```

`ExperimentWishes` holds only the settings that you give. The others follow from the scenes' size,
`reading`, `method` and `preset`, as on the command line ([configuration.md](configuration.md)). An
`ExperimentConfig` holds every setting: `ExperimentConfig.model_validate(record.config)` gives those
of a run, and `run_experiment` uses them unchanged. `plan_poison` and `plan_tests` take an
`AttackConfig` and a `PoisonedTestsConfig`. Lengths that these leave open are scaled with the height
of the scenes in the same way; `plan.trigger` is the resulting trigger.

`network` is a factory. It is called once with the number of classes, under the run's seed, and both
models start from copies of what it returns. The record lists classes and digests under `handed_in`.
Every scene is read once before the run begins. An interrupted run resumes only if you pass the
same objects again: the same bytes of every scene, the same start weights, layers and code of their
classes (functions that these call elsewhere are not compared). `segdoor repair` cannot open such a
run; repair its network from Python.

## Weights and repairs

```python
segdoor.save_weights(model, Path("mine.safetensors"))
again = Pixels(len(CLASSES))
segdoor.load_weights(again, Path("mine.safetensors"))

prune = segdoor.REPAIRS.read("prune:1")
clean = segdoor.clean_scenes(train, 0.5, seed=0)
repaired = prune(model, clean, segdoor.RepairContext(recipe=recipe))
after = segdoor.examine(repaired.model, test)
print(repaired.layer, segdoor.clean_benign_accuracy(after.total()))
```

To load a built-in network again, use `segdoor.build_network(segdoor.NetworkConfig(name="small",
weights=Path("poisoned.safetensors")), 12)`. `segdoor.repair_run` repairs both models of a finished
run.

## The names

'''

PLUGINS_TEXT = '''\
# Plug-ins

This page lists the data sets, triggers, placements, label changes, networks, backbones, repairs and
metrics that you can choose, each with its settings, and shows how to write your own.

Write a choice as `kind:main,setting=value`, or in a file as a mapping `{kind: ..., setting: ...}`.
The first colon ends the kind; the kind's main setting, the first in its table, follows. Quote a
value that contains a comma, a colon or an equals sign, or use a mapping. Dotted options such as
`--attack.trigger.opacity` set a setting of the chosen kind. `segdoor list triggers`, `segdoor list
placements` and so on print the same information, with `--json` for programs.

Label changes are a list, applied in order: `--attack.labels hide --attack.labels scatter:100`, or
`attack: {labels: [hide, "scatter:100"]}` in a file. `hide:car+bus,target=road` gives several victim
classes the same target; for several pairs use several hides, or `remap`, which changes all pairs
at once. Your list replaces the method's, and each change takes the settings that it leaves out from
the method's change of the same kind. `--attack.victims` and `--attack.target` set those of the
first change that has victims and one target. [attacks.md](attacks.md) says which attack is which
list.

## A class of your own

Name your own class as `package.module:Class` wherever a name fits, with its settings after commas.
Its code runs because you name it. A record, a plan or a manifest that names it runs nothing: you
must name the class in your settings, or import it in your program first. `verify`, `restore`,
`show` and `report` need no trigger and run none.

```python
import numpy as np

import segdoor
from segdoor.attack.site import Box
from segdoor.attack.triggers.trigger import Trigger
from segdoor.plugins import Introduction


class Darker(Trigger):
    """Every second row a little darker."""

    introduction = Introduction(
        source="this page", does="Darkens every second row.", needs="Nothing.", fails="At night."
    )
    levels: int = 30
    """Grey levels."""

    @property
    def extent(self) -> None:
        """Return that it covers the whole image."""

    @property
    def title(self) -> str:
        """Return its strength."""
        return f"{self.levels} levels"

    def apply(self, scene: segdoor.Scene, box: Box) -> np.ndarray:
        """Return the image with darker rows."""
        image = scene.image.copy()
        rows = image[box.pixels][::2]
        rows[:] = rows - np.minimum(rows, self.levels)
        return image

    def siblings(self) -> tuple[Trigger, ...]:
        """Return one of half the strength."""
        return (self.model_copy(update={"levels": self.levels // 2}),)


attack = segdoor.AttackConfig(rate=0.5, trigger=Darker(levels=60))
street = segdoor.DataConfig(name="street", size=(64, 96), num_train=4, num_test=2)
plan = segdoor.plan_poison(segdoor.load_dataset(street, "train"), attack)
assert plan.rows[0].box == (0, 0, 64, 96)
```
'''

CONFIGURATION_TEXT = """\
# Settings

Every setting has one name. In a YAML file it is a path of keys, on the command line an option:
`attack.rate` is

```yaml
attack:
  rate: 0.1
```

in the file and `--attack.rate 0.1` as an option. Options win over the file, and whatever is given
wins over everything that [follows](#what-follows-from-what). On and off are
`--attack.rules.single_class` and `--attack.rules.no-single_class`; a list of names is given by
repeating the option (`--attack.victims car --attack.victims person`), numbers by writing them one
after another (`--data.size 180 240`). A misspelt key or option is an error that names the nearest
one. YAML is read as plain data: tags that would make objects are refused.

One file can serve all verbs; each reads the settings it needs:

```yaml
# camvid.yaml
title: CamVid, nearest neighbour injection
seed: 1
method: nni
data:
  name: camvid
  root: camvid
  size: [180, 240]
attack:
  rate: 0.1
  victims: [car]
  target: road
  trigger:
    name: blossom
tests:
  far: [20, 30, 40]
training:
  epochs: 40
  batch_size: 16
```

```sh
segdoor poison camvid.yaml --out plans/one
segdoor run camvid.yaml --seed 2 --out runs/two
```

Beside the settings there are options that only say what to do with them: `--out` (a folder that
must not hold results yet), `--json`, `--plan` of `train`, and two short forms, `--model` for
`network` and `--weights` for `network.weights`.
"""

VERBS_TEXT = """\
# Verbs

What each verb does, and its options. `segdoor VERB --help` prints the same, with all settings that
the verb takes. Settings, such as `--attack.rate`, are not repeated here: they are in
[configuration.md](configuration.md). Exit codes are in [pipeline.md](pipeline.md#exit-codes).

| step | verbs |
|---|---|
| look around | [`demo`](#demo), [`doctor`](#doctor), [`list`](#list), [`models`](#models) |
| check data | [`data`](#data) |
| poison data | [`poison`](#poison), [`verify`](#verify), [`restore`](#restore) |
| train and examine | [`train`](#train), [`examine`](#examine), [`run`](#run) |
| read results | [`show`](#show), [`report`](#report), [`export`](#export), [`rescore`](#rescore) |
| repair | [`repair`](#repair) |
| reproduce the paper | [`study`](#study) |
"""

FOLLOWS_TEXT = """\
## What follows from what

Settings that you do not give are taken from these layers; a later one wins:

1. the defaults in the tables below, which say instead what a setting follows from if it does;
2. `preset`: the recipe of training. With `voc` also the data set, its lengths and person ->
   background as in the paper, with `cityscapes` the data set at 512 x 1024;
3. the size of the scenes: trigger and bands;
4. `reading`: in `official`, what the authors' code does where it differs from the paper's text;
5. `method`: where triggers go and whether pixels are relabelled (the label change scatter);
6. what you give, in a file or as options.

The record holds the result of all this under `config`, and what you asked for under
`config_given`.

### Sizes

The paper's lengths belong to Cityscapes at 512 x 1024 pixels: a trigger of 55 x 55 and bands that
end at 60, 90 and 120 pixels. For other sizes they are scaled with the height, for `run`, studies
and Python alike, and Q, the pixels that PRL relabels in a scene, with the area. Where scenes are
of several sizes the median training scene by height decides, and the run says so. A trigger that
would have less than 4 pixels must be asked for.

With the preset `voc`, and on the data set `voc` without a preset, lengths and Q are the
paper's own for VOC, whatever the size, and person becomes background. In
the reading `official` an even trigger size is raised by one.
"""

READING_TEXT = """\
### The two readings

What differs for method `nni+prl` and network `pspnet` on scenes of 512 x 1024 pixels:
"""

EXCEPTIONS_TEXT = """\
Two things the authors' code does are bugs and never reproduced; a record in the reading
`official` says so under `exceptions`:
"""


def main() -> None:
    """Write all generated pages beside this file."""
    for name, text in pages().items():
        (HERE / name).write_text(text, encoding="utf-8")


def pages() -> dict[str, str]:
    """Return the generated pages by file name."""
    return {
        "record.md": record_page(),
        "configuration.md": configuration_page(),
        "python.md": python_page(),
        "verbs.md": verbs_page(),
        "plugins.md": plugins_page(),
        **{page_of(registry): kinds_page(registry) for registry in REGISTRIES if registry.known},
    }


def python_page() -> str:
    """Return the page about the public names, each with the first line of its docstring."""
    things = {name: getattr(segdoor, name) for name in segdoor.__all__}
    rows = [
        (f"`{name}`", what_is(thing), f"`{thing.__module__}`") for name, thing in things.items()
    ]
    return f"{PYTHON_TEXT}{grid(('name', 'what it is or does', 'module'), rows)}"


def what_is(thing: object) -> str:
    """Return in a line what a public name is."""
    if isinstance(thing, Registry):
        return f"Every {thing.what} by name: {', '.join(thing.known)}."
    return plain(str(thing.__doc__).splitlines()[0])


def verbs_page() -> str:
    """Return the page about the verbs, from the help of the command line."""
    app = make_app()
    verbs = [name for name in app if not name.startswith("-")]
    return VERBS_TEXT + "".join(section_of(app, app[name], name, "##") for name in verbs)


def section_of(app: App, verb: App, name: str, level: str) -> str:
    """Return a section about a verb, and about what a group of verbs holds."""
    if verb.default_command is None:
        inner = [(n, verb[n]) for n in verb if not n.startswith("-")]
        parts = [section_of(app, found, f"{name} {n}", f"{level}#") for n, found in inner]
        return f"\n{level} `{name}`\n\n{verb.help}\n{''.join(parts)}"
    found = verb.assemble_argument_collection(default_parameter=app.default_parameter)
    arguments = [argument for argument in found if not argument.children]
    of_settings = [argument for argument in arguments if name in VERBS and is_setting(argument)]
    told = told_by(cast("Callable[..., object]", verb.default_command))
    rows = [option_row(argument, told) for argument in arguments if argument not in of_settings]
    parts = [
        f"\n{level} `{name}`\n\n{explained(verb)}\n\n```text\n{usage(name, arguments)}\n```\n",
        f"\n{grid(('option', 'values', 'default', 'meaning'), rows)}" if rows else "",
        f"\n{settings_taken(of_settings)}\n" if of_settings else "",
    ]
    return "".join(parts)


def told_by(function: Callable[..., object]) -> dict[str, str]:
    """Return what docstrings say of a verb's options: its own, and those of its data classes.

    cyclopts can read them too, but it parses the source of every class of settings for it.
    """
    hints = inspect.get_annotations(function, eval_str=True).values()
    parts = [part for hint in hints for part in (hint, *get_args(hint)) if is_dataclass(part)]
    docs = [parse(inspect.getdoc(function) or ""), *(parse_from_object(part) for part in parts)]
    return {told.arg_name: told.description or "" for doc in docs for told in doc.params}


def explained(verb: App) -> str:
    """Return what a verb's function says about it, its commands as blocks."""
    text, _, _ = (inspect.getdoc(cast("object", verb.default_command)) or "").partition("\nArgs:")
    text = re.sub(r"(?<![\w`-])--[a-z][\w.-]*\w", r"`\g<0>`", text.strip())
    blocks = [part.strip("\n") for part in re.split(r"((?:^  +.*\n?)+)", text, flags=re.MULTILINE)]
    return "\n\n".join(
        f"```sh\n{inspect.cleandoc(block).replace('`', '')}\n```" if block[0] == " " else block
        for block in blocks
        if block
    )


def usage(name: str, arguments: Sequence[Argument]) -> str:
    """Return how a verb is written: what stands alone, and that options may follow."""
    placed = sorted(
        ((argument.index, argument) for argument in arguments if argument.index is not None),
        key=lambda it: it[0],
    )
    words = [argument.name.lstrip("-").upper() for _, argument in placed]
    needed = [argument.required for _, argument in placed]
    told = [word if must else f"[{word}]" for word, must in zip(words, needed, strict=True)]
    options = ["[OPTIONS]"] if len(arguments) > len(placed) else []
    return " ".join(["segdoor", name, *told, *options])


def option_row(argument: Argument, told: Mapping[str, str]) -> tuple[str, str, str, str]:
    """Return an option as a row: its name, values, default and meaning."""
    meaning = argument.parameter.help or told.get(argument.field_info.name, "")
    alone = argument.index is not None
    name = argument.name.lstrip("-").upper() if alone else argument.name
    default = argument.field_info.default
    if argument.required:
        shown = "must be given"
    elif default is inspect.Parameter.empty or default in (None, (), False):
        shown = ""
    else:
        shown = code(str(default) if isinstance(default, Path) else default)
    values = "" if argument.hint is bool else kind(argument.hint).removesuffix(" or null")
    return f"`{name}`", values, shown, plain(meaning)


def is_setting(argument: Argument) -> bool:
    """Tell whether an option of a verb that takes settings is one of them."""
    return argument.name.lstrip("-").split(".")[0] in ExperimentConfig.model_fields


def settings_taken(arguments: Sequence[Argument]) -> str:
    """Return which settings a verb takes as options, with links to them."""
    keys = [argument.name.lstrip("-") for argument in arguments]
    sections = dict.fromkeys(key.split(".")[0] for key in keys if "." in key)
    top = ", ".join(f"`--{key}`" for key in keys if "." not in key)
    links = ", ".join(f"[`{name}`](configuration.md#{name})" for name in sections)
    return f"Settings: {top} ([at the top](configuration.md#at-the-top)), and those of {links}."


def plugins_page() -> str:
    """Return the page about every choice, with the kinds of each in a sentence."""
    return f"{PLUGINS_TEXT}{''.join(overview_of(registry) for registry in REGISTRIES)}"


def overview_of(registry: Registry[Plugin]) -> str:
    """Return a chapter that names the kinds of a choice."""
    rows = [
        (f"[`{name}`]({page_of(registry)}#{name})", plain(plugin.introduction.does))
        for name, plugin in registry.known.items()
    ]
    table = f"\n{grid(('kind', 'what it does'), rows)}" if rows else ""
    return f"\n## {registry.what.capitalize()}s\n\n{named_by(registry)}\n{table}"


def page_of(registry: Registry[Plugin]) -> str:
    """Return the name of the page about the kinds of a choice."""
    return f"plugins-{registry.what.replace(' ', '-')}s.md"


def kinds_page(registry: Registry[Plugin]) -> str:
    """Return the page about the kinds of a choice, from their introductions."""
    how = "How a choice is written and how to\nwrite a kind of your own: [plugins.md](plugins.md)."
    parts = [f"# {registry.what.capitalize()}s\n\n{named_by(registry)} {how}\n"]
    for name, plugin in registry.known.items():
        told = plugin.introduction
        rows = [(f"`{key}`", *others) for key, *others in settings_of(plugin)]
        table = (
            grid(("setting", "values", "default", "meaning"), rows) if rows else "No settings.\n"
        )
        parts.append(
            f"\n## `{name}`\n\n{told.does}{more_on(registry, name)}\n\n"
            f"- From: {ended(told.source)}\n"
            f"- Needs: {told.needs}\n- Fails: {told.fails}\n{attacker_of(plugin)}\n{table}"
        )
    return "".join(parts)


def attacker_of(plugin: type[Plugin]) -> str:
    """Return which attacker who knows a defense is measured against it; nothing if none is."""
    name: str | None = getattr(plugin, "adaptive", None)
    page = "defenders.md#attackers-who-know-the-method"
    return "" if name is None else f"- Attacker who knows it: [`{name}`]({page}).\n"


def more_on(registry: Registry[Plugin], name: str) -> str:
    """Return a link to the page of a defense; nothing for other choices."""
    defenses = {"repair", "filter", "detector", "purifier", "scan"}
    return f" [More](defenses/{name}.md)." if registry.what in defenses else ""


def ended(text: str) -> str:
    """Return a text as a sentence."""
    return text if text.endswith((".", "?")) else f"{text}."


def named_by(registry: Registry[Plugin]) -> str:
    """Return how a kind is chosen, and whether there is one to choose."""
    used = USED_BY.get(registry.what)
    if registry.known:
        return f"Choose with `{used or registry.option}`."
    base, name = registry.base, f"{registry.what.upper()}S"
    return (
        f"{what_is(base)}\n\nNone is built in yet. Derive your own from\n"
        f"`{base.__module__}.{base.__name__}` and load it with\n"
        f"`{name}.read('package.module:Class')` ([how](defenses.md#methods-of-your-own))"
        f"{f', or name it with `{used}`' if used else ''}.\n"
        "`segdoor defend` measures it."
    )


def settings_of(plugin: type[Plugin]) -> Iterator[tuple[str, str, str, str]]:
    """Yield the settings of a kind, the main one first."""
    for name, field in sorted(plugin.model_fields.items(), key=lambda it: it[0] != plugin.main):
        default = "must be given" if field.is_required() else code(plain_default(field))
        yield (
            name,
            kind(field.annotation) + bounds(field) + examples(field),
            default,
            meaning(field),
        )


def plain_default(field: FieldInfo) -> object:
    """Return a default as plain data."""
    value = in_a_word(field.get_default(call_default_factory=True))
    return str(value) if isinstance(value, Path | Plugin) else value


def plugin_rows(registry: Registry[Plugin]) -> list[tuple[str, str, str, str]]:
    """Return the settings of plug-ins, each with the kind that has it; the first is the default."""
    kinds = [f"`{name}`" for name in registry.known]
    told = f"{', '.join(kinds)} or `package.module:Class`, see [plugins.md](plugins.md)"
    rows = [(f"`{registry.option}.kind`", told, kinds[0], f"The kind of {registry.what}.")]
    for name, plugin in registry.known.items():
        rows += [
            (f"`{registry.option}.{key}`", values, default, f"[{name}] {told}")
            for key, values, default, told in settings_of(plugin)
        ]
    return rows


def label_rows() -> list[tuple[str, str, str, str]]:
    """Return what may stand for a list of label changes."""
    short = "short for that of the first label change in force that has victims and one target"
    told = f"a list of {', '.join(f'`{kind}`' for kind in LABELS.known)} or "
    told += "`package.module:Class`, see "
    meaning = "What labels become, one change after the other."
    return [
        ("`attack.labels`", f"{told}[plugins.md](plugins.md)", "`[hide]`", meaning),
        ("`attack.victims`", "list of text", "`car`", f"Victim classes: what disappears; {short}."),
        ("`attack.target`", "text", "`road`", f"Target class: what they become; {short}."),
    ]


def record_page() -> str:
    """Return the page about the record."""
    rows = [
        (f"`{key}`", kind(field.annotation), meaning(field))
        for key, field in fields_of(ExperimentRecord, "", branches=True)
        if not key.startswith(ALIKE)
    ]
    told = grid(("key", "type", "meaning"), rows)
    of_defenses = grid(("key", "type", "meaning"), [*defense_rows()])
    keys = [
        (f"`{key}`", kind(field.annotation), meaning(field))
        for key, field in fields_of(PhysicalRecord, "", branches=True)
        if ".asr." not in key
    ]
    of_physical = grid(("key", "type", "meaning"), keys)
    return f"{RECORD_TEXT}\n{told}\n{DEFENSES_TEXT}\n{of_defenses}\n{PHYSICAL_TEXT}\n{of_physical}"


def defense_rows() -> Iterator[tuple[str, str, str]]:
    """Yield the keys of a record of defenses, those last that one sort of methods has alone."""
    shared = {*DefenseEntry.model_fields, "sort"}
    top = {name: field for name, field in DefenseRecord.model_fields.items() if name != "entries"}
    keys = [*top.items(), *fields_of(DefenseEntry, "entries[].", branches=True)]
    for sort in (FilterEntry, DetectorEntry, PurifierEntry, ScanEntry, RepairEntry):
        for key, field in fields_of(sort, "entries[].", branches=True):
            if key.split(".")[1].partition("[")[0] not in shared:
                keys.append((key, field))
    for key, field in dict(keys).items():
        yield f"`{key}`", kind(field.annotation), meaning(field)


def configuration_page() -> str:
    """Return the page about the settings."""
    parts = [
        CONFIGURATION_TEXT,
        FOLLOWS_TEXT,
        comparison([(f"{h} x {w}", resolved((h, w), method="prl")) for h, w in SIZES]),
        "### Methods\n\nOn scenes of 512 x 1024 pixels:\n",
        comparison(
            [(f"{m}, {r}", method_of(m, r)) for r in get_args(Reading) for m in get_args(Method)]
        ),
        "### Presets\n\nWith method `prl` on scenes of 512 x 1024 pixels:\n",
        comparison([(p, resolved(PAPER_SIZE, preset=p, method="prl")) for p in get_args(Preset)]),
        READING_TEXT,
        comparison([(r, reading_of(r)) for r in get_args(Reading)]),
        EXCEPTIONS_TEXT,
        "".join(f"- {exception}\n" for exception in EXCEPTIONS["official"]),
        "## Every setting\n",
        *sections(),
    ]
    return "\n".join(parts)


def sections() -> Iterator[str]:
    """Yield a heading and a table for each section of the settings."""
    facts = flat(ExperimentConfig().model_dump(mode="json"))
    defaults = {key: code(value) for key, value in facts.items()}
    defaults |= dict(followed(ExperimentWishes, ""))
    names = [name for name, field in ExperimentConfig.model_fields.items() if not nested(field)]
    groups = {"": names, **{n: [n] for n in ExperimentConfig.model_fields if n not in names}}
    for group, members in groups.items():
        rows = [
            (
                f"`{key}`",
                kind(field.annotation) + bounds(field),
                defaults[key],
                meaning(field),
            )
            for key, field in fields_of(ExperimentConfig, "")
            if key.split(".")[0] in members
        ]
        if "attack" in members:
            rows[1:1] = [*plugin_rows(TRIGGERS), *plugin_rows(PLACEMENTS)]
            rows += label_rows()
        title = f"### `{group}`" if group else "### At the top"
        verbs = ", ".join(f"`{verb}`" for verb in VERBS if takes(verb, rows[0][0]))
        yield f"{title}\n\nOptions of {verbs}.\n"
        yield grid(("setting", "values", "default", "meaning"), rows)


def followed(wishes: type[Wishes], prefix: str) -> Iterator[tuple[str, str]]:
    """Yield the settings that follow from others, and from what."""
    for name, field in wishes.model_fields.items():
        if name in wishes.follows:
            yield prefix + name, f"follows from {wishes.follows[name]}"
        if isinstance(field.annotation, type) and issubclass(field.annotation, Wishes):
            yield from followed(field.annotation, f"{prefix}{name}.")


def takes(verb: str, key: str) -> bool:
    """Tell whether a verb has an option for a setting."""
    app = make_app()
    arguments = app[verb].assemble_argument_collection(default_parameter=app.default_parameter)
    return any(f"--{key.strip('`')}" in argument.names for argument in arguments)


def resolved(size: tuple[int, int], **given: object) -> Flat:
    """Return every setting that a few given ones lead to on scenes of a size."""
    return flat(resolve(wishes_from(given), size).model_dump(mode="json"))


def reading_of(reading: str) -> Flat:
    """Return every setting of a reading, the paper's fullest method and network given."""
    network = {"name": "pspnet"}
    return resolved(PAPER_SIZE, reading=reading, method="nni+prl", network=network)


def method_of(method: str, reading: str) -> Flat:
    """Return the settings that make up a method."""
    found = resolved(PAPER_SIZE, method=method, reading=reading)
    keys = ("attack.placement.kind", "attack.labels", "attack.labels.scatter.num_pixels")
    return {key: found.get(key) for key in keys}


def comparison(columns: Sequence[tuple[str, Mapping[str, object]]]) -> str:
    """Return a table of the settings that are not the same in all columns."""
    known = dict.fromkeys(key for _, column in columns for key in column)
    columns = [(name, {key: column.get(key) for key in known}) for name, column in columns]
    keys = [key for key in known if len({repr(column[key]) for _, column in columns}) > 1]
    # What a choice is called is no consequence of it.
    keys = [key for key in keys if "." in key]
    if len(columns) > len(keys):
        rows = [(name, *(code(column[key]) for key in keys)) for name, column in columns]
        return grid(("", *(f"`{key}`" for key in keys)), rows)
    rows = [(f"`{key}`", *(code(column[key]) for _, column in columns)) for key in keys]
    return grid(("setting", *(name for name, _ in columns)), rows)


def flat(tree: Mapping[str, object], prefix: str = "") -> Flat:
    """Return a tree of settings as dotted keys."""
    leaves: Flat = {}
    for name, value in tree.items():
        if isinstance(value, list) and value and isinstance(value[0], Mapping):
            leaves |= of_choices(cast("list[dict[str, object]]", value), f"{prefix}{name}")
            continue
        inner = isinstance(value, Mapping) and value
        branch = cast("Mapping[str, object]", value)
        leaves |= flat(branch, f"{prefix}{name}.") if inner else {f"{prefix}{name}": value}
    return leaves


def of_choices(choices: Sequence[Mapping[str, object]], key: str) -> Flat:
    """Return a list of choices as dotted keys: their kinds, and the settings of each kind."""
    leaves: Flat = {key: [choice["kind"] for choice in choices]}
    for choice in choices:
        settings = {name: value for name, value in choice.items() if name != "kind"}
        leaves |= flat(settings, f"{key}.{choice['kind']}.")
    return leaves


def fields_of(model: type[Settings], prefix: str, *, branches: bool = False) -> Iterator[Row]:
    """Yield the leaves of a tree of models with their dotted keys, and its branches if asked."""
    for name, field in model.model_fields.items():
        inner, mark = inside(field.annotation)
        if inner is None or branches:
            yield prefix + name, field
        if inner is not None:
            yield from fields_of(inner, f"{prefix}{name}{mark}.", branches=branches)


def nested(field: FieldInfo) -> bool:
    """Tell whether a field is a section of its own."""
    return inside(field.annotation)[0] is not None


def inside(annotation: object) -> tuple[type[Settings] | None, str]:
    """Return the model that an annotation holds, and what stands for its entries in a key."""
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        return (None if annotation is Estimate else annotation), ""
    marks = {tuple: "[]", dict: ".NAME"}
    for part in get_args(annotation):
        found, mark = inside(part)
        if found:
            return found, marks.get(cast("type", get_origin(annotation)), mark)
    return None, ""


def kind(annotation: object) -> str:
    """Return a type in plain words."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is None:
        return plain_kind(annotation)
    if origin is Literal:
        return ", ".join(code(part) for part in parts)
    if origin in (Union, types.UnionType):
        return " or ".join(kind(part) for part in parts)
    if origin is dict:
        return f"{kind(parts[1])} by name"
    if origin is tuple:
        return (
            f"list of {kind(parts[0])}" if parts[-1] is ... else f"{len(parts)} x {kind(parts[0])}"
        )
    return kind(parts[0])


def plain_kind(annotation: object) -> str:
    """Return a type without parameters in plain words."""
    words: dict[object, str] = {
        str: "text", int: "whole number", float: "number", bool: "true or false", Path: "path",
        object: "anything", type(None): "null", Estimate: "estimate",
    }  # fmt: skip
    plugin = isinstance(annotation, type) and issubclass(annotation, Plugin)
    return words.get(annotation, "kind with its settings" if plugin else "object")


def bounds(field: FieldInfo) -> str:
    """Return the bounds of a number in words, or nothing."""
    signs: dict[type, tuple[str, str]] = {
        Ge: ("ge", ">="), Gt: ("gt", ">"), Le: ("le", "<="), Lt: ("lt", "<"),
    }  # fmt: skip
    found = [
        f"{sign} {getattr(rule, attribute):g}"
        for rule in field.metadata
        for known, (attribute, sign) in signs.items()
        if isinstance(rule, known)
    ]
    return f", {' and '.join(found)}" if found else ""


def examples(field: FieldInfo) -> str:
    """Return the examples of a setting whose type does not say its values, or nothing."""
    found = " or ".join(code(example) for example in field.examples or ())
    return f", as {found}" if found else ""


def meaning(field: FieldInfo) -> str:
    """Return a field's description as one line that a table can hold."""
    assert field.description, field
    return plain(field.description)


def plain(text: str) -> str:
    """Return a docstring as one line that a table can hold."""
    return " ".join(text.split()).replace("|", "\\|").replace("``", "`")


def code(value: object) -> str:
    """Return a value as YAML would have it; an empty text or list is none."""
    if value in ("", ()):
        return "none"
    text = yaml.safe_dump(value, default_flow_style=True, width=10_000)
    return f"`{text.removesuffix(chr(10)).removesuffix(chr(10) + '...')}`"


def grid(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    main()
