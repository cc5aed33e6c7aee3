"""What an adapter must know of a site's shapes: how wide it is, and where its channels lie."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from emokit.models.backbones.base import Backbone
from emokit.models.masking import MaskedBatchNorm

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d)
_CHANNELS_SECOND = (MaskedBatchNorm, nn.modules.batchnorm._NormBase, nn.GroupNorm)
_NORMS = (*_CHANNELS_SECOND, nn.LayerNorm)

_WIDTH_OF = {"ffn_hidden": "ffn_in", "ffn": "ffn_out", "attention": "attention_output",
             "block": "attention_output"}
"""Roles of modules without an own output layer, and the role of the same depth that has theirs."""

OTHER = "other"
"""Role of the modules with a bias that have no role of their own."""


def all_sites(backbone: Backbone) -> dict[str, list[str]]:
    """Give the sites of a backbone, and as role `other` what else in it has a bias."""
    sites = {role: list(names) for role, names in backbone.sites().items() if names}
    known = {name for names in sites.values() for name in names}
    kinds = (nn.Linear, *CONVOLUTIONS, *_NORMS)
    others = [name for name, module in backbone.named_modules() if name not in known
              and isinstance(module, kinds) and getattr(module, "bias", None) is not None]
    return {**sites, OTHER: others} if others else sites


def tell_widths(backbone: Backbone) -> None:
    """Tell modules what they cannot know: how wide their outputs are, or how many states come.

    It is written into them as `site_width` and `n_states`.
    """
    sites = backbone.sites()
    for name in sites.get("states", ()):
        backbone.get_submodule(name).n_states = backbone.n_states
    for role, other in _WIDTH_OF.items():
        names, linears = sites.get(role, ()), sites.get(other, ())
        if len(names) == len(linears):
            for name, linear in zip(names, linears):
                module = backbone.get_submodule(name)
                module.site_width = backbone.get_submodule(linear).out_features


def width(site: nn.Module) -> int | None:
    """Give the number of channels of a site's outputs; None if it cannot be known."""
    if isinstance(site, nn.Linear):
        return site.out_features
    if isinstance(site, CONVOLUTIONS):
        return site.out_channels
    if isinstance(site, _NORMS):
        weight = getattr(site, "weight", None)
        return None if weight is None else weight.numel()
    if "site_width" in site.__dict__:
        return site.site_width
    last = _last(site)
    return None if last is None else width(last)


def input_width(site: nn.Module) -> int | None:
    """Give the number of channels that a site takes; of modules in modules that of its outputs."""
    if isinstance(site, nn.Linear):
        return site.in_features
    return site.in_channels if isinstance(site, CONVOLUTIONS) else width(site)


def channel_axis(site: nn.Module) -> int:
    """Give the axis of the channels in a site's outputs: 1 in maps, -1 in sequences."""
    if isinstance(site, (*CONVOLUTIONS, *_CHANNELS_SECOND)):
        return 1
    if isinstance(site, (nn.Linear, nn.LayerNorm)) or "site_width" in site.__dict__:
        return -1
    last = _last(site)
    return -1 if last is None else channel_axis(last)


def _last(site: nn.Module) -> nn.Module | None:
    """Give the last norm within a module, or its last layer where it has no norm."""
    for kinds in (_NORMS, (nn.Linear, *CONVOLUTIONS)):
        inner = [module for module in site.modules() if isinstance(module, kinds)]
        if inner:
            return inner[-1]
    return None


def along(vector: Tensor, axis: int, outputs: Tensor) -> Tensor:
    """Give a vector [C] in a shape that broadcasts over outputs with channels at an axis."""
    return vector if axis == -1 else vector.view(-1, *[1] * (outputs.dim() - 2))


def project(inputs: Tensor, weight: Tensor, bias: Tensor | None, axis: int) -> Tensor:
    """Give weight [C_out, C_in] times the channels at an axis, plus bias, at each position."""
    if axis == -1:
        return functional.linear(inputs, weight, bias)
    kernel = weight.view(*weight.shape, *[1] * (inputs.dim() - 2))
    return (functional.conv1d if inputs.dim() == 3 else functional.conv2d)(inputs, kernel, bias)


def masked(values: Tensor, mask: Tensor | None) -> Tensor:
    """Give values, zero where padded, so that what a backbone keeps zero there stays zero."""
    return values if mask is None else values * mask.to(values.dtype)


@dataclasses.dataclass(frozen=True)
class Geometry:
    """How a convolution of one group moves, without its weights."""

    dims: int
    stride: tuple[int, ...]
    padding: tuple[int, ...] | str
    dilation: tuple[int, ...]

    @classmethod
    def of(cls, site: nn.Module) -> Geometry:
        """Read it off a convolution."""
        return cls(site.weight.dim() - 2, site.stride, site.padding, site.dilation)

    def run(self, inputs: Tensor, kernel: Tensor, bias: Tensor | None = None) -> Tensor:
        """Run another kernel in the same way."""
        function = functional.conv1d if self.dims == 1 else functional.conv2d
        return function(inputs, kernel, bias, self.stride, self.padding, self.dilation)


def linear_start(*shape: int, **factory) -> Tensor:
    """Draw a weight as PyTorch does for linear layers: uniform, variance 1 / (3 fan_in)."""
    weight = torch.empty(*shape, **factory)
    nn.init.kaiming_uniform_(weight, a=math.sqrt(5))
    return weight


def factory_of(site: nn.Module) -> dict:
    """Give device and number format of a site's weights."""
    parameter = next(site.parameters(), None)
    return {} if parameter is None else {"device": parameter.device, "dtype": parameter.dtype}


def plain_convolution(site: nn.Module) -> str | None:
    """Give the reason why a second kernel cannot run beside a site, or None."""
    if not isinstance(site, CONVOLUTIONS):
        return "it needs a convolution"
    if site.groups != 1:
        return f"it needs a convolution of one group, not {site.groups}"
    if site.padding_mode != "zeros":
        return f"it needs a convolution padded with zeros, not '{site.padding_mode}'"
    return None


def kernel_size(site: nn.Module) -> int:
    """Give the number of taps of a convolution's kernel."""
    return site.weight[0, 0].numel()
