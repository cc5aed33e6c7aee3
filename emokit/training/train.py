"""Fitting all cells of a group, each resumable, none twice."""

from __future__ import annotations

import dataclasses
import logging
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from emokit import __version__
from emokit.core.config import to_mapping
from emokit.core.errors import ConfigError, CorpusError, EmokitError, culprits
from emokit.core.files import file_digest, write_json, write_yaml
from emokit.corpora import views
from emokit.corpora.store import BuiltCorpus, open_emoset
from emokit.loading.source import POOLED, Source, fold_of, folds_of, make_source
from emokit.models.settings import complete
from emokit.training.config import FROZEN_MODES, TrainConfig, group_signature
from emokit.training.run import BEST, FAILED, Cell, Group, cell_name, environment, start_cell
from emokit.training.settings import table

log = logging.getLogger("emokit")


@dataclasses.dataclass(frozen=True)
class Task:
    """One cell to fit: who, which fold, which seed, on which corpora."""

    cell: Cell
    who: str
    fold: int | None
    seed: int
    corpora: tuple[BuiltCorpus, ...]


def effective(config: TrainConfig) -> TrainConfig:
    """Write out what defaults imply, so that signatures and checkpoints see it.

    A joint model without adapters still has private norms, the `norm` adapter, unless they would
    never learn.
    """
    if config.regime == "joint" and not config.adapters and config.mode not in FROZEN_MODES:
        config = dataclasses.replace(config, adapters=[{"name": "norm"}])
    full = complete(config.model_settings())
    return dataclasses.replace(config, **{
        field.name: getattr(full, field.name) for field in dataclasses.fields(full)})


def group_name(config: TrainConfig, name: str | None = None, folded: bool = False) -> str:
    """Name a group by what distinguishes it at a glance, without its signature."""
    if name:
        if name != Path(name).name:
            raise ConfigError(f"--name is '{name}', but a group is one folder below --runs. Leave "
                              "out the '/'.")
        return name
    parts = [config.regime]
    if config.mode != "scratch":
        parts.append(config.mode)
    if config.adapters:
        parts.append("+".join(item["name"] for item in config.adapters))
    if config.target != "emotion":
        parts.append(config.target)
    parts.append(config.preset or config.backbone["name"])
    if folded:
        parts.append("folds")
    return "-".join(Path(part).stem if part.endswith(".yaml") else part for part in parts)


def plan(config: TrainConfig, corpora: Sequence[BuiltCorpus], runs: Path, name: str | None = None,
         identity: str | None = None) -> tuple[Group, list[Task]]:
    """Lay out the group and its cells, without touching the disk.

    Args:
        identity: of the weights that `init` means, where they do not lie on the disk yet.
    """
    from emokit.training.adapter_start import identified
    from emokit.training.start import init_identity, weights_identity

    names = [corpus.name for corpus in corpora]
    together = config.regime != "single"
    members = [tuple(corpora)] if together else [(corpus,) for corpus in corpora]
    folds = [folds_of(member, config.folds) for member in members]
    folded = any(fold is not None for several in folds for fold in several)
    config = dataclasses.replace(config, adapters=identified(config.adapters))
    text = group_signature(config, names, identity or init_identity(runs, config.init), folded,
                           weights_identity(config.backbone))
    group = Group(runs / f"{group_name(config, name, folded)}-{text}")
    return group, list(_tasks(config, zip(members, folds), group))


def _tasks(config, members, group) -> Iterator[Task]:
    members = list(members)
    for seed in config.seeds:
        for member, folds in members:
            who = config.regime if config.regime != "single" else member[0].name
            for fold in folds:
                yield Task(group.cell(cell_name(who, fold, seed)), who, fold, seed, member)


def train(config: TrainConfig, explicit: Mapping[str, Any], emoset: str | Path, runs: str | Path,
          name: str | None = None) -> tuple[Group, list[Task]]:
    """Fit every cell of a group that is not complete yet.

    Args:
        config: as `emokit.training.settings.resolve` gives it.
        explicit: what the user named, see there.
        emoset: folder of built corpora.
        runs: folder of groups.
        name: of the group; its signature is appended.

    Returns:
        The group and its cells.

    Raises:
        EmokitError: a cell cannot be fitted; its folder keeps the reason and what was reached.
    """
    runs = Path(runs)
    corpora = open_emoset(emoset, config.corpora)
    config = effective(config)
    group, tasks = plan(config, corpora, runs, name)
    refuse_early(config, tasks)
    synthetic = [corpus.name for corpus in corpora if corpus.build.get("synthetic")]
    if 0 < len(synthetic) < len(corpora):
        log.warning("Synthetic stand-ins (%s) lie beside real recordings in '%s'. Choose with "
                    "--corpora.", culprits(synthetic), emoset)
    log.info("%s\n%s", group.folder, textwrap.fill(
        ", ".join(f"{key} {value}" for key, value in table(config)), 100,
        initial_indent="  ", subsequent_indent="  ", break_long_words=False,
        break_on_hyphens=False))
    for task in tasks:
        fit_or_check(task, config, explicit, runs)
    return group, tasks


