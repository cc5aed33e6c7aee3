"""The optimiser of pre-training, and its learning rate over time."""

from __future__ import annotations

import math

import torch
from torch import nn

from emokit.pretraining.config import PretrainConfig


def rate_of(config: PretrainConfig, step: int) -> float:
    """Give the learning rate of a step from 0: linear rise, flat, linear fall to zero.

    Example:
        >>> config = PretrainConfig(steps=10, warmup=0.2, flat=0.3, learning_rate=1.0)
        >>> [round(rate_of(config, step), 2) for step in range(10)]
        [0.5, 1.0, 1.0, 1.0, 1.0, 1.0, 0.8, 0.6, 0.4, 0.2]
    """
    rising = math.ceil(config.warmup * config.steps)
    falling = config.steps - rising - round(config.flat * config.steps)
    if step < rising:
        return config.learning_rate * (step + 1) / rising
    return config.learning_rate * min(1.0, (config.steps - step) / max(1, falling))


def make_optimizer(learner: nn.Module, config: PretrainConfig) -> torch.optim.Optimizer:
    """Make AdamW over what learns; vectors (norms, biases) are not decayed.

    Source:
        Its moments are those of wav2vec 2.0's published settings (0.9, 0.98, 1e-6).
    """
    learning = [one for one in learner.parameters() if one.requires_grad]
    groups = [{"params": [one for one in learning if one.dim() > 1],
               "weight_decay": config.weight_decay},
              {"params": [one for one in learning if one.dim() <= 1], "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.98), eps=1e-6,
                             fused=learning[0].is_cuda)
