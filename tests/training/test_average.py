"""The moving average of weights, against its formula and PyTorch's own."""

import math

import pytest
import torch

from emokit.training.average import WeightAverage


def small_model():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))


def steps(model, n):
    """Train a little, giving the number of each step after it."""
    optimizer = torch.optim.SGD(model.parameters(), 1e-3)
    for step in range(1, n + 1):
        optimizer.zero_grad()
        model(torch.randn(8, 3)).square().sum().backward()
        optimizer.step()
        yield step


def test_average_follows_its_formula_for_weights_and_norm_statistics():
    model = small_model()
    average = WeightAverage(model, steps=10)
    expected = {name: value.clone() for name, value in model.state_dict().items()}
    for step in steps(model, 60):
        average.update(step)
        decay = min(math.exp(-1 / 10), (1 + step) / (10 + step))
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                expected[name] = decay * expected[name] + (1 - decay) * value
    for name, value in average.model.state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(value, expected[name])
            assert not torch.equal(value, model.state_dict()[name])
    assert not any(weight.requires_grad for weight in average.model.parameters())


def test_after_its_warm_up_it_is_pytorchs_average():
    model = small_model()
    decay = math.exp(-1 / 0.5)  # below (1 + t) / (10 + t) from step 1 on
    assert decay < 2 / 11
    average = WeightAverage(model, steps=0.5)
    other = torch.optim.swa_utils.AveragedModel(
        model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(decay), use_buffers=True)
    other.update_parameters(model)  # its first call copies
    for step in steps(model, 20):
        average.update(step)
        other.update_parameters(model)
    for name, value in average.model.state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(value, other.module.state_dict()[name])


def test_what_does_not_change_is_averaged_bit_for_bit():
    model = small_model()
    model[0].requires_grad_(False)
    average = WeightAverage(model, steps=10)
    before = model[0].weight.clone()
    for step in steps(model, 10):
        average.update(step)
    assert torch.equal(average.model[0].weight, before)


@pytest.mark.parametrize("epochs", [1, 2])
def test_averaged_weights_are_what_is_scored_and_saved(fit, epochs):
    from emokit.training import checkpoint

    settings = dict(regime="single", corpora="emodb", epochs=epochs)
    plain, = fit(**settings, average_share=0.0).cells()
    averaged, = fit(**settings, average_share=0.5).cells()
    one = checkpoint.read_tensors(plain.folder / "last.safetensors")
    other = checkpoint.read_tensors(averaged.folder / "last.safetensors")
    assert one.keys() == other.keys()
    # the training itself is the same: only what answers differs
    assert [r["train_loss"] for r in plain.history()] == [
        r["train_loss"] for r in averaged.history()]
    assert not torch.equal(one["backbone.stem.conv.weight"], other["backbone.stem.conv.weight"])