def fit_or_check(task: Task, config: TrainConfig, explicit: Mapping[str, Any], runs: Path) -> None:
    """Fit a cell that is not complete; hold one that is to the corpora and base of today.

    Raises:
        EmokitError: it cannot be fitted, or a model there saw another build or another base.
    """
    if task.cell.is_complete:
        _check_current(task, config, runs)
        log.info("%s is complete", task.cell.name)
    else:
        fit_cell(task, config, explicit, runs)


def refuse_early(config: TrainConfig, tasks: Sequence[Task]) -> None:
    """Find what would stop a later cell before the first is begun or anything is written."""
    from emokit.audio.augment import make
    from emokit.models.parts import check_parts
    from emokit.training.beginning import blank
    from emokit.training.losses import ordinal_ranks
    from emokit.training.selection import refuse_undecidable

    device_of(config.device)
    make(config.augment)
    if (config.rates or config.freeze) and config.init is None:
        # on a start the parts are those of the start
        model = blank(config, sources_of(config, tasks[0].corpora, tasks[0].fold))
        for setting in ("freeze", "rates"):
            check_parts(model, getattr(config, setting), setting)
    # seeds see the same sources
    for task in (task for task in tasks if task.seed == config.seeds[0]):
        sources = sources_of(config, task.corpora, task.fold)
        refuse_undecidable(sources)
        for source in sources:
            if config.loss == "ordinal":
                ordinal_ranks(config.ordinal_order, source.head_labels, source.name)


def _start_group(group: Group, config: TrainConfig) -> None:
    if not (group.folder / "group.yaml").is_file():
        settings = to_mapping(config)
        for field in ("corpora", "seeds", "folds", "device", "workers"):
            settings.pop(field)
        write_yaml(group.folder / "group.yaml", settings)


def _check_current(task: Task, config: TrainConfig, runs: Path) -> None:
    """Refuse to call a model complete that saw other builds or began from other weights."""
    from emokit.training import checkpoint, start

    facts = checkpoint.inspect(task.cell.folder / BEST).facts
    _refuse_other_build(task.cell, facts, task.corpora)
    if config.init:
        base = start.init_checkpoint(runs, config.init, task.who, task.seed, task.fold,
                                     config.copy_from)
        if file_digest(base) != facts["init"]:
            raise EmokitError(
                f"'{task.cell.folder}' began from other weights than '{base}' holds now. Remove "
                "that folder to train it again."
            )


def _refuse_other_build(cell: Cell, facts: Mapping[str, Any], corpora: Sequence[BuiltCorpus]
                        ) -> None:
    """Refuse a model of other builds, or of other label views than this emokit has."""
    if facts["target"] != "emotion" and facts.get("views", views.version()) != views.version():
        raise EmokitError(
            f"'{cell.folder}' was trained under version {facts['views']} of the label views, this "
            f"emokit has {views.version()}. Train it again: remove that folder, then repeat its "
            "`emokit train` line."
        )
    for corpus in corpora:
        if facts["manifests"].get(corpus.name) != corpus.signature:
            raise EmokitError(
                f"'{cell.folder}' was trained on another build of '{corpus.name}'. Train it again: "
                "remove that folder, then repeat its `emokit train` line."
            )


def sources_of(config: TrainConfig, corpora: Sequence[BuiltCorpus], fold: int | None
               ) -> list[Source]:
    """Make the sources of one cell; corpora with fewer folds than J use J modulo theirs."""
    sources = [make_source(corpus, config.target, fold_of(corpus, fold), config.regime == POOLED)
               for corpus in corpora]
    if views.split_target(config.target)[1] and not any(source.dimensions for source in sources):
        raise CorpusError(
            f"None of the corpora {culprits(corpus.name for corpus in corpora)} has arousal, "
            f"valence or dominance, which target '{config.target}' asks for. Choose another "
            "--target, or other --corpora."
        )
    return sources


def device_of(name: str):
    """Give the torch device that a setting means.

    Raises:
        ConfigError: no such device here.
    """
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"--device {name} is not usable here ({reason}). Try cpu.") from None
    return device


