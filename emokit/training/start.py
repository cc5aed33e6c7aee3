"""Where a model's weights begin: at random, or at those of another run."""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from emokit.core.config import signature
from emokit.core.errors import CheckpointError, EmokitError, culprits
from emokit.core.files import file_digest
from emokit.core.seeding import derive, seed_everything
from emokit.loading.source import POOLED, Source, fold_of, make_source
from emokit.models.backbones import BACKBONES
from emokit.models.model import EmotionModel
from emokit.models.pretrained import pretraining_facts
from emokit.models.settings import ModelSettings, complete, part as read_part
from emokit.models.starting import renew_head
from emokit.training import checkpoint
from emokit.training.adapter_start import start_adapters
from emokit.training.beginning import begin
from emokit.training.handover import check_handover
from emokit.training.normalisation import normalise
from emokit.training.run import Group, find_group
from emokit.training.speakers import refuse_known_speakers

log = logging.getLogger("emokit")


def init_identity(runs: Path, init: str | None) -> str | None:
    """Hash which weights `--init` means, for the group signature: a file by its bytes, a run by
    its name, which ends in the signature of its settings."""
    if init is None:
        return None
    if Path(init).is_file():
        return file_digest(init)
    group, _, cell = init.rstrip("/").removeprefix(f"{runs}/").partition("/")
    return f"{find_group(runs, group).name}/{cell}"


def weights_identity(backbone: Mapping[str, Any]) -> str | None:
    """Hash the pretrained weights that a backbone's settings name, by their bytes.

    Returns:
        None without such, and for names of a hub or a bundle, which stand for themselves.

    Raises:
        EmokitError: there are no such weights, or not all of them.
    """
    cls, config = read_part(BACKBONES, backbone)
    files = cls.start_files(config)
    if not files:
        return None
    return signature([_file_digest(file, file.stat().st_mtime_ns) for file in files])


@functools.lru_cache(maxsize=64)
def _file_digest(file: Path, changed: int) -> str:
    return file_digest(file)


def _other_corpus(runs: Path, init: str) -> tuple[Group, str] | None:
    """Read GROUP/CORPUS, which means that corpus's cell of the same seed; None for all else."""
    group, _, who = init.rstrip("/").removeprefix(f"{runs}/").partition("/")
    if not who or "/" in who or Path(init).exists():
        return None
    try:
        found = find_group(runs, group)
    except EmokitError:
        return None
    return (found, who) if any(cell.who == who for cell in found.cells()) else None


def init_checkpoint(runs: Path, init: str, who: str, seed: int, fold: int | None,
                    copy_from: str | None = None) -> Path:
    """Find the checkpoint that a cell starts from.

    A group gives the cell of the same seed and fold: its joint or pooled model, or the model of
    the corpus itself. A corpus without folds takes the first fold of a group that has them, where
    its own partitions are the same; a group without folds serves every fold, unless it saw what
    that fold tests, which `make_model` refuses. GROUP/CORPUS gives that corpus's cell of the same
    seed, its first fold. GROUP/CELL and files are taken as named.

    Args:
        copy_from: corpus whose cells may be meant besides, those of the same fold.

    Raises:
        CheckpointError: no such cell, with those that exist.
    """
    other = _other_corpus(runs, init)
    if Path(init).is_file() or (
            other is None and "/" in init.rstrip("/").removeprefix(f"{runs}/")):
        return checkpoint.find(runs, init)
    group, wanted = other or (find_group(runs, init), "")
    complete_cells = [cell for cell in group.cells() if cell.is_complete]
    fits = [cell for cell in complete_cells if cell.seed == seed
            and (cell.who == wanted if wanted else cell.who in ("joint", POOLED, who, copy_from))]
    if copy_from is not None and any(cell.who == who for cell in fits):
        # a group of single models: the corpus itself is not what is copied
        fits = [cell for cell in fits if cell.who != who]
    folds = sorted({cell.fold for cell in fits if cell.fold is not None})
    if folds and (wanted or fold is None) and not any(cell.fold is None for cell in fits):
        fits = [cell for cell in fits if cell.fold == folds[0]]
    elif folds:
        fits = [cell for cell in fits if cell.fold == fold]
    if not fits and len(complete_cells) == 1 and complete_cells[0].fold == fold:
        fits = complete_cells
    if len(fits) != 1:
        wanted = f"seed {seed}" + ("" if fold is None else f" and fold {fold}")
        raise CheckpointError(
            f"Group '{group.name}' has no complete cell with {wanted} to start '{who}' from; it "
            f"has {culprits((cell.name for cell in complete_cells), 6) or 'none'}. Train that "
            "one, or name it: --init GROUP/CELL."
        )
    return checkpoint.find(runs, f"{group.folder}/{fits[0].name}")


