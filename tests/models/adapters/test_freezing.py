"""Parts of adapters that can be kept from learning, each alone."""

import pytest
import torch

from emokit.core.config import parse_spec
from emokit.models.budget import learning
from emokit.models.modes import apply_mode
from emokit.models.parts import freeze, parts_of

WHISPER = {"name": "hf", "architecture": {
    "model_type": "whisper", "d_model": 12, "encoder_layers": 2, "num_mel_bins": 8,
    "encoder_attention_heads": 2, "encoder_ffn_dim": 20, "max_source_positions": 40}}
SPEC = "bottleneck(width=3,dropout=0.5)+lora+weighted_sum+gate(shared=true)"


@pytest.fixture
def model(make_model):
    return make_model({"emodb": "abc"}, backbone=WHISPER, normalisation="none",
                      adapters=parse_spec(SPEC))


@pytest.mark.parametrize("part", ["lora.a", "lora.b", "lora", "bottleneck", "bottleneck.down",
                                  "gate", "weighted_sum", "adapters", "head"])
def test_a_frozen_part_stays_and_the_others_learn(part, model, make_batch, shake):
    shake(model)
    apply_mode(model, "adapters")
    freeze(model, [part])
    before = {name: parameter.clone() for name, parameter in model.named_parameters()}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model.train()(make_batch(lengths=(5000, 3000))).square().sum().backward()
    optimizer.step()
    moved = {name for name, parameter in model.named_parameters()
             if not torch.equal(parameter, before[name])}
    parts = parts_of(model)
    assert {names[0] for name, names in parts.items() if name in moved} == {
        names[0] for names in parts.values()
        if part not in names and names[0] not in ("backbone", "pooling")}


def test_frozen_factors_leave_the_rest_to_the_optimiser(model):
    apply_mode(model, "adapters")
    freeze(model, ["lora.a", "gate", "head"])
    n_lora, n_bottleneck = 4 * 8 * 12, 2 * (2 * 12 * 3 + 3 + 12)
    assert learning(model) == {"adapters of emodb": n_lora + n_bottleneck + 3}


def test_dropout_of_a_convolution_that_learns_stays_beside_a_frozen_adapter(make_model, make_batch):
    model = make_model({"emodb": "abc"}, adapters=parse_spec("conv_lora(rank=2,layers=0-6)"),
                       backbone={"name": "resnet", "width": 4, "blocks": 1, "dropout": [0.5, 0.5]})
    dropping = {site for site, module in model.backbone.named_modules()
                if getattr(module, "input_dropout", 0)}
    assert {key.replace("/", ".") for key in model.part("emodb").adapters["conv_lora"]} >= dropping
    apply_mode(model, "scratch")
    freeze(model, ["conv_lora"])
    batch = make_batch()
    assert dropping and not torch.equal(model.train()(batch), model(batch))
    assert torch.equal(model.eval()(batch), model(batch))


def test_dropout_rests_in_a_frozen_adapter(model):
    apply_mode(model.train(), "adapters")
    adapters = model.part("emodb").adapters["bottleneck"].values()
    assert all(adapter.training for adapter in adapters)
    freeze(model, ["bottleneck"])
    assert not any(adapter.training for adapter in adapters)
