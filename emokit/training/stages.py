"""Stage plans: one training after another, each from the very weights of the one before."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from emokit.core.errors import ConfigError
from emokit.corpora.store import BuiltCorpus, open_emoset
from emokit.loading.source import Source, folds_of
from emokit.models.model import EmotionModel
from emokit.models.modes import apply_mode
from emokit.models.parts import check_parts, freeze, learning_parts, parts_of
from emokit.training.config import FROZEN_MODES, TrainConfig
from emokit.training.run import Group
from emokit.training.speakers import refuse_shared_speakers
from emokit.training.stage_file import Stage
from emokit.training.train import Task, effective, fit_or_check, plan, refuse_early, sources_of

log = logging.getLogger("emokit")


@dataclasses.dataclass(frozen=True)
class Laid:
    """A stage with its group and cells.

    Args:
        config: with the group of the start as `init`, and all that does not learn in `freeze`.
        corpora: built ones.
        model: of its first cell, without weights.
    """

    stage: Stage
    config: TrainConfig
    group: Group
    tasks: tuple[Task, ...]
    corpora: tuple[BuiltCorpus, ...]
    model: EmotionModel


def lay_out(stages: Sequence[Stage], emoset: str | Path, runs: str | Path) -> list[Laid]:
    """Give groups and cells of all stages, without touching the disk, and hold them to the rules.

    Raises:
        EmokitError: an unknown corpus or part; a model that cannot begin as that of its start
            ended; folds that one stage has and another has not; a speaker whom one stage trains
            on and another is tested on.
    """
    opened = {corpus.name: corpus for corpus in open_emoset(
        emoset, list(dict.fromkeys(name for stage in stages for name in stage.corpora)))}
    folds = folds_of(list(opened.values()), stages[0].config.folds)
    laid: dict[str, Laid] = {}
    for stage in stages:
        corpora = [opened[name] for name in stage.corpora]
        config = stage.config if folds == [None] or stage.config.folds.isdigit() else (
            dataclasses.replace(stage.config, folds="all"))
        identity = None
        if stage.start:
            group = laid[stage.start].group.name
            config = dataclasses.replace(config, init=group)
            identity = f"{group}/{stage.former}"
        sources = sources_of(config, corpora, folds[0])
        if stage.start:
            _refuse_labels(laid[stage.start], stage, config, sources)
        try:
            model = _begun(stage, config, sources, laid, Path(runs))
            config = effective(_frozen(stage, config, model))
            group, tasks = plan(config, corpora, Path(runs), stage.name, identity)
            refuse_early(config, tasks)
        except ConfigError as error:
            raise ConfigError(f"{stage.where}: stage '{stage.name}': {error}") from None
        laid[stage.name] = Laid(stage, config, group, tuple(tasks), tuple(corpora), model)
        if stage.start:
            _refuse_folds(laid[stage.start], laid[stage.name])
    _refuse_speakers(list(laid.values()))
    return list(laid.values())


def _begun(stage: Stage, config: TrainConfig, sources: Sequence[Source],
           laid: Mapping[str, Laid], runs: Path) -> EmotionModel:
    """Make the model of a stage as its start will leave it, without weights."""
    from emokit.training import checkpoint
    from emokit.training.beginning import blank, rehearse
    from emokit.training.start import init_checkpoint

    config = effective(config)
    if stage.start:
        start = laid[stage.start]
        return rehearse(config, stage.explicit, sources, start.model, start.group.folder)
    if config.init is None:
        return blank(config, sources)
    who = sources[0].name if config.regime == "single" else config.regime
    path = init_checkpoint(runs, config.init, who, config.seeds[0], sources[0].fold,
                           config.copy_from)
    found = checkpoint.inspect(path)
    with torch.device("meta"):
        trained = EmotionModel(found.settings, found.labels, found.dimensions)
    return rehearse(config, stage.explicit, sources, trained, path)


def _frozen(stage: Stage, config: TrainConfig, model: EmotionModel) -> TrainConfig:
    """Write into `freeze` every part that the mode has learn and the stage has not."""
    check_parts(model, config.freeze, "freeze")
    check_parts(model, config.rates, "rates")
    single = config.regime == "single"
    together = not single and config.mode not in FROZEN_MODES
    apply_mode(model, "joint" if together else config.mode, stage.corpora[0] if single else None)
    if stage.train is not None:
        check_parts(model, stage.train, "train")
        wider: dict[str, set[str]] = {}
        for names in parts_of(model).values():
            wider.setdefault(names[0], set()).update(names)
        learnt = {name for part in learning_parts(model) for name in wider[part]}
        idle = [name for name in stage.train if name not in learnt]
        if idle:
            raise ConfigError(f"'{idle[0]}' in 'train' does not learn without the backbone. Name "
                              f"the backbone too, or leave '{idle[0]}' out.")
        rest = [part for part in learning_parts(model) if not wider[part] & set(stage.train)]
        config = dataclasses.replace(config, freeze=list(dict.fromkeys([*config.freeze, *rest])))
    freeze(model, config.freeze)
    left = learning_parts(model)
    if not left:
        raise ConfigError("nothing is left to learn. Name other parts in 'train', or fewer in "
                          "'freeze'.")
    log.info("stage %s learns %s", stage.name, ", ".join(left))
    return config


def _refuse_folds(start: Laid, laid: Laid) -> None:
    theirs = {task.fold for task in start.tasks}
    for task in laid.tasks:
        if task.fold not in theirs and theirs != {None}:
            words = "no folds" if task.fold is None else f"a fold {task.fold}"
            raise ConfigError(
                f"Stage '{laid.stage.name}' has {words}, and its start '{start.stage.name}' has "
                "not the same. Give both corpora the same folds in corpora.yaml, such as "
                "partitions: {rule: folds, by: session}, or train with --folds none.")


def _refuse_labels(start: Laid, stage: Stage, config: TrainConfig, sources: Sequence[Source]
                   ) -> None:
    """Refuse a head that would go on under other answers, or the same in another order."""
    if config.new_head or stage.former not in start.stage.corpora:
        return
    theirs = next(source for source in sources_of(start.config, start.corpora, start.tasks[0].fold)
                  if source.name == stage.former)
    for source in sources:
        if len(sources) == 1 or source.name == stage.former:
            refuse_labels(theirs, source, f"{stage.where}: stage '{stage.name}': ",
                          "such as canonical4, or write 'head: new'")


def refuse_labels(theirs: Source, ours: Source, where: str, hint: str) -> None:
    """Refuse a head that would answer something else than it learnt.

    Args:
        where, hint: before and at the end of the message.

    Raises:
        ConfigError: other classes or dimensions, or the same in another order.
    """
    one, other = ([*source.head_labels, *source.head_dimensions] for source in (theirs, ours))
    if one != other:
        raise ConfigError(
            f"{where}'{ours.name}' has the classes {', '.join(other)}, and '{theirs.name}', which "
            f"it starts from, {', '.join(one)}. Take a --target that gives both the same list in "
            f"the same order, {hint}.")


def _refuse_speakers(laid: Sequence[Laid]) -> None:
    """Refuse speakers whom one stage of a chain trains on and another is tested on.

    Ids are compared between corpora that one parser read in one folder; elsewhere equal ids are
    other people.
    """
    by_name = {one.stage.name: one for one in laid}
    for one in laid:
        here = one
        while here.stage.start:
            here = by_name[here.stage.start]
            for task in one.tasks:
                theirs = next(other for other in here.tasks if other.seed == task.seed
                              and other.fold in (task.fold, None))
                for mine, learnt in ((task, theirs), (theirs, task)):
                    refuse_speakers(one.config, mine, learnt)


def refuse_speakers(config: TrainConfig, tested: Task, learnt: Task) -> None:
    """Refuse a test or dev partition with speakers of another cell's train partition.

    Raises:
        CorpusError: there are some.
    """
    for mine in sources_of(config, tested.corpora, tested.fold):
        for other in sources_of(config, learnt.corpora, learnt.fold):
            refuse_shared_speakers(mine, other)


def train_stages(stages: Sequence[Stage], emoset: str | Path, runs: str | Path) -> list[Laid]:
    """Fit every cell of every stage that is not complete yet, stage by stage.

    Raises:
        EmokitError: see `lay_out`; or a cell cannot be fitted.
    """
    laid = lay_out(stages, emoset, runs)
    for one in laid:
        log.info("stage %s: %s", one.stage.name, one.group.folder)
        for task in one.tasks:
            fit_or_check(task, one.config, one.stage.explicit, Path(runs))
    return laid
