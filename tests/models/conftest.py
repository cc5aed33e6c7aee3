"""Small models and batches."""

import pytest
import torch

from emokit.loading.batch import Batch
from emokit.models.model import EmotionModel
from emokit.models.settings import ModelSettings

TINY = {"name": "resnet", "width": 4, "blocks": 1}


@pytest.fixture(autouse=True)
def seeded():
    """Make every draw of a test its own."""
    torch.manual_seed(0)


@pytest.fixture
def make_model():
    """Give a function from settings to a tiny model with two corpora."""
    def make(labels=None, **settings):
        settings.setdefault("backbone", TINY)
        return EmotionModel(
            ModelSettings(**settings), labels or {"emodb": "abc", "tess": "abcd"})

    return make


@pytest.fixture
def make_batch():
    """Give a function to a padded batch whose padding is random."""
    def make(corpus="emodb", lengths=(9000, 5000, 300), samples=None):
        size = max(lengths) if samples is None else samples
        return Batch(torch.randn(len(lengths), size) / 10, torch.tensor(lengths), corpus)

    return make


@pytest.fixture
def shake():
    """Give a function that moves all weights and statistics away from their start."""
    def shake_(module, scale=0.1):
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.add_(torch.randn_like(parameter) * scale)
            for name, buffer in module.named_buffers():
                if name.endswith("running_mean"):
                    buffer.normal_(0, 0.3)
                if name.endswith("running_var"):
                    buffer.uniform_(0.5, 2)
        return module

    return shake_
