"""Starting from a base."""

import pytest
import torch

from emokit.core.config import parse_spec
from emokit.core.errors import ConfigError
from emokit.loading.batch import Batch
from emokit.models.starting import start_from

FULL = [{"name": "residual", "rank": "full"}]


@pytest.mark.parametrize("base_adapters, adapters, how", [
    ([], [], "copied"), ([], ["residual"], "copied"), (["norm"], ["residual"], "copied"),
    (["residual"], ["residual"], "copied"), (["residual"], [], "merged"), (FULL, ["residual"],
                                                                           "merged"),
    (["norm"], [], "merged"), (["residual"], [{"name": "residual", "kind": "series"}], "merged"),
])
@pytest.mark.parametrize("shared", [True, False])
def test_known_corpus_starts_where_it_was(base_adapters, adapters, how, shared, make_model,
                                          make_batch, shake):
    base = shake(make_model(adapters=base_adapters, shared_pooling=shared), 0.05).eval()
    base.set_normalisation("emodb", torch.randn(64), torch.rand(64) + 1)
    before = {key: value.clone() for key, value in base.state_dict().items()}
    model = make_model({"emodb": "abc"}, adapters=adapters).eval()
    assert start_from(model, base) == {"emodb": how}
    batch = make_batch()
    torch.testing.assert_close(model(batch), base(batch), atol=1e-4, rtol=1e-4)
    assert all(torch.equal(value, before[key]) for key, value in base.state_dict().items())


@pytest.mark.parametrize("base_adapters", [["norm"], FULL, ["residual"]])
def test_new_corpus_starts_from_the_average_model(base_adapters, make_model, make_batch, shake):
    base = shake(make_model(adapters=base_adapters), 0.05).eval()
    model = make_model({"new": "xy"}, adapters=["residual"]).eval()
    assert start_from(model, base) == {"new": "mean"}
    base.recentre()
    base.add_corpus("new", "xy", copy_from="mean")
    base.eval()
    batch = make_batch()
    batch = Batch(batch.inputs, batch.lengths, "new")
    torch.testing.assert_close(model.embed(batch), base.embed(batch), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("labels", [{"emodb": "abc"}, None])
def test_adapters_of_a_site_are_not_copied_into_another_order(labels, make_model, make_batch,
                                                              shake):
    both = parse_spec("bottleneck(width=3)+gate")
    base = shake(make_model(adapters=both)).eval()
    same = make_model(labels, adapters=parse_spec("bottleneck(width=3)+residual+gate")).eval()
    assert start_from(same, base)["emodb"] == "copied"
    batch = make_batch()
    torch.testing.assert_close(same(batch), base(batch), atol=1e-4, rtol=1e-4)
    with pytest.raises(ConfigError, match="of corpus 'emodb' that this model has no place for"):
        start_from(make_model(labels, adapters=both[::-1]), base)


def test_head_comes_along_only_for_the_same_classes(make_model):
    base = make_model({"emodb": "abc"})
    same, other = make_model({"emodb": "abc"}), make_model({"emodb": "acb"})
    start_from(same, base), start_from(other, base)
    head = base.part("emodb").head.weight
    assert torch.equal(same.part("emodb").head.weight, head)
    assert not torch.equal(other.part("emodb").head.weight, head)


def test_unfitting_bases_are_errors(make_model):
    with pytest.raises(ConfigError, match="The base has backbone"):
        start_from(make_model(backbone={"name": "resnet", "width": 2}), make_model())
    with pytest.raises(ConfigError, match="The base has frontend"):
        start_from(make_model(frontend={"name": "logmel", "bands": 32}), make_model())
    with pytest.raises(ConfigError, match="The base has pooling"):
        start_from(make_model(pooling="average"), make_model())
    with pytest.raises(ConfigError, match="no place for"):
        start_from(make_model(), make_model(adapters=["residual"]))
