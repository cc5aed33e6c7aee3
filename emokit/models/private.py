"""What a corpus has for itself: adapters, norms, normalisation, head."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from emokit.core.errors import ConfigError, culprits
from emokit.models.adapters.base import Adapter
from emokit.models.adapters.norm import NormAdapter, average_norms, pooled_moments
from emokit.models.masking import MaskedBatchNorm

LEAST_DEVIATION = 1e-3
"""A band that hardly varies is not blown up by its normalisation."""


def key_of(corpus: str) -> str:
    """Give the key of a corpus's part; prefixed, because a `ModuleDict` cannot hold "keys"."""
    return f"corpus_{corpus}"


def site_key(site: str) -> str:
    """Give the key of a site; a module's name must have no dot."""
    return site.replace(".", "/")


def check_labels(labels: Sequence[str], dimensions: Sequence[str] = ()) -> None:
    """Hold what a head answers to its rules.

    Raises:
        ConfigError: neither class nor dimension, or one twice.
    """
    labels = [*labels, *dimensions]
    twice = dict.fromkeys(label for label in labels if labels.count(label) > 1)
    if twice or not labels:
        raise ConfigError(
            f"A corpus's classes are {labels}: "
            + (f"'{culprits(twice)}' stands twice." if twice else "none at all."))


class CorpusPart(nn.Module):
    """The private part of one corpus, which is saved and loaded alone.

    Args:
        labels: its ordered classes.
        dimensions: what its head answers besides or instead.
        head: [B, D] to [B, K + R], logits of K classes and values of R dimensions.
        pooling: its own, or None if shared.
        normalisation: one of `NORMALISATIONS`.
        input_dim: F of the front end.

    Attributes:
        adapters: {adapter name: {site key: Adapter}}, its own ones.
        groups: the same with those that it shares, in the order written.
        mean, std: [F] buffers of normalisation `corpus` and `pooled`; 0 and 1 until set.
        input_norm: of normalisation `batchnorm`, over the one channel of the frames.
    """

    def __init__(self, labels: Sequence[str], head: nn.Module, pooling: nn.Module | None,
                 normalisation: str, input_dim: int, dimensions: Sequence[str] = ()):
        super().__init__()
        self.adapters = nn.ModuleDict()
        # a plain dict, so that what corpora share is not held and saved by each of them
        self.groups: dict[str, nn.ModuleDict] = {}
        self.pooling = pooling
        self.head = head
        if normalisation in ("corpus", "pooled"):
            self.register_buffer("mean", torch.zeros(input_dim))
            self.register_buffer("std", torch.ones(input_dim))
        elif normalisation == "batchnorm":
            self.input_norm = MaskedBatchNorm(1)
        self.by_utterance = normalisation == "utterance"
        self.labels, self.dimensions = tuple(labels), tuple(dimensions)

    def normalise(self, frames: Tensor, real: Tensor) -> Tensor:
        """Give (frames - mean) / max(std, 1e-3) per band, [B, T, F].

        Args:
            frames: [B, T, F].
            real: [B, T, 1] bool, False in the padding, which must not reach the moments.
        """
        if "mean" in self._buffers:
            return (frames - self.mean) / self.std.clamp(min=LEAST_DEVIATION)
        if self.by_utterance:
            count = real.sum(dim=1, keepdim=True)
            mean = torch.where(real, frames, 0.0).sum(dim=1, keepdim=True) / count
            frames = torch.where(real, frames - mean, 0.0)
            std = (frames.square().sum(dim=1, keepdim=True) / count).sqrt()
            return frames / std.clamp(min=LEAST_DEVIATION)
        return frames

    def add(self, name: str, group: nn.ModuleDict, shared: bool) -> None:
        """Add adapters {site key: Adapter}, behind those that are there."""
        self.groups[name] = group
        if not shared:
            self.adapters[name] = group

    def at(self, site: str) -> list[tuple[str, Adapter]]:
        """Give (adapter name, adapter) at a site, in the order written."""
        key = site_key(site)
        return [(name, group[key]) for name, group in self.groups.items() if key in group]

    def norms_at(self, site: str) -> NormAdapter | None:
        """Give the private norm at a site, or None."""
        for _, adapter in self.at(site):
            if isinstance(adapter, NormAdapter):
                return adapter
        return None


@torch.no_grad()
def become_mean(own: CorpusPart, others: Sequence[CorpusPart]) -> None:
    """Start a part from the average of others, wherever an average means something."""
    for name, group in own.adapters.items():
        for key, adapter in group.items():
            there = [other.adapters[name][key] for other in others
                     if name in other.adapters and key in other.adapters[name]]
            if there:
                adapter.become_mean(there)
    if own.pooling is not None:
        for name, parameter in own.pooling.named_parameters():
            parameter.copy_(torch.stack(
                [other.pooling.get_parameter(name) for other in others]).mean(0))
    if "mean" in own._buffers:
        mean, variance = pooled_moments([other.mean for other in others],
                                        [other.std.square() for other in others])
        own.mean.copy_(mean)
        own.std.copy_(variance.sqrt())
    elif hasattr(own, "input_norm"):
        average_norms(own.input_norm, [other.input_norm for other in others])


def copy_part(source: CorpusPart, own: CorpusPart) -> None:
    """Start a part as another's copy, the head only where its answers agree."""
    same = (source.labels, source.dimensions) == (own.labels, own.dimensions)
    state = {key: value for key, value in source.state_dict().items()
             if same or not key.startswith("head.")}
    mine = own.state_dict()
    # adapters for chosen corpora only may be missing on either side
    own.load_state_dict({key: value for key, value in state.items() if key in mine}, strict=False)
