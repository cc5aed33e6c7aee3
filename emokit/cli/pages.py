"""Documentation pages made from the code: `python -m emokit.cli.pages docs`."""

from __future__ import annotations

import dataclasses
import inspect
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from emokit.cli import COMMANDS, group
from emokit.cli.markdown import MADE, table
from emokit.core.config import field_choices
from emokit.core.files import write_text

WIDTH = 96
"""Columns of help texts on the pages, whatever terminal they are made in."""

AROUND = {
    "corpora": "Reads the catalogue and `$EMOKIT_CORPORA`. See the [pages of all corpora]"
               "(../corpora/index.md), [corpora.yaml](../corpora_yaml.md).",
    "build-corpus": "Reads raw folders, writes `emoset/`. See [your own corpus](../own_corpus.md), "
                    "[corpora.yaml](../corpora_yaml.md), [files](../files.md).",
    "train": "Reads `emoset/`, writes `runs/`. See the [tutorial](../tutorial.md).",
    "pretrain": "Reads `emoset/`, writes `runs/`. See [pre-training](../pretraining.md).",
    "baseline": "Reads `emoset/`, writes `runs/`. See [baselines](../baselines.md).",
    "evaluate": "Reads predictions, writes stdout and `reports/`. See "
                "[statistics](../statistics.md).",
    "predict": "Reads a checkpoint, writes JSON lines to stdout.",
    "runs": "Reads `runs/`, writes stdout.",
    "doctor": "Reads the installation, writes stdout.",
}
"""What stands between the title of a command's page and its help."""


def pages() -> dict[str, str]:
    """Give every page: file name to Markdown; the same text on every machine."""
    context = click.Context(group, info_name="emokit", terminal_width=WIDTH,
                            max_content_width=WIDTH, **group.context_settings)
    made = {"index.md": _index(context)}
    for name in COMMANDS:
        command = group.get_command(context, name)
        parts = [MADE, f"# emokit {name}", AROUND.get(name, ""), *_help(command, name, context)]
        if name == "train":
            parts += list(_settings())
        if name == "pretrain":
            parts += list(_pretraining_settings())
        if name == "baseline":
            parts += list(_feature_sets())
        made[f"{name}.md"] = "\n\n".join(filter(None, parts)) + "\n"
    return made


def _index(context: click.Context) -> str:
    text = inspect.cleandoc(group.help or "")
    rows = ([f"[{name}]({name}.md)", does] for name, (_, does) in COMMANDS.items())
    return "\n\n".join([MADE, "# Commands", text, table(["Command", "Does"], rows), (
        "Results go to stdout, the log and progress bars to stderr. Exit status: 0 done, 1 an "
        "error in words, 2 wrong usage, 130 interrupted. Every command can be run again and goes "
        "on where it stopped. Folders can be named once: `EMOKIT_EMOSET` stands for `--emoset`, "
        "`EMOKIT_RUNS` for `--runs`.")]) + "\n"


def _help(command: click.Command, name: str, parent: click.Context) -> Iterator[str]:
    """Give the help of a command, then that of its subcommands under headings."""
    context = click.Context(command, info_name=name, parent=parent, terminal_width=WIDTH,
                            max_content_width=WIDTH)
    yield f"```text\n{command.get_help(context)}\n```"
    if isinstance(command, click.Group):
        for below in command.list_commands(context):
            yield f"## {context.command_path} {below}"
            yield from _help(command.get_command(context, below), below, context)


def _settings() -> Iterator[str]:
    """Give the tables of all settings of `train`, and the recipes side by side."""
    from emokit.audio.augment import AUGMENTATIONS
    from emokit.cli.train import train
    from emokit.features import FRONT_ENDS
    from emokit.models import HEADS, POOLINGS
    from emokit.models.adapters import ADAPTERS
    from emokit.models.backbones import BACKBONES
    from emokit.training.config import TrainConfig

    yield "## All settings"
    yield ("Order, the later wins: defaults, the recipe (`--preset`), `--config FILE.yaml`, "
           "`--set KEY.PATH=VALUE`, flags. A setting without a flag is set with `--set`, such as "
           "`--set clip_norm=1`, or in the file. The default here is that of the code; a recipe "
           "may fill it otherwise, see [below](#recipes).")
    flags = {option for parameter in train.params for option in parameter.opts}
    yield settings_table(TrainConfig, flags)
    yield "## Settings of parts"
    yield ("A part is written `NAME(key=value,…)`, as YAML `{name: NAME, key: value}`, or reached "
           "by its path: `--set backbone.width=32`, `--set adapters.residual.rank=C/8`. Parts of "
           "a list are joined by `+`, and the values of a list setting by `|`.")
    for title, where, registry in (
            ("Front ends", "frontend", FRONT_ENDS), ("Backbones", "backbone", BACKBONES),
            ("Poolings", "pooling", POOLINGS), ("Heads", "head", HEADS),
            ("Adapters", "adapters", ADAPTERS), ("Augmentations", "augment", AUGMENTATIONS)):
        yield f"### {title} (`{where}`)"
        for name in registry:
            part = registry[name]
            config = getattr(part, "Config", part)
            yield f"**{name}.** {_first_paragraph(part)}"
            yield settings_table(config) if dataclasses.fields(config) else "No settings."
    yield "## Recipes"
    yield ("A recipe fills what nobody set. Empty: the default stands. Your own is a YAML file of "
           "the same form: `--preset mine.yaml`.")
    yield _recipes(TrainConfig)


