"""How many numbers a model stores and learns, and how that compares with single models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from emokit.models.adapters.norm import NormAdapter
from emokit.models.model import EmotionModel
from emokit.models.modes import parameter_groups
from emokit.models.private import CorpusPart
from emokit.models.settings import ModelSettings


def budget(model: EmotionModel) -> dict[str, Any]:
    """Count a model part by part, and against one model per corpus.

    Stored are weights and running statistics, as Keras counts; learnt are weights. Left out are
    norms of the backbone that every corpus replaces, what follows from the settings (filter
    banks), and the normalisation's mean and deviation (2 F a corpus). What is frozen counts, what
    corpora share counts once, as part of no corpus.

    A single model has backbone, its norms, pooling and one head of the same kind, no adapter; over
    corpora with different numbers of classes, the mean of their single models.

    Returns:
        `stored`, `learnt`: numbers of the whole. `single`: {stored, learnt} of a single model.
        `ratio`, `ratio_learnt`: whole over single. `parts`: {backbone, norms, adapters, pooling,
        head: stored} over shared and private. `corpora`: {corpus: {classes, adapters, norms,
        pooling, head, stored, learnt, share}}, `share` being stored over single.
    """
    replaced = tuple(f"{site}." for site in model.replaced_sites())
    norm_names = tuple(f"{site}." for site in model.backbone.sites().get("norm", ()))
    backbone = [0, 0]
    norms, norms_used = [0, 0], [0, 0]
    for key, tensor, learnt in _tensors(model.backbone):
        if key.startswith(norm_names):
            _add(norms, tensor, learnt)
            if not (replaced and key.startswith(replaced)):
                _add(norms_used, tensor, learnt)
        else:
            _add(backbone, tensor, learnt)
    shared_pooling = _size(model.pooling)
    corpora, singles = {}, []
    for corpus in model.corpora:
        own = model.part(corpus)
        corpora[corpus], sizes = _corpus(own)
        pooling = shared_pooling if own.pooling is None else sizes["pooling"]
        singles.append([
            backbone[i] + norms[i] + pooling[i] + sizes["head"][i] + sizes["norms_input"][i]
            for i in (0, 1)])
    common = {"adapters": [0, 0], "norms": [0, 0]}
    for group in model.shared.values():
        _add_adapters(common, group)
    stored, learnt = (
        backbone[i] + norms_used[i] + shared_pooling[i] + common["adapters"][i]
        + common["norms"][i] + sum(entry[name] for entry in corpora.values())
        for i, name in enumerate(("stored", "learnt")))
    n = max(1, len(singles))
    single = {name: sum(entry[i] for entry in singles) / n
              for i, name in enumerate(("stored", "learnt"))}
    single = {name: int(value) if value == int(value) else value
              for name, value in single.items()}
    for entry in corpora.values():
        entry["share"] = entry["stored"] / single["stored"]

    def everywhere(name: str) -> int:
        return sum(entry[name] for entry in corpora.values())

    return {
        "stored": stored, "learnt": learnt, "single": single,
        "ratio": stored / single["stored"] if singles else float("nan"),
        "ratio_learnt": learnt / single["learnt"] if singles else float("nan"),
        "parts": {
            "backbone": backbone[0],
            "norms": norms_used[0] + common["norms"][0] + everywhere("norms"),
            "adapters": common["adapters"][0] + everywhere("adapters"),
            "pooling": shared_pooling[0] + everywhere("pooling"), "head": everywhere("head"),
        },
        "corpora": corpora,
    }


def suppose(settings: ModelSettings, n_corpora: int, n_classes: int) -> dict[str, Any]:
    """Give the budget of a model over so many corpora, without making any weight."""
    with torch.device("meta"):
        model = EmotionModel(settings, {
            f"c{index}": [str(k) for k in range(n_classes)] for index in range(n_corpora)})
    return budget(model)


def learning(model: EmotionModel) -> dict[str, int]:
    """Give how many weights learn now, by part (`norms`, `adapters of emodb`, …)."""
    return {
        group.part + (f" of {group.corpus}" if group.corpus else ""):
        sum(parameter.numel() for parameter in group.parameters.values())
        for group in parameter_groups(model)}


def _corpus(own: CorpusPart) -> tuple[dict[str, Any], Mapping[str, list[int]]]:
    sizes = {"adapters": [0, 0], "norms": [0, 0]}
    for group in own.adapters.values():
        _add_adapters(sizes, group)
    sizes["norms_input"] = _size(getattr(own, "input_norm", None))
    sizes["pooling"], sizes["head"] = _size(own.pooling), _size(own.head)
    entry = {"classes": len(own.labels)}
    entry |= {name: sizes[name][0] for name in ("adapters", "norms", "pooling", "head")}
    entry["norms"] += sizes["norms_input"][0]
    entry["stored"] = sum(size[0] for size in sizes.values())
    entry["learnt"] = sum(size[1] for size in sizes.values())
    return entry, sizes


def _add_adapters(sizes: Mapping[str, list[int]], group: nn.ModuleDict) -> None:
    for adapter in group.values():
        size = sizes["norms" if isinstance(adapter, NormAdapter) else "adapters"]
        for _, tensor, learnt in _tensors(adapter):
            _add(size, tensor, learnt)


def _tensors(module: nn.Module):
    """Give (name, tensor, whether it is learnt) of all that a checkpoint would hold."""
    learnt = {name for name, _ in module.named_parameters()}
    for name, tensor in module.state_dict().items():
        yield name, tensor, name in learnt


def _add(size: list[int], tensor: torch.Tensor, learnt: bool) -> None:
    size[0] += tensor.numel()
    size[1] += tensor.numel() * learnt


def _size(module: nn.Module | None) -> list[int]:
    size = [0, 0]
    for _, tensor, learnt in _tensors(module) if module is not None else ():
        _add(size, tensor, learnt)
    return size
