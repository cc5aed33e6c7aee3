"""Training into a folder of the test's own, where it changes what it finds there."""

import pytest


@pytest.fixture
def fit(emoset, tmp_path, configure):
    """Train into tmp_path/runs and give the group."""
    from emokit.training.train import train

    def run(*sets, **flags):
        return train(*configure(*sets, **flags), emoset, tmp_path / "runs")[0]

    return run
