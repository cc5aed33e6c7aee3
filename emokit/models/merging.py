"""One corpus's model without adapters: everything private folded into the backbone."""

from __future__ import annotations

import copy
import dataclasses

import torch
from torch import Tensor, nn

from emokit.core.errors import ConfigError
from emokit.models.adapters.norm import NormAdapter
from emokit.models.model import EmotionModel


class MaskOnly(nn.Module):
    """What is left of a norm that was folded into its convolution."""

    def forward(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        return inputs if mask is None else inputs * mask.to(inputs.dtype)


@torch.no_grad()
def merge(model: EmotionModel, corpus: str, fold_norms: bool = False) -> EmotionModel:
    """Give a model of one corpus, without adapters, whose scores are the same.

    Parallel: W' = W + pad(A); likewise LoRA. Series: W' = (I + A diag(g)) W and a shift
    A (beta - g mu) of the outputs, g = gamma / sqrt(var + eps), which the bias takes or the norm
    behind takes off its mean. DoRA and IA3 scale rows, IA3 in the ffn's middle the columns of the
    layer behind. Private norms become the backbone's.

    Args:
        model: stays as it is.
        corpus: whose adapters are folded.
        fold_norms: also W'' = diag(g) W' with a bias, so that norms behind convolutions vanish;
            for inference only, since such a model's tensors no longer fit its settings.

    Returns:
        A new model in eval mode; logits differ by rounding, some 1e-6.

    Raises:
        ConfigError: an unknown corpus, or an adapter that no weight can stand for.
    """
    own = model.part(corpus)
    settings = dataclasses.replace(model.settings, adapters=[])
    merged = EmotionModel(settings, {corpus: own.labels}, {corpus: own.dimensions})
    # plain weights: a site's attachment must not come along
    merged.backbone.load_state_dict(model.backbone.state_dict())
    device = next(model.parameters()).device
    merged = merged.to(device).eval()
    shifts = _merge_sites(model, merged, corpus)
    if model.pooling is not None:
        merged.pooling = copy.deepcopy(model.pooling)
    merged.load_corpus_state(corpus, {
        key: value for key, value in model.corpus_state(corpus).items()
        if not key.startswith("adapters.")})
    merged = merged.to(device).eval()
    for site, shift in shifts.items():
        norm = model.backbone.norm_after(site)
        if norm is None:
            raise ConfigError(f"Site '{site}' has no norm behind it that could take the shift.")
        merged.backbone.get_submodule(norm).running_mean -= shift
    if fold_norms:
        _fold_norms(merged)
    return merged


def _merge_sites(model: EmotionModel, merged: EmotionModel, corpus: str) -> dict[str, Tensor]:
    """Fold each site's adapters; give the shifts of outputs that no bias could take."""
    shifts, scaling = {}, []
    own, sites = model.part(corpus), model.backbone.sites()
    behind = dict(zip(sites.get("ffn_hidden", ()), sites.get("ffn_out", ())))
    for site, _ in model.backbone.named_modules():
        adapters = own.at(site)
        target = merged.backbone.get_submodule(site)
        if adapters and isinstance(adapters[0][1], NormAdapter):
            target.load_state_dict(adapters.pop(0)[1].own.state_dict())
        if site in behind:
            scaling += [(name, site, adapter) for name, adapter in adapters]
            continue
        for name, adapter in adapters:
            weight = getattr(target, "weight", None)
            bias = getattr(target, "bias", None)
            if not isinstance(weight, Tensor):
                raise _unmergeable(name, site)
            before = shifts.get(site, weight.new_zeros(len(weight))) if bias is None else bias
            found = adapter.merged(weight, before)
            if found is None:
                raise _unmergeable(name, site)
            weight.copy_(found[0])
            if bias is not None:
                bias.copy_(found[1])
            elif not weight.is_meta and bool(found[1].any()):
                shifts[site] = found[1]
    for name, site, adapter in scaling:  # last, because adapters of the layer behind come first
        weight = merged.backbone.get_submodule(behind[site]).weight
        found = adapter.merged_behind(weight)
        if found is None:
            raise _unmergeable(name, site)
        weight.copy_(found)
    return shifts


def _unmergeable(name: str, site: str) -> ConfigError:
    return ConfigError(f"Adapter '{name}' at '{site}' cannot be merged into the backbone, because "
                       "no weight there does the same. Leave it an adapter.")


def _fold_norms(model: EmotionModel) -> None:
    backbone = model.backbone
    for site in backbone.sites().get("conv", ()):
        name = backbone.norm_after(site)
        if name is None:
            continue
        conv, norm = backbone.get_submodule(site), backbone.get_submodule(name)
        scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        conv.weight *= scale[:, None, None, None]
        before = 0.0 if conv.bias is None else conv.bias
        conv.bias = nn.Parameter(norm.bias + scale * (before - norm.running_mean))
        parent, _, last = name.rpartition(".")
        setattr(backbone.get_submodule(parent), last, MaskOnly())
