"""Starting a model from a trained base."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import torch
from torch import nn

from emokit.core.errors import ConfigError
from emokit.models import HEADS
from emokit.models.adapters.base import Adapter
from emokit.models.adapters.norm import NormAdapter, average_norms
from emokit.models.adapters.weighted_sum import WeightedSumAdapter
from emokit.models.merging import merge
from emokit.models.model import EmotionModel
from emokit.models.private import CorpusPart
from emokit.models.settings import part


@torch.no_grad()
def start_from(model: EmotionModel, base: EmotionModel) -> dict[str, str]:
    """Give a model the shared weights of a base, and its corpora what the base knows of them.

    A corpus that the base has too starts exactly where it was there: same adapters are copied;
    adapters that the model lacks are merged into the backbone, if it is the model's only corpus.
    The head comes along where its answers agree. Any other corpus starts from the average model:
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
    if model.frame_dim() != base.frame_dim():
        raise ConfigError(
            f"The base pools frames of {base.frame_dim()} numbers, the model of "
            f"{model.frame_dim()}, because an adapter changes their size. Use the adapters of the "
            "base.")
    known = [corpus for corpus in model.corpora if corpus in base.corpora]
    uncarried = [corpus for corpus in known if not _carried(base, model, corpus)]
    if uncarried and len(model.corpora) > 1:
        raise ConfigError(
            f"The base has adapters of corpus '{uncarried[0]}' that this model has no place for. "
            "Use the adapters of the base, or train the corpus alone.")
    if uncarried:
        source = _merged(base, uncarried[0])
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


@torch.no_grad()
def copy_corpora(model: EmotionModel, labels: Mapping[str, Sequence[str]],
                 dimensions: Mapping[str, Sequence[str]], source: str) -> list[str]:
    """Add the corpora that a model lacks, each as a copy of one that it has.

    Adapters, norms and pooling are copied bit by bit, the head where its answers agree; so is the
    normalisation, which belongs to the new corpus and shall be set.

    Args:
        labels, dimensions: of all corpora that the model shall have.
        source: whose part is copied.

    Returns:
        The corpora that were added.

    Raises:
        ConfigError: the model has no such source.
    """
    added = [corpus for corpus in labels if corpus not in model.corpora]
    for corpus in added:
        model.add_corpus(corpus, labels[corpus], source, dimensions.get(corpus, ()))
    return added


def renew_head(model: EmotionModel, corpus: str) -> None:
    """Give a corpus a head at random, as a new one has, in place of what it started with."""
    own = model.part(corpus)
    cls, config = part(HEADS, model.settings.head)
    device = next(own.head.parameters()).device
    dim = (own.pooling or model.pooling).dim
    own.head = cls(config, dim, len(own.labels) + len(own.dimensions)).to(device)


def _merged(base: EmotionModel, corpus: str) -> EmotionModel:
    try:
        return merge(base, corpus)
    except ConfigError as error:
        raise ConfigError(
            f"The base has adapters of corpus '{corpus}' that this model has no place for, or not "
            f"in their order. {error} Use the adapters of the base; others may stand behind them."
        ) from None


def _carried(base: EmotionModel, model: EmotionModel, corpus: str) -> bool:
    """Say whether each of a corpus's adapters has a place of its kind and shape in the model, and
    those of a site run in the same order."""
    for name, group in base.part(corpus).groups.items():
        if name in model.shared and name not in base.shared and len(model.corpora) > 1:
            return False
        if not all(_fits(name, key, adapter, model.part(corpus))
                   for key, adapter in group.items()):
            return False
    return all(_in_order(base.part(corpus), model.part(corpus), key)
               for group in base.part(corpus).groups.values() for key in group)


def _in_order(theirs: CorpusPart, ours: CorpusPart, key: str) -> bool:
    """Say whether a site's adapters run in the order that they ran in.

    Norms always come first, whatever adapter brought them.
    """
    def names(own: CorpusPart) -> list[str]:
        return [name for name, adapter in own.at(key.replace("/", "."))
                if not isinstance(adapter, NormAdapter)]

    wanted = names(theirs)
    return wanted == [name for name in names(ours) if name in wanted]


def _fits(name: str, key: str, adapter: Adapter, ours: CorpusPart) -> bool:
    site = key.replace("/", ".")
    is_norm = isinstance(adapter, NormAdapter)
    mine = ours.norms_at(site) if is_norm else dict(ours.at(site)).get(name)
    return mine is not None and _kind(mine) == _kind(adapter)


def _kind(adapter: Adapter) -> tuple:
    """Give all that two adapters must have in common to do the same with the same weights."""
    return type(adapter), adapter.meaning(), _shapes(adapter)


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
        _start_shared(ours, source, corpus)
        return
    if ours.pooling is not None:
        ours.pooling.load_state_dict((theirs.pooling or source.pooling).state_dict())
    elif theirs.pooling is not None and len(model.corpora) == 1:
        model.pooling.load_state_dict(theirs.pooling.state_dict())
    for name, group in theirs.groups.items():
        for key, adapter in group.items():
            if not isinstance(adapter, NormAdapter):
                ours.groups[name][key].load_state_dict(adapter.state_dict())
    same = (theirs.labels, theirs.dimensions) == (ours.labels, ours.dimensions)
    if same and _shapes(theirs.head) == _shapes(ours.head):
        _refuse_new_mean(ours, theirs, corpus)
        ours.head.load_state_dict(theirs.head.state_dict())
    if "mean" in ours._buffers and "mean" in theirs._buffers:
        ours.mean.copy_(theirs.mean)
        ours.std.copy_(theirs.std)
    if hasattr(ours, "input_norm") and hasattr(theirs, "input_norm"):
        ours.input_norm.load_state_dict(theirs.input_norm.state_dict())


def _start_shared(ours: CorpusPart, source: EmotionModel, corpus: str) -> None:
    """Give a new corpus what all corpora of the base share."""
    for name, group in source.shared.items():
        if not all(_fits(name, key, adapter, ours) for key, adapter in group.items()):
            raise ConfigError(
                f"The base has adapter '{name}', which its corpora share, and corpus '{corpus}' of "
                "this model has no place for it. Use the adapters of the base.")
        for key, adapter in group.items():
            if not isinstance(adapter, NormAdapter):
                ours.groups[name][key].load_state_dict(adapter.state_dict())


def _refuse_new_mean(ours: CorpusPart, theirs: CorpusPart, corpus: str) -> None:
    for name, group in ours.groups.items():
        for adapter in group.values():
            if isinstance(adapter, WeightedSumAdapter) and not adapter.starts_as_identity and (
                    name not in theirs.groups):
                raise ConfigError(
                    f"adapter {name}: it starts as the mean of all states, but the head of "
                    f"'{corpus}' comes from a base that saw another one. Set "
                    f"adapters.{name}.start=last.")
