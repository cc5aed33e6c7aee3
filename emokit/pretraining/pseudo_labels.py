"""Masked prediction: name the cluster of each hidden frame, for one or several clusterings."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


class PseudoLabels(nn.Module):
    """One small head per clustering on the encoder's states, and the loss over hidden frames.

    L = sum over clusterings of the mean over hidden frames of -log softmax(W tanh(V c))_z, z the
    frame's cluster.

    Args:
        dim: D of the encoder's states.
        sizes: clusters of each clustering.
        hidden: numbers between the two layers of a head.

    Source:
        Chen, Rudnicky 2023 (P-TAPT): heads D -> 256 -> tanh -> K, losses of all clusterings
        summed. With one clustering this is the prediction of HuBERT (Hsu et al. 2021, equation
        1 over hidden frames alone); deviation from it: a linear head, no cosines.
    """

    def __init__(self, dim: int, sizes: Sequence[int], hidden: int = 256):
        super().__init__()
        self.sizes = tuple(sizes)
        self.heads = nn.ModuleList(
            nn.Sequential(nn.Linear(dim, hidden), nn.Tanh(), nn.Linear(hidden, size))
            for size in sizes)

    def forward(self, states: Tensor, clusters: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Give the loss and what is told of it.

        Args:
            states: [M, D] of the hidden frames.
            clusters: [M, N], their numbers in each of N clusterings.

        Returns:
            (loss, sums over hidden frames: `nll`, `hits` [N], `counted`; and `shares`, N mean
            answers [K_n]).
        """
        total, hits, shares = states.new_zeros((), dtype=torch.float32), [], []
        for head, wanted in zip(self.heads, clusters.unbind(1)):
            logits = head(states).float()
            total = total + functional.cross_entropy(logits, wanted, reduction="sum")
            hits.append((logits.argmax(1) == wanted).sum())
            shares.append(logits.detach().softmax(1).mean(0))
        counted = torch.tensor(len(states), device=states.device)
        return total / counted.clamp(min=1), {
            "nll": total.detach(), "hits": torch.stack(hits), "counted": counted,
            "shares": shares}
