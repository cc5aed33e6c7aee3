"""How adapters meet the backbone: each site's `forward` is replaced in the instance.

Three ways were weighed, the first and the last tried on 12 corpora (torch 2.13, CPU):

- Forward hooks run after the site, so a private norm cannot keep the shared one from running and
  moving its statistics, and a folded adapter cannot give the site another weight.
- Wrapping modules does both, but renames the backbone's parameters (`conv.site.weight`).
- A callable object set as `site.forward` does both and renames nothing. It is no module, so state
  dictionaries, `parameters()` and DistributedDataParallel do not see it; `copy.deepcopy` copies it
  with its site. `torch.compile(fullgraph=True)` traces through it, and since the adapters are
  reached from the site in the same way for every corpus, corpora of equal structure share one
  graph: 1 compilation for 12 corpora.

DistributedDataParallel needs `find_unused_parameters=True`, because a batch reaches one corpus's
part only; parameters that a step did not reach keep `grad` None, which the optimizers skip (zero
gradients would let momentum and decay move other corpora's weights). `broadcast_buffers=False` is
right: statistics are summed over ranks already, and two gloo ranks equal one process.

Compile the trunk in place, `model.backbone.compile()`; `torch.compile(model.backbone)` would rename
its parameters.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable

from torch import Tensor, nn

from emokit.core.errors import ConfigError
from emokit.models.adapters.base import Adapter
from emokit.models.backbones.base import Backbone


class AttachedForward:
    """Takes the place of `site.forward`; without active adapters it is that method."""

    def __init__(self, site: nn.Module, backbone: Backbone):
        self.site, self.backbone = site, backbone
        self.active: tuple[Adapter, ...] = ()

    def __call__(self, *args, **kwargs):
        if not self.active:
            return self.original(*args, **kwargs)
        given = args[0] if args else next(iter(kwargs.values()))
        mask = self.backbone.site_mask(args, kwargs)
        around = [adapter for adapter in self.active if adapter.acts_before]
        if around:
            rest = [adapter for adapter in self.active if not adapter.acts_before]
            inputs, real = given, mask
            for adapter in around:
                inputs, real = adapter.before(inputs, real)
                kwargs = {**kwargs, **adapter.keywords()}
            if inputs is not given:
                args, kwargs = self.backbone.with_inputs(args, kwargs, inputs, real)
            outputs = self.original(*args, **kwargs)
            for adapter in around:
                outputs = _on_tensor(adapter, inputs, outputs, mask)
        else:
            outputs, rest = self._run(given, mask, args, kwargs)
        for adapter in rest:
            outputs = _on_tensor(adapter, given, outputs, mask)
        return outputs

    def _run(self, inputs: Tensor, mask: Tensor | None, args: tuple, kwargs: dict):
        """Give the site's outputs with the adapters that it runs as one with, and the others."""
        rest = self.active
        if rest[0].replaces:
            return rest[0](inputs, None, mask), rest[1:]
        taken = any(adapter.takes_dropout for adapter in rest)
        # a site that drops inputs itself must run as it is
        drops = self.site.training and getattr(self.site, "input_dropout", 0.0) and not taken
        n_folded = 0
        while not drops and n_folded < len(rest) and rest[n_folded].folds():
            n_folded += 1
        if n_folded or taken:
            return run_with_deltas(self.site, inputs, rest[:n_folded]), rest[n_folded:]
        return self.original(*args, **kwargs), rest

    def original(self, *args, **kwargs):
        return type(self.site).forward(self.site, *args, **kwargs)


def _on_tensor(adapter: Adapter, inputs: Tensor, outputs, mask: Tensor | None):
    """Run an adapter on what a site returned, which may be a tuple that begins with its tensor."""
    if isinstance(outputs, tuple):
        return (adapter(inputs, outputs[0], mask), *outputs[1:])
    return adapter(inputs, outputs, mask)


def run_with_deltas(site: nn.Module, inputs: Tensor, adapters: Iterable[Adapter]) -> Tensor:
    """Run a linear site once, with its weight plus the adapters' deltas, without its dropout."""
    weight = site.weight
    for adapter in adapters:
        weight = weight + adapter.weight_delta()
    if isinstance(site, nn.Linear):
        return nn.functional.linear(inputs, weight, site.bias)
    return site._conv_forward(inputs, weight, site.bias)


def attach(backbone: Backbone, names: Iterable[str]) -> dict[str, AttachedForward]:
    """Prepare sites for adapters; sites that are prepared already stay as they are.

    Returns:
        {site name: its attachment}, whose `active` the model sets for each batch.
    """
    points = {}
    for name in names:
        site = backbone.get_submodule(name)
        if not isinstance(site.__dict__.get("forward"), AttachedForward):
            site.forward = AttachedForward(site, backbone)
        points[name] = site.forward
    return points


def detach(backbone: Backbone) -> None:
    """Give every site its own forward back."""
    for site in backbone.modules():
        if isinstance(site.__dict__.get("forward"), AttachedForward):
            del site.forward


def copy_site(site: nn.Module) -> nn.Module:
    """Copy a site with its weights and statistics, without what is attached to it."""
    attached = site.__dict__.pop("forward", None)
    try:
        return copy.deepcopy(site)
    finally:
        if attached is not None:
            site.forward = attached


def ordered(adapters: Iterable[tuple[str, Adapter]], site: str) -> tuple[Adapter, ...]:
    """Check the adapters of one site, in the order written.

    Raises:
        ConfigError: one that replaces the site stands behind another.
    """
    pairs = list(adapters)
    replacing = [name for name, adapter in pairs if adapter.replaces]
    if len(replacing) > 1:
        raise ConfigError(
            f"adapters {' and '.join(replacing)} are in conflict: each takes the place of "
            f"'{site}'. Leave one out (residual: norm=shared), or give them other sites, layers "
            "or corpora.")
    if replacing and pairs[0][0] != replacing[0]:
        name = replacing[0]
        raise ConfigError(
            f"adapters {pairs[0][0]} and {name} meet at '{site}', which '{name}' replaces. "
            f"Write '{name}' first, or leave one of them out there.")
    return tuple(adapter for _, adapter in pairs)
