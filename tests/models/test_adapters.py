"""Facts of the residual adapter, and of the settings that select sites."""

import pytest
import torch

from emokit.core.errors import ConfigError
from emokit.models.adapters import ADAPTERS
from emokit.models.adapters.base import depths
from emokit.models.modes import apply_mode


@pytest.mark.parametrize("rank", ["full", "C/4"])
@pytest.mark.parametrize("size", [(8, 12), (9, 13)])
@pytest.mark.parametrize("stride", [1, 2])
def test_folded_adapter_equals_two_convolutions_with_gradients(rank, size, stride):
    from emokit.models.adapters.attach import run_with_deltas
    from emokit.models.backbones.resnet import Conv

    cls = ADAPTERS["residual"]
    site = Conv(3, 8, stride)
    adapter = cls.make(site, "conv", cls.Config(rank=rank, start="he"))
    with torch.no_grad():
        for parameter in adapter.parameters():
            parameter.normal_()
    inputs = torch.randn(2, 3, *size, requires_grad=True)
    folded = run_with_deltas(site, inputs, [adapter])
    twice = adapter(inputs, site(inputs), None)
    torch.testing.assert_close(folded, twice, atol=2e-5, rtol=1e-5)
    matrix = adapter.product()
    spelled = site(inputs) + torch.einsum(
        "oc,bchw->bohw", matrix, inputs[:, :, ::stride, ::stride])
    torch.testing.assert_close(twice, spelled, atol=2e-5, rtol=1e-5)
    leaves = [inputs, site.weight, *adapter.parameters()]
    weights = torch.randn_like(folded)
    for one, other in zip(torch.autograd.grad((folded * weights).sum(), leaves),
                          torch.autograd.grad((twice * weights).sum(), leaves)):
        torch.testing.assert_close(one, other, atol=1e-3, rtol=1e-4)


def test_series_adapter_follows_its_formula():
    from emokit.models.backbones.resnet import Conv

    cls = ADAPTERS["residual"]
    adapter = cls.make(Conv(3, 4, 1), "conv", cls.Config(kind="series", start="he")).eval()
    outputs = torch.randn(2, 4, 5, 6)
    expected = outputs + torch.einsum("oc,bchw->bohw", adapter.product(), adapter.norm(outputs))
    torch.testing.assert_close(adapter(None, outputs, None), expected)


@pytest.mark.parametrize("rank, weights", [
    ("full", [32, 2048, 4096, 65536]), ("C/4", [32, 1536, 2048, 32768]),
    ("C/2", [32, 2048, 4096, 65536]), (1, [32, 96, 128, 512]), (None, [32, 1536, 2048, 32768])])
def test_weights_per_site_equal_the_specification(rank, weights):
    from emokit.models.backbones.resnet import Conv

    cls = ADAPTERS["residual"]
    config = cls.Config(rank=rank)
    with torch.device("meta"):
        sites = [Conv(1, 32, 1), Conv(32, 64, 2), Conv(64, 64, 1), Conv(256, 256, 1)]
        assert [cls.count(site, "conv", config)[0] for site in sites] == weights
        for site, expected in zip(sites, weights):
            made = cls.make(site, "conv", config)
            assert sum(parameter.numel() for parameter in made.parameters()) == expected


def test_dropout_moves_from_the_convolution_to_its_adapter(make_model, shake):
    backbone = {"name": "resnet", "width": 4, "blocks": 1, "dropout": [0.0, 0.9]}
    model = make_model(backbone=backbone, adapters=["residual"])
    apply_mode(model, "adapters", "emodb")
    model.train()
    frames, lengths = torch.randn(2, 20, 64), torch.tensor([20, 20])
    model.select("emodb")
    # adapters start at zero, so dropping their inputs changes nothing
    torch.testing.assert_close(
        model.backbone(frames, lengths)[0], model.backbone(frames, lengths)[0])
    shake(model.part("emodb").adapters)
    assert not torch.allclose(
        model.backbone(frames, lengths)[0], model.backbone(frames, lengths)[0])


def test_a_replaced_norm_neither_runs_nor_moves(make_model, make_batch):
    model = make_model(adapters=["norm"]).train()
    calls = []
    for site in model.backbone.sites()["norm"]:
        norm = model.backbone.get_submodule(site)
        norm.weight.register_hook(lambda _, site=site: calls.append(site))
    model(make_batch()).sum().backward()
    for site in model.backbone.sites()["norm"]:
        norm = model.backbone.get_submodule(site)
        assert norm.running_mean.abs().max() == 0 and float(norm.running_var.min()) == 1
        assert norm.weight.grad is None
    assert not calls


def test_order_of_adapters_is_the_order_written(make_model):
    spec = [{"name": "norm"}, {"name": "residual", "norm": "shared", "where": "conv"}]
    own = make_model(adapters=spec).part("emodb")
    assert list(own.adapters) == ["norm", "residual"]


@pytest.mark.parametrize("spec, words", [
    ([{"name": "residual"}, {"name": "norm"}], "residual and norm are in conflict"),
    ([{"name": "bias", "where": "norm"}, {"name": "norm"}], "'norm' replaces. Write 'norm' first"),
    ([{"name": "residul"}], "Did you mean 'residual'"),
    ([{"name": "residual", "rank": "C/0"}], "expected full, C/4"),
    ([{"name": "residual", "rank": -1}], "expected full, C/4"),
    ([{"name": "residual", "rank": 0, "norm": "shared"}], "nothing to learn"),
    ([{"name": "residual", "where": "attention"}], "cannot sit at 'attention'"),
    ([{"name": "residual", "where": "norm", "norm": "shared", "layers": "9-12"}], "0 to 7"),
    ([{"name": "residual", "layers": "2-99"}], "there are 7 sites, 0 to 6"),
    ([{"name": "residual", "layers": "first"}], "a depth, first-last or lastK"),
    ([{"name": "residual", "width": 3}], "unknown setting 'width'"),
])
def test_impossible_adapters_are_errors(spec, words, make_model):
    with pytest.raises(ConfigError, match=words):
        make_model(adapters=spec)


def test_layers_are_counted_in_depth():
    assert depths("1-12", 13, "x") == list(range(1, 13))
    assert depths("last3", 13, "x") == [10, 11, 12]
    assert depths(4, 13, "x") == [4]
    assert depths(None, 2, "x") == [0, 1]


def test_only_named_corpora_get_an_adapter(make_model, make_batch):
    model = make_model(adapters=[{"name": "residual", "corpora": ["tess"]}])
    assert list(model.part("emodb").adapters) == []
    assert len(model.part("tess").adapters["residual"]) == 15
    assert model(make_batch()).shape == (3, 3)
