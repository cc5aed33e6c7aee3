"""Masks, and a batch norm that padding cannot reach."""

from __future__ import annotations

import torch
from torch import Tensor, distributed, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn import functional


def position_mask(lengths: Tensor, size: int) -> Tensor:
    """Give [B, size] bool, True where a position is real.

    Example:
        >>> position_mask(torch.tensor([1, 3]), 3).int().tolist()
        [[1, 0, 0], [1, 1, 1]]
    """
    return torch.arange(size, device=lengths.device) < lengths[:, None]


def all_real(lengths: Tensor, size: int) -> bool:
    """Say whether nothing is padding, where that can be known without waiting for a device."""
    if torch.compiler.is_compiling() or torch.jit.is_tracing() or lengths.device.type != "cpu":
        return False
    return int(lengths.min()) >= size


def world_size() -> int:
    """Give the number of ranks that train together."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return 1
    return distributed.get_world_size()


def _moments(inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Give mean and biased variance [C] over all positions, in float32."""
    plain = inputs.device.type == "cpu" and inputs.dtype == torch.float32
    if plain and not torch.compiler.is_compiling():
        # the same as var_mean, ten times faster on a CPU
        return torch.batch_norm_update_stats(inputs, None, None, 0.0)
    variance, mean = torch.var_mean(inputs.float(), (0, 2, 3), correction=0)
    return mean, variance


class _MaskedNorm(Function):
    """Normalise by the moments of real positions, and zero the others.

    y = m (gamma h + beta), h = (x - mu) / s. With g = m dL/dy and n real positions,
    dL/dx = m gamma / s (g - sum(g) / n - h sum(g h) / n), dL/dgamma = sum(g h), dL/dbeta = sum(g).

    A Function instead of autograd, because the library's fused kernels can then do both passes:
    zeros in the padding leave all sums as they are, only the count is another.
    """

    @staticmethod
    def forward(ctx, inputs, weight, bias, mask, eps, synchronise):
        size = inputs.numel() // inputs.shape[1]
        count = torch.full((1,), size, dtype=torch.float32, device=inputs.device)
        if mask is not None:
            mask = mask.to(inputs.dtype)
            count = inputs.shape[3] * mask.sum(dtype=torch.float32)[None]
        mean, variance = _moments(inputs if mask is None else inputs * mask)
        if mask is not None or synchronise:
            total, squares = size * mean, size * (variance + mean * mean)
            if synchronise:
                packed = torch.cat([total, squares, count])
                distributed.all_reduce(packed)
                total, squares, count = packed.split([len(mean), len(mean), 1])
            mean = total / count
            variance = (squares / count - mean * mean).clamp(min=0)
        outputs = functional.batch_norm(inputs, mean, variance, weight, bias, False, 0.0, eps)
        if mask is not None:
            outputs *= mask
        ctx.save_for_backward(inputs, weight, mask, mean, torch.rsqrt(variance + eps), count)
        ctx.synchronise, ctx.eps = synchronise, eps
        ctx.mark_non_differentiable(mean, variance, count)
        return outputs, mean, variance, count

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient, *_):
        inputs, weight, mask, mean, inverse, count = ctx.saved_tensors
        size = inputs.numel() // inputs.shape[1]
        gradient = gradient if mask is None else gradient * mask
        kernel = torch.ops.aten.native_batch_norm_backward
        if ctx.synchronise:
            _, scale, shift = kernel(gradient, inputs, weight, None, None, mean, inverse, True,
                                     ctx.eps, [False, True, True])
            packed = torch.cat([scale, shift])
            distributed.all_reduce(packed)
            scales, shifts = (packed / count).chunk(2)
            column = (slice(None), None, None)
            centred = (inputs - mean[column]) * (inverse * scales)[column]
            result = (gradient - shifts[column] - centred) * (weight * inverse)[column]
            result = result.to(inputs.dtype)
        else:
            # the kernel divides its sums by `size`; scaling gamma makes that a division by n
            ratio = size / count
            result, scale, shift = kernel(
                gradient, inputs, weight * ratio, None, None, mean, inverse, True, ctx.eps,
                [True, True, True])
            if mask is not None:
                excess = ((ratio - 1) * weight * inverse)[:, None, None].to(result.dtype)
                result.addcmul_(gradient.to(result.dtype), excess, value=-1)
        if mask is not None:
            result *= mask
        return result, scale, shift, None, None, None


class MaskedBatchNorm(nn.Module):
    """Batch norm over the real positions of a map; the others become exactly 0.

    In training mu = sum(m x) / n and var = sum(m (x - mu)^2) / n, n real positions, summed over
    all ranks; the running variance takes n / (n - 1). In evaluation the running statistics.

    Args:
        channels: C.
        momentum: share of the new statistics in the running ones.
        eps: added to the variance.

    Source:
        Ioffe, Szegedy 2015; the mask is ours. Momentum and eps are PyTorch's (EmoNet's Keras:
        0.01 and 1e-3). Parameters and buffers are named as in `torch.nn.BatchNorm2d`, without
        `num_batches_tracked`.
    """

    def __init__(self, channels: int, momentum: float = 0.1, eps: float = 1e-5):
        super().__init__()
        self.momentum, self.eps = momentum, eps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        """Normalise [B, C, T, F]; `mask` [B, 1, T, 1] is 1 where real, None if all is."""
        synchronise = self.training and world_size() > 1
        single = inputs.numel() == inputs.shape[1]  # the library refuses to train on one value
        if not self.training or (mask is None and not synchronise and not single):
            outputs = functional.batch_norm(
                inputs, self.running_mean, self.running_var, self.weight, self.bias,
                self.training, self.momentum, self.eps)
            return outputs if mask is None else outputs * mask.to(outputs.dtype)
        outputs, mean, variance, count = _MaskedNorm.apply(
            inputs, self.weight, self.bias, mask, self.eps, synchronise)
        with torch.no_grad():
            self.running_mean.lerp_(mean, self.momentum)
            unbiased = variance * (count / (count - 1).clamp(min=1))
            self.running_var.lerp_(unbiased, self.momentum)
        return outputs

    def extra_repr(self) -> str:
        return f"{self.weight.numel()}, momentum={self.momentum}, eps={self.eps}"
