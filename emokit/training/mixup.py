"""Mixup: each utterance is mixed with another of its batch, in frames and in loss."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from torch import Tensor


@dataclasses.dataclass(frozen=True)
class Mixture:
    """Who is mixed with whom in a batch, and how much of each utterance is itself.

    Args:
        partner: [B] int64, a permutation of the batch.
        share: [B] float32 in [1/2, 1], of the utterance itself.
    """

    partner: Tensor
    share: Tensor

    def frames(self, frames: Tensor) -> Tensor:
        """Give share x_i + (1 - share) x_partner, [B, T, F]; padding is zeros on both sides."""
        share = self.share[:, None, None]
        return share * frames + (1 - share) * frames[self.partner]

    def values(self, values: Tensor) -> Tensor:
        """Give share y_i + (1 - share) y_partner, [B, R]; unknown if either is."""
        share = self.share[:, None]
        return share * values + (1 - share) * values[self.partner]

    def losses(self, own: Tensor, partners: Tensor) -> Tensor:
        """Give share l(own class) + (1 - share) l(partner's class), [B]."""
        return self.share * own + (1 - self.share) * partners


def draw(alpha: float, size: int, draws: np.random.Generator, device) -> Mixture:
    """Draw a mixture: a permutation, and max(b, 1 - b) with b ~ Beta(alpha, alpha).

    Args:
        alpha: above 0; small mixes little, 1 uniformly.
        size: B.

    Source:
        Zhang, Cisse, Dauphin, Lopez-Paz 2018. Deviations: the larger share is the utterance's own,
        so that its length and its weight are the leading ones; a share for each utterance instead
        of one for the batch; frames past the utterance's own end are cut.
    """
    share = draws.beta(alpha, alpha, size)
    share = np.maximum(share, 1 - share).astype(np.float32)
    partner = draws.permutation(size)
    return Mixture(*(torch.from_numpy(drawn).to(device, non_blocking=True)
                     for drawn in (partner, share)))
