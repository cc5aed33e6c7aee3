"""What every adapter is, and which sites a setting selects."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from emokit.core.config import knob
from emokit.core.errors import ConfigError, choices, culprits


@dataclasses.dataclass(frozen=True)
class AdapterConfig:
    """The selectors common to every adapter; a subclass adds its own settings."""

    where: list[str] | str | None = knob(
        None, "Roles of the sites that get one, such as conv or norm; the adapter's own if unset.")
    layers: str | int | None = knob(
        None, "Which of the sites of a role, counted from 0 in depth: 3, 1-12 or last3; all if "
        "unset.")
    corpora: list[str] | str | None = knob(None, "Which corpora get one; all if unset.")


class Adapter(nn.Module):
    """Weights of one corpus at one site; a subclass writes `make`, `count` and `forward`.

    Every adapter starts as the identity unless a named option says otherwise, and never renames or
    changes the site.

    Attributes:
        roles: roles it can serve; the first is the default of `where`.
        Config: its settings.
        replaces: it stands in for the site, which then does not run (a private norm must not move
            the shared statistics).
        takes_dropout: it has taken over the site's dropout on the input.
    """

    roles: ClassVar[tuple[str, ...]]
    Config: ClassVar[type] = AdapterConfig
    replaces: ClassVar[bool] = False
    takes_dropout: ClassVar[bool] = False

    @classmethod
    def always(cls, config: Any) -> tuple[str, ...]:
        """Name roles that get one whatever `where` and `layers` select."""
        return ()

    @classmethod
    def accepts(cls, site: nn.Module) -> str | None:
        """Give the reason why a site is refused, or None."""
        return None

    @classmethod
    def make(cls, site: nn.Module, role: str, config: Any) -> Adapter | None:
        """Make the adapter of one site; None where the settings leave nothing to learn."""
        raise NotImplementedError

    @classmethod
    def count(cls, site: nn.Module, role: str, config: Any) -> tuple[int, int]:
        """Give (stored, learnt) numbers at a site, from its shape alone."""
        raise NotImplementedError

    def forward(self, inputs: Tensor, outputs: Tensor | None, mask: Tensor | None) -> Tensor:
        """Give the site's new outputs.

        Args:
            inputs: what the site received.
            outputs: what it returned, or the adapter before this one; None if this one `replaces`.
            mask: broadcasts over the outputs, 1 where real; None if everything is.
        """
        raise NotImplementedError

    def folds(self) -> bool:
        """Say whether the site may run once with `weight + weight_delta()` just now."""
        return False

    def weight_delta(self) -> Tensor:
        """Give what to add to the site's weight; only of adapters that can fold."""
        raise NotImplementedError

    def merged(self, weight: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
        """Give the site's weight and a shift [C_out] of its outputs that do the same in eval.

        Raises:
            ConfigError: an adapter that no weight can stand for.
        """
        raise ConfigError(f"Adapter '{type(self).__name__}' cannot be merged into the backbone.")

    @torch.no_grad()
    def become_mean(self, others: Sequence[Adapter]) -> None:
        """Take the natural start among other corpora's adapters here; nothing unless it has one."""


def select_sites(cls: type[Adapter], config: Any, sites: Mapping[str, Sequence[str]], name: str
                 ) -> list[tuple[str, str]]:
    """Give (role, site name) of all sites that an adapter's settings select.

    Args:
        sites: of the backbone, in depth order.
        name: of the adapter, for messages.

    Raises:
        ConfigError: a role that adapter or backbone lacks, or `layers` that select nothing.
    """
    where = config.where if config.where is not None else [cls.roles[0]]
    where = [where] if isinstance(where, str) else list(where)
    always = cls.always(config)
    selected = []
    for role in where:
        if role not in cls.roles:
            raise ConfigError(
                f"adapter {name}: it cannot sit at '{role}'. {choices(role, cls.roles)}")
        if not sites.get(role):
            raise ConfigError(
                f"adapter {name}: the backbone has no site '{role}'. {choices(role, sites)}")
        if role not in always:
            names = list(sites[role])
            selected += [(role, names[depth]) for depth in depths(config.layers, len(names), name)]
    for role in always:
        selected += [(role, site) for site in sites.get(role, ())]
    return selected


def depths(layers: str | int | None, n: int, name: str) -> list[int]:
    """Read `layers`: None, a depth, `first-last` inclusive, or `lastK`.

    Example:
        >>> depths("1-3", 13, "residual"), depths("last2", 13, "residual")
        ([1, 2, 3], [11, 12])

    Raises:
        ConfigError: another form, or depths beyond the n sites.
    """
    if layers is None:
        return list(range(n))
    text = str(layers).strip()
    first, dash, last = text.partition("-")
    if text.startswith("last") and text[4:].isdigit():
        first, last = n - int(text[4:]), n - 1
    elif first.isdigit() and (last.isdigit() if dash else not last):
        first, last = int(first), int(last or first)
    else:
        raise ConfigError(
            f"adapter {name}: 'layers' is '{layers}'; expected a depth, first-last or lastK.")
    if not 0 <= first <= last < n:
        raise ConfigError(
            f"adapter {name}: 'layers' is '{layers}', but there are {n} sites, 0 to {n - 1}.")
    return list(range(first, last + 1))


def serves(config: Any, corpus: str) -> bool:
    """Say whether a corpus gets an adapter with these settings."""
    if config.corpora is None:
        return True
    return corpus in ([config.corpora] if isinstance(config.corpora, str) else config.corpora)


def refuse_unaccepted(cls: type[Adapter], sites: Mapping[str, nn.Module], name: str) -> None:
    """Stop at sites that an adapter refuses.

    Raises:
        ConfigError: with the first sites and the reason.
    """
    reasons = {site: cls.accepts(module) for site, module in sites.items()}
    refused = [site for site, reason in reasons.items() if reason]
    if refused:
        raise ConfigError(f"adapter {name}: {reasons[refused[0]]} ({culprits(refused)}). "
                          "Select other sites with 'where' or 'layers'.")
