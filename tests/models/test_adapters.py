"""Laws that every adapter obeys, and the residual adapter's own facts."""

import pytest
import torch

from emokit.core.errors import ConfigError
from emokit.models.adapters import ADAPTERS
from emokit.models.adapters.attach import detach
from emokit.models.adapters.base import depths, select_sites
from emokit.models.budget import budget
from emokit.models.modes import apply_mode

SPECS = {
    "norm": [{"name": "norm"}],
    "residual": [{"name": "residual"}],
    "residual full": [{"name": "residual", "rank": "full"}],
    "residual rank 2": [{"name": "residual", "rank": 2}],
    "residual norm only": [{"name": "residual", "rank": 0}],
    "residual series": [{"name": "residual", "kind": "series"}],
    "residual low-rank series": [{"name": "residual", "kind": "series", "rank": "C/8"}],
    "residual shared norms": [{"name": "residual", "norm": "shared"}],
    "some layers": [{"name": "residual", "layers": "1-3", "norm": "shared"}],
    "norm+residual": [{"name": "norm"}, {"name": "residual", "norm": "shared"}],
}
laws = pytest.mark.parametrize("spec", list(SPECS))


def test_every_adapter_has_a_spec():
    assert {item["name"] for spec in SPECS.values() for item in spec} == set(ADAPTERS)


@laws
def test_new_adapter_equals_base_before_training(spec, make_model, make_batch, shake):
    base = shake(make_model()).eval()
    model = make_model(adapters=SPECS[spec]).eval()
    model.backbone.load_state_dict(base.backbone.state_dict())
    model.pooling.load_state_dict(base.pooling.state_dict())
    model.remove_corpus("emodb")
    model.add_corpus("emodb", "abc")
    model.eval()
    model.part("emodb").head.load_state_dict(base.part("emodb").head.state_dict())
    batch = make_batch()
    assert (model(batch) - base(batch)).abs().max() < 1e-6


@laws
def test_off_equals_base_bit_for_bit_and_names_stay(spec, make_model, shake):
    plain = make_model().backbone.eval()
    model = shake(make_model(adapters=SPECS[spec])).eval()
    assert list(model.backbone.state_dict()) == list(plain.state_dict())
    plain.load_state_dict(model.backbone.state_dict())
    frames, lengths = torch.randn(2, 20, 64), torch.tensor([20, 20])
    model.select(None)
    assert torch.equal(model.backbone(frames, lengths)[0], plain(frames, lengths)[0])
    model.select("emodb")
    assert not torch.equal(model.backbone(frames, lengths)[0], plain(frames, lengths)[0])
    detach(model.backbone)
    assert torch.equal(model.backbone(frames, lengths)[0], plain(frames, lengths)[0])


@laws
def test_counts_are_closed_form_and_real(spec, make_model):
    model = make_model(adapters=SPECS[spec])
    backbone = make_model().backbone
    stored = learnt = 0
    for item in SPECS[spec]:
        cls = ADAPTERS[item["name"]]
        config = cls.Config(**{key: value for key, value in item.items() if key != "name"})
        for role, site in select_sites(cls, config, backbone.sites(), item["name"]):
            count = cls.count(backbone.get_submodule(site), role, config)
            stored, learnt = stored + count[0], learnt + count[1]
    own = model.part("emodb").adapters
    assert sum(tensor.numel() for tensor in own.state_dict().values()) == stored > 0
    assert sum(parameter.numel() for parameter in own.parameters()) == learnt
    entry = budget(model)["corpora"]["emodb"]
    assert entry["adapters"] + entry["norms"] == stored


@laws
def test_training_b_leaves_a_bit_identical(spec, make_model, make_batch, shake):
    model = shake(make_model(adapters=SPECS[spec]))
    apply_mode(model, "adapters", "tess")
    batch = make_batch("emodb")
    before, state = model.eval()(batch), model.corpus_state("emodb")
    state = {key: value.clone() for key, value in state.items()}
    trunk = {key: value.clone() for key, value in model.backbone.state_dict().items()}
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    model.train()
    for _ in range(2):
        optimizer.zero_grad(set_to_none=True)
        model(make_batch("tess")).square().sum().backward()
        optimizer.step()
    assert torch.equal(model.eval()(batch), before)
    assert all(torch.equal(value, state[key])
               for key, value in model.corpus_state("emodb").items())
    assert all(torch.equal(value, trunk[key])
               for key, value in model.backbone.state_dict().items())


@laws
def test_all_parts_of_an_adapter_learn_by_the_second_step(spec, make_model, make_batch):
    model = make_model(adapters=SPECS[spec])
    apply_mode(model, "adapters", "emodb")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model.train()
    for _ in range(2):
        optimizer.zero_grad(set_to_none=True)
        model(make_batch()).square().sum().backward()
        optimizer.step()
    for name, parameter in model.named_parameters():
        if name.startswith("private.corpus_emodb."):
            assert parameter.grad is not None and parameter.grad.abs().max() > 0, name
        else:
            assert parameter.grad is None, name


@laws
def test_one_corpus_saves_and_loads_alone(spec, make_model, make_batch, shake):
    model = shake(make_model(adapters=SPECS[spec])).eval()
    other = make_model(adapters=SPECS[spec])
    other.backbone.load_state_dict(model.backbone.state_dict())
    other.pooling.load_state_dict(model.pooling.state_dict())
    before = other.eval()(make_batch("tess"))
    other.load_corpus_state("emodb", model.corpus_state("emodb"))
    batch = make_batch()
    assert torch.equal(other.eval()(batch), model(batch))
    assert before.shape == (3, 4)


@laws
def test_every_accepted_site_matters(spec, make_model, make_batch, shake):
    model = shake(make_model(adapters=SPECS[spec])).eval()
    batch = make_batch(lengths=(9000, 9000))
    base = model(batch)
    for name, group in model.part("emodb").adapters.items():
        for key, adapter in group.items():
            saved = {k: value.clone() for k, value in adapter.state_dict().items()}
            with torch.no_grad():
                for parameter in adapter.parameters():
                    parameter.add_(torch.randn_like(parameter) * 0.5)
            assert not torch.allclose(model(batch), base, atol=1e-6), (name, key)
            adapter.load_state_dict(saved)


@laws
@pytest.mark.parametrize("stem_stride", [1, 2])
def test_logits_alone_equal_logits_in_any_batch(spec, stem_stride, make_model, make_batch, shake):
    backbone = {"name": "resnet", "width": 4, "blocks": 1, "stem_stride": stem_stride}
    model = shake(make_model(adapters=SPECS[spec], backbone=backbone), 0.05).eval()
    batch = make_batch(lengths=(9000, 5123, 2000, 300, 1))
    together = model(batch)
    for row, length in enumerate(batch.lengths):
        alone = make_batch(lengths=(int(length),))
        alone.inputs = batch.inputs[row:row + 1, :length]
        assert (model(alone)[0] - together[row]).abs().max() <= 1e-5 * max(1, together.abs().max())


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
    ([{"name": "residual"}, {"name": "norm"}], "which 'norm' replaces"),
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
