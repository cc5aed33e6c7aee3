"""Adapters that begin with what a pre-training without labels has learnt."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from emokit.core.config import signature, to_mapping
from emokit.core.errors import CheckpointError, ConfigError, culprits
from emokit.core.files import file_digest
from emokit.loading.source import Source
from emokit.models.model import EmotionModel
from emokit.training.checkpoint import read_meta, read_tensors
from emokit.training.run import cell_name

log = logging.getLogger("emokit")

KIND = "local-attributes"
FILE = "wap.safetensors"
WHO = "wap"
"""What the cells of such a pre-training are named by, see `emokit.training.run.cell_name`."""

_MEANING = ("architecture", "layer", "padded", "normalise")
"""Settings of a speech transformer that decide, besides its weights, what its states are."""


def encoder_identity(backbone) -> str:
    """Hash what a frozen encoder's states depend on: its tensors, architecture and layer."""
    config = to_mapping(backbone.config)
    digest = hashlib.sha256(signature({key: config.get(key) for key in _MEANING}).encode())
    for name, tensor in sorted(backbone.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def find_pretrained(path: str | Path, seed: int | None = None, fold: int | None = None) -> Path:
    """Find the file that a path means: a file, the folder of a cell, or that of a group.

    Of a group that has several cells the one of this seed and fold.

    Raises:
        CheckpointError: there is none, or it is not finished.
    """
    path = Path(path)
    hint = ("Name the folder that `emokit pretrain local-attributes` printed, or run its line "
            "again to finish it.")
    if path.is_file():
        return path
    if (path / FILE).is_file():
        return path / FILE
    cells = sorted(path.glob(f"*/{FILE}"))
    if len(cells) == 1:
        return cells[0]
    wanted = path / cell_name(WHO, fold, seed or 0) / FILE
    if wanted in cells:
        return wanted
    if cells:
        raise CheckpointError(
            f"'{path}' has {culprits(one.parent.name for one in cells)}, none of them of seed "
            f"{seed}{'' if fold is None else f' and fold {fold}'}. Name one: {cells[0].parent}")
    raise CheckpointError(f"There is no finished pre-training in '{path}'. {hint}")


def inspect_pretrained(path: Path) -> dict[str, Any]:
    """Read what such a file says of itself.

    Returns:
        `settings` of the adapter, `encoder`, its identity, and `facts`: `manifests {corpus:
        signature}, fold, target, seed`.

    Raises:
        CheckpointError: damaged, or something else.
    """
    meta = read_meta(path)
    if meta["kind"] != KIND:
        raise CheckpointError(f"'{path}' is no pre-trained adapter. Name what `emokit pretrain "
                              "local-attributes` wrote.")
    return meta


def start_adapters(model: EmotionModel, sources: Sequence[Source], seed: int,
                   carried: Collection[str] = ()) -> None:
    """Load what the settings of adapters name, in all corpora that have them.

    Args:
        model: new, its backbone as it starts.
        sources: the cell's corpora.
        carried: adapters that come from a base instead.

    Raises:
        CheckpointError: learnt on another encoder, or on utterances of our dev or test.
        ConfigError: learnt with other settings.
    """
    from emokit.training.start import refuse_leak

    for item in model.settings.adapters:
        name = item["name"]
        if item.get("path") is None or name in carried:
            continue
        path = find_pretrained(item["path"], seed, _fold(sources))
        found = inspect_pretrained(path)
        if found["encoder"] != encoder_identity(model.backbone):
            raise CheckpointError(
                f"'{path}' was learnt on the states of another encoder than this --backbone. Name "
                f"the one it was learnt on ({found['facts']['backbone']}), or learn it anew.")
        for source in sources:
            if source.name in found["facts"]["manifests"]:
                refuse_leak(path, found["facts"], source)
        _refuse_settings(path, found["settings"], item)
        branch = f"{item['branch']}."
        weights = {key.removeprefix(branch): tensor for key, tensor in read_tensors(path).items()
                   if key.startswith(branch)}
        for corpus in model.corpora:
            for adapter in model.part(corpus).groups.get(name, {}).values():
                adapter.load_state_dict(weights)
        log.info("%s starts from the %s in '%s'", name, item["branch"], path)


def _refuse_settings(path: Path, learnt: Mapping[str, Any], item: Mapping[str, Any]) -> None:
    for key, value in learnt.items():
        # dropout may change: it decides no shape
        if key != "dropout" and item[key] != value:
            raise ConfigError(
                f"adapter {item['name']}: '{key}' is {item[key]}, but '{path}' was learnt with "
                f"{value}. Set adapters.{item['name']}.{key}={value}.")


def pretrained_facts(adapters: Sequence[Mapping[str, Any]], sources: Sequence[Source], seed: int,
                     carried: Collection[str] = ()) -> list[dict[str, Any]]:
    """Give what `start_adapters` loads, in the form of a base's facts, for later leak checks."""
    found = [inspect_pretrained(find_pretrained(item["path"], seed, _fold(sources)))["facts"]
             for item in adapters if item.get("path") and item["name"] not in carried]
    return [{key: facts[key] for key in ("target", "fold", "manifests")} for facts in found]


def _fold(sources: Sequence[Source]) -> int | None:
    """Give the fold of a run: that of the corpus with the most folds."""
    return max((source.fold for source in sources if source.fold is not None), default=None)


def identified(adapters: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Give adapters with the bytes that their paths mean instead of the paths, for signatures."""
    return [dict(item) if not item.get("path") else {**item, "path": _identity(item["path"])}
            for item in adapters]


def _identity(path: str) -> str:
    there = Path(path)
    files = sorted(there.glob(f"*/{FILE}")) if there.is_dir() and not (
        there / FILE).is_file() else [find_pretrained(path)]
    return signature([file_digest(file) for file in files])
