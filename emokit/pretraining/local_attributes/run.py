"""A group of pre-trainings: encoder, frozen states, cells by seed and fold."""

from __future__ import annotations

import dataclasses
import logging
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from emokit import __version__
from emokit.core.config import format_spec, to_mapping
from emokit.core.errors import ConfigError, EmokitError, culprits
from emokit.core.files import write_json, write_yaml
from emokit.corpora.store import BuiltCorpus, open_emoset
from emokit.loading.source import Source, fold_of, folds_of, make_source
from emokit.models.settings import ModelSettings, complete
from emokit.pretraining.local_attributes.config import LocalAttributesConfig, group_signature
from emokit.training.adapter_start import FILE, WHO, encoder_identity, inspect_pretrained
from emokit.training.run import FAILED, Cell, cell_name, environment, start_cell

log = logging.getLogger("emokit")

SETTINGS = "pretraining.yaml"
"""Of a group; another name than that of trainings, which `runs` and `evaluate` list."""

NAME = "local-attributes"


@dataclasses.dataclass(frozen=True)
class Task:
    """One pre-training: its folder, fold and seed."""

    cell: Cell
    fold: int | None
    seed: int


def pretrain(config: LocalAttributesConfig, emoset: str | Path, runs: str | Path,
             name: str | None = None) -> tuple[Path, list[Task]]:
    """Learn every cell of a group that is not finished yet.

    Args:
        config: as `resolve` gives it.
        emoset: folder of built corpora.
        runs: folder of groups.
        name: of the group; its signature is appended.

    Returns:
        The group's folder and its cells.

    Raises:
        EmokitError: a cell cannot be learnt; its folder keeps the reason.
    """
    corpora = open_emoset(emoset, config.corpora)
    folder, tasks = plan(config, corpora, Path(runs), name)
    model = None
    for task in tasks:
        if is_finished(task.cell):
            _refuse_other_build(task, corpora)
            log.info("%s is finished", task.cell.name)
            continue
        if model is None:
            model = make_encoder(config)
            log.info("%s\n%s", folder, textwrap.fill(
                ", ".join(f"{key} {value}" for key, value in _spoken(config)), 100,
                initial_indent="  ", subsequent_indent="  ", break_long_words=False,
                break_on_hyphens=False))
        _learn(task, config, corpora, model)
    return folder, tasks


def _spoken(config: LocalAttributesConfig) -> list[tuple[str, Any]]:
    """Give settings and values for printing before a run."""
    rows = {**to_mapping(config), "backbone": format_spec([config.backbone])}
    return [(key, "none" if value in (None, []) else value) for key, value in rows.items()]


def plan(config: LocalAttributesConfig, corpora: Sequence[BuiltCorpus], runs: Path,
         name: str | None = None) -> tuple[Path, list[Task]]:
    """Lay out a group and its cells, without touching the disk.

    Raises:
        ConfigError: a name that is none, or a fold that no corpus has.
    """
    from emokit.training.start import weights_identity

    if name is not None and name != Path(name).name:
        raise ConfigError(f"--name is '{name}', but a group is one folder below --runs. Leave out "
                          "the '/'.")
    folds = folds_of(corpora, config.folds)
    text = group_signature(config, [corpus.name for corpus in corpora],
                           any(fold is not None for fold in folds),
                           weights_identity(config.backbone))
    folder = runs / f"{name or NAME}-{text}"
    return folder, [Task(Cell(folder / cell_name(WHO, fold, seed)), fold, seed)
                    for seed in config.seeds for fold in folds]


def is_finished(cell: Cell) -> bool:
    """Say whether the adapter of a cell is there."""
    return cell.is_complete and (cell.folder / FILE).is_file()


def make_encoder(config: LocalAttributesConfig):
    """Make a model of the frozen encoder alone, with its weights, on its device.

    Raises:
        ConfigError: no speech transformer, or one that gives the mean of its states.
    """
    from emokit.models.model import EmotionModel
    from emokit.training.train import device_of

    settings = complete(ModelSettings(backbone=dict(config.backbone), pooling="average",
                                      normalisation="none"))
    model = EmotionModel(settings, {})
    readout = getattr(model.backbone, "readout", None)
    if readout is None:
        raise ConfigError(
            f"Backbone '{model.backbone.name}' has no states of layers that a WAP-Transformer "
            "could take. Name a speech transformer, e.g. --backbone hf:PATH_OR_ID.")
    if readout.mean:
        raise ConfigError("layer=mean gives the mean of all states, which the WAP-Transformer "
                          "cannot take. Set states to weighted_sum instead.")
    if not config.backbone.get("path"):
        raise ConfigError("The encoder has random weights, from which there is nothing to learn. "
                          "Name its weights: --backbone hf:PATH_OR_ID.")
    model.backbone.load_start()
    model.requires_grad_(False)
    return model.eval().to(device_of(config.device))


