"""Losses of classes and of dimensions, and the weights that balance classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from emokit.core.errors import ConfigError, culprits
from emokit.loading.source import Source
from emokit.training.config import TrainConfig


def class_losses(logits: Tensor, classes: Tensor, config: TrainConfig,
                 weights: Tensor | None = None, ranks: Tensor | None = None) -> Tensor:
    """Give the weighted loss of each utterance, w_{t_i} l_i, [B].

    Their mean over the batch divides by B, not by the sum of weights as PyTorch's built-in does,
    so a batch's scale does not depend on which classes it happened to draw.

    Args:
        logits: [B, K].
        classes: [B] int64 in 0 … K-1.
        weights: [K], or None for all 1.
        ranks: [K] ranks of the classes, for the ordinal loss.

    Source: focal loss of Lin et al. 2017, l = -(1 - p_t)^gamma log p_t, without their alpha (the
        class weights take its place). Ordinal: cross-entropy with soft targets
        softmax(-|rank - rank_k|) over k.
    """
    losses = _LOSSES[config.loss](logits.float(), classes, config, ranks)
    return losses if weights is None else losses * weights[classes]


def _cross_entropy(logits, classes, config, ranks):
    return F.cross_entropy(
        logits, classes, reduction="none", label_smoothing=config.label_smoothing
    )


def _focal(logits, classes, config, ranks):
    log_p = F.log_softmax(logits, dim=1)
    losses = _cross_entropy(logits, classes, config, ranks)
    p_truth = log_p.gather(1, classes[:, None])[:, 0].exp()
    # not 0, where a gamma below 1 has an infinite slope
    return (1 - p_truth).clamp(min=1e-8) ** config.focal_gamma * losses


def _ordinal(logits, classes, config, ranks):
    soft = torch.softmax(-(ranks[classes][:, None] - ranks[None, :]).abs(), dim=1)
    soft = soft * (1 - config.label_smoothing) + config.label_smoothing / len(ranks)
    return -(soft * F.log_softmax(logits, dim=1)).sum(dim=1)


_LOSSES = {"crossentropy": _cross_entropy, "focal": _focal, "ordinal": _ordinal}


def dimension_loss(values: Tensor, truth: Tensor, kind: str) -> Tensor:
    """Give the mean loss over dimensions, a scalar.

    `ccc`: 1 - 2 s_xy / (s_x^2 + s_y^2 + (mean_x - mean_y)^2 + 1e-8) with population moments over
    the utterances of the batch whose truth is known; a dimension with fewer than two such is left
    out, 0 if all are. `rmse`: sqrt(mean (x - y)^2 + 1e-8), for one or more.

    Args:
        values: [B, R] predictions.
        truth: [B, R], NaN where unknown.
        kind: `ccc` or `rmse`.

    Source: Lin 1989; as a loss Trigeorgis et al. 2016, and Lashkarashvili et al. 2024. The small
        constants are ours.
    """
    known = torch.isfinite(truth)
    count = known.sum(dim=0)
    least = count.clamp(min=1)
    x = torch.where(known, truth, 0.0).float()
    y = torch.where(known, values.float(), 0.0)
    if kind == "rmse":
        losses = ((x - y).square().sum(dim=0) / least + 1e-8).sqrt()
        usable = count >= 1
    else:
        mean_x, mean_y = x.sum(dim=0) / least, y.sum(dim=0) / least
        x, y = torch.where(known, x - mean_x, 0.0), torch.where(known, y - mean_y, 0.0)
        apart = (mean_x - mean_y).square()
        moments = [(one * other).sum(dim=0) / least for one, other in ((x, y), (x, x), (y, y))]
        losses = 1 - 2 * moments[0] / (moments[1] + moments[2] + apart + 1e-8)
        usable = count >= 2
    return torch.where(usable, losses, 0.0).sum() / usable.sum().clamp(min=1)


def class_weights(source: Source) -> np.ndarray:
    """Weigh classes inversely to their train counts.

    w_k = N / (K N_k) over the K classes that train of the corpus has, so that the mean over its
    utterances is 1. How much a corpus weighs is up to the sampler, in pooled runs too.

    Returns:
        [K] float32 over the classes of the head; 0 for a class without train utterances.
    """
    counts = source.class_counts().astype(float)
    present = counts > 0
    weights = np.zeros(len(counts))
    weights[present] = counts.sum() / (present.sum() * counts[present])
    return weights.astype(np.float32)


def ordinal_ranks(order: Sequence[str], labels: Sequence[str], corpus: str) -> np.ndarray:
    """Give each class its rank in the order that the user stated, [K] float32.

    Raises:
        ConfigError: no order is given, or it lacks a class; the alphabet is no order.
    """
    missing = [label for label in labels if label not in order]
    if missing:
        raise ConfigError(
            f"Loss 'ordinal' needs ordinal_order to rank every class of '{corpus}'; missing: "
            f"{culprits(missing)}. Set it, lowest first, e.g. --set 'ordinal_order=low|mid|high'."
        )
    return np.array([order.index(label) for label in labels], dtype=np.float32)
