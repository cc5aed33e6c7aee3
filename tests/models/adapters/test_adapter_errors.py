"""Compositions that cannot be, in words."""

import pytest
import torch
from torch import nn

from emokit.core.config import assign, parse_spec
from emokit.core.errors import ConfigError
from emokit.models.adapters import ADAPTERS
from emokit.models.settings import ModelSettings, complete
from emokit.models.starting import start_from

WHISPER = {"name": "hf", "architecture": {
    "model_type": "whisper", "d_model": 12, "encoder_layers": 3, "num_mel_bins": 8,
    "encoder_attention_heads": 2, "encoder_ffn_dim": 20, "max_source_positions": 40}}


@pytest.mark.parametrize("spec, words", [
    ("lora", "the backbone has no site 'query'. Choices: conv, norm, block. It can sit at none"),
    ("lora(where=all)", "has none of its sites query, key, .*, only conv, norm, block"),
    ("weighted_sum", "the backbone has no site 'states'"),
    ("bottleneck(where=ffn)", "no site 'ffn'. .* It can sit at block here .where=block."),
    ("bottleneck(where=conv)", "it cannot sit at 'conv'. Choices: block, attention, ffn"),
    ("bottleneck(parallel=true,where=block)", "only at ffn or attention"),
    ("prompt", "layers over a sequence of vectors, and these work on maps .*and 3 more"),
    ("bias(where=conv)", "it needs a site with a bias"),
    ("prefix", "the backbone has no site 'attention'"),
    ("lora(rnk=8)", "unknown setting 'rnk'. Did you mean 'rank'"),
    ("lora(rank=0)", "must be at least 1"),
    ("lora(alpha=0)", "must be more than 0"),
    ("bottlneck", "Unknown adapter 'bottlneck'. Did you mean 'bottleneck'"),
])
def test_impossible_on_a_residual_network(spec, words, make_model):
    with pytest.raises(ConfigError, match=words):
        make_model(adapters=parse_spec(spec), backbone={"name": "resnet", "width": 4, "blocks": 2})


@pytest.mark.parametrize("spec, words", [
    ("weighted_sum+layer_mix", "weighted_sum and layer_mix are in conflict: .* 'readout'"),
    ("gate+lora+norm+residual(where=ffn)", "norm and residual are in conflict"),
    ("bias+norm", "'norm' replaces. Write 'norm' first"),
    ("residual(where=ffn,kind=series)", "kind=series needs a convolution"),
    ("lora(where=block)", "it cannot sit at 'block'"),
    ("lora(where=ffn)", "it needs a linear layer"),
    ("bias(where=key)", "it needs a site with a bias .layers.0.self_attn.k_proj"),
    ("lora(layers=3)", "there are 3 layers, 0 to 2"),
    ("norm(layers=last4)", "there are 3 layers, 0 to 2"),
    ("conv_lora(layers=2)", "there are 2 sites, 0 to 1"),
    ("layer_mix(corpora=tess)", "every corpus needs it"),
])
def test_impossible_on_a_transformer(spec, words, make_model):
    with pytest.raises(ConfigError, match=words):
        make_model(adapters=parse_spec(spec), backbone=WHISPER, normalisation="none")


def test_roles_that_a_cut_encoder_has_none_of_are_not_offered(make_model):
    with pytest.raises(ConfigError, match="no site 'query'. Choices: conv, states. It can sit at "
                                          "none"):
        make_model(adapters=["lora"], backbone={**WHISPER, "layer": 0}, normalisation="none")


def test_an_attention_without_room_for_a_prefix_is_refused():
    assert "no further keys and values" in ADAPTERS["prefix"].accepts(
        nn.MultiheadAttention(4, 2))


