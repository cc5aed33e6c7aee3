"""What each adapter computes, against its formula written a second, plain way."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from emokit.models.adapters import ADAPTERS
from emokit.models.adapters.attach import AttachedForward
from emokit.models.backbones.base import Backbone
from emokit.models.backbones.layers import Attention, Conv1d, LayerNorm, Linear


class Anything(Backbone):
    """Says of sites what its base class says."""


def adapted(site, name, role, shaken=True, **settings):
    """Give an adapter at a site, away from its start, and the site with it."""
    cls = ADAPTERS[name]
    assert cls.accepts(site, cls.Config(**settings)) is None
    adapter = cls.make(site, role, cls.Config(**settings)).train()
    if shaken:
        with torch.no_grad():
            for parameter in adapter.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.4)
    point = AttachedForward(site, Anything(None))
    point.active = (adapter,)
    return adapter, point


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner, self.norm = Linear(6, 6), LayerNorm(6)

    def forward(self, inputs, mask=None):
        return self.norm(inputs + self.inner(inputs))


def test_bottleneck_serial_and_parallel():
    inputs, site = torch.randn(2, 5, 6), Layer()
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0]])[:, :, None].bool()
    for settings in ({}, {"parallel": True, "where": "ffn", "activation": "gelu", "scale": 0.3}):
        adapter, point = adapted(site, "bottleneck", "block", width=3, **settings)
        outputs = site(inputs)
        read = inputs if settings else outputs
        hidden = read @ adapter.down.T + adapter.down_bias
        hidden = functional.gelu(hidden) if settings else hidden.clamp(min=0)
        added = settings.get("scale", 1) * (hidden @ adapter.up.T + adapter.up_bias)
        torch.testing.assert_close(point(inputs, mask), outputs + added * mask)


def test_bottleneck_drops_out_in_training_only():
    adapter, point = adapted(Layer(), "bottleneck", "block", dropout=0.9)
    inputs = torch.randn(2, 5, 6)
    assert not torch.equal(point(inputs), point(inputs))
    adapter.eval()
    assert torch.equal(point(inputs), point(inputs))


def test_lora_and_its_scale():
    site = Linear(6, 4)
    inputs = torch.randn(2, 5, 6)
    for settings, scale in (({}, 1.0), ({"alpha": 3.0}, 3 / 2), ({"rslora": True}, 2 / 2**0.5)):
        adapter, point = adapted(site, "lora", "query", rank=2, **settings)
        expected = site(inputs) + scale * inputs @ (adapter.b @ adapter.a).T
        torch.testing.assert_close(point(inputs), expected)
        adapter.eval()  # folded
        torch.testing.assert_close(point(inputs), expected)
    adapter, point = adapted(site, "lora", "query", dropout=0.9)
    assert not torch.equal(point(inputs), point(inputs))


@pytest.mark.parametrize("bias", [True, False])
def test_dora_keeps_direction_and_length_apart(bias):
    site = Linear(6, 4, bias=bias)
    adapter, point = adapted(site, "dora", "key", rank=2)
    weight = site.weight + adapter.b @ adapter.a
    rows = (site.weight.norm(dim=1) + adapter.magnitude)[:, None] * functional.normalize(weight)
    inputs = torch.randn(2, 5, 6)
    torch.testing.assert_close(point(inputs), functional.linear(inputs, rows, site.bias))
    # lengths are constants for the gradient
    adapter.zero_grad()
    point(inputs).sum().backward()
    norm = weight.norm(dim=1).detach()
    factor = (site.weight.norm(dim=1) + adapter.magnitude).detach() / norm
    gradient = (factor[:, None] * inputs.sum((0, 1))) @ adapter.a.T
    torch.testing.assert_close(adapter.b.grad, gradient)


def test_gate_and_ia3_scale_channels():
    inputs, site = torch.randn(2, 5, 6), Layer()
    adapter, point = adapted(site, "gate", "block")
    torch.testing.assert_close(point(inputs), site(inputs) * 2 / (1 + torch.exp(-adapter.gate)))
    adapter, point = adapted(site, "gate", "block", start="reference")
    torch.testing.assert_close(point(inputs), site(inputs) / (1 + torch.exp(-1 - adapter.gate)))
    adapter, point = adapted(site.inner, "ia3", "key")
    torch.testing.assert_close(point(inputs), site.inner(inputs) * (1 + adapter.delta))


def test_bias_moves_real_positions_along_the_channels():
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0]]).bool()
    site = Conv1d(4, 3, 3, padding=1)
    adapter, point = adapted(site, "bias", "conv")
    inputs = torch.randn(2, 4, 5)
    torch.testing.assert_close(point(inputs, mask[:, None]), site(inputs) + adapter.delta[
        None, :, None] * mask[:, None])
    assert "bias" in ADAPTERS["bias"].accepts(Conv1d(4, 3, 3, bias=False))


@pytest.mark.parametrize("shape", [
    {"kernel_size": 3, "stride": 2, "padding": 1}, {"kernel_size": 3, "dilation": 2},
    {"kernel_size": 4, "stride": 3}, {"kernel_size": 1}])
@pytest.mark.parametrize("kind", [nn.Conv1d, nn.Conv2d])
def test_adapters_of_convolutions_move_as_they_do(shape, kind):
    site = kind(4, 6, **shape)
    inputs = torch.randn(2, 4, *[15, 14][:1 if kind is nn.Conv1d else 2])
    lora, point = adapted(site, "conv_lora", "conv", rank=2, alpha=3.0)
    thin, up = kind(4, 2, **shape, bias=False), kind(2, 6, 1, bias=False)
    with torch.no_grad():
        thin.weight.copy_(lora.a), up.weight.copy_(lora.b.view(up.weight.shape))
    expected = site(inputs) + 1.5 * up(thin(inputs))
    torch.testing.assert_close(point(inputs), expected, atol=1e-5, rtol=1e-5)
    lora.eval()
    torch.testing.assert_close(point(inputs), expected, atol=1e-5, rtol=1e-5)
    block, point = adapted(site, "conv_bottleneck", "conv", rank=2, activation="gelu")
    thin, up = kind(4, 2, **shape), kind(2, 6, 1)
    with torch.no_grad():
        thin.weight.copy_(block.down), thin.bias.copy_(block.down_bias)
        up.weight.copy_(block.up.view(up.weight.shape)), up.bias.copy_(block.up_bias)
    expected = site(inputs) + up(functional.gelu(thin(inputs)))
    torch.testing.assert_close(point(inputs), expected, atol=1e-5, rtol=1e-5)


def test_states_are_mixed():
    site = nn.Identity()
    site.n_states, site.site_width = 4, 6
    states = torch.randn(2, 4, 5, 6)
    adapter, point = adapted(site, "weighted_sum", "states")
    shares = torch.exp(adapter.weights) / torch.exp(adapter.weights).sum()
    expected = sum(share * states[:, layer] for layer, share in enumerate(shares))
    torch.testing.assert_close(point(states), expected)
    adapter, point = adapted(site, "weighted_sum", "states", start="last")
    free = [*adapter.weights[:3], 1 + adapter.weights[3]]
    torch.testing.assert_close(
        point(states), sum(weight * states[:, layer] for layer, weight in enumerate(free)))
    adapter, point = adapted(site, "layer_mix", "states", width=3)
    shares = torch.softmax(adapter.weights, 0)
    expected = sum(
        shares[layer] * adapter.norms[layer](
            (states[:, layer + 1] @ adapter.down[layer].T + adapter.down_bias[layer]).relu())
        for layer in range(3))
    torch.testing.assert_close(point(states), expected)


def test_prompt_goes_through_the_layer_and_is_cut_off():
    class Mixing(Layer):
        def forward(self, inputs, mask=None):
            known = torch.ones_like(inputs[..., :1]) if mask is None else mask.to(inputs.dtype)
            return self.inner(inputs) + (inputs * known).sum(1, keepdim=True)

    site = Mixing()
    adapter, point = adapted(site, "prompt", "block", tokens=2)
    inputs = torch.randn(2, 5, 6)
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0]])[:, :, None].bool()
    expected = site(inputs, mask) + adapter.vectors.sum(0)
    torch.testing.assert_close(point(inputs, mask), expected)
    torch.testing.assert_close(point(inputs=inputs, mask=mask), expected)
    torch.testing.assert_close(point(inputs), site(inputs) + adapter.vectors.sum(0))


@pytest.mark.parametrize("masked", [False, True])
def test_prefix_rows_are_attended_to(masked):
    site = Attention(6, 2, 0.0)
    adapter, point = adapted(site, "prefix", "attention", tokens=3)
    inputs = torch.randn(1, 5, 6)
    mask = torch.tensor([1, 1, 1, masked ^ 1, masked ^ 1]).bool()[None, :, None]
    keys = torch.cat([adapter.keys, site.k_proj(inputs)[0][mask[0, :, 0]]])
    values = torch.cat([adapter.values, site.v_proj(inputs)[0][mask[0, :, 0]]])
    heads = []
    for head in (slice(0, 3), slice(3, 6)):
        scores = site.q_proj(inputs)[0][:, head] @ keys[:, head].T / 3**0.5
        heads.append(torch.softmax(scores, 1) @ values[:, head])
    expected = site.out_proj(torch.cat(heads, 1))[None]
    torch.testing.assert_close(point(inputs, mask), expected, atol=1e-5, rtol=1e-5)


def test_composition_runs_in_the_order_written(make_model, shake):
    layer = Layer()
    bottleneck, _ = adapted(layer, "bottleneck", "block")
    gate, point = adapted(layer, "gate", "block")
    inputs = torch.randn(2, 5, 6)
    plain, factor = layer(inputs), 2 * torch.sigmoid(gate.gate)

    def added(outputs):
        hidden = (outputs @ bottleneck.down.T + bottleneck.down_bias).relu()
        return outputs + hidden @ bottleneck.up.T + bottleneck.up_bias

    point.active = (bottleneck, gate)
    behind = point(inputs)
    torch.testing.assert_close(behind, factor * added(plain))
    point.active = (gate, bottleneck)
    torch.testing.assert_close(point(inputs), added(factor * plain))
    assert not torch.allclose(point(inputs), behind)
