"""A merged model scores as the unmerged one."""

import pytest
import torch

from emokit.models.budget import budget
from emokit.models.merging import merge

SPECS = {
    "none": [],
    "norm": ["norm"],
    "low rank": ["residual"],
    "full": [{"name": "residual", "rank": "full", "start": "he"}],
    "rank 2": [{"name": "residual", "rank": 2}],
    "series": [{"name": "residual", "kind": "series", "start": "he"}],
    "low-rank series": [{"name": "residual", "kind": "series", "rank": 1}],
    "shared norms": [{"name": "residual", "norm": "shared"}],
}


@pytest.mark.parametrize("spec", list(SPECS))
@pytest.mark.parametrize("n_samples", [9000, 9300, 1])  # 36 and 37 frames, and one
@pytest.mark.parametrize("stem_stride", [1, 2])
def test_merged_equals_unmerged(spec, n_samples, stem_stride, make_model, make_batch, shake):
    backbone = {"name": "resnet", "width": 4, "blocks": 2, "stem_stride": stem_stride}
    for bands in (64, 61):
        model = make_model(adapters=SPECS[spec], backbone=backbone,
                           frontend={"name": "logmel", "bands": bands})
        shake(model, 0.03).eval()
        batch = make_batch(lengths=(n_samples, max(1, n_samples // 2)))
        expected = model(batch)
        scale = max(1, float(expected.detach().abs().max()))
        for fold_norms in (False, True):
            merged = merge(model, "emodb", fold_norms)
            assert (merged(batch) - expected).abs().max() <= 1e-5 * scale
        assert torch.equal(model(batch), expected)


def test_merged_model_is_an_ordinary_single_model(make_model, make_batch, shake):
    model = shake(make_model(adapters=["residual"], shared_pooling=False)).eval()
    merged = merge(model, "tess")
    assert merged.corpora == ("tess",) and merged.settings.adapters == []
    plain = make_model({"tess": "abcd"}, shared_pooling=False).eval()
    plain.load_checkpoint_state(merged.state_for_checkpoint())
    batch = make_batch("tess")
    assert torch.equal(plain(batch), merged(batch))
    assert budget(merged)["ratio"] == 1
