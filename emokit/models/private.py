"""What a corpus has for itself: adapters, norms, normalisation, head."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from emokit.core.errors import ConfigError, culprits
from emokit.models.adapters.base import Adapter
from emokit.models.adapters.norm import average_norms, pooled_moments
from emokit.models.masking import MaskedBatchNorm

LEAST_DEVIATION = 1e-3
"""A band that hardly varies is not blown up by its normalisation."""


def key_of(corpus: str) -> str:
    """Give the key of a corpus's part; prefixed, because a `ModuleDict` cannot hold "keys"."""
    return f"corpus_{corpus}"


def site_key(site: str) -> str:
    """Give the key of a site; a module's name must have no dot."""
    return site.replace(".", "/")


def check_labels(labels: Sequence[str]) -> None:
    """Hold a class list to its rules.

    Raises:
        ConfigError: no class, or a class twice.
    """
    labels = list(labels)
    twice = dict.fromkeys(label for label in labels if labels.count(label) > 1)
    if twice or not labels:
        raise ConfigError(
            f"A corpus's classes are {labels}: "
            + (f"'{culprits(twice)}' stands twice." if twice else "none at all."))


class CorpusPart(nn.Module):
    """The private part of one corpus, which is saved and loaded alone.

    Args:
        labels: its ordered classes.
        head: [B, D] to [B, K].
        pooling: its own, or None if shared.
        normalisation: one of `NORMALISATIONS`.
        input_dim: F of the front end.

    Attributes:
        adapters: {adapter name: {site key: Adapter}}.
        mean, std: [F] buffers of normalisation `corpus` and `pooled`; 0 and 1 until set.
        input_norm: of normalisation `batchnorm`, over the one channel of the frames.
    """

    def __init__(self, labels: Sequence[str], head: nn.Module, pooling: nn.Module | None,
                 normalisation: str, input_dim: int):
        super().__init__()
        self.adapters = nn.ModuleDict()
        self.pooling = pooling
        self.head = head
        if normalisation in ("corpus", "pooled"):
            self.register_buffer("mean", torch.zeros(input_dim))
            self.register_buffer("std", torch.ones(input_dim))
        elif normalisation == "batchnorm":
            self.input_norm = MaskedBatchNorm(1)
        self.by_utterance = normalisation == "utterance"
        self.labels = tuple(labels)

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

    def at(self, site: str) -> list[tuple[str, Adapter]]:
        """Give (adapter name, adapter) at a site, in the order written."""
        key = site_key(site)
        return [(name, group[key]) for name, group in self.adapters.items() if key in group]

    def norms_at(self, site: str) -> Adapter | None:
        """Give the adapter that replaces a site, or None."""
        for _, adapter in self.at(site):
            if adapter.replaces:
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
    """Start a part as another's copy, the head only where the classes agree."""
    same = source.labels == own.labels
    state = {key: value for key, value in source.state_dict().items()
             if same or not key.startswith("head.")}
    mine = own.state_dict()
    # adapters for chosen corpora only may be missing on either side
    own.load_state_dict({key: value for key, value in state.items() if key in mine}, strict=False)
