"""Pre-training from settings: one encoder for each seed, none twice."""

from __future__ import annotations

import contextlib
import hashlib
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from emokit import __version__
from emokit.core.config import cosmetic_fields, signature, to_mapping
from emokit.core.errors import ConfigError, EmokitError
from emokit.core.files import write_json, write_yaml
from emokit.core.seeding import derive, seed_everything
from emokit.corpora.store import RATE, BuiltCorpus, open_emoset
from emokit.loading.source import Source
from emokit.pretraining.config import PretrainConfig
from emokit.training.run import FAILED, Cell, Group, cell_name, environment, start_cell

log = logging.getLogger("emokit")

WHO = "encoder"
"""First word of the names of cells."""

SETTINGS = "pretraining.yaml"
"""Settings of a group; `emokit runs` and `emokit evaluate` list groups with another file."""

CLUSTERS = "clusters"
"""Folder of cluster numbers in a cell."""


def pretrain(kind: str, config: PretrainConfig, emoset: str | Path, runs: str | Path,
             name: str | None = None) -> tuple[Group, list[Cell]]:
    """Pre-train an encoder for each seed that has none yet.

    Args:
        kind: `tapt`, `ptapt` or `scratch`, for the group's name.
        config: as `emokit.pretraining.config.resolve` gives it.
        emoset: folder of built corpora.
        runs: folder of groups.
        name: of the group instead of one made from kind and backbone.

    Returns:
        The group and its cells; each holds the folders `best` and `last`, which `--backbone
        hf:FOLDER` takes up.

    Raises:
        EmokitError: it cannot be done; the cell's folder keeps the reason and what was reached.
    """
    from emokit.training.predict import place
    from emokit.training.train import device_of

    runs = Path(runs)
    device = device_of(config.device)
    corpora = open_emoset(emoset, config.corpora)
    group = group_of(kind, config, corpora, runs, name)
    cells = [group.cell(cell_name(WHO, config.fold, seed)) for seed in config.seeds]
    for cell, seed in zip(cells, config.seeds):
        if cell.is_complete:
            log.info("%s is complete", cell.name)
            continue
        with cell.alone(), _failure_kept(cell), _memory_in_words(config, cell.name):
            _fit_cell(cell, seed, config, corpora, runs, device, place)
    return group, cells


def group_of(kind: str, config: PretrainConfig, corpora: Sequence[BuiltCorpus], runs: Path,
             name: str | None = None) -> Group:
    """Name the group of some settings, without touching the disk.

    Equal settings on equal builds with equal start weights, teacher and list of utterances give
    the same name, whatever their files are called.
    """
    from emokit.pretraining.teachers import teacher_identity
    from emokit.training.start import weights_identity

    if name is not None and name != Path(name).name:
        raise ConfigError(f"--name is '{name}', but a group is one folder below --runs. Leave out "
                          "the '/'.")
    settings = to_mapping(config)
    for field in (*cosmetic_fields(PretrainConfig), "corpora"):
        settings.pop(field)
    weights = weights_identity(config.backbone)
    if weights is not None:
        settings["backbone"]["path"] = weights
    settings["teacher"] = teacher_identity(config.teacher, runs)
    if config.utterances is not None:
        with contextlib.suppress(OSError):
            settings["utterances"] = hashlib.sha256(
                Path(config.utterances).read_bytes()).hexdigest()
    settings["fold"] = config.fold is not None
    builds = {corpus.name: corpus.signature for corpus in corpora}
    words = name or "-".join(filter(None, [kind, _short(config)]))
    return Group(runs / f"{words}-{signature([settings, builds])}")


def _short(config: PretrainConfig) -> str:
    """Give a word for the encoder: the last part of its path."""
    path = config.backbone.get("path")
    return Path(path).name if path else ""


def _fit_cell(cell: Cell, seed: int, config: PretrainConfig, corpora, runs: Path, device, place
              ) -> None:
    from emokit.pretraining.clusters import make_clusters
    from emokit.pretraining.data import HELD_OUT, hours, make_sources
    from emokit.pretraining.encoder import Learner, apply_learns, make_encoder, make_head
    from emokit.pretraining.loop import fit
    from emokit.pretraining.teachers import make_teacher
    from emokit.training.loop import precision_of

    sources = make_sources(corpora, config, seed)
    seed_everything(derive(seed, "weights") % 2**31)
    encoder, heads = make_encoder(config)
    refuse_short(encoder, sources, config)
    learner = Learner(encoder, make_head(config, encoder, heads), config.visible_weight)
    apply_learns(learner, config.learns)
    clusters, teacher = None, None
    if not learner.is_contrastive:
        teacher = make_teacher(config.teacher, encoder, config.backbone, sources, runs, device)
    place(learner, device)
    _, precision, why = precision_of(config, device)
    start_cell(cell, {**to_mapping(config), "seeds": [seed]}, _sizes(learner),
               environment(str(device), precision, why))
    if not (cell.folder.parent / SETTINGS).is_file():
        write_yaml(cell.folder.parent / SETTINGS, to_mapping(config))
    heard = hours(sources, "train")
    log.info("%s: %.2f h of train, %.2f h of held-out speakers, %.1f M weights, objective %s, "
             "%d steps of at most %g s", cell.folder, heard, hours(sources, HELD_OUT),
             sum(one.numel() for one in encoder.parameters()) / 1e6,
             "contrastive" if learner.is_contrastive else "masked", config.steps,
             config.batch_seconds)
    if teacher is not None:
        clusters = make_clusters(teacher, sources, config.clusters, config.cluster_frames,
                                 config.cluster_rounds, seed, cell.folder / CLUSTERS)
        del teacher
    fit(learner, sources, clusters, config, seed, cell, _facts(config, sources, seed))


