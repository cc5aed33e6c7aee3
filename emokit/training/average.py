"""A model whose weights are a moving average of the trained ones."""

from __future__ import annotations

import copy
import math

import torch


class WeightAverage:
    """Exponential moving average of all weights and norm statistics of a model.

    a <- d a + (1 - d) w after step t, d = min(exp(-1 / steps), (1 + t) / (10 + t)): the early
    average is short, so that random first weights are soon forgotten.

    Args:
        model: what is trained, on its device.
        steps: time constant in steps, above 0.

    Attributes:
        model: the averaged copy, without gradients, in evaluation mode.

    Source:
        Polyak, Juditsky 1992; warm-up as in Tarvainen, Valpola 2017 and TensorFlow's
        ExponentialMovingAverage. Norm statistics are averaged too, not measured anew.
    """

    def __init__(self, model: torch.nn.Module, steps: float):
        self.decay = math.exp(-1.0 / steps)
        self.model = copy.deepcopy(model).requires_grad_(False).eval()
        ours, theirs = self.model.state_dict(), model.state_dict()
        moving = [name for name, value in theirs.items() if value.is_floating_point()]
        # tensors stay where they are: optimisers and norms change them in place
        self._averaged = [ours[name] for name in moving]
        self._current = [theirs[name] for name in moving]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take the weights after step number `step`, the first being 1."""
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self._averaged, self._current, 1.0 - decay)
