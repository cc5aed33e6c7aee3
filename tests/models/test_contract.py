"""The adapter contract on a transformer-like backbone: linear sites, tuples, other masks."""

import torch
from torch import nn

from emokit.models.adapters import ADAPTERS
from emokit.models.adapters.attach import attach, ordered
from emokit.models.adapters.base import Adapter
from emokit.models.backbones.base import Backbone


class Layer(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.query, self.norm = nn.Linear(dim, dim), nn.LayerNorm(dim)

    def forward(self, states):
        return states + self.norm(self.query(states)), "attention weights"


class Transformer(Backbone):
    """Gives its layers no mask argument, so it says itself what is real."""

    name, input, dim = "transformer", "logmel", 6

    def __init__(self):
        super().__init__(None)
        self.layers = nn.ModuleList(Layer(6) for _ in range(2))
        self.real = None

    def forward(self, frames, lengths):
        self.real = torch.arange(frames.shape[1]) < lengths[:, None]
        for layer in self.layers:
            frames, _ = layer(frames)
        return frames, lengths

    def sites(self):
        names = range(len(self.layers))
        return {"query": [f"layers.{n}.query" for n in names],
                "norm": [f"layers.{n}.norm" for n in names],
                "block": [f"layers.{n}" for n in names]}

    def site_mask(self, args, kwargs):
        return None if self.real is None else self.real[:, :, None]


class LowRank(Adapter):
    """A linear adapter that folds, or runs beside the site."""

    roles = ("query",)
    fold = True

    def __init__(self, site):
        super().__init__()
        self.a = nn.Parameter(torch.randn(2, site.in_features))
        self.b = nn.Parameter(torch.randn(site.out_features, 2))

    def folds(self):
        return self.fold

    def weight_delta(self):
        return self.b @ self.a

    def forward(self, inputs, outputs, mask):
        return outputs + inputs @ self.a.T @ self.b.T


class Scale(Adapter):
    """Doubles real positions of a block, to see what an adapter is given."""

    roles = ("block",)

    def forward(self, inputs, outputs, mask):
        assert inputs.shape == outputs.shape and mask.dtype == torch.bool
        return torch.where(mask, 2 * outputs, outputs)


def test_linear_sites_fold_or_run_beside():
    backbone, lengths = Transformer(), torch.tensor([5, 3])
    frames = torch.randn(2, 5, 6)
    points = attach(backbone, backbone.sites()["query"])
    for point in points.values():
        point.active = (LowRank(point.site),)
    folded = backbone(frames, lengths)[0]
    LowRank.fold = False
    beside = backbone(frames, lengths)[0]
    LowRank.fold = True
    torch.testing.assert_close(folded, beside, atol=1e-5, rtol=1e-5)
    two = [LowRank(points["layers.0.query"].site) for _ in range(2)]
    points["layers.0.query"].active = tuple(two)
    point = points["layers.0.query"]
    expected = frames @ (point.site.weight + two[0].weight_delta() + two[1].weight_delta()).T
    torch.testing.assert_close(
        point.site(frames), expected + point.site.bias, atol=1e-5, rtol=1e-5)


def test_tuples_are_rebuilt_and_the_backbone_supplies_the_mask():
    backbone = Transformer()
    frames, lengths = torch.randn(2, 5, 6), torch.tensor([5, 3])
    attach(backbone, ["layers.1"])["layers.1"].active = (Scale(),)
    adapted = backbone(frames, lengths)[0]
    attach(backbone, ["layers.1"])["layers.1"].active = ()
    plain = backbone(frames, lengths)[0]
    torch.testing.assert_close(adapted[0], 2 * plain[0])
    torch.testing.assert_close(adapted[1, :3], 2 * plain[1, :3])
    assert torch.equal(adapted[1, 3:], plain[1, 3:])


def test_composition_runs_in_the_order_written():
    class Add(Adapter):
        def forward(self, inputs, outputs, mask):
            return outputs + 1

    class Double(Adapter):
        def forward(self, inputs, outputs, mask):
            return outputs * 2

    backbone = Transformer()
    site = backbone.layers[0].query
    point = attach(backbone, ["layers.0.query"])["layers.0.query"]
    frames = torch.randn(1, 2, 6)
    plain = site(frames)
    point.active = ordered([("add", Add()), ("double", Double())], "layers.0.query")
    torch.testing.assert_close(site(frames), (plain + 1) * 2)
    point.active = ordered([("double", Double()), ("add", Add())], "layers.0.query")
    torch.testing.assert_close(site(frames), plain * 2 + 1)


def test_private_layer_norm_is_a_copy_of_its_own():
    cls = ADAPTERS["norm"]
    backbone = Transformer()
    point = attach(backbone, ["layers.0.norm"])["layers.0.norm"]
    point.active = (cls.make(point.site, "norm", cls.Config()),)
    frames = torch.randn(1, 2, 6)
    assert torch.equal(point.site(frames), point.original(frames))
    point.active[0].own.weight.data.fill_(3.0)
    torch.testing.assert_close(point.site(frames), 3 * point.original(frames))
    assert sorted(point.active[0].state_dict()) == ["own.bias", "own.weight"]


def test_residual_refuses_grouped_and_shifted_convolutions():
    accepts = ADAPTERS["residual"].accepts
    assert accepts(nn.Conv2d(4, 4, 3, padding=1, bias=False)) is None
    assert accepts(nn.Conv2d(4, 4, 3, 2, padding=2, dilation=2)) is None
    assert "one group" in accepts(nn.Conv2d(4, 4, 3, padding=1, groups=2))
    assert "centre" in accepts(nn.Conv2d(4, 4, 3, padding=0))
    assert "centre" in accepts(nn.Conv2d(4, 4, 2, padding=1))
    assert "2-d convolution" in accepts(nn.Conv1d(4, 4, 3, padding=1))
    config = ADAPTERS["residual"].Config(kind="series")
    assert accepts(nn.Linear(4, 4)) is None
    assert "series needs a convolution" in accepts(nn.Linear(4, 4), config)
