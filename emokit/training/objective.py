"""What training minimises on a batch: classes, dimensions, or both."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from emokit.core.errors import culprits
from emokit.corpora.utterance import DIMENSIONS
from emokit.loading.batch import Targets
from emokit.loading.source import Source
from emokit.training.config import TrainConfig
from emokit.training.losses import class_losses, class_weights, dimension_loss, ordinal_ranks
from emokit.training.mixup import Mixture


FEWEST_FOR_CCC = 16
"""Known values in a batch below which their CCC says little of that of the corpus."""


def noisy_batches(sources: Sequence[Source], config: TrainConfig) -> list[str]:
    """Say which corpora have batches with too few known values for a loss of CCC, in words.

    A batch knows its size times the share of train whose dimension is known, on average; one of
    several corpora is drawn from all of them.
    """
    if config.dimensions_loss != "ccc":
        return []
    groups = [list(sources)] if config.mixed_batches else [[source] for source in sources]
    lines = []
    for group in groups:
        known = {name: [np.isfinite(source.own_values(source.rows["train"])[:, index])
                        for source in group for index, own in enumerate(source.dimensions)
                        if own == name] for name in DIMENSIONS}
        n = sum(len(source.rows["train"]) for source in group)
        for name, parts in ((name, parts) for name, parts in known.items() if parts):
            total = sum(int(part.sum()) for part in parts)
            expected = min(config.batch_size, n) * total / n
            if expected < FEWEST_FOR_CCC:
                where = culprits(source.name for source in group)
                enough = math.ceil(FEWEST_FOR_CCC * n / max(total, 1))
                size = f"--batch-size {enough} or more, or " if enough <= n else ""
                lines.append(f"a batch of {where} knows {name} of {expected:.1f} utterances: the "
                             f"CCC of so few is a noisy loss. Take {size}"
                             "--set dimensions_loss=rmse.")
    return lines


class Objective:
    """L = L_classes + dimensions_weight L_dimensions, each over what is known of the batch.

    Args:
        sources: the run's corpora.
        config: its settings.
        device: of the model.
    """

    def __init__(self, sources: Sequence[Source], config: TrainConfig, device: torch.device):
        self.config = config
        self.weights, self.ranks = {}, {}
        for source in sources:
            if source.labels and config.balance == "weights":
                weights = torch.from_numpy(class_weights(source))
                self.weights[source.name] = weights.to(device)
            if source.labels and config.loss == "ordinal":
                ranks = ordinal_ranks(config.ordinal_order, source.head_labels, source.name)
                self.ranks[source.name] = torch.from_numpy(ranks).to(device)
        self.table = None
        if config.mixed_batches and self.weights:
            self.table = torch.stack([self.weights[source.name] for source in sources])  # [S, K]

    def __call__(self, answers: Tensor, targets: Targets, source: Source,
                 mixture: Mixture | None = None, sources: Tensor | None = None) -> Tensor:
        """Give the loss of a batch, a scalar.

        Args:
            answers: [B, K + R] of the source's head.
            targets: what is true; what is unknown does not count.
            mixture: what the utterances were mixed by.
            sources: [B] indices of the utterances' corpora, where there are several.
        """
        k = len(source.head_labels)
        loss = answers.new_zeros(())
        if k:
            loss = self._of_classes(answers[:, :k], targets.classes, source, mixture,
                                    sources)
        if targets.dimensions is not None:
            truth = targets.dimensions
            if mixture is not None:
                truth = mixture.values(truth)
            weight = self.config.dimensions_weight if k else 1.0
            loss = loss + weight * dimension_loss(answers[:, k:], truth,
                                                  self.config.dimensions_loss)
        return loss

    def _of_classes(self, logits, classes, source, mixture, sources) -> Tensor:
        ranks = self.ranks.get(source.name)  # several sources have one head, so one order

        def losses(classes, sources=sources):
            if sources is None:
                return class_losses(logits, classes, self.config, self.weights.get(source.name),
                                    ranks)
            each = class_losses(logits, classes, self.config, None, ranks)
            return each if self.table is None else each * self.table[sources, classes]

        def partners(classes):
            of = mixture.partner
            return losses(classes[of], None if sources is None else sources[of])

        if source.values is None:
            if mixture is None:
                return losses(classes).mean()
            return mixture.losses(losses(classes), partners(classes)).mean()
        # beside dimensions a class may be unknown: such utterances, and mixtures with them, count
        # for their dimensions alone
        known, classes = classes >= 0, classes.clamp(min=0)
        each = losses(classes)
        if mixture is not None:
            each = mixture.losses(each, partners(classes))
            known = known & known[mixture.partner]
        return torch.where(known, each, 0.0).sum() / known.sum().clamp(min=1)
