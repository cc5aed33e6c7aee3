"""Where a model's weights begin: at random, or at those of another run."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from emokit.core.config import to_mapping
from emokit.core.errors import CheckpointError, ConfigError, EmokitError, choices, culprits
from emokit.core.files import file_digest
from emokit.core.seeding import derive, seed_everything
from emokit.corpora.store import RATE
from emokit.loading.dataset import collate
from emokit.loading.source import POOLED, Source, fold_of, make_source
from emokit.models.model import EmotionModel
from emokit.models.settings import ModelSettings, complete
from emokit.models.starting import copy_corpora, renew_head, start_from
from emokit.training import checkpoint
from emokit.training.handover import check_handover
from emokit.training.predict import batches
from emokit.training.run import Group, find_group

log = logging.getLogger("emokit")

_SHARED_PARTS = ("frontend", "backbone", "pooling", "shared_pooling", "normalisation")


def init_identity(runs: Path, init: str | None) -> str | None:
    """Hash which weights `--init` means, for the group signature: a file by its bytes, a run by
    its name, which ends in the signature of its settings."""
    if init is None:
        return None
    if Path(init).is_file():
        return file_digest(init)
    group, _, cell = init.rstrip("/").removeprefix(f"{runs}/").partition("/")
    return f"{find_group(runs, group).name}/{cell}"


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
        model = EmotionModel(complete(settings), {})
        model.backbone.load_start()
        # after the weights, because private norms start as copies of the backbone's
        for head, classes in labels.items():
            model.add_corpus(head, classes, dimensions=dimensions[head])
        normalise(model, sources, set(labels))
        return model, None
    trained, found = checkpoint.load(base)
    _refuse_leaks(found, sources)
    settings = _settings_on(found, settings, base, explicit or {}, mode)
    if copy_from is None:
        model = EmotionModel(settings, labels, dimensions)
        started = start_from(model, trained)
    else:
        _refuse_copy(found, labels, dimensions, copy_from, new_head)
        model = EmotionModel(settings, found.labels, found.dimensions)
        start_from(model, trained)
        copied = copy_corpora(model, labels, dimensions, copy_from)
        started = {head: f"a copy of {copy_from}" if head in copied else "copied"
                   for head in labels}
    _hand_over(model, trained, base, started, copy_from, new_head)
    log.info("started from %s: %s", base, ", ".join(f"{name} {how}"
                                                    for name, how in started.items()))
    normalise(model, sources, {head for head, how in started.items()
                               if how not in ("copied", "merged")})
    return model, found


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


def _refuse_copy(found: checkpoint.Checkpoint, labels: Mapping[str, Sequence[str]],
                 dimensions: Mapping[str, Sequence[str]], source: str, new_head: bool) -> None:
    """Refuse a copy of nothing, for nobody, or of a head that answers something else."""
    if source not in found.labels:
        raise ConfigError(f"copy_from is '{source}', which the start '{found.path}' does not have. "
                          f"{choices(source, found.labels)}")
    new = [head for head in labels if head not in found.labels]
    if not new:
        raise ConfigError(f"The start '{found.path}' knows {culprits(labels)} already, so nothing "
                          "begins as a copy. Leave out copy_from.")
    theirs = [*found.labels[source], *found.dimensions.get(source, ())]
    for head in new:
        ours = [*labels[head], *dimensions[head]]
        if ours != theirs and not new_head:
            raise ConfigError(
                f"The start answers {', '.join(theirs)} for '{source}', and '{head}' has "
                f"{', '.join(ours)}. Use a --target that gives both the same list in the same "
                "order, such as canonical4, or begin with a head of its own: new_head=true (in a "
                "stage, head: new).")


def _settings_on(found: checkpoint.Checkpoint, settings: ModelSettings, base: Path,
                 explicit: Mapping[str, Any], mode: str) -> ModelSettings:
    """Give the settings of a model on a base: shared parts of the base, the rest as set."""
    mine, theirs = to_mapping(settings), to_mapping(found.settings)
    if explicit.get("shared_pooling") is False:
        # a pooling of one's own starts as a copy of the base's
        theirs["shared_pooling"] = False
    for part in _SHARED_PARTS:
        if part in explicit and not _agrees(explicit[part], theirs[part]):
            raise ConfigError(
                f"'{part}' is {explicit[part]}, but the base '{base}' has {theirs[part]}. Leave "
                f"'{part}' out, or choose another --init."
            )
    adapters = settings.adapters or (found.settings.adapters if mode == "adapters" else [])
    return complete(ModelSettings(
        **{part: theirs[part] for part in _SHARED_PARTS}, adapters=adapters,
        head=mine["head"] if "head" in explicit else theirs["head"]))


def _agrees(named: Any, base: Any) -> bool:
    """Whether what was named is part of what the base has."""
    if isinstance(named, Mapping) and isinstance(base, Mapping):
        return all(key in base and base[key] == value for key, value in named.items())
    return named == base


def _refuse_leaks(found, sources: Sequence[Source]) -> None:
    """Refuse a base that was trained on our dev or test, itself or any that it began from."""
    for facts in (found.facts, *found.facts.get("ancestors", ())):
        for source in sources:
            if source.name in facts["manifests"]:
                _refuse_leak(found.path, facts, source)


def _refuse_leak(base: Path, facts: Mapping[str, Any], source: Source) -> None:
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


def normalise(model: EmotionModel, sources: Sequence[Source], fresh: set[str]) -> None:
    """Measure mean and deviation per band on train, per corpus or pooled, for new parts."""
    kind = model.settings.normalisation
    if kind not in ("corpus", "pooled"):
        return
    moments = {}
    for source in sources:
        if source.head in fresh:
            sums = _moments(model, source)
            key = source.head if kind == "corpus" else ""
            former = moments.get(key)
            moments[key] = sums if former is None else [a + b for a, b in zip(former, sums)]
    for head in sorted(fresh):
        n, total, squares = moments[head if kind == "corpus" else ""]
        mean = total / n
        std = (squares / n - mean**2).clamp(min=0).sqrt()
        model.set_normalisation(head, mean.float(), std.float())


def _moments(model: EmotionModel, source: Source):
    """Sum frames, their values and squares per band over the train partition, in float64."""
    rows, audio = source.rows["train"], source.corpus.audio
    # ten minutes a row at most, so that one long file cannot fill the memory
    spans = [(int(row), 0, min(int(length), 600 * RATE))
             for row, length in zip(rows, audio.lengths[rows])]
    n, total, squares = 0, 0.0, 0.0
    with torch.inference_mode():
        for some in batches(spans):
            batch = collate([audio.read(*span) for span in some], source.head)
            frames, lengths = model.frontend(batch.inputs, batch.lengths)
            real = torch.arange(frames.shape[1])[None, :] < lengths[:, None]
            values = frames[real].double()
            n += len(values)
            total = total + values.sum(dim=0)
            squares = squares + (values**2).sum(dim=0)
    return [n, total, squares]