def refuse_short(encoder, sources: Sequence[Source], config: PretrainConfig) -> None:
    """Refuse spans that are longer than every clip.

    Raises:
        ConfigError: with both lengths in frames.
    """
    longest = max(int(source.samples(config.window)[source.rows["train"]].max())
                  for source in sources if len(source.rows["train"]))
    frames = encoder.n_frames(max(longest, encoder.shortest))
    if config.mask_span > frames:
        raise ConfigError(
            f"mask_span is {config.mask_span} frames, but the longest clip has {frames} "
            f"({longest / RATE:.2f} s). Lower --mask-span, or raise --window.")


def _sizes(learner) -> dict[str, Any]:
    def count(part) -> int:
        return sum(one.numel() for one in part.parameters())

    return {"encoder": count(learner.encoder), "head": count(learner.head), "learning": sum(
        one.numel() for one in learner.parameters() if one.requires_grad)}


def _facts(config: PretrainConfig, sources: Sequence[Source], seed: int) -> dict[str, Any]:
    """Give what the encoder's folder says: enough to hold a later test to it."""
    from emokit.models.pretrained import pretraining_facts

    return {"version": __version__, "settings": to_mapping(config), "seed": seed,
            "target": "emotion", "fold": config.fold,
            "manifests": {source.name: source.corpus.signature for source in sources},
            "ancestors": pretraining_facts(config.backbone)}


@contextlib.contextmanager
def _failure_kept(cell: Cell):
    try:
        yield
    except EmokitError as error:
        if (cell.folder / "config.yaml").is_file():
            write_json(cell.folder / FAILED, {"error": str(error)})
        raise


@contextlib.contextmanager
def _memory_in_words(config: PretrainConfig, what: str):
    from emokit.training.memory import is_out_of_memory

    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise EmokitError(
            f"There is not enough memory for {what}. Lower --batch-seconds (now "
            f"{config.batch_seconds:g}) or --window, or set backbone.gradient_checkpointing=true."
        ) from None


def overview(config: PretrainConfig, cells: Sequence[Cell]) -> list[Mapping[str, Any]]:
    """Give a row for each cell and codebook or clustering, for a table."""
    rows = []
    for cell in cells:
        metrics = cell.metrics()
        figures = metrics["figures"]
        part = "held_out_" if "held_out_loss" in figures else ""
        several = isinstance(figures["accuracy"], list)
        for number, used in enumerate(figures[f"{part}perplexity"]):
            rows.append({
                "cell": cell.name, "step": metrics["step"], "hours": metrics["hours"],
                "measured": "held out" if part else "train",
                "of": f"{config.clusters[number]} clusters" if several else
                      f"codebook {number + 1}",
                "loss": figures[f"{part}loss"],
                "accuracy": figures[f"{part}accuracy"][number] if several else
                figures[f"{part}accuracy"],
                "chance": figures[f"{part}chance"][number] if several else
                figures[f"{part}chance"],
                "perplexity": used, "skipped": metrics["skipped"],
                "seconds": metrics["seconds"]})
    return rows


def folder_of(cell: Cell) -> Path:
    """Give the encoder's folder that fine-tuning takes up."""
    from emokit.pretraining.loop import BEST

    return cell.folder / BEST


def plan(kind: str, config: PretrainConfig, emoset: str | Path, runs: str | Path,
         name: str | None = None) -> list[dict[str, Any]]:
    """Give what would be pre-trained and its state; touches nothing."""
    corpora = open_emoset(emoset, config.corpora)
    group = group_of(kind, config, corpora, Path(runs), name)
    cells = [group.cell(cell_name(WHO, config.fold, seed)) for seed in config.seeds]
    return [{"group": group.name, "cell": cell.name, "state": cell.state,
             "corpora": " ".join(corpus.name for corpus in corpora)} for cell in cells]
