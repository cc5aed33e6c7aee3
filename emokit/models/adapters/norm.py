"""Private norms: each corpus with its own statistics, scale and shift."""

from __future__ import annotations

import inspect
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from emokit.models.adapters.attach import copy_site
from emokit.models.adapters.base import Adapter, AdapterConfig
from emokit.models.masking import MaskedBatchNorm


def pooled_moments(means: Sequence[Tensor], variances: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Give mean and variance of an equal mixture.

    mu = avg mu_c, var = avg(var_c + mu_c^2) - mu^2.
    """
    mean = torch.stack(list(means)).mean(0)
    # of the deviations, so that large means cancel nothing
    spread = torch.stack([(other - mean).square() for other in means]).mean(0)
    return mean, torch.stack(list(variances)).mean(0) + spread


@torch.no_grad()
def average_norms(target: nn.Module, norms: Sequence[nn.Module]) -> None:
    """Make a norm the average of others: mean scale and shift, moments of the mixture."""
    for name, parameter in target.named_parameters():
        values = [norm.get_parameter(name) for norm in norms]
        parameter.copy_(torch.stack(values).mean(0))
    if isinstance(target, MaskedBatchNorm):
        mean, variance = pooled_moments(
            [norm.running_mean for norm in norms], [norm.running_var for norm in norms])
        target.running_mean.copy_(mean)
        target.running_var.copy_(variance)


class NormAdapter(Adapter):
    """A norm of the corpus's own in place of the shared one, started as its copy.

    The shared norm neither runs nor learns nor moves its statistics. Stored 4 C numbers for a
    batch norm, 2 C learnt; 2 C for a layer norm.

    Source:
        Rebuffi et al. 2018, where every domain has its own batch norms.
    """

    roles = ("norm",)
    replaces = True

    def __init__(self, own: nn.Module):
        super().__init__()
        self.own = own
        self.takes_mask = "mask" in inspect.signature(type(own).forward).parameters

    @classmethod
    def accepts(cls, site: nn.Module, config: AdapterConfig | None = None) -> str | None:
        if getattr(site, "weight", None) is None:
            return "a norm without scale and shift has nothing to copy"
        return None

    @classmethod
    def make(cls, site: nn.Module, role: str, config: AdapterConfig) -> NormAdapter:
        own = copy_site(site)
        for parameter in own.parameters():
            parameter.requires_grad_(True)
        return cls(own.train())

    @classmethod
    def count(cls, site: nn.Module, role: str, config: AdapterConfig) -> tuple[int, int]:
        channels = site.weight.numel()
        return (4 if isinstance(site, MaskedBatchNorm) else 2) * channels, 2 * channels

    def forward(self, inputs: Tensor, outputs: Tensor | None, mask: Tensor | None) -> Tensor:
        return self.own(inputs, mask) if self.takes_mask else self.own(inputs)

    def become_mean(self, others: Sequence[NormAdapter]) -> None:
        average_norms(self.own, [other.own for other in others])
