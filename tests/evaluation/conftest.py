import numpy as np
import pandas as pd
import pytest

from emokit.evaluation.predictions import Predictions
from emokit.evaluation.systems import collect

LABELS = ("anger", "happiness", "neutral", "sadness")


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def predicted():
    """Makes predictions: each truth is hit with probability `accuracy`, else another class."""

    def make(rng, corpus="emodb", speakers=12, each=20, accuracy=0.6, labels=LABELS, seed=0,
             probabilities=True):
        n, k = speakers * each, len(labels)
        truth = np.arange(n) % k
        answer = np.where(rng.random(n) < accuracy, truth,
                          (truth + rng.integers(1, k, n)) % k)
        names = np.array(labels, object)
        table = {"utterance": [f"{corpus}/{i:05d}" for i in range(n)],
                 "speaker": [f"{corpus}/{i // each:02d}" for i in range(n)],
                 "truth": names[truth], "prediction": names[answer]}
        if probabilities:
            shares = rng.dirichlet(np.ones(k), n)
            table |= {f"p_{label}": shares[:, i] for i, label in enumerate(labels)}
        return Predictions(corpus, "test", tuple(labels), pd.DataFrame(table), seed)

    return make


@pytest.fixture
def system(predicted):
    """Makes a system over corpora {name: (speakers, accuracy)} and seeds."""

    def make(name, corpora, seeds=1, start=0, facts=None, **settings):
        return collect(name, [
            predicted(np.random.default_rng([start, index, seed]), corpus, speakers,
                      accuracy=accuracy, seed=seed, **settings)
            for index, (corpus, (speakers, accuracy)) in enumerate(corpora.items())
            for seed in range(seeds)
        ], facts)

    return make
