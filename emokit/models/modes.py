"""What learns: modes, and parameters grouped for the optimizer."""

from __future__ import annotations

import dataclasses

from torch import nn

from emokit.core.errors import ConfigError, choices
from emokit.models.masking import MaskedBatchNorm
from emokit.models.model import EmotionModel
from emokit.models.private import CorpusPart, key_of
from emokit.models.settings import MODES

_NORMS = (MaskedBatchNorm, nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm)


@dataclasses.dataclass(frozen=True)
class ParameterGroup:
    """Learning parameters that want one treatment.

    Args:
        part: `backbone`, `norms`, `adapters`, `pooling` or `head`.
        corpus: whose they are; empty if they are the backbone's or shared.
        parameters: {name in the model: parameter}.
    """

    part: str
    corpus: str
    parameters: dict[str, nn.Parameter]


def apply_mode(model: EmotionModel, mode: str, corpus: str | None = None) -> None:
    """Say what learns; frozen parts stay in eval (statistics, dropout) whatever `.train()` says.

    scratch, finetune, joint: backbone, shared pooling and private parts. head: the head alone.
    adapters: adapters, private norms, head, private pooling and input norm. What corpora share of
    adapters learns with any of them. Norms of the backbone that every corpus replaces never learn.

    Args:
        mode: one of `MODES`.
        corpus: whose private part learns; every corpus's if None.

    Raises:
        ConfigError: an unknown mode or corpus, or mode adapters where a corpus has none.
    """
    if mode not in MODES:
        raise ConfigError(f"Unknown mode '{mode}'. {choices(mode, MODES)}")
    chosen = [corpus] if corpus is not None else list(model.corpora)
    parts = [model.part(name) for name in chosen]
    if mode == "adapters":
        for name, own in zip(chosen, parts):
            if not any(True for group in own.groups.values() for _ in group.parameters()):
                raise ConfigError(
                    f"Mode 'adapters' needs an adapter for corpus '{name}'. "
                    "Add --adapters residual, or choose mode head.")
    shared = mode not in ("head", "adapters")
    model.requires_grad_(False)
    model.backbone.requires_grad_(shared)
    if model.pooling is not None:
        model.pooling.requires_grad_(shared)
    for own in parts:
        (own.head if mode == "head" else own).requires_grad_(True)
        for group in own.groups.values():
            group.requires_grad_(mode != "head")
    for site in model.replaced_sites():
        model.backbone.get_submodule(site).requires_grad_(False)
    model.train(model.training)


def parameter_groups(model: EmotionModel) -> list[ParameterGroup]:
    """Group what learns: `norms` want no weight decay, `adapters` one by their corpus's size.

    Returns:
        Groups that are not empty, the shared ones first; every learning parameter is in one.
    """
    groups: dict[tuple[str, str], dict[str, nn.Parameter]] = {}

    def add(module: nn.Module, prefix: str, name: str, corpus: str = "") -> None:
        norms = {id(parameter) for child in module.modules() if isinstance(child, _NORMS)
                 for parameter in child.parameters(recurse=False)}
        for key, parameter in module.named_parameters(prefix):
            if parameter.requires_grad:
                kind = "norms" if id(parameter) in norms else name
                groups.setdefault((kind, corpus), {})[key] = parameter

    add(model.backbone, "backbone", "backbone")
    if model.pooling is not None:
        add(model.pooling, "pooling", "pooling")
    add(model.shared, "shared", "adapters")
    for corpus in model.corpora:
        own: CorpusPart = model.part(corpus)
        prefix = f"private.{key_of(corpus)}"
        for name, child in own.named_children():
            kind = {"input_norm": "norms"}.get(name, name)
            add(child, f"{prefix}.{name}", kind, corpus)
    return [ParameterGroup(kind, corpus, parameters)
            for (kind, corpus), parameters in groups.items()]
