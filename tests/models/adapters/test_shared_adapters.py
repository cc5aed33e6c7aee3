"""Adapters that corpora share: one instance, counted, saved and trained once."""

import copy

import pytest
import torch

from emokit.core.errors import ConfigError
from emokit.models.budget import budget, learning, suppose
from emokit.models.merging import merge
from emokit.models.modes import apply_mode
from emokit.models.settings import ModelSettings
from emokit.models.starting import start_from
from emokit.training import checkpoint
from emokit.training.config import TrainConfig
from emokit.training.optim import adapter_decay, make_optimizer

SHARED = [{"name": "bottleneck", "width": 3, "shared": True}, "gate"]


@pytest.fixture
def shared(make_model, shake):
    return shake(make_model(adapters=SHARED), 0.05).eval()


def test_corpora_use_the_same_instance_in_the_order_written(shared):
    one, other = (dict(shared.part(corpus).at("stages.0.0")) for corpus in ("emodb", "tess"))
    assert list(one) == ["bottleneck", "gate"]
    assert one["bottleneck"] is other["bottleneck"] and one["gate"] is not other["gate"]
    assert not any("bottleneck" in key for key in shared.corpus_state("emodb"))


def test_shared_adapters_count_once(shared, make_model):
    private = make_model(adapters=[{**SHARED[0], "shared": False}, "gate"])
    found, apart = budget(shared), budget(private)
    n = sum(parameter.numel() for parameter in shared.shared.parameters())
    assert apart["stored"] - found["stored"] == n > 0
    assert found["stored"] == sum(
        tensor.numel() for key, tensor in shared.state_for_checkpoint().items()
        if not key.endswith((".mean", ".std")))
    assert found["parts"]["adapters"] == apart["parts"]["adapters"] - n
    settings = ModelSettings(adapters=["bottleneck"])
    more = suppose(ModelSettings(adapters=[{"name": "bottleneck", "shared": True}]), 26, 6)
    assert suppose(settings, 26, 6)["stored"] - more["stored"] == 25 * (
        suppose(settings, 1, 6)["parts"]["adapters"])


def test_training_one_corpus_moves_the_others(shared, make_batch):
    apply_mode(shared, "adapters", "tess")
    batch = make_batch("emodb")
    before = shared.eval()(batch)
    own = {key: value.clone() for key, value in shared.corpus_state("emodb").items()}
    optimizer = torch.optim.SGD(shared.parameters(), lr=0.1)
    shared.train()(make_batch("tess")).square().sum().backward()
    optimizer.step()
    assert not torch.equal(shared.eval()(batch), before)
    assert all(torch.equal(value, own[key])
               for key, value in shared.corpus_state("emodb").items())


def test_modes_and_optimiser_know_them(shared):
    n = sum(parameter.numel() for parameter in shared.shared.parameters())
    apply_mode(shared, "adapters")
    assert learning(shared)["adapters"] == n
    optimizer = make_optimizer(shared, TrainConfig(mode="adapters"), {"emodb": 400, "tess": 700})
    decays = [group["weight_decay"] for group in optimizer.param_groups]
    assert adapter_decay(1100) in decays and adapter_decay(400) in decays
    apply_mode(shared, "head")
    assert set(learning(shared)) == {"head of emodb", "head of tess"}
    only = copy.deepcopy(shared.settings.adapters[:1])
    model = type(shared)(ModelSettings(backbone=shared.settings.backbone, adapters=only),
                         {"emodb": "ab"})
    apply_mode(model, "adapters")


def test_saved_copied_and_merged_as_one(shared, make_batch, tmp_path):
    batch = make_batch("tess")
    expected = shared(batch)
    path = checkpoint.save(tmp_path / "model.safetensors", shared, {})
    assert torch.equal(checkpoint.load(path)[0](batch), expected)
    twin = copy.deepcopy(shared)
    with torch.no_grad():
        for parameter in twin.shared.parameters():
            parameter.add_(1.0)
    assert not torch.equal(twin(batch), expected)
    assert torch.equal(shared(batch), expected)
    with pytest.raises(ConfigError, match="'bottleneck' at 'stages.0.0' cannot be merged"):
        merge(shared, "tess")


def test_shared_weights_of_convolutions_merge_for_each_corpus(make_model, make_batch, shake):
    model = shake(make_model(adapters=[
        {"name": "conv_lora", "shared": True}, {"name": "residual", "shared": True}]), 0.05)
    model.eval()
    for corpus in ("emodb", "tess"):
        batch = make_batch(corpus)
        torch.testing.assert_close(merge(model, corpus)(batch), model(batch), atol=1e-5, rtol=1e-5)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    model.recentre()
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_a_model_starts_from_what_a_base_shares(shared, make_model, make_batch):
    model = make_model(adapters=SHARED).eval()
    assert start_from(model, shared) == {"emodb": "copied", "tess": "copied"}
    batch = make_batch("tess")
    assert torch.equal(model(batch), shared(batch))
    new = make_model({"new": "xy"}, adapters=SHARED).eval()
    start_from(new, shared)
    for key, value in new.shared.state_dict().items():
        assert torch.equal(value, shared.shared.state_dict()[key])
    own = make_model({"tess": "abcd"}, adapters=["bottleneck", "gate"])
    with pytest.raises(ConfigError, match="cannot be merged"):  # another width: no place
        start_from(own, shared)
    private = [{"name": "bottleneck", "width": 3}, "gate"]
    own = make_model({"tess": "abcd"}, adapters=private).eval()
    assert start_from(own, shared) == {"tess": "copied"}
    assert torch.equal(own(batch), shared(batch))
    with pytest.raises(ConfigError, match="corpus 'new' of this model has no place for it"):
        start_from(make_model({"new": "xy"}), shared)


def test_private_adapters_do_not_become_shared_ones(shared, make_model):
    base = make_model(adapters=[{"name": "bottleneck", "width": 3}])
    with pytest.raises(ConfigError, match="has no place for"):
        start_from(make_model(adapters=SHARED), base)


def test_a_head_of_the_base_is_not_given_another_mixture(make_model):
    encoder = {"name": "hf", "architecture": {
        "model_type": "whisper", "d_model": 12, "encoder_layers": 1, "num_mel_bins": 8,
        "encoder_attention_heads": 2, "encoder_ffn_dim": 20, "max_source_positions": 40}}

    def make(adapters):
        return make_model({"emodb": "abc"}, backbone=encoder, normalisation="none",
                          adapters=adapters)

    with pytest.raises(ConfigError, match="Set adapters.weighted_sum.start=last"):
        start_from(make(["weighted_sum"]), make([]))
    start_from(make([{"name": "weighted_sum", "start": "last"}]), make([]))
    start_from(make(["weighted_sum"]), make(["weighted_sum"]))
    with pytest.raises(ConfigError, match="pools frames of 12 numbers, the model of 512"):
        start_from(make(["layer_mix"]), make([]))
    # the same shapes, but another function
    with pytest.raises(ConfigError, match="cannot be merged"):
        start_from(make([{"name": "weighted_sum", "start": "last"}]), make(["weighted_sum"]))


def test_other_corpora_keep_adapters_of_a_base(make_model, make_batch, shake):
    base = shake(make_model(adapters=[{"name": "conv_lora", "alpha": 4.0}]), 0.05).eval()
    model = make_model({"emodb": "abc"}, adapters=[{"name": "conv_lora", "alpha": 8.0}]).eval()
    assert start_from(model, base) == {"emodb": "merged"}
    batch = make_batch()
    torch.testing.assert_close(model(batch), base(batch), atol=1e-4, rtol=1e-4)
