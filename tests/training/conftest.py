"""A tiny emoset and settings that fit in seconds."""

import pytest

from emokit.testing import tiny_emoset

TINY = ("backbone.width=4", "backbone.blocks=1", "backbone.stem_stride=2", "frontend.bands=16")


@pytest.fixture(scope="session")
def emoset(tmp_path_factory):
    """Two tiny corpora, built by production code."""
    return tiny_emoset(tmp_path_factory.mktemp("tiny"), ("emodb", "ravdess"), n_speakers=5,
                       per_class=2)


@pytest.fixture
def configure():
    """Give (config, explicit) of a tiny model for flags by name."""
    from emokit.training.settings import resolve

    def make(*sets, **flags):
        return resolve({"epochs": 2, "batch_size": 8, "device": "cpu", **flags}, [*TINY, *sets])

    return make


@pytest.fixture
def fit(emoset, tmp_path, configure):
    """Train into tmp_path/runs and give the group."""
    from emokit.training.train import train

    def run(*sets, **flags):
        config, explicit = configure(*sets, **flags)
        return train(config, explicit, emoset, tmp_path / "runs")[0]

    return run