def _pretraining_settings() -> Iterator[str]:
    """Give the settings of `pretrain tapt`, `ptapt` and `scratch`, and their recipes."""
    from emokit.cli.pretrain import tapt
    from emokit.pretraining.config import KINDS, ContrastiveConfig, PretrainConfig, read_recipe

    yield "## All settings"
    yield ("Of `tapt`, `ptapt` and `scratch`. Order, the later wins: defaults, the recipe below, "
           "`--config FILE.yaml`, `--set KEY.PATH=VALUE`, flags. The backbone has the settings of "
           "[`hf`](train.md#backbones-backbone).")
    yield settings_table(PretrainConfig, {option for parameter in tapt.params
                                          for option in parameter.opts})
    yield "### The contrastive objective (`contrastive`)"
    yield settings_table(ContrastiveConfig)
    yield "### Recipes of pre-training"
    recipes = {kind: dict(_flat(read_recipe(kind))) for kind in KINDS}
    keys = dict.fromkeys(key for values in recipes.values() for key in values)
    yield table(["Setting", *(f"`{kind}`" for kind in KINDS)], (
        [f"`{key}`", *(_code(recipes[kind][key]) if key in recipes[kind] else ""
                       for kind in KINDS)] for key in keys))


def settings_table(config: type, flags: Iterable[str] | None = None) -> str:
    """Give the fields of a config as a Markdown table.

    Args:
        flags: options of the command; with them the table has a column that names them.
    """
    head = ["Setting", "Default", "Meaning"]
    rows = []
    for field in dataclasses.fields(config):
        row = [f"`{field.name}`", _code(default_of(field)), _meaning(field)]
        if flags is not None:
            flag = "--" + field.name.replace("_", "-")
            row.insert(1, f"`{flag}`" if flag in flags else "")
        rows.append(row)
    return table(head if flags is None else ["Setting", "Flag", *head[1:]], rows)


def default_of(field: dataclasses.Field) -> Any:
    """Give a field's default, or MISSING."""
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def _meaning(field: dataclasses.Field) -> str:
    limits = field.metadata
    words = [limits.get("help", "")]
    allowed = field_choices(field)
    if allowed:
        words.append(f"Choices: {', '.join(f'`{word}`' for word in allowed if word)}.")
    bounds = [f"{sign} {limits[key]:g}" for key, sign in
              (("minimum", "≥"), ("above", ">"), ("maximum", "≤"), ("below", "<"))
              if limits.get(key) is not None]
    if bounds:
        words.append(f"{' and '.join(bounds)}.")
    return " ".join(filter(None, words))


def _recipes(config: type) -> str:
    from emokit.training.settings import read_recipe, recipe_names

    order = {name: place for place, name in enumerate(("small", "base", "emonet"))}
    names = sorted(recipe_names(), key=lambda name: (order.get(name, len(order)), name))
    recipes = {name: dict(_flat(read_recipe(name))) for name in names}
    fields = [field.name for field in dataclasses.fields(config)]
    keys = sorted({key for values in recipes.values() for key in values},
                  key=lambda key: (fields.index(key.split(".")[0]), not key.endswith("name"), key))
    rows = ([f"`{key}`", *(_code(recipes[name][key]) if key in recipes[name] else ""
                           for name in names)] for key in keys)
    return table(["Setting", *(f"`{name}`" for name in names)], rows)


def _flat(settings: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{key}.")
        else:
            yield above + key, value


def _feature_sets() -> Iterator[str]:
    from emokit.baselines import BASELINES

    yield "## Feature sets"
    yield table(["Name", "What"], ([f"`{name}`", _first_paragraph(BASELINES[name])]
                                   for name in BASELINES))


def _code(value: Any) -> str:
    from emokit.core.config import format_spec

    if value is dataclasses.MISSING:
        return "needed"
    if isinstance(value, Mapping) and "name" in value:
        value = format_spec([value])
    elif isinstance(value, (list, tuple)) and value and isinstance(value[0], Mapping):
        value = format_spec(value)
    elif isinstance(value, (list, tuple)):
        value = ", ".join(map(str, value))
    text = "none" if value is None or value == "" else str(value).lower() \
        if isinstance(value, bool) else str(value)
    return f"`{text}`"


def _first_paragraph(part: Any) -> str:
    return " ".join(inspect.cleandoc(part.__doc__ or "").split("\n\n")[0].split())


def main(folder: str) -> None:
    """Write the pages of commands and corpora, and remove those of what is no more."""
    from emokit.cli.corpus_pages import corpus_pages

    for below, made in (("commands", pages()), ("corpora", corpus_pages())):
        target = Path(folder) / below
        for path in target.glob("*.md"):
            if path.name not in made:
                path.unlink()
        for name, text in made.items():
            write_text(target / name, text)
        click.echo(str(target / "index.md"))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("Usage: python -m emokit.cli.pages FOLDER")
    main(sys.argv[1])
