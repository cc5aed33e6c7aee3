"""One optimiser, real weight decay, and learning rates over time."""

import math

import pytest
import torch

from emokit.core.errors import ConfigError
from emokit.models.model import EmotionModel
from emokit.models.modes import apply_mode
from emokit.models.parts import parts_of
from emokit.models.settings import ModelSettings
from emokit.training.config import TrainConfig
from emokit.training.optim import (
    adapter_decay, begin_momentum, make_optimizer, scheduled_rate,
)

SIZES = {"a": 400, "b": 20_000}


@pytest.fixture
def model():
    settings = ModelSettings(
        frontend={"name": "logmel", "bands": 16}, backbone={"name": "resnet", "width": 4,
                                                            "blocks": 1},
        adapters=[{"name": "residual"}])
    model = EmotionModel(settings, {"a": ("x", "y"), "b": ("x", "y", "z")})
    apply_mode(model, "joint")
    return model


@pytest.mark.parametrize("n, decay", [
    (1, 1e-2), (449, 1e-2), (499, 1e-2), (500, 4e-3), (961, 4e-3), (999, 4e-3), (1000, 1e-3),
    (9999, 1e-3), (10_000, 2e-6)])
def test_bracket_uses_true_count(n, decay):
    assert adapter_decay(n) == pytest.approx(decay)


def decay_by_name(model, optimizer):
    decays = {id(parameter): group["weight_decay"] for group in optimizer.param_groups
              for parameter in group["params"]}
    return {name: decays[id(parameter)] for name, parameter in model.named_parameters()
            if id(parameter) in decays}


def test_adapter_decay_follows_train_size_and_norms_have_none(model):
    found = decay_by_name(model, make_optimizer(model, TrainConfig(weight_decay=0.03), SIZES))
    for name, decay in found.items():
        if "norm" in name:
            assert decay == 0, name
        elif ".adapters." in name:
            assert decay == (1e-2 if "corpus_a" in name else 2e-6), name
        else:
            assert decay == 0.03, name
    assert {decay for decay in found.values()} == {0, 1e-2, 2e-6, 0.03}
    named = decay_by_name(model, make_optimizer(model, TrainConfig(adapter_weight_decay=0.5),
                                                SIZES))
    assert {decay for name, decay in named.items()
            if ".adapters." in name and "norm" not in name} == {0.5}


def test_joint_run_has_one_optimizer_over_all_that_learns(model):
    optimizer = make_optimizer(model, TrainConfig(), SIZES)
    held = [id(parameter) for group in optimizer.param_groups for parameter in group["params"]]
    assert len(held) == len(set(held))
    assert set(held) == {id(parameter) for parameter in model.parameters()
                         if parameter.requires_grad}


@pytest.mark.parametrize("name, kind", [
    ("sgd", torch.optim.SGD), ("adamw", torch.optim.AdamW), ("adam", torch.optim.Adam),
    ("rmsprop", torch.optim.RMSprop), ("adadelta", torch.optim.Adadelta)])
def test_optimizers_are_what_they_are_called(model, name, kind):
    optimizer = make_optimizer(model, TrainConfig(optimizer=name, momentum=0.7), SIZES)
    assert type(optimizer) is kind
    assert optimizer.param_groups[0].get("momentum", 0.7) == 0.7


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_weight_decay_shrinks_an_unused_adapter(model, name):
    # the loss does not depend on it: its gradient is zero, and only decay can move it
    optimizer = make_optimizer(model, TrainConfig(optimizer=name, learning_rate=0.1), SIZES)
    adapter = next(parameter for key, parameter in model.named_parameters()
                   if "corpus_a.adapters" in key and "norm" not in key)
    with torch.no_grad():
        adapter.fill_(2.0)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter) if parameter.requires_grad else None
    optimizer.step()
    assert adapter.detach() == pytest.approx(2.0 * (1 - 0.1 * 1e-2))


def test_parameters_without_gradient_stay(model):
    optimizer = make_optimizer(model, TrainConfig(optimizer="adamw"), SIZES)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    for name, parameter in model.named_parameters():
        parameter.grad = torch.ones_like(parameter) if "corpus_b" in name else None
    optimizer.step()
    for name, parameter in model.named_parameters():
        if "corpus_b" not in name:
            assert torch.equal(parameter, before[name]), name


def test_nothing_to_learn_is_refused(model):
    model.requires_grad_(False)
    with pytest.raises(ConfigError, match="Nothing is left to learn"):
        make_optimizer(model, TrainConfig(), SIZES)


def rates(**settings):
    config = TrainConfig(learning_rate=0.8, **settings)
    return [scheduled_rate(config, step, 100) for step in range(100)]


def test_cosine_after_warmup_ends_near_zero():
    found = rates(schedule="cosine", warmup=0.1)
    assert found[:10] == pytest.approx([0.08 * (step + 1) for step in range(10)])
    assert found[10] == pytest.approx(0.8)
    for step in range(10, 100):
        assert found[step] == pytest.approx(0.4 * (1 + math.cos(math.pi * (step - 10) / 90)))
    assert found[-1] < 0.001


def test_constant_and_plateau_stay_after_warmup():
    assert rates(schedule="constant", warmup=0.05)[5:] == [0.8] * 95
    assert rates(schedule="plateau")[0] == 0.8
    config = TrainConfig(learning_rate=0.8, schedule="plateau")
    assert [scheduled_rate(config, 50, 100, stage) for stage in range(3)] == (
        pytest.approx([0.8, 0.08, 0.008]))


def test_fused_sgd_begins_some_parameters_later_than_others_and_goes_as_the_plain_one():
    found = []
    for fused in (True, False):
        parameters = [torch.nn.Parameter(torch.arange(3.0)) for _ in range(2)]
        optimizer = torch.optim.SGD(parameters, lr=0.1, momentum=0.9, weight_decay=0.01,
                                    fused=fused)
        if fused:
            begin_momentum(optimizer)
        for step, reached in enumerate([[0], [0, 1], [1], [0, 1]]):
            optimizer.zero_grad()
            for index in reached:
                parameters[index].grad = torch.full((3,), step + index + 1.0)
            optimizer.step()
        found.append(torch.stack([one.detach() for one in parameters]))
    torch.testing.assert_close(*found)


def test_adapters_that_the_start_had_not_learn_at_the_full_rate():
    settings = ModelSettings(
        frontend={"name": "logmel", "bands": 16},
        backbone={"name": "resnet", "width": 4, "blocks": 1},
        adapters=["norm", "conv_lora", "bottleneck"])
    model = EmotionModel(settings, {"a": ("x", "y")})
    apply_mode(model, "finetune")
    config = TrainConfig(mode="finetune", init="base", learning_rate=0.5, finetune_rate=0.1)
    for new, full in (((), {"head"}), (("norm", "bottleneck"), {"head", "bottleneck"})):
        optimizer = make_optimizer(model, config, {"a": 10}, new)
        factors = {id(one): (group["factor"], group["lr"]) for group in optimizer.param_groups
                   for one in group["params"]}
        names = parts_of(model)
        for name, parameter in model.named_parameters():
            if id(parameter) in factors:
                rate = 1.0 if full & set(names[name]) else 0.1
                assert factors[id(parameter)] == (rate, 0.5 * rate), name
        assert {0.1, 1.0} == {factor for factor, _ in factors.values()}
