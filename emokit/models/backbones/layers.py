"""The layers that speech transformers share; each takes the mask of its outputs, for adapters."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from emokit.core.errors import ConfigError, choices

ACTIVATIONS = {"gelu": functional.gelu, "relu": functional.relu, "silu": functional.silu,
               "swish": functional.silu}
"""By the names of the transformers library."""


def activation(name: str):
    """Give the function of a name.

    Raises:
        ConfigError: an unknown one, with the choices.
    """
    if name not in ACTIVATIONS:
        raise ConfigError(f"Unknown activation '{name}' in the architecture of an encoder. "
                          f"{choices(name, ACTIVATIONS)}")
    return ACTIVATIONS[name]


class Linear(nn.Linear):
    """A linear layer."""

    def forward(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        return super().forward(inputs)


class Conv1d(nn.Conv1d):
    """A convolution over time, [B, C, T] to [B, C', T'], mask [B, 1, T']."""

    input_dropout = 0.0

    def forward(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        return super().forward(inputs)


class LayerNorm(nn.LayerNorm):
    """A norm over the last axis."""

    def forward(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        return super().forward(inputs)


class ChannelNorm(nn.GroupNorm):
    """A norm of each channel over real time, [B, C, T] with mask [B, 1, T]; the rest becomes 0.

    y = gamma (x - mu) / sqrt(var + eps) + beta, mu and var over the real frames of an utterance.

    Source:
        The group norm of wav2vec 2.0 (Baevski et al. 2020), one channel a group, same parameters.
        Deviation: there padding counts, so that an utterance depends on its batch mates.
    """

    def __init__(self, channels: int):
        super().__init__(channels, channels)

    def forward(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        if mask is None:
            return super().forward(inputs)
        values, mask = inputs.float(), mask.float()
        count = mask.sum(-1, keepdim=True)
        mean = (values * mask).sum(-1, keepdim=True) / count
        centred = (values - mean) * mask
        variance = centred.square().sum(-1, keepdim=True) / count
        scale = self.weight[:, None] * torch.rsqrt(variance + self.eps)
        return ((centred * scale + self.bias[:, None]) * mask).to(inputs.dtype)


class Dropout(nn.Dropout):
    """Dropout behind the activation of a feed-forward part, where adapters may scale."""

    def forward(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        return super().forward(inputs)


class Activation(nn.Module):
    """An activation and dropout, as one site.

    Args:
        name: as in `ACTIVATIONS`.
        dropout: share set to zero in training.
    """

    def __init__(self, name: str, dropout: float):
        super().__init__()
        self.function, self.dropout = activation(name), dropout

    def forward(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        return functional.dropout(self.function(inputs), self.dropout, self.training)


class Attention(nn.Module):
    """Multi-head self-attention over real positions.

    out(softmax(q k^T / sqrt(d) + bias) v) with d = D / heads; padding is never attended to. The
    four projections are modules that run, so that adapters can sit at each.

    Args:
        dim: D.
        heads: number of heads, a divisor of D.
        dropout: on the attention weights in training.
        key_bias: whether the keys have a bias (Whisper: not).
    """

    def __init__(self, dim: int, heads: int, dropout: float, key_bias: bool = True):
        super().__init__()
        if dim % heads:
            raise ConfigError(f"An encoder of {dim} numbers a frame cannot have {heads} attention "
                              "heads; they must divide it. Mend its architecture.")
        self.heads, self.dropout = heads, dropout
        self.k_proj = Linear(dim, dim, bias=key_bias)
        self.v_proj = Linear(dim, dim)
        self.q_proj = Linear(dim, dim)
        self.out_proj = Linear(dim, dim)

    def forward(self, inputs: Tensor, mask: Tensor | None = None, *more,
                prefix: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """Give [B, T, D].

        Args:
            inputs: [B, T, D].
            mask: [B, T, 1], 1 where real; None if all are.
            prefix: keys and values, each [P, D], that every position may attend to besides.
        """
        queries, keys, values = (project(inputs, mask) for project in (
            self.q_proj, self.k_proj, self.v_proj))
        known = None if mask is None else mask.bool().transpose(1, 2)  # [B, 1, T]
        n_more = 0
        if prefix is not None:
            keys, values = (torch.cat([extra.expand(len(inputs), -1, -1).to(own.dtype), own], 1)
                            for extra, own in zip(prefix, (keys, values)))
            n_more = prefix[0].shape[-2]
            if known is not None:
                known = functional.pad(known, (n_more, 0), value=True)
        heard = None if known is None else known[:, None]  # [B, 1, 1, P + T]
        bias = self.bias(inputs, mask, *more)
        if bias is not None:
            bias = functional.pad(bias.to(queries.dtype), (n_more, 0))
            heard = bias if heard is None else bias.masked_fill(~heard, float("-inf"))
        outputs = functional.scaled_dot_product_attention(
            *(self._split(tensor) for tensor in (queries, keys, values)), attn_mask=heard,
            dropout_p=self.dropout if self.training else 0.0)
        return self.out_proj(outputs.transpose(1, 2).flatten(2), mask)

    def bias(self, inputs: Tensor, mask: Tensor | None) -> Tensor | None:
        """Give what is added to the scores, [B, heads, T, T], or None."""
        return None

    def _split(self, states: Tensor) -> Tensor:
        return states.unflatten(2, (self.heads, -1)).transpose(1, 2)  # [B, heads, T, d]


class Readout(nn.Module):
    """States of all layers to frames: the last of those given, or the mean of all.

    It is the site of role `states`: a weighted sum of layers sits here.

    Args:
        dim: D.
        n_states: N of those that there are, where all are given.
        mean: whether it gives their mean.
    """

    def __init__(self, dim: int, n_states: int, mean: bool):
        super().__init__()
        self.site_width, self.n_states, self.mean = dim, n_states, mean

    def forward(self, states: Tensor, mask: Tensor | None = None) -> Tensor:
        """Give [B, T, D] from [B, N, T, D]."""
        return states.mean(1) if self.mean else states[:, -1]


def span_mask(lengths: Tensor, size: int, share: float, span: int) -> Tensor:
    """Draw which positions are masked, [B, size] bool, none past the lengths.

    Each row gets floor(share n / span + u) spans of `span` positions, n its length and u uniform;
    starts are drawn without replacement, so spans may overlap. From torch's global generator, as
    dropout is.

    Source:
        Baevski et al. 2020 (wav2vec 2.0), SpecAugment after Park et al. 2019. Deviation: the
        number of spans is drawn for each row, and none is the least.
    """
    device = lengths.device
    wanted = share * lengths / span + torch.rand(len(lengths), device=device)
    starts = (lengths - span + 1).clamp(min=0)
    wanted = torch.minimum(wanted.floor().long(), starts)
    order = torch.rand(len(lengths), size, device=device)
    order = order.masked_fill(torch.arange(size, device=device) >= starts[:, None], 2.0)
    first = order.argsort(1).argsort(1) < wanted[:, None]  # ranks below the wanted number
    ends = torch.cumsum(first.long(), 1)
    return ends > functional.pad(ends, (span, 0))[:, :size]
