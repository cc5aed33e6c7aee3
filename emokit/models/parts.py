"""Parts of a model by name: what may be frozen, and what may have a learning rate of its own."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from torch import nn

from emokit.core.errors import ConfigError, choices
from emokit.models.adapters.norm import NormAdapter
from emokit.models.model import EmotionModel
from emokit.models.private import key_of

ADAPTERS = "adapters"
"""All adapters together, norms of a corpus's own among them."""


def parts_of(model: EmotionModel) -> dict[str, tuple[str, ...]]:
    """Give {name of a parameter in the model: names of its part, the narrowest first}.

    `backbone`, `pooling`, `head`, `input_norm`; of adapters `lora.a` (the tensors called so),
    `lora` and `adapters`; of a norm that a corpus has for itself `norm`, whatever adapter brought
    it, that adapter, and `adapters`.

    Example:
        The matrix A of LoRA has the names `("lora.a", "lora", "adapters")`.
    """
    found: dict[str, tuple[str, ...]] = {}

    def add(module: nn.Module | None, prefix: str, *names: str) -> None:
        if module is not None:
            found.update((name, names) for name, _ in module.named_parameters(prefix))

    def add_groups(groups: nn.ModuleDict, prefix: str) -> None:
        for name, group in groups.items():
            for key, adapter in group.items():
                if isinstance(adapter, NormAdapter):
                    names = dict.fromkeys(("norm", name, ADAPTERS))
                    add(adapter, f"{prefix}.{name}.{key}", *names)
                    continue
                for tensor, _ in adapter.named_parameters():
                    found[f"{prefix}.{name}.{key}.{tensor}"] = (
                        f"{name}.{tensor.partition('.')[0]}", name, ADAPTERS)

    add(model.backbone, "backbone", "backbone")
    add(model.pooling, "pooling", "pooling")
    add_groups(model.shared, "shared")
    for corpus in model.corpora:
        own, prefix = model.part(corpus), f"private.{key_of(corpus)}"
        add_groups(own.adapters, f"{prefix}.adapters")
        for name, child in own.named_children():
            if name != "adapters":
                add(child, f"{prefix}.{name}", name)
    return found


def part_names(model: EmotionModel) -> list[str]:
    """Name all parts of a model, those of the backbone first."""
    return list(dict.fromkeys(name for names in parts_of(model).values() for name in names[::-1]))


def check_parts(model: EmotionModel, names: Iterable[str], setting: str) -> None:
    """Hold names of parts to those that the model has.

    Raises:
        ConfigError: an unknown one, with the list.
    """
    known = part_names(model)
    for name in names:
        if name not in known:
            raise ConfigError(f"'{setting}' names the part '{name}', which this model does not "
                              f"have. {choices(name, known)}")


def freeze(model: EmotionModel, names: Collection[str]) -> None:
    """Keep parts from learning that would learn; their tensors then stay as they are, bit by bit.

    Args:
        names: of parts, see `parts_of`.

    Raises:
        ConfigError: an unknown part.
    """
    check_parts(model, names, "freeze")
    parameters = dict(model.named_parameters())
    for name, own in parts_of(model).items():
        if set(own) & set(names):
            parameters[name].requires_grad_(False)
    model.train(model.training)


def learning_parts(model: EmotionModel) -> list[str]:
    """Name the narrowest parts of which something learns now."""
    parameters = dict(model.named_parameters())
    return list(dict.fromkeys(names[0] for name, names in parts_of(model).items()
                              if parameters[name].requires_grad))
