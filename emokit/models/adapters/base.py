"""What every adapter is, and which sites a setting selects."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from emokit.core.config import knob
from emokit.core.errors import ConfigError, choices, culprits
from emokit.models.adapters.shapes import all_sites, tell_widths
from emokit.models.backbones.base import Backbone

ALL = "all"
"""Word of `where` for every role that an adapter can serve."""


@dataclasses.dataclass(frozen=True)
class AdapterConfig:
    """The selectors common to every adapter; a subclass adds its own settings."""

    where: list[str] | str | None = knob(
        None, "Roles of the sites that get one, such as conv or query, or all that it can serve; "
        "the adapter's own if unset.")
    layers: str | int | None = knob(
        None, "Which layers of a transformer, counted from 0: 3, 1-12 or last3; elsewhere which of "
        "the sites of a role, in depth. All if unset.")
    corpora: list[str] | str | None = knob(None, "Which corpora get one; all if unset.")
    shared: bool = knob(
        False, "One for all those corpora together instead of one each. Training one of them then "
        "moves the scores of the others.")


class Adapter(nn.Module):
    """Weights of one corpus at one site; a subclass writes `make`, `count` and `forward`.

    Every adapter starts as the identity unless a named option says otherwise, and never renames or
    changes the site. What it stores is counted from that start, so that weight decay pulls back to
    it, and that weights loaded into the backbone later do not matter.

    Attributes:
        roles: roles it can serve.
        default_where: roles that it serves if nobody says where; the first if empty.
        default_layers: `layers` if nobody says which, cut to as many as there are.
        Config: its settings.
        replaces: it stands in for the site, which then does not run (a private norm must not move
            the shared statistics).
        acts_before: it changes what the site receives, see `before`.
        starts_as_identity: scores stay as they are when it is added, until it learns.
        takes_dropout: it has taken over the site's dropout on the input.
        reads_last: at the readout of states it takes the last one alone.
    """

    roles: ClassVar[tuple[str, ...]]
    default_where: ClassVar[tuple[str, ...]] = ()
    default_layers: ClassVar[str | None] = None
    Config: ClassVar[type] = AdapterConfig
    replaces: ClassVar[bool] = False
    acts_before: ClassVar[bool] = False
    starts_as_identity: bool = True
    takes_dropout: ClassVar[bool] = False
    reads_last: bool = False

    @classmethod
    def always(cls, config: Any) -> tuple[str, ...]:
        """Name roles that get one whatever `where` and `layers` select."""
        return ()

    @classmethod
    def where(cls, config: Any) -> tuple[str, ...]:
        """Name the roles that get one if nobody says where."""
        return cls.default_where or cls.roles[:1]

    @classmethod
    def frame_dim(cls, config: Any) -> int | None:
        """Give the size of the backbone's output frames with it; None if it leaves that alone."""
        return None

    @classmethod
    def accepts(cls, site: nn.Module, config: Any = None) -> str | None:
        """Give the reason why a site is refused, or None."""
        return None

    @classmethod
    def make(cls, site: nn.Module, role: str, config: Any) -> Adapter | None:
        """Make the adapter of one site; None where the settings leave nothing to learn."""
        return cls(site, config)

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

    def meaning(self) -> tuple:
        """Give what decides, besides its weights, what it does in evaluation."""
        return ()

    def before(self, inputs: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Give what the site shall receive, and which of that is real; if it `acts_before`."""
        return inputs, mask

    def keywords(self) -> dict[str, Any]:
        """Give further arguments of the site, which must know them; if it `acts_before`."""
        return {}

    def folds(self) -> bool:
        """Say whether the site may run once with `weight + weight_delta()` just now."""
        return False

    def weight_delta(self) -> Tensor:
        """Give what to add to the site's weight; only of adapters that can fold."""
        raise NotImplementedError

    def merged(self, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor] | None:
        """Give weight and bias [C_out] of the site that do the same in eval; None if none do.

        Args:
            weight, bias: of the site with the adapters before this one; zeros for no bias.
        """
        return None

    def merged_behind(self, weight: Tensor) -> Tensor | None:
        """Give the weight of the linear layer behind a site without weights that does the same."""
        return None

    @torch.no_grad()
    def become_mean(self, others: Sequence[Adapter]) -> None:
        """Take the natural start among other corpora's adapters here; nothing unless it has one."""


def select_sites(cls: type[Adapter], config: Any, sites: Mapping[str, Sequence[str]], name: str,
                 layer_of: Callable[[str], int | None]) -> list[tuple[str, str]]:
    """Give (role, site name) of all sites that an adapter's settings select.

    Args:
        sites: of the backbone, in depth order.
        name: of the adapter, for messages.
        layer_of: of the backbone.

    Raises:
        ConfigError: a role that adapter or backbone lacks, or `layers` that select nothing.
    """
    where = config.where if config.where is not None else cls.where(config)
    where = [where] if isinstance(where, str) else list(where)
    if ALL in where:
        where = [role for role in cls.roles if sites.get(role)]
        if not where:
            raise ConfigError(f"adapter {name}: the backbone has none of its sites "
                              f"{', '.join(cls.roles)}, only {', '.join(sites)}.")
        if config.layers is not None:
            # beside layers with numbers, what lies in none of them is in none of those selected
            within = [role for role in where if all(
                layer_of(site) is not None for site in sites[role])]
            where = within or where
    always = cls.always(config)
    selected = []
    for role in where:
        if role not in cls.roles:
            raise ConfigError(
                f"adapter {name}: it cannot sit at '{role}'. {choices(role, cls.roles)}")
        if not sites.get(role):
            raise ConfigError(
                f"adapter {name}: the backbone has no site '{role}'. {choices(role, sites)}"
                + _instead(cls, sites))
        if role not in always:
            names = list(sites[role])
            layers = config.layers
            if layers is None and cls.default_layers is not None:
                layers = f"last{min(int(cls.default_layers[4:]), len(names))}"
            selected += [(role, site) for site in _in_layers(names, layers, layer_of, name)]
    for role in always:
        selected += [(role, site) for site in sites.get(role, ())]
    return selected


def _in_layers(names: Sequence[str], layers: str | int | None,
               layer_of: Callable[[str], int | None], name: str) -> list[str]:
    """Give the sites of one role that `layers` selects, by layer where all lie in layers."""
    numbers = [layer_of(site) for site in names]
    if None in numbers:
        return [names[depth] for depth in depths(layers, len(names), name)]
    there = sorted(set(numbers))
    chosen = {there[depth] for depth in depths(layers, len(there), name, "layers")}
    return [site for site, number in zip(names, numbers) if number in chosen]


def _instead(cls: type[Adapter], sites: Mapping[str, Sequence[str]]) -> str:
    there = [role for role in cls.roles if sites.get(role)]
    return f" It can sit at {', '.join(there)} here (where={'|'.join(there)})." if there else (
        " It can sit at none of them.")


def depths(layers: str | int | None, n: int, name: str, what: str = "sites") -> list[int]:
    """Read `layers`: None, a depth, `first-last` inclusive, or `lastK`.

    Args:
        what: is counted, for messages.

    Example:
        >>> depths("1-3", 13, "residual"), depths("last2", 13, "residual")
        ([1, 2, 3], [11, 12])

    Raises:
        ConfigError: another form, or depths beyond the n.
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
            f"adapter {name}: 'layers' is '{layers}', but there are {n} {what}, 0 to {n - 1}.")
    return list(range(first, last + 1))


def serves(config: Any, corpus: str) -> bool:
    """Say whether a corpus gets an adapter with these settings."""
    if config.corpora is None:
        return True
    return corpus in ([config.corpora] if isinstance(config.corpora, str) else config.corpora)


def place(cls: type[Adapter], config: Any, backbone: Backbone, name: str
          ) -> list[tuple[str, str, nn.Module]]:
    """Give (role, site name, module) of all sites that get an adapter.

    With `where` all, sites that it cannot serve are left out.

    Args:
        name: of the adapter, for messages.

    Raises:
        ConfigError: see `select_sites`; or a site named by its role that the adapter refuses.
    """
    tell_widths(backbone)
    chosen = [(role, site, backbone.get_submodule(site))
              for role, site in select_sites(
                  cls, config, all_sites(backbone), name, backbone.layer_of)]
    refused = {site: reason for _, site, module in chosen
               if (reason := cls.accepts(module, config))}
    where = config.where if config.where is not None else cls.where(config)
    left = [entry for entry in chosen if entry[1] not in refused]
    if refused and not (ALL in where and left):
        first = next(iter(refused))
        roles = dict.fromkeys(role for role, _, _ in left)
        hint = "" if len(cls.roles) == 1 and len(chosen) == 1 else (
            " Select other sites with 'where' or 'layers'"
            f"{'; it takes ' + ', '.join(roles) if roles else ''}.")
        raise ConfigError(f"adapter {name}: {refused[first]} ({culprits(refused)}).{hint}")
    return left