def fit_cell(task: Task, config: TrainConfig, explicit: Mapping[str, Any], runs: Path
             ) -> dict[str, Any]:
    """Fit one cell from its start, or from where it stopped.

    Raises:
        EmokitError: it cannot be fitted, there is not enough memory, or another process is at it.
    """
    from emokit.training.memory import memory_in_words

    with memory_in_words(config, task.cell.name):
        return _fit_cell(task, config, explicit, runs)


def _fit_cell(task, config, explicit, runs) -> dict[str, Any]:
    from emokit.models.budget import budget
    from emokit.models.modes import apply_mode
    from emokit.models.parts import check_parts, freeze
    from emokit.training import start
    from emokit.training.loop import fit, precision_of
    from emokit.training.memory import memory_in_words
    from emokit.training.objective import noisy_batches
    from emokit.training.predict import place
    from emokit.training.selection import refuse_undecidable

    device = device_of(config.device)
    sources = sources_of(config, task.corpora, task.fold)
    for source in sources:
        for label, n in source.dropped.items():
            log.warning("%s: class '%s' (%d utterances) has no place in target '%s' and %s",
                        source.name, label, n, config.target,
                        "counts for dimensions alone" if source.dimensions else "is left out")
    for line in (*refuse_undecidable(sources), *noisy_batches(sources, config)):
        log.warning("%s: %s", task.cell.name, line)
    path = None
    if config.init:
        path = start.init_checkpoint(runs, config.init, task.who, task.seed, task.fold,
                                     config.copy_from)
    model, base = start.make_model(config.model_settings(), sources, task.seed, path, explicit,
                                   config.mode, config.copy_from, config.new_head)
    # on a base the shared parts are those of the base, whatever a recipe says
    config = dataclasses.replace(config, **dataclasses.asdict(model.settings))
    joint = config.regime == "joint"
    apply_mode(model, "joint" if joint and config.mode not in FROZEN_MODES else config.mode,
               None if joint else sources[0].head)
    freeze(model, config.freeze)
    check_parts(model, config.rates, "rates")
    place(model, device)
    if config.compile:
        model.backbone.compile()
    _, precision, why = precision_of(config, device)
    with task.cell.alone():
        if task.cell.is_complete:
            # another process was faster
            return task.cell.metrics()
        _start_group(Group(task.cell.folder.parent), config)
        start_cell(task.cell, {**to_mapping(config), "seeds": [task.seed],
                               "corpora": [source.name for source in sources]},
                   budget(model), environment(str(device), precision, why))
        try:
            with memory_in_words(config, task.cell.name):
                return fit(model, sources, config, task.seed, task.cell,
                           _facts(task, config, sources, base), start.new_adapters(model, base))
        except EmokitError as error:
            write_json(task.cell.folder / FAILED, {"error": str(error)})
            raise


def _facts(task: Task, config: TrainConfig, sources: Sequence[Source], base) -> dict[str, Any]:
    """Give what a checkpoint says besides weights, settings and labels."""
    from emokit.models.pretrained import pretraining_facts
    from emokit.training.adapter_start import pretrained_facts

    carried = [] if base is None else [item["name"] for item in base.settings.adapters]
    return {
        "version": __version__, "regime": config.regime, "mode": config.mode,
        "target": config.target, "views": views.version(), "seed": task.seed, "fold": task.fold,
        "window": config.window, "scoring": config.scoring,
        "init": None if base is None else file_digest(base.path),
        "ancestors": pretrained_facts(config.adapters, sources, task.seed, carried) + (
            pretraining_facts(config.backbone) if base is None else [
                {name: base.facts[name] for name in ("target", "fold", "manifests")},
                *base.facts.get("ancestors", ())]),
        "manifests": {source.name: source.corpus.signature for source in sources},
        "corpora": {source.name: {"head": source.head, "labels": list(source.labels),
                                  "dimensions": list(source.dimensions), "fold": source.fold}
                    for source in sources},
    }


def score_cell(cell: Cell, emoset: str | Path, partition: str, device: str = "auto") -> None:
    """Write a cell's predictions on one partition, by the function that training scores with.

    Raises:
        EmokitError: a corpus is missing or was built anew since.
    """
    from emokit.core.files import write_csv
    from emokit.training import checkpoint
    from emokit.training.predict import place, prediction_table, score

    model, found = checkpoint.load(cell.folder / BEST)
    place(model, device_of(device))
    facts = found.facts
    corpora = open_emoset(emoset, list(facts["corpora"]))
    _refuse_other_build(cell, facts, corpora)
    for corpus in corpora:
        head = facts["corpora"][corpus.name]["head"]
        source = make_source(corpus, facts["target"], fold_of(corpus, facts["fold"]),
                             head == POOLED)
        if len(source.rows[partition]):
            write_csv(cell.predictions(corpus.name, partition), prediction_table(
                source, partition,
                score(model, source, partition, facts["window"], facts["scoring"])))
