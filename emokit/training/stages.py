"""Stage plans: one training after another, each from the very weights of the one before."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from pathlib import Path

from emokit.core.errors import ConfigError, CorpusError, culprits
from emokit.corpora.store import BuiltCorpus, open_emoset
from emokit.loading.source import folds_of
from emokit.training.config import TrainConfig
from emokit.training.run import Group
from emokit.training.stage_file import Stage
from emokit.training.train import Task, effective, fit_or_check, plan, refuse_early, sources_of

log = logging.getLogger("emokit")


@dataclasses.dataclass(frozen=True)
class Laid:
    """A stage with its group and cells.

    Args:
        config: with the group of the start as `init`, and all that does not learn in `freeze`.
        corpora: built ones.
    """

    stage: Stage
    config: TrainConfig
    group: Group
    tasks: tuple[Task, ...]
    corpora: tuple[BuiltCorpus, ...]


def lay_out(stages: Sequence[Stage], emoset: str | Path, runs: str | Path) -> list[Laid]:
    """Give groups and cells of all stages, without touching the disk, and hold them to the rules.

    Raises:
        EmokitError: an unknown corpus or part; folds that one stage has and another has not; a
            speaker whom one stage trains on and another is tested on.
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
        try:
            config = effective(_frozen(stage, config, corpora, folds[0]))
            group, tasks = plan(config, corpora, Path(runs), stage.name, identity)
            refuse_early(config, tasks)
        except ConfigError as error:
            raise ConfigError(f"{stage.where}: stage '{stage.name}': {error}") from None
        laid[stage.name] = Laid(stage, config, group, tuple(tasks), tuple(corpora))
        if stage.start:
            _refuse_folds(laid[stage.start], laid[stage.name])
            _refuse_labels(laid[stage.start], laid[stage.name])
    _refuse_speakers(list(laid.values()))
    return list(laid.values())


def _frozen(stage: Stage, config: TrainConfig, corpora, fold) -> TrainConfig:
    """Write into `freeze` every part that the mode has learn and the stage has not."""
    import torch

    from emokit.models.model import EmotionModel
    from emokit.models.modes import apply_mode
    from emokit.models.parts import check_parts, freeze, learning_parts, parts_of

    sources = sources_of(config, corpora, fold)
    with torch.device("meta"):
        model = EmotionModel(effective(config).model_settings(),
                             {source.head: source.head_labels for source in sources},
                             {source.head: source.head_dimensions for source in sources})
    check_parts(model, config.freeze, "freeze")
    check_parts(model, config.rates, "rates")
    together = config.regime != "single" and config.mode not in ("head", "adapters")
    apply_mode(model, "joint" if together else config.mode)
    if stage.train is not None:
        check_parts(model, stage.train, "train")
        wider: dict[str, set[str]] = {}
        for names in parts_of(model).values():
            wider.setdefault(names[0], set()).update(names)
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


def _refuse_labels(start: Laid, laid: Laid) -> None:
    """Refuse a head that would go on under other answers, or the same in another order."""
    if laid.config.new_head or laid.stage.former not in start.stage.corpora:
        return
    theirs = next(source for source in sources_of(start.config, start.corpora, start.tasks[0].fold)
                  if source.name == laid.stage.former)
    for source in sources_of(laid.config, laid.corpora, laid.tasks[0].fold):
        if len(laid.corpora) > 1 and source.name != laid.stage.former:
            continue
        one = [*theirs.head_labels, *theirs.head_dimensions]
        other = [*source.head_labels, *source.head_dimensions]
        if one != other:
            raise ConfigError(
                f"{laid.stage.where}: stage '{laid.stage.name}' has the classes "
                f"{', '.join(other)}, and its start '{start.stage.name}' {', '.join(one)}. Take a "
                "target that gives both the same list in the same order, such as canonical4, or "
                "write 'head: new'.")


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
                    refuse_shared_speakers(one.config, mine, learnt)


def refuse_shared_speakers(config: TrainConfig, tested: Task, learnt: Task) -> None:
    """Refuse a test partition with speakers of another cell's train partition.

    Raises:
        CorpusError: there are some.
    """
    for mine in sources_of(config, tested.corpora, tested.fold):
        for other in sources_of(config, learnt.corpora, learnt.fold):
            if mine.name != other.name and _place(mine.corpus) != _place(other.corpus):
                continue
            both = sorted(_speakers(mine, "test") & _speakers(other, "train"))
            if both:
                raise CorpusError(
                    f"{len(both)} speakers of test of '{mine.name}' are in train of "
                    f"'{other.name}'{_of_fold(tested)}: {culprits(both)}. Divide both corpora the "
                    "same way in corpora.yaml, e.g. partitions: {rule: folds, by: session}, build "
                    "them again, and train with --folds all.")


def _of_fold(task: Task) -> str:
    return "" if task.fold is None else f" (fold {task.fold})"


def _place(corpus: BuiltCorpus) -> tuple[str, str]:
    return corpus.build["reader"], corpus.build["root"]


def _speakers(source, partition: str) -> set[str]:
    names = source.corpus.manifest["speaker"].iloc[source.rows[partition]]
    return {name.partition("/")[2] for name in names if name}


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
