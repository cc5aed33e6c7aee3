"""Weights and everything needed to rebuild the model, in one safetensors file without pickle."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emokit.core.config import from_mapping, to_mapping
from emokit.core.errors import CheckpointError, choices
from emokit.core.files import write_bytes
from emokit.models.settings import ModelSettings
from emokit.training.run import METRICS

SCHEMA = 1
_KEY = "emokit"


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """What a file of weights says about itself, without its tensors.

    Args:
        path: the file.
        settings: of the model.
        labels: corpus (head) to its ordered classes.
        dimensions: corpus (head) to the dimensions that it answers besides.
        facts: `regime, mode, target, views` (version of the label views)`, seed, fold, epoch,
            dev_uar, window, scoring, manifests {corpus: signature}, corpora {corpus: {head,
            labels, fold}}, init` (hash of the base)`, ancestors` (fold and manifests of every
            base before)`, version`.
    """

    path: Path
    settings: ModelSettings
    labels: dict[str, tuple[str, ...]]
    facts: dict[str, Any]
    dimensions: dict[str, tuple[str, ...]]


def save(path: str | os.PathLike, model, facts: Mapping[str, Any]) -> Path:
    """Write a model's weights and facts whole or not at all."""
    meta = {"schema": SCHEMA, "kind": "model", "settings": to_mapping(model.settings),
            "labels": {name: list(labels) for name, labels in model.labels.items()},
            "dimensions": {name: list(words) for name, words in model.dimensions.items()},
            "facts": dict(facts)}
    return write(path, model.state_for_checkpoint(), meta)


def save_corpus(path: str | os.PathLike, model, corpus: str, facts: Mapping[str, Any]) -> Path:
    """Write adapter, norms, normalisation and head of one corpus alone."""
    meta = {"schema": SCHEMA, "kind": "corpus", "corpus": corpus,
            "settings": to_mapping(model.settings), "labels": {corpus: list(model.labels[corpus])},
            "dimensions": {corpus: list(model.dimensions[corpus])},
            "facts": {**facts, "backbone_hash": backbone_hash(model)}}
    return write(path, model.corpus_state(corpus), meta)


def write(path: str | os.PathLike, state: Mapping[str, Any], meta: Mapping[str, Any]) -> Path:
    """Write named tensors, and what they are as JSON beside them, whole or not at all."""
    from safetensors.torch import save as to_bytes

    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    return write_bytes(path, to_bytes(tensors, {_KEY: json.dumps(meta, sort_keys=True)}))