def test_one_line_composes_and_set_reaches_in():
    settings = {"adapters": parse_spec(
        "bottleneck(width=5)+lora(rank=8,where=query|value)+weighted_sum+gate")}
    assign(settings, "adapters.lora.rank=2")
    assign(settings, "adapters.gate.layers=last1")
    found = complete(ModelSettings(**settings)).adapters
    assert [item["name"] for item in found] == ["bottleneck", "lora", "weighted_sum", "gate"]
    assert found[1]["rank"] == 2 and found[1]["where"] == ["query", "value"]
    with pytest.raises(ConfigError, match="has no 'dora'. Did you mean 'lora'"):
        assign(settings, "adapters.dora.rank=2")


def test_each_adapter_sits_where_it_says(make_model):
    model = make_model(backbone=WHISPER, normalisation="none", adapters=parse_spec(
        "bottleneck(width=5,layers=1-2)+lora(where=key|ffn_out,layers=0)+gate(corpora=tess)"))
    sites = {name: sorted(group) for name, group in model.part("tess").adapters.items()}
    assert sites == {
        "bottleneck": ["layers/1", "layers/2"],
        "lora": ["layers/0/fc2", "layers/0/self_attn/k_proj"],
        "gate": ["layers/0", "layers/1", "layers/2"]}
    assert "gate" not in model.part("emodb").adapters


@pytest.mark.parametrize("spec, layers, n_others", [
    ("norm(layers=last2)", {1: 2, 2: 2}, 0), ("norm(layers=0)", {0: 2}, 0),
    ("bias(layers=last1)", {2: 7}, 0), ("bias(layers=1,where=norm|ffn_out)", {1: 3}, 0),
    ("conv_lora(layers=0)", {}, 1), ("lora(layers=0-1,where=all)", {0: 6, 1: 6}, 0)])
def test_layers_are_those_of_a_transformer_whatever_sits_in_them(spec, layers, n_others,
                                                                 make_model):
    model = make_model(backbone=WHISPER, normalisation="none", adapters=parse_spec(spec))
    (group,) = model.part("tess").adapters.values()
    numbers = [model.backbone.layer_of(key.replace("/", ".")) for key in group]
    assert {number: numbers.count(number) for number in numbers if number is not None} == layers
    assert numbers.count(None) == n_others


def test_layers_of_a_residual_network_are_its_sites_in_depth(make_model):
    model = make_model(adapters=parse_spec("norm(layers=last2)"))
    sites = [site.replace(".", "/") for site in model.backbone.sites()["norm"]]
    assert list(model.part("tess").adapters["norm"]) == sites[-2:]


@pytest.mark.parametrize("spec, words", [
    ("layer_mix", "adapter layer_mix: it takes the states themselves, so that layer=mean would do "
     "nothing .readout..$"),
    ("weighted_sum(start=last)", "start=last is the last state, and layer=mean of the backbone")])
def test_a_mean_of_all_layers_beside_what_mixes_them_is_refused(spec, words, make_model):
    with pytest.raises(ConfigError, match=words):
        make_model(adapters=parse_spec(spec), backbone={**WHISPER, "layer": "mean"},
                   normalisation="none")


def test_a_weighted_sum_on_a_base_of_the_mean_starts_as_it(make_model, make_batch):
    settings = {"backbone": {**WHISPER, "layer": "mean"}, "normalisation": "none"}
    base = make_model({"emodb": "abc"}, **settings).eval()
    model = make_model({"emodb": "abc"}, adapters=["weighted_sum"], **settings).eval()
    assert start_from(model, base) == {"emodb": "copied"}
    batch = make_batch()
    torch.testing.assert_close(model(batch), base(batch), atol=1e-5, rtol=1e-5)


def test_layer_mix_gives_the_head_its_own_width(make_model):
    spec = [{"name": "layer_mix", "width": 7, "corpora": ["tess"]}]
    model = make_model(backbone=WHISPER, normalisation="none", adapters=spec,
                       shared_pooling=False)
    assert model.part("tess").head.in_features == 7
    assert model.part("emodb").head.in_features == 12
