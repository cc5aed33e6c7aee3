"""Equal matrices, equal outputs: our LoRA, DoRA and IA3 against the peft library."""

import pytest
import torch
from torch import nn

from emokit.models.adapters import ADAPTERS
from emokit.models.adapters.attach import AttachedForward

peft = pytest.importorskip("peft")


class Block(nn.Module):
    """Two linear layers, the second behind an activation."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(7, 12), nn.Linear(12, 5)

    def forward(self, inputs):
        return self.second(self.first(inputs).relu())


def theirs(config):
    torch.manual_seed(3)
    model = peft.get_peft_model(Block(), config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.3)
    return model


def run(site, inputs, *adapters):
    point = AttachedForward(site, None)
    point.backbone = type("Any", (), {"site_mask": staticmethod(lambda args, kwargs: None)})
    point.active = adapters
    return point(inputs)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name, settings, peft_settings", [
    ("lora", {"rank": 3, "alpha": 5.0}, {"r": 3, "lora_alpha": 5}),
    ("lora", {"rank": 4, "alpha": 2.0, "rslora": True},
     {"r": 4, "lora_alpha": 2, "use_rslora": True}),
    ("lora", {"rank": 4}, {"r": 4, "lora_alpha": 4}),
    ("dora", {"rank": 3, "alpha": 5.0}, {"r": 3, "lora_alpha": 5, "use_dora": True}),
])
def test_lora_and_dora_equal_peft(name, settings, peft_settings, training):
    model = theirs(peft.LoraConfig(target_modules=["first"], **peft_settings))
    layer = model.base_model.model.first
    site = layer.base_layer
    adapter = ADAPTERS[name].make(site, "query", ADAPTERS[name].Config(**settings))
    with torch.no_grad():
        adapter.a.copy_(layer.lora_A["default"].weight)
        adapter.b.copy_(layer.lora_B["default"].weight)
        if name == "dora":
            adapter.magnitude.copy_(layer.lora_magnitude_vector["default"].weight
                                    - site.weight.norm(dim=1))
    inputs = torch.randn(4, 6, 7)
    expected = layer(inputs)
    ours = run(site, inputs, adapter.train(training))
    torch.testing.assert_close(ours, expected, atol=1e-5, rtol=1e-5)
    weights = torch.randn_like(ours)
    (ours * weights).sum().backward()
    layer.zero_grad()
    (expected * weights).sum().backward()
    pairs = [(adapter.a, layer.lora_A), (adapter.b, layer.lora_B)]
    for mine, other in pairs:
        torch.testing.assert_close(mine.grad, other["default"].weight.grad, atol=1e-4, rtol=1e-4)
    weight, bias = adapter.merged(site.weight, site.bias)
    layer.merge()
    torch.testing.assert_close(weight, layer.base_layer.weight, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(bias, layer.base_layer.bias, atol=1e-5, rtol=1e-5)


def test_ia3_equals_peft():
    model = theirs(peft.IA3Config(target_modules=["first", "second"],
                                  feedforward_modules=["second"]))
    block = model.base_model.model
    ia3 = ADAPTERS["ia3"]
    on_rows = ia3.make(block.first.base_layer, "value", ia3.Config())
    middle = nn.ReLU()
    middle.site_width = 12
    in_the_middle = ia3.make(middle, "ffn_hidden", ia3.Config())
    with torch.no_grad():
        on_rows.delta.copy_(block.first.ia3_l["default"].flatten() - 1)
        in_the_middle.delta.copy_(block.second.ia3_l["default"].flatten() - 1)
    inputs = torch.randn(4, 6, 7)
    hidden = run(middle, run(block.first.base_layer, inputs, on_rows), in_the_middle)
    second = block.second.base_layer
    torch.testing.assert_close(second(hidden), model(inputs), atol=1e-5, rtol=1e-5)
    weight = in_the_middle.merged_behind(second.weight)
    plain = run(block.first.base_layer, inputs, on_rows).relu()
    torch.testing.assert_close(nn.functional.linear(plain, weight, second.bias), model(inputs),
                               atol=1e-5, rtol=1e-5)