def backbone_hash(model) -> str:
    """Hash the shared weights, which a corpus's own part cannot do without."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_for_checkpoint().items()):
        if not name.startswith("private."):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def read_meta(path: Path) -> dict[str, Any]:
    """Read the JSON metadata of an emokit file of weights.

    Raises:
        CheckpointError: missing, truncated, foreign, or of another schema.
    """
    hint = "Train again, or name another file."
    try:
        size = path.stat().st_size
        with open(path, "rb") as file:
            head = file.read(8)
            n_header = struct.unpack("<Q", head)[0] if len(head) == 8 else size + 1
            if n_header + 8 > size or n_header > 100_000_000:
                raise CheckpointError(
                    f"'{path}' is truncated or no safetensors file ({size} bytes). {hint}"
                )
            header = json.loads(file.read(n_header))
        ends = [entry["data_offsets"][1] for name, entry in header.items()
                if name != "__metadata__"]
        end = 8 + n_header + max(ends, default=0)
        text = header.get("__metadata__", {}).get(_KEY)
    except FileNotFoundError:
        raise CheckpointError(f"There is no checkpoint '{path}'. {hint}") from None
    except (OSError, ValueError, AttributeError, KeyError, IndexError, TypeError) as error:
        # whatever a foreign header holds instead of names and offsets
        raise CheckpointError(f"'{path}' is no safetensors file ({error}). {hint}") from None
    if end != size:
        raise CheckpointError(f"'{path}' is truncated: {size} bytes of {end}. {hint}")
    if text is None:
        raise CheckpointError(f"'{path}' was not written by emokit (no metadata). {hint}")
    meta = json.loads(text)
    if meta.get("schema") != SCHEMA:
        raise CheckpointError(
            f"'{path}' has schema {meta.get('schema')}, this emokit reads {SCHEMA}. "
            "Use the version of emokit that wrote it."
        )
    return meta


def inspect(path: str | os.PathLike) -> Checkpoint:
    """Read what a checkpoint says of itself; opens no tensor.

    Raises:
        CheckpointError: missing, truncated, foreign, of another schema, or only one corpus's part.
    """
    path = Path(path)
    meta = read_meta(path)
    if meta["kind"] == "linear":
        raise CheckpointError(f"'{path}' is a linear baseline, which only `evaluate` scores. Name "
                              "a group that `emokit train` made.")
    if meta["kind"] == "local-attributes":
        raise CheckpointError(f"'{path}' is a pre-trained adapter, which knows no emotions. Fine-"
                              f"tune from it: emokit train --adapters wap:{Path(path).parent}")
    if meta["kind"] != "model":
        raise CheckpointError(
            f"'{path}' holds only the part of corpus '{meta.get('corpus')}'. Name the whole model."
        )
    settings = from_mapping(ModelSettings, meta["settings"], str(path))
    labels = {name: tuple(words) for name, words in meta["labels"].items()}
    return Checkpoint(path, settings, labels, meta["facts"], _dimensions(meta))


def _dimensions(meta: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    # files from before there were dimensions do not mention them
    return {name: tuple(words) for name, words in meta.get("dimensions", {}).items()}


def load(path: str | os.PathLike):
    """Rebuild a model from its checkpoint alone.

    Returns:
        (model in eval mode on the CPU, Checkpoint).

    Raises:
        CheckpointError: see `inspect`; or tensors missing, left over or of another shape.
    """
    from emokit.models.model import EmotionModel

    found = inspect(path)
    model = EmotionModel(found.settings, found.labels, found.dimensions)
    model.load_checkpoint_state(read_tensors(path))
    model.eval()
    return model, found


def load_corpus(path: str | os.PathLike, model) -> str:
    """Load one corpus's part into a model, adding the corpus if the model lacks it.

    Returns:
        The corpus.

    Raises:
        CheckpointError: damaged, another backbone's, or labels that differ from the model's.
    """
    path = Path(path)
    meta = read_meta(path)
    if meta["kind"] != "corpus":
        raise CheckpointError(
            f"'{path}' holds a whole model with {', '.join(meta['labels'])}. Name a corpus's part."
        )
    corpus, labels = meta["corpus"], tuple(meta["labels"][meta["corpus"]])
    dimensions = _dimensions(meta).get(corpus, ())
    if meta["facts"]["backbone_hash"] != backbone_hash(model):
        raise CheckpointError(
            f"'{path}' was trained on another backbone. Load it with the model it came from."
        )
    ours = (model.labels.get(corpus), model.dimensions.get(corpus))
    if corpus in model.labels and ours != (labels, dimensions):
        raise CheckpointError(
            f"'{path}' answers {', '.join(labels + dimensions)}, the model's '{corpus}' "
            f"{', '.join(ours[0] + ours[1])}. Load it under the labels it was trained with."
        )
    if corpus not in model.labels:
        model.add_corpus(corpus, labels, dimensions=dimensions)
    model.load_corpus_state(corpus, read_tensors(path))
    return corpus


def read_tensors(path: str | os.PathLike) -> dict[str, Any]:
    """Read all tensors of a safetensors file.

    Raises:
        CheckpointError: it cannot be read.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"Cannot read '{path}' ({error}). Train again.") from None


def find(runs: str | os.PathLike, name: str, which: str = "best") -> Path:
    """Find the checkpoint that GROUP, GROUP/CELL or a file name means.

    A group is named by its folder or an unambiguous beginning of its name; a group of one cell
    needs no cell. A file is taken as it is.

    Raises:
        CheckpointError: nothing, or several, with the choices; or a cell that is not complete.
    """
    runs = Path(runs)
    given = Path(name)
    if given.is_file():
        return given
    file = f"{which}.safetensors"
    # a path to a folder works as well as a name below --runs
    for base in (given, runs / name):
        if (base / file).is_file():
            return _complete(base / file)
    group_name, _, cell = name.rstrip("/").removeprefix(f"{runs}/").partition("/")
    groups = sorted({path.parents[1] for path in runs.glob(f"*/*/{file}")})
    matching = [path for path in groups if path.name == group_name] or [
        path for path in groups if group_name and path.name.startswith(group_name)]
    if not matching:
        raise CheckpointError(
            f"There is no run '{name}' below '{runs}'. "
            f"{choices(group_name, [path.name for path in groups])}"
        )
    if len(matching) > 1:
        raise CheckpointError(
            f"'{name}' means several groups: {', '.join(path.name for path in matching)}. "
            "Give more of the name."
        )
    cells = sorted(path.parent.name for path in matching[0].glob(f"*/{file}"))
    if not cell and len(cells) == 1:
        cell = cells[0]
    if cell not in cells:
        raise CheckpointError(
            f"Group '{matching[0].name}' has the cells {', '.join(cells)}. "
            f"Name one: {matching[0].name}/{cells[0]}"
        )
    return _complete(matching[0] / cell / file)


def _complete(path: Path) -> Path:
    if not (path.parent / METRICS).is_file():
        raise CheckpointError(
            f"'{path.parent}' is not fitted to the end. Run its `emokit train` line again, or name "
            f"the file to take it as it is: {path}"
        )
    return path
