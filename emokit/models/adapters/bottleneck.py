"""Bottleneck adapters: down to a few channels, a non-linearity, up again."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor, nn
from torch.nn import functional

from emokit.core.config import knob
from emokit.core.errors import ConfigError
from emokit.models.adapters.base import Adapter, AdapterConfig
from emokit.models.adapters.shapes import (
    channel_axis, factory_of, input_width, linear_start, masked, project, width,
)

ACTIVATIONS = {"relu": functional.relu, "gelu": functional.gelu}
_PARALLEL = ("ffn", "attention")


@dataclasses.dataclass(frozen=True)
class BottleneckConfig(AdapterConfig):
    """Settings of the bottleneck."""

    width: int = knob(64, "Channels m in the middle.", minimum=1)
    activation: str = knob("relu", "Non-linearity in the middle.", choices=tuple(ACTIVATIONS))
    scale: float = knob(1.0, "Factor s on what is added.", above=0)
    dropout: float = knob(0.0, "Dropout in the middle.", minimum=0, below=1)
    parallel: bool = knob(False, "Read what the site receives (at ffn, the default then, or "
                          "attention) instead of what it returns.")

    def __post_init__(self):
        where = [self.where] if isinstance(self.where, str) else self.where or []
        wrong = [role for role in where if role not in _PARALLEL]
        if self.parallel and wrong:
            raise ConfigError(f"adapter bottleneck: parallel=true cannot sit at '{wrong[0]}', only "
                              f"at {' or '.join(_PARALLEL)}. Set 'where' to one of these.")


class BottleneckAdapter(Adapter):
    """h + s (U phi(D h + b1) + b2) at real positions; h what the site returns, or receives.

    D [m, d] as a linear layer starts, b1, U and b2 zero: the identity. 2 d m + m + d numbers.
    At `block` one a layer (behind its last norm or addition); `where=attention|ffn` is the pair of
    Houlsby et al. 2019; `parallel=true` at `ffn` that of He et al. 2022.

    Source:
        Houlsby et al. 2019; Lashkarashvili et al. 2024 (m 64, ReLU, serial, behind the layer);
        Feng, Narayanan 2023 (m 128, s 0.1, dropout 0.1, parallel to the ffn). Deviation: starts as
        the identity.
    """

    roles = ("block", "attention", "ffn")
    Config = BottleneckConfig

    def __init__(self, site: nn.Module, config: BottleneckConfig):
        super().__init__()
        n_in, n_out = _widths(site, config)
        factory = factory_of(site)
        self.config, self.axis = config, channel_axis(site)
        self.down = nn.Parameter(linear_start(config.width, n_in, **factory))
        self.down_bias = nn.Parameter(torch.zeros(config.width, **factory))
        self.up = nn.Parameter(torch.zeros(n_out, config.width, **factory))
        self.up_bias = nn.Parameter(torch.zeros(n_out, **factory))

    @classmethod
    def where(cls, config: BottleneckConfig) -> tuple[str, ...]:
        return _PARALLEL[:1] if config.parallel else cls.roles[:1]

    @classmethod
    def accepts(cls, site: nn.Module, config: BottleneckConfig | None = None) -> str | None:
        return None if width(site) else "it needs a site whose width is known"

    @classmethod
    def count(cls, site: nn.Module, role: str, config: BottleneckConfig) -> tuple[int, int]:
        n_in, n_out = _widths(site, config)
        n = config.width * (n_in + n_out) + config.width + n_out
        return n, n

    def meaning(self) -> tuple:
        return self.config.activation, self.config.scale, self.config.parallel

    def forward(self, inputs: Tensor, outputs: Tensor, mask: Tensor | None) -> Tensor:
        config = self.config
        read = inputs if config.parallel else outputs
        hidden = ACTIVATIONS[config.activation](
            project(read, self.down, self.down_bias, self.axis))
        hidden = functional.dropout(hidden, config.dropout, self.training)
        added = project(hidden, self.up, self.up_bias, self.axis)
        return outputs + config.scale * masked(added, mask)


def _widths(site: nn.Module, config: BottleneckConfig) -> tuple[int, int]:
    return (input_width(site) if config.parallel else width(site)), width(site)