def make_model(settings: ModelSettings, sources: Sequence[Source], seed: int,
               base: Path | None = None, explicit: Mapping[str, Any] | None = None,
               mode: str = "scratch", copy_from: str | None = None, new_head: bool = False
               ) -> tuple[EmotionModel, checkpoint.Checkpoint | None]:
    """Make the model of a cell, normalisation set.

    Args:
        settings: of the model; with a base, its shared parts come from there.
        sources: the cell's corpora.
        base: checkpoint to start from, see `emokit.models.starting.start_from`.
        explicit: settings that the user named, which a base must not contradict.
        mode: `adapters` without adapters named takes those of the base.
        copy_from: corpus of the base that those begin as which the base lacks; all corpora of the
            base then stay in the model.
        new_head: heads begin at random.

    Returns:
        (model on the CPU, the base or None).

    Raises:
        ConfigError: a setting that the base contradicts, or nothing that could be copied.
        CheckpointError: the base, or one that it began from, was trained on our dev or test.
    """
    labels = {source.head: source.head_labels for source in sources}
    dimensions = {source.head: source.head_dimensions for source in sources}
    seed_everything(derive(seed, "weights") % 2**31)
    if base is None:
        _refuse_heard(settings.backbone, sources)
        model = EmotionModel(complete(settings), {})
        model.backbone.load_start()
        # after the weights, because private norms start as copies of the backbone's
        for head, classes in labels.items():
            model.add_corpus(head, classes, dimensions=dimensions[head])
        start_adapters(model, sources, seed)
        normalise(model, sources, set(labels))
        return model, None
    trained, found = checkpoint.load(base)
    refuse_leaks(found, sources)
    model, started = begin(trained, found, settings, sources, explicit, mode, copy_from, new_head)
    start_adapters(model, sources, seed, {item["name"] for item in found.settings.adapters})
    _warn_of_leaps(model, found, started, new_head)
    _hand_over(model, trained, base, started, copy_from, new_head)
    log.info("started from %s: %s", base, ", ".join(f"{name} {how}"
                                                    for name, how in started.items()))
    normalise(model, sources, {head for head, how in started.items()
                               if how not in ("copied", "merged")})
    return model, found


def new_adapters(model: EmotionModel, found: checkpoint.Checkpoint | None) -> list[str]:
    """Name the adapters of a model that its base did not have; none without a base."""
    theirs = () if found is None else [item["name"] for item in found.settings.adapters]
    return [] if found is None else [item["name"] for item in model.settings.adapters
                                     if item["name"] not in theirs]


def _warn_of_leaps(model: EmotionModel, found: checkpoint.Checkpoint, started: Mapping[str, str],
                   new_head: bool) -> None:
    """Say where a head that is taken over sees other numbers than it learnt on."""
    for corpus, how in started.items():
        groups = model.part(corpus).groups
        same = found.labels.get(corpus, model.labels[corpus]) == model.labels[corpus]
        leaps = [name for name in new_adapters(model, found) if not all(
            adapter.starts_as_identity for adapter in groups.get(name, {}).values())]
        if leaps and same and how != "mean" and not new_head:
            log.warning("%s does not start as the identity, so %s does not begin with the scores "
                        "that its head had in '%s': the first epochs may be worse than those.",
                        " and ".join(leaps), corpus, found.path)


def _hand_over(model: EmotionModel, trained: EmotionModel, base: Path, started: Mapping[str, str],
               copy_from: str | None, new_head: bool) -> None:
    """Check that what was taken over is what the base ended with; then make heads new if told."""
    for head, how in started.items():
        former = head if how == "copied" else copy_from
        if copy_from is not None or (how == "copied" and model.settings == trained.settings):
            same = (trained.labels[former], trained.dimensions[former]) == (
                model.labels[head], model.dimensions[head])
            found = check_handover(model, head, base, former, same)
            log.info("%s begins with the weights of %s at the end of %s (hash %s)", head, former,
                     base.parent, found)
        if new_head:
            renew_head(model, head)


def refuse_leaks(found, sources: Sequence[Source]) -> None:
    """Refuse a base that was trained on our dev or test, itself or any that it began from."""
    _refuse_any([found.facts, *found.facts.get("ancestors", ())], found.path, sources)


def _refuse_heard(backbone: Mapping[str, Any], sources: Sequence[Source]) -> None:
    """Refuse an encoder that emokit pre-trained on our dev or test: no label, but the voices."""
    _refuse_any(pretraining_facts(backbone), Path(backbone.get("path") or ""), sources)


def _refuse_any(several: Sequence[Mapping[str, Any]], base: Path, sources: Sequence[Source]
                ) -> None:
    for facts in several:
        for source in sources:
            if source.name in facts["manifests"]:
                refuse_leak(base, facts, source)
    refuse_known_speakers(several, base, sources)


def refuse_leak(base: Path, facts: Mapping[str, Any], source: Source) -> None:
    """Refuse what was trained on dev or test of a corpus that it saw.

    Args:
        facts: its `target`, `fold` and `manifests`.

    Raises:
        CheckpointError: it was, or saw another build of the corpus.
    """
    if facts["manifests"][source.name] != source.corpus.signature:
        raise CheckpointError(
            f"The base '{base}' saw another build of '{source.name}', so nobody can tell whether "
            "it saw this dev or test. Train the base again."
        )
    # files from before there were dimensions do not say what the base of a base learnt: classes
    theirs = make_source(source.corpus, facts.get("target", "emotion"),
                         fold_of(source.corpus, facts["fold"]))
    trained = set(theirs.rows["train"].tolist())
    for partition in ("dev", "test"):
        both = sorted(trained & set(source.rows[partition].tolist()))
        if both:
            names = source.corpus.manifest["utterance"].iloc[both[:4]].tolist()
            raise CheckpointError(
                f"The base '{base}' was trained on {len(both)} utterances of {partition} of "
                f"'{source.name}' (fold {facts['fold']} against {source.fold}); first: "
                f"{culprits(names)}. Use the base of the same fold."
            )
