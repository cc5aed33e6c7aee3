"""The optimiser of a pre-training, and its learning rate over time."""

from __future__ import annotations

import math

import torch

from emokit.pretraining.local_attributes.branches import Branches
from emokit.pretraining.local_attributes.config import LocalAttributesConfig


def make_optimizer(branches: Branches, config: LocalAttributesConfig) -> torch.optim.AdamW:
    """Make AdamW over all but the teacher; matrices are decayed, everything else is not."""
    learning = [one for one in branches.parameters() if one.requires_grad]
    return torch.optim.AdamW([
        {"params": [one for one in learning if one.dim() > 1],
         "weight_decay": config.weight_decay},
        {"params": [one for one in learning if one.dim() <= 1], "weight_decay": 0.0},
    ], lr=config.learning_rate)


def scheduled_rate(config: LocalAttributesConfig, step: int, n_steps: int) -> float:
    """Give the learning rate of a step: linear warm-up, then a half cosine to zero."""
    n_warmup = math.ceil(config.warmup * n_steps)
    if step < n_warmup:
        return config.learning_rate * (step + 1) / n_warmup
    progress = (step - n_warmup) / max(1, n_steps - n_warmup)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
