"""Masked batch norm."""

import pytest
import torch

from emokit.models.masking import MaskedBatchNorm, position_mask


def maps(lengths=(7, 3, 5), channels=4, bands=5, offset=3.0):
    inputs = torch.randn(len(lengths), channels, max(lengths), bands) * 2 + offset
    mask = position_mask(torch.tensor(lengths), max(lengths)).float()[:, None, :, None]
    return inputs, mask


def real_positions(inputs, lengths):
    """The real positions of all utterances side by side, [1, C, sum T_i, F]."""
    return torch.cat([row[:, :length] for row, length in zip(inputs, lengths)], 1)[None]


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_training_equals_the_library_on_real_positions_alone(layout):
    lengths = (7, 3, 5)
    inputs, mask = maps(lengths)
    inputs = inputs.contiguous(memory_format=layout).requires_grad_()
    ours, theirs = MaskedBatchNorm(4), torch.nn.BatchNorm2d(4)
    with torch.no_grad():
        ours.weight.uniform_(0.5, 2)
        ours.bias.normal_()
    theirs.load_state_dict(ours.state_dict(), strict=False)
    outputs, expected = ours(inputs, mask), theirs(real_positions(inputs, lengths))
    torch.testing.assert_close(real_positions(outputs, lengths), expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(ours.running_mean, theirs.running_mean)
    torch.testing.assert_close(ours.running_var, theirs.running_var)
    weights = torch.randn_like(expected)
    leaves = [inputs, ours.weight, ours.bias]
    got = torch.autograd.grad((real_positions(outputs, lengths) * weights).sum(), leaves)
    wanted = torch.autograd.grad((expected * weights).sum(), [inputs, theirs.weight, theirs.bias])
    for one, other in zip(got, wanted):
        torch.testing.assert_close(one, other, atol=2e-5, rtol=1e-4)


def test_gradient_of_padded_outputs_goes_nowhere():
    inputs, mask = maps()
    inputs.requires_grad_()
    (MaskedBatchNorm(4)(inputs, mask) * torch.randn_like(inputs)).sum().backward()
    assert inputs.grad[1, :, 3:].abs().max() == 0
    assert inputs.grad[1, :, :3].abs().min() > 0


@pytest.mark.parametrize("training", [True, False])
def test_padding_becomes_zero_and_changes_nothing(training):
    inputs, mask = maps()
    norm = MaskedBatchNorm(4).train(training)
    norm.bias.data.fill_(1.0)
    first = norm(inputs, mask)
    statistics = norm.running_mean.clone()
    other = MaskedBatchNorm(4).train(training)
    other.bias.data.fill_(1.0)
    noisy = torch.where(mask.bool(), inputs, torch.randn_like(inputs) * 100)
    torch.testing.assert_close(other(noisy, mask), first)
    torch.testing.assert_close(other.running_mean, statistics)
    assert first[1, :, 3:].abs().max() == 0


def test_whole_batches_agree_with_and_without_a_mask():
    inputs, mask = maps((6, 6))
    with_mask, without = MaskedBatchNorm(4), MaskedBatchNorm(4)
    torch.testing.assert_close(with_mask(inputs, mask), without(inputs), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(with_mask.running_var, without.running_var)


def test_large_mean_does_not_spoil_the_variance():
    inputs, mask = maps((50, 20), offset=300.0)
    norm = MaskedBatchNorm(4, momentum=1.0)
    norm(inputs, mask)
    exact = real_positions(inputs.double(), (50, 20)).var((0, 2, 3))
    torch.testing.assert_close(norm.running_var.double(), exact, rtol=0.05, atol=0)


def test_one_value_in_training_gives_the_bias():
    norm = MaskedBatchNorm(2)
    norm.bias.data.copy_(torch.tensor([1.0, -2.0]))
    torch.testing.assert_close(
        norm(torch.randn(1, 2, 1, 1)).flatten(), norm.bias.data, atol=1e-3, rtol=0)
