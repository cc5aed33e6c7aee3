"""What learns in each mode."""

import pytest
import torch

from emokit.core.errors import ConfigError
from emokit.models.modes import MODES, apply_mode, parameter_groups

# parts that learn with adapters, for corpus emodb
LEARNS = {
    "scratch": {"backbone", "pooling", "adapters of emodb", "norms of emodb", "head of emodb"},
    "finetune": {"backbone", "pooling", "adapters of emodb", "norms of emodb", "head of emodb"},
    "head": {"head of emodb"},
    "adapters": {"adapters of emodb", "norms of emodb", "head of emodb"},
    "joint": {"backbone", "pooling", "adapters of emodb", "norms of emodb", "head of emodb"},
}


def learning(model):
    return {group.part + (f" of {group.corpus}" if group.corpus else "")
            for group in parameter_groups(model)}


def test_every_mode_is_tested():
    assert set(LEARNS) == set(MODES)


@pytest.mark.parametrize("mode", MODES)
def test_mode_says_what_learns_and_the_rest_stands_still(mode, make_model, make_batch):
    model = make_model(adapters=["residual"])
    apply_mode(model, mode, "emodb")
    assert learning(model) == LEARNS[mode]
    before = {key: value.clone() for key, value in model.state_dict().items()}
    optimizer = torch.optim.AdamW(
        [parameter for group in parameter_groups(model) for parameter in group.parameters.values()],
        lr=0.01)
    model.train()
    for _ in range(3):
        optimizer.zero_grad(set_to_none=True)
        model(make_batch()).square().sum().backward()
        optimizer.step()
    moved = {key for key, value in model.state_dict().items()
             if not torch.equal(value, before[key])}
    names = {name for group in parameter_groups(model) for name in group.parameters}
    statistics = {key for key in before if key.endswith(("running_mean", "running_var"))}
    assert moved - statistics == names
    private = {key for key in statistics if key.startswith("private.corpus_emodb.")}
    assert moved & statistics == (set() if mode == "head" else private)


@pytest.mark.parametrize("mode", ["head", "adapters"])
def test_frozen_norms_of_the_backbone_do_not_move(mode, make_model, make_batch):
    model = make_model(adapters=[{"name": "residual", "norm": "shared"}], head="dense")
    apply_mode(model, mode, "emodb")
    before = {key: value.clone() for key, value in model.backbone.state_dict().items()}
    model.train()
    model(make_batch())
    assert not model.backbone.training and model.part("emodb").head.training
    assert all(torch.equal(value, before[key])
               for key, value in model.backbone.state_dict().items())


def test_scratch_without_adapters_moves_the_backbones_norms(make_model, make_batch):
    model = make_model({"emodb": "abc"})
    apply_mode(model, "scratch")
    model.train()
    model(make_batch())
    assert learning(model) == {"backbone", "norms", "pooling", "head of emodb"}
    assert model.backbone.stem.norm.running_mean.abs().max() > 0


def test_joint_takes_all_corpora_and_leaves_unused_norms_out(make_model):
    model = make_model(adapters=["norm"], shared_pooling=False)
    apply_mode(model, "joint")
    assert learning(model) == {
        "backbone", *(f"{part} of {corpus}" for corpus in ("emodb", "tess")
                      for part in ("norms", "head", "pooling"))}


def test_groups_hold_every_learning_parameter_once(make_model):
    model = make_model(adapters=["residual"], normalisation="batchnorm", head="dense")
    apply_mode(model, "joint")
    grouped = [id(parameter) for group in parameter_groups(model)
               for parameter in group.parameters.values()]
    learning_ones = {id(parameter) for parameter in model.parameters() if parameter.requires_grad}
    assert len(grouped) == len(set(grouped)) and set(grouped) == learning_ones
    named = dict(model.named_parameters())
    for group in parameter_groups(model):
        for name, parameter in group.parameters.items():
            assert named[name] is parameter
            if ".norm" in name or ".own." in name:
                assert group.part == "norms", name


def test_modes_can_follow_one_another(make_model):
    model = make_model(adapters=["residual"])
    apply_mode(model, "head", "emodb")
    apply_mode(model, "joint")
    model.train()
    assert model.backbone.stages.training and learning(model) >= LEARNS["joint"]


@pytest.mark.parametrize("mode, corpus, words", [
    ("heads", None, "Did you mean 'head'"), ("head", "emo", "no corpus 'emo'"),
    ("adapters", "emodb", "needs an adapter for corpus 'emodb'")])
def test_impossible_modes_are_errors(mode, corpus, words, make_model):
    with pytest.raises(ConfigError, match=words):
        apply_mode(make_model(), mode, corpus)
