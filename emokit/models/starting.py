"""Starting a model from a trained base."""

from __future__ import annotations

import copy

import torch
from torch import nn

from emokit.core.errors import ConfigError
from emokit.models.adapters.norm import average_norms
from emokit.models.merging import merge
from emokit.models.model import EmotionModel
from emokit.models.private import CorpusPart


@torch.no_grad()
def start_from(model: EmotionModel, base: EmotionModel) -> dict[str, str]:
    """Give a model the shared weights of a base, and its corpora what the base knows of them.

    A corpus that the base has too starts exactly where it was there: same adapters are copied;
    adapters that the model lacks are merged into the backbone, if it is the model's only corpus.
    The head comes along where the classes agree. Any other corpus starts from the average model:
    full-rank adapters recentred, norms averaged over the base's corpora, its own adapters as made.
    Normalisation comes along for known corpora only; set that of new ones.

    Args:
        model: changed in place, before training.
        base: left as it is.

    Returns:
        {corpus: "copied", "merged" or "mean"}, how each started.

    Raises:
        ConfigError: another front end, backbone or pooling, or a known corpus among several whose
            adapters the model has no place for.
    """
    for name in ("frontend", "backbone", "pooling"):
        theirs, ours = getattr(base, name), getattr(model, name)
        if name == "pooling":
            ours = model.pooling or next(model.part(corpus).pooling for corpus in model.corpora)
            theirs = base.pooling or next(base.part(corpus).pooling for corpus in base.corpora)
        if (type(ours), getattr(ours, "config", None)) != (
                type(theirs), getattr(theirs, "config", None)):
            raise ConfigError(
                f"The base has {name} {getattr(base.settings, name)}, the model "
                f"{getattr(model.settings, name)}. Use the settings of the base.")
    known = [corpus for corpus in model.corpora if corpus in base.corpora]
    uncarried = [corpus for corpus in known if not _carried(base.part(corpus), model.part(corpus))]
    if uncarried and len(model.corpora) > 1:
        raise ConfigError(
            f"The base has adapters of corpus '{uncarried[0]}' that this model has no place for. "
            "Use the adapters of the base, or train the corpus alone.")
    if uncarried:
        source = merge(base, uncarried[0])
    else:
        source = copy.deepcopy(base)
        if known != list(model.corpora):
            source.recentre()
        _average_trunk(source)
    model.backbone.load_state_dict(source.backbone.state_dict())
    if model.pooling is not None:
        _start_pooling(model.pooling, source)
    for corpus in model.corpora:
        _start_part(model, source, corpus)
    return {corpus: "merged" if corpus in uncarried else "copied" if corpus in known else "mean"
            for corpus in model.corpora}


def _carried(theirs: CorpusPart, ours: CorpusPart) -> bool:
    """Say whether each of their adapters has a place of its shape in ours."""
    for name, group in theirs.adapters.items():
        for key, adapter in group.items():
            site = key.replace("/", ".")
            if adapter.replaces:
                mine = ours.norms_at(site)
            else:
                mine = dict(ours.at(site)).get(name)
            if mine is None or _shapes(mine) != _shapes(adapter):
                return False
    return True


def _shapes(module: nn.Module) -> dict[str, torch.Size]:
    return {key: tensor.shape for key, tensor in module.state_dict().items()}


def _average_trunk(source: EmotionModel) -> None:
    """Make the backbone's replaced norms the average over corpora."""
    for site in source.replaced_sites():
        average_norms(source.backbone.get_submodule(site),
                      [source.part(corpus).norms_at(site).own for corpus in source.corpora])


def _start_pooling(pooling: nn.Module, source: EmotionModel) -> None:
    """Take the shared pooling, or the mean of private ones."""
    if source.pooling is not None:
        pooling.load_state_dict(source.pooling.state_dict())
        return
    theirs = [source.part(corpus).pooling for corpus in source.corpora]
    for name, parameter in pooling.named_parameters():
        parameter.copy_(torch.stack([other.get_parameter(name) for other in theirs]).mean(0))


def _start_part(model: EmotionModel, source: EmotionModel, corpus: str) -> None:
    ours = model.part(corpus)
    theirs = source.part(corpus) if corpus in source.corpora else None
    for site in model.backbone.sites().get("norm", ()):
        mine = ours.norms_at(site)
        if mine is not None:
            there = None if theirs is None else theirs.norms_at(site)
            own = there.own if there is not None else source.backbone.get_submodule(site)
            mine.own.load_state_dict(own.state_dict())
    if theirs is None:
        if ours.pooling is not None:
            _start_pooling(ours.pooling, source)
        return
    if ours.pooling is not None:
        ours.pooling.load_state_dict((theirs.pooling or source.pooling).state_dict())
    elif theirs.pooling is not None and len(model.corpora) == 1:
        model.pooling.load_state_dict(theirs.pooling.state_dict())
    for name, group in theirs.adapters.items():
        for key, adapter in group.items():
            if not adapter.replaces:
                ours.adapters[name][key].load_state_dict(adapter.state_dict())
    if theirs.labels == ours.labels and _shapes(theirs.head) == _shapes(ours.head):
        ours.head.load_state_dict(theirs.head.state_dict())
    if "mean" in ours._buffers and "mean" in theirs._buffers:
        ours.mean.copy_(theirs.mean)
        ours.std.copy_(theirs.std)
    if hasattr(ours, "input_norm") and hasattr(theirs, "input_norm"):
        ours.input_norm.load_state_dict(theirs.input_norm.state_dict())
