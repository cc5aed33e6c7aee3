"""What a model on a trained base is made of; also without weights, to see whether it can be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from emokit.core.config import to_mapping
from emokit.core.errors import ConfigError, choices, culprits
from emokit.loading.source import Source
from emokit.models.model import EmotionModel
from emokit.models.settings import ModelSettings, complete
from emokit.models.starting import copy_corpora, start_from
from emokit.training.checkpoint import Checkpoint
from emokit.training.config import TrainConfig

_SHARED_PARTS = ("frontend", "backbone", "pooling", "shared_pooling", "normalisation")


def begin(trained: EmotionModel, found: Checkpoint, settings: ModelSettings,
          sources: Sequence[Source], explicit: Mapping[str, Any] | None = None,
          mode: str = "scratch", copy_from: str | None = None, new_head: bool = False
          ) -> tuple[EmotionModel, dict[str, str]]:
    """Make a model on a trained one, see `make_model`; works without memory on the meta device.

    Returns:
        (model, how each corpus of the cell started).

    Raises:
        ConfigError: the base contradicts the settings, has no place for them, or nothing to copy.
    """
    labels = {source.head: source.head_labels for source in sources}
    dimensions = {source.head: source.head_dimensions for source in sources}
    settings = _settings_on(found, settings, found.path, explicit or {}, mode)
    if copy_from is None:
        model = EmotionModel(settings, labels, dimensions)
        return model, start_from(model, trained)
    _refuse_copy(found, labels, dimensions, copy_from, new_head)
    model = EmotionModel(settings, found.labels, found.dimensions)
    merged = [corpus for corpus, how in start_from(model, trained).items() if how == "merged"]
    if merged:
        raise ConfigError(
            f"'{copy_from}' is copied from '{found.path}' with its adapters, but those of "
            f"'{merged[0]}' there have no place in this model, or another order. Use the adapters "
            "of the start; others may stand behind them.")
    copied = copy_corpora(model, labels, dimensions, copy_from)
    return model, {head: f"a copy of {copy_from}" if head in copied else "copied"
                   for head in labels}


def blank(config: TrainConfig, sources: Sequence[Source]) -> EmotionModel:
    """Make the model of settings alone, on the meta device: names and shapes, no weights."""
    with torch.device("meta"):
        return EmotionModel(complete(config.model_settings()),
                            {source.head: source.head_labels for source in sources},
                            {source.head: source.head_dimensions for source in sources})


def rehearse(config: TrainConfig, explicit: Mapping[str, Any], sources: Sequence[Source],
             trained: EmotionModel, path: Path) -> EmotionModel:
    """Make the model of a cell on a base, both on the meta device.

    Args:
        explicit: settings that the user named.
        trained: the base.
        path: where the base lies, or will, for messages.

    Raises:
        ConfigError: it could not begin there.
    """
    found = Checkpoint(path, trained.settings, trained.labels, {}, trained.dimensions)
    with torch.device("meta"):
        return begin(trained, found, config.model_settings(), sources, explicit, config.mode,
                     config.copy_from, config.new_head)[0]


def _refuse_copy(found: Checkpoint, labels: Mapping[str, Sequence[str]],
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


def _settings_on(found: Checkpoint, settings: ModelSettings, base: Path,
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
