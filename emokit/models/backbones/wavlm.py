"""WavLM: wav2vec 2.0's form with a gated bias of relative positions in the attention."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from emokit.models.backbones.layers import Attention, Linear
from emokit.models.backbones.wav2vec2 import Wav2Vec2, Wav2Vec2Shape


class GatedAttention(Attention):
    """Attention with a bias by relative position, scaled by a gate from the states.

    bias_h(i, j) = g_h(i) e_h(bucket(j - i)), g = a (b c_h - 1) + 2; a and b are the sigmoids of
    two sums of four linear functions each of head h's share of the state at i.

    Args:
        with_table: whether it holds the table e of all layers, as the first layer does.

    Source:
        Chen et al. 2022 (WavLM), buckets after Raffel et al. 2020. Its projections run as modules
        (in the transformers library only their weights are used, so that nothing that sits at
        them has an effect).
    """

    def __init__(self, shape: Wav2Vec2Shape, dropout: float, with_table: bool):
        super().__init__(shape.hidden_size, shape.num_attention_heads, dropout)
        self.n_buckets, self.farthest = shape.num_buckets, shape.max_bucket_distance
        self.gru_rel_pos_const = nn.Parameter(torch.ones(1, self.heads, 1, 1))
        self.gru_rel_pos_linear = Linear(shape.hidden_size // self.heads, 8)
        if with_table:
            self.rel_attn_embed = nn.Embedding(self.n_buckets, self.heads)

    def bias(self, inputs: Tensor, mask: Tensor | None, table: Tensor) -> Tensor:
        """Give [B, heads, T, T].

        Args:
            table: [buckets, heads], of the first layer.
        """
        size = inputs.shape[1]
        steps = torch.arange(1 - size, size, device=inputs.device)
        values = table[self._bucket(steps)]  # [2 T - 1, heads]
        place = torch.arange(size, device=inputs.device)
        values = values[place[None, :] - place[:, None] + size - 1]  # [T, T, heads]
        values = values.permute(2, 0, 1)
        known = None if mask is None else mask[:, :, None]
        gates = self.gru_rel_pos_linear(inputs.unflatten(2, (self.heads, -1)), known)
        gates = gates.unflatten(3, (2, 4)).sum(-1).sigmoid().transpose(1, 2)  # [B, heads, T, 2]
        first, second = gates.split(1, -1)
        return (first * (second * self.gru_rel_pos_const - 1) + 2) * values

    def _bucket(self, steps: Tensor) -> Tensor:
        """Number distances: exact near by, logarithmic farther off, other numbers ahead."""
        half = self.n_buckets // 2
        near = half // 2
        distance = steps.abs()
        far = torch.log(distance.clamp(min=1).float() / near) / math.log(self.farthest / near)
        far = (near + far * (half - near)).long().clamp(max=half - 1)
        return torch.where(distance < near, distance, far) + half * (steps > 0)


class WavLM(Wav2Vec2):
    """A convolutional feature encoder and a transformer whose attention knows distances.

    Source:
        Chen et al. 2022 (WavLM), with the parameter names of the transformers library; see
        `Wav2Vec2` for the deviations.
    """

    def make_attention(self, index: int) -> GatedAttention:
        return GatedAttention(self.shape, self.rate(self.shape.attention_dropout), index == 0)

    def layer_arguments(self) -> tuple:
        layers = self.layer_list()
        return (layers[0].attention.rel_attn_embed.weight,) if len(layers) else ()
