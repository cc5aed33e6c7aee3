"""Adapters on published weights: they start from them, and merge into them."""

from pathlib import Path

import pytest
import torch

from emokit.core.config import parse_spec
from emokit.loading.batch import Batch
from emokit.models.merging import merge
from emokit.models.model import EmotionModel
from emokit.models.settings import ModelSettings, complete

pytestmark = pytest.mark.models


def model_on(path, spec=""):
    settings = complete(ModelSettings(backbone={"name": "hf", "path": str(path)},
                                      normalisation="none", pooling="average",
                                      adapters=parse_spec(spec)))
    torch.manual_seed(1)
    model = EmotionModel(settings, {})
    model.backbone.load_start()
    model.add_corpus("emodb", "abcd")
    return model.eval()


@pytest.fixture(scope="module")
def whisper(real_models):
    return Path(real_models) / "whisper_tiny_en_encoder"


@pytest.fixture
def batch():
    inputs = torch.randn(2, 16_000) / 20
    inputs[1, 9000:] = 0
    return Batch(inputs, torch.tensor([16_000, 9000]), "emodb")


def test_adapters_start_from_what_the_encoder_gives(whisper, batch):
    with torch.inference_mode():
        base = model_on(whisper).encode(batch)[0]
        adapted = model_on(whisper, "bottleneck+lora(where=all)+dora+ia3+bias+gate"
                           "+conv_lora+weighted_sum(start=last)")
        assert (adapted.encode(batch)[0] - base).abs().max() <= 1e-5 * base.abs().max()


def test_they_merge_into_its_weights(whisper, batch, shake):
    model = model_on(whisper, "norm+lora(where=all)+dora(where=key)+ia3+bias+conv_lora")
    shake(model.part("emodb").adapters, 0.01)
    with torch.inference_mode():
        expected = model(batch)
        merged = merge(model, "emodb")(batch)
        assert (merged - expected).abs().max() <= 1e-4 * max(1.0, float(expected.abs().max()))
        assert (model_on(whisper)(batch) - expected).abs().max() > 1e-3
