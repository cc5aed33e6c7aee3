"""What every front end is: a module from waveforms to frames."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from emokit.core.config import signature


class FrontEnd(nn.Module):
    """Base of front ends; a subclass sets `name`, `Config`, `dim` and writes `forward`.

    `forward(inputs [B, S], lengths [B]) -> (frames [B, T, F], lengths [B])` ignores what lies past
    `lengths` and gives frames of an utterance that do not depend on its batch mates.

    Attributes:
        name: as in `FRONT_ENDS`; a backbone's `input` says which front ends it takes.
        dim: F, features per frame.
    """

    name: str
    Config: type
    dim: int

    def __init__(self, config: Any):
        super().__init__()
        self.config = config

    def signature(self) -> str:
        """Give a short name of everything that changes the frames; keys caches and checkpoints."""
        return signature({"name": self.name, "config": self.config})

    def n_frames(self, lengths: Tensor) -> Tensor:
        """Give the number of real frames for numbers of samples."""
        raise NotImplementedError


def as_waveform(inputs: Tensor, lengths: Tensor) -> Tensor:
    """Give float32 samples in [-1, 1] with zeros past the lengths.

    Args:
        inputs: [B, S] float in [-1, 1], or int16 as the store holds it.
        lengths: [B] samples.
    """
    if not inputs.is_floating_point():
        inputs = inputs.to(torch.float32) / 32768
    real = torch.arange(inputs.shape[1], device=inputs.device) < lengths[:, None]
    # where, not multiplication: padding may hold NaN, and 0 * NaN is NaN
    return torch.where(real, inputs.to(torch.float32), 0.0)
