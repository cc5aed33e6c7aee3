"""Experiments in small, fitted once: a grid, and the paper's table with guard and chosen bases."""

import pytest

from emokit.experiments.config import ExperimentConfig
from emokit.experiments.run import run_experiment

TINY = ("backbone.width=4", "backbone.blocks=1", "backbone.stem_stride=2", "frontend.bands=16")
FEW = {"epochs": 1, "batch_size": 8, "device": "cpu"}


@pytest.fixture(scope="session")
def experiments(tmp_path_factory):
    """Folder with runs/ and reports/ of the experiments below."""
    return tmp_path_factory.mktemp("experiments")


@pytest.fixture(scope="session")
def run(emoset, experiments):
    """Run an experiment on the two tiny corpora and give its report."""
    def call(what, folder=None, options=None, sets=(), **flags):
        folder = folder or experiments
        words = {} if str(what).endswith(".yaml") else FEW
        return run_experiment(str(what), emoset, folder / "runs", folder / "reports",
                              ExperimentConfig(**(options or {})), draws=200,
                              flags={**words, "device": "cpu", **flags},
                              sets=[*(TINY if words else ()), *sets])

    return call


@pytest.fixture(scope="session")
def emonet(run, experiments):
    """The paper's table over the tiny corpora: four regimes, two seeds, default partitions."""
    options = {"regimes": ["scratch", "single-adapters", "joint", "joint+adapters"],
               "guard": True}
    report = run("emonet", options=options, seeds=[0, 1], folds="none")
    assert not report.failures
    return report