def sources_of(corpora: Sequence[BuiltCorpus], fold: int | None) -> list[Source]:
    """Make the sources of one cell, by the corpora's own classes, of which none is looked at."""
    return [make_source(corpus, "emotion", fold_of(corpus, fold)) for corpus in corpora]


def frames_of(model, sources: Sequence[Source], partition: str, config: LocalAttributesConfig):
    """Give the frozen states of a partition of several corpora, see `FrameSet`."""
    from emokit.pretraining.local_attributes.data import FrameSet
    from emokit.training.states import states

    level, found = "last" if config.states == "last" else "layers", []
    for source in sources:
        if source.head not in model.corpora:
            # the head is never used; states belong to a corpus
            model.add_corpus(source.head, source.head_labels)
            model.eval()
        found.append(states(model, source, source.rows[partition], config.window, "multi",
                            states_folder(source), level))
    return FrameSet(sources, found)


def states_folder(source: Source) -> Path | None:
    """Give where the states of a corpus are kept: beside it, or in the temporary folder."""
    import os
    import tempfile

    if os.access(source.corpus.folder, os.W_OK):
        return None
    return Path(tempfile.gettempdir()) / f"emokit-states-{os.getuid()}" / source.name


def _learn(task: Task, config: LocalAttributesConfig, corpora: Sequence[BuiltCorpus], model
           ) -> dict[str, Any]:
    from emokit.pretraining.local_attributes.loop import learn

    sources = sources_of(corpora, task.fold)
    device = next(model.parameters()).device
    task.cell.folder.mkdir(parents=True, exist_ok=True)
    with task.cell.alone():
        write_yaml(task.cell.folder.parent / SETTINGS, to_mapping(config))
        start_cell(task.cell, {**to_mapping(config), "seeds": [task.seed]},
                   {}, environment(str(device), config.precision, "as set"))
        try:
            train, dev = (frames_of(model, sources, partition, config)
                          for partition in ("train", "dev"))
            return learn(model.backbone.readout, train, dev, config, task.seed, task.cell,
                         _facts(task, config, sources, model, train), device)
        except EmokitError as error:
            write_json(task.cell.folder / FAILED, {"error": str(error)})
            raise


def _facts(task: Task, config: LocalAttributesConfig, sources: Sequence[Source], model, train
           ) -> dict[str, Any]:
    """Give what the file says besides weights and settings; `target` and `fold` say what was seen.
    """
    return {
        "version": __version__, "seed": task.seed, "fold": task.fold, "target": "emotion",
        "manifests": {source.name: source.corpus.signature for source in sources},
        "encoder": encoder_identity(model.backbone),
        "backbone": str(config.backbone.get("path")), "window": config.window,
        "hours": round(float(train.seconds.sum()) / 3600, 3), "utterances": len(train)}


def _refuse_other_build(task: Task, corpora: Sequence[BuiltCorpus]) -> None:
    facts = inspect_pretrained(task.cell.folder / FILE)["facts"]
    stale = [corpus.name for corpus in corpora
             if facts["manifests"].get(corpus.name) != corpus.signature]
    if stale:
        raise EmokitError(
            f"'{task.cell.folder}' learnt from another build of {culprits(stale)}. Remove that "
            "folder to learn it again.")


def overview(tasks: Sequence[Task]) -> list[dict[str, Any]]:
    """Give a row for each clustering of each finished cell."""
    rows = []
    for task in tasks:
        metrics = task.cell.metrics()
        rows += [{"cell": task.cell.name, "attributes": int(n), "used": used,
                  "dev_accuracy": metrics["dev_accuracy"][n],
                  "dev_majority": metrics["dev_majority"][n],
                  "dev_place": metrics["dev_place"][n], "dev_loss": metrics["dev_loss"][n],
                  "spread": metrics["spread"], "rank": metrics["rank"],
                  "hours_per_hour": metrics["hours_per_hour"], "epochs": metrics["epochs"],
                  "seconds": metrics["seconds"]} for n, used in metrics["usage"].items()]
    return rows


def next_line(config: LocalAttributesConfig, folder: Path, emoset: str | Path, runs: str | Path
              ) -> str:
    """Give the line that fine-tunes from what was learnt."""
    defaults = LocalAttributesConfig(backbone=config.backbone)
    changed = [f"{key}={value}" for key, value in config.wap().items()
               if value != getattr(defaults, key)]
    adapter = f"wap({','.join([f'path={folder}', *changed])})" if changed else f"wap:{folder}"
    spec = format_spec([config.backbone])
    backbone = f"hf:{config.backbone['path']}" if set(config.backbone) == {"name", "path"} and (
        config.backbone["name"] == "hf") else spec
    return (f'emokit train --preset local_attributes --regime single --backbone "{backbone}" '
            f'--adapters "{adapter}" --emoset {emoset} --runs {runs}')
