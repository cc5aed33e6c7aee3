"""WAP-Transformer: a few layers on top of the encoder that enrich its frames."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from emokit.core.config import knob
from emokit.core.errors import ConfigError
from emokit.models.adapters.base import Adapter, AdapterConfig
from emokit.models.adapters.weighted_sum import NO_READOUT, n_states, refuse_mean
from emokit.models.backbones.layers import Attention, LayerNorm, Linear

HEAD_WIDTH = 64
"""Numbers of an attention head, if nobody says how many heads there are."""


@dataclasses.dataclass(frozen=True)
class WapConfig(AdapterConfig):
    """Settings of the WAP-Transformer."""

    path: str | None = knob(None, "Start from what `emokit pretrain local-attributes` learnt: its "
                            "folder (wap:FOLDER). Random if unset.")
    branch: str = knob("teacher", "Which of the two that were learnt.",
                       choices=("teacher", "student"))
    width: int = knob(256, "Numbers per frame inside, which it also gives.", minimum=2)
    hidden: int = knob(1024, "Numbers in the middle of a feed-forward part.", minimum=1)
    depth: int = knob(3, "Its layers.", minimum=1)
    heads: int | None = knob(None, "Attention heads; one for 64 numbers if unset.", minimum=1)
    dropout: float = knob(0.1, "Share set to zero in training.", minimum=0.0, below=1.0)
    states: str = knob("last", "What it takes: the encoder's last state, or the weighted sum of "
                       "all.", choices=("last", "weighted_sum"))
    normalise: bool = knob(True, "Bring each frame of a state to mean 0 and deviation 1 first, "
                           "because single numbers of middle states can be many times the others.")
    positions: str = knob("attention", "Where sines of a frame's place are added: to the queries "
                          "and keys of each layer (attention), or once to the frames (frames).",
                          choices=("attention", "frames"))

    def __post_init__(self):
        if self.width % self.n_heads or self.width % 2:
            raise ConfigError(f"wap: 'width' is {self.width}, but {self.n_heads} attention heads "
                              "must divide it, and so must 2. Choose another width or heads.")

    @property
    def n_heads(self) -> int:
        """Number of attention heads."""
        return self.heads or max(1, self.width // HEAD_WIDTH)


class PlacedAttention(Attention):
    """Self-attention whose queries and keys know their places, and whose values do not."""

    def forward(self, inputs: Tensor, mask: Tensor | None, places: Tensor | None = None) -> Tensor:
        """Give [B, T, D]; `places` [T, D] are added to what queries and keys are made of."""
        if places is None:
            return super().forward(inputs, mask)
        placed = inputs + places
        heard = None if mask is None else mask.bool().transpose(1, 2)[:, None]  # [B, 1, 1, T]
        outputs = functional.scaled_dot_product_attention(
            self._split(self.q_proj(placed)), self._split(self.k_proj(placed)),
            self._split(self.v_proj(inputs)), attn_mask=heard,
            dropout_p=self.dropout if self.training else 0.0)
        return self.out_proj(outputs.transpose(1, 2).flatten(2), mask)


class WapLayer(nn.Module):
    """Pre-norm: y + FFN(LN2(y)), y = x + attention(LN1(x)); 4 d^2 + 2 d f + 9 d + f numbers."""

    def __init__(self, config: WapConfig):
        super().__init__()
        width = config.width
        self.attention_norm = LayerNorm(width)
        self.attention = PlacedAttention(width, config.n_heads, config.dropout)
        self.ffn_norm = LayerNorm(width)
        self.ffn_in, self.ffn_out = Linear(width, config.hidden), Linear(config.hidden, width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, inputs: Tensor, mask: Tensor | None, places: Tensor | None) -> Tensor:
        states = inputs + self.dropout(self.attention(self.attention_norm(inputs), mask, places))
        added = self.ffn_out(self.dropout(functional.gelu(self.ffn_in(self.ffn_norm(states)))))
        return states + self.dropout(added)


class WapAdapter(Adapter):
    """Z = sum_l softmax(a)_l X_l over its layers l, X_0 = W n(h) + b of the state h.

    n brings a frame to mean 0 and deviation 1. Without W where the sizes agree; a starts as zero.
    Never the identity: frames get another size, and the weights begin at random or with those of a
    pre-training. With `states=weighted_sum` h is sum_l softmax(w)_l n(h_l) over the L + 1 states of
    the encoder. Sines of the places tell masked frames apart, which would all be equal without.
    They go to queries and keys, because frames that hold them are clustered by place instead of by
    sound.

    Source:
        Song et al. 2025 (arXiv 2509.23795): the name, three layers, the weighted sum. A
        reconstruction, for there is no public code: pre-norm, GELU, widths, heads, n, the
        projection and positions are ours; these as Carion et al. 2020 (DETR) add them.
    """

    roles = ("states",)
    Config = WapConfig
    replaces = True
    starts_as_identity = False

    def __init__(self, site: nn.Module, config: WapConfig):
        super().__init__()
        self.config, dim = config, site.site_width
        self.reads_last = config.states == "last"
        if not self.reads_last:
            self.state_weights = nn.Parameter(torch.zeros(n_states(site)))
        self.project = nn.Identity() if dim == config.width else nn.Linear(dim, config.width)
        self.layers = nn.ModuleList(WapLayer(config) for _ in range(config.depth))
        self.layer_weights = nn.Parameter(torch.zeros(config.depth))

    def meaning(self) -> tuple:
        config = self.config
        return config.states, config.n_heads, config.positions, config.normalise

    @classmethod
    def frame_dim(cls, config: WapConfig) -> int:
        return config.width

    @classmethod
    def accepts(cls, site: nn.Module, config: WapConfig | None = None) -> str | None:
        return refuse_mean(site) if n_states(site) else NO_READOUT

    @classmethod
    def count(cls, site: nn.Module, role: str, config: WapConfig) -> tuple[int, int]:
        dim, width, hidden = site.site_width, config.width, config.hidden
        n = config.depth * (4 * width**2 + 2 * width * hidden + 9 * width + hidden + 1)
        n += 0 if dim == width else dim * width + width
        n += 0 if config.states == "last" else n_states(site)
        return n, n

    def forward(self, inputs: Tensor, outputs: Tensor | None, mask: Tensor | None) -> Tensor:
        """Give [B, T, width] from states [B, N, T, D]."""
        return self.enrich(self.begin(inputs), mask)

    def begin(self, states: Tensor) -> Tensor:
        """Give X_0 [B, T, width], from states [B, N, T, D]."""
        if self.reads_last:
            states = states[:, -1:]
        if self.config.normalise:
            states = functional.layer_norm(states, states.shape[-1:])
        if self.reads_last:
            return self.project(states[:, 0])
        shares = torch.softmax(self.state_weights, 0).to(states.dtype)
        return self.project(torch.einsum("l,bltd->btd", shares, states))

    def enrich(self, frames: Tensor, mask: Tensor | None) -> Tensor:
        """Give Z [B, T, width].

        Args:
            frames: X_0 [B, T, width], some of it perhaps masked.
            mask: [B, T, 1], 1 where real; None if everything is.
        """
        places = positions(frames.shape[1], frames.shape[2], frames.device).to(frames.dtype)
        states = frames
        if self.config.positions == "frames":
            states, places = frames + places, None
        shares, mixed = torch.softmax(self.layer_weights, 0), 0
        for share, layer in zip(shares, self.layers):
            states = layer(states, mask, places)
            mixed = mixed + share * states
        return mixed


def positions(size: int, width: int, device: torch.device | str = "cpu") -> Tensor:
    """Give [size, width]: sines in even columns 2i, cosines in odd, of t / 10000^(2i / width).

    Source:
        Vaswani et al. 2017, section 3.5.
    """
    rates = torch.exp(torch.arange(0, width, 2, device=device) * (-math.log(10_000.0) / width))
    angles = torch.arange(size, device=device)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], 2).flatten(1)
