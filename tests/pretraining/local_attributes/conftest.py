"""A tiny encoder, tiny settings, and states made up in memory."""

import dataclasses

import numpy as np
import pytest
import torch

from emokit.pretraining.local_attributes.branches import Branches
from emokit.pretraining.local_attributes.config import resolve
from emokit.pretraining.local_attributes.data import FrameSet
from emokit.training.frozen import States

SIZES = {"width": 8, "hidden": 12, "depth": 2, "heads": 2, "attributes": [4], "mask_span": 3,
         "batch_seconds": 2.0, "epochs": 2, "learning_rate": 2e-3, "device": "cpu"}


@dataclasses.dataclass
class Site:
    """What of an encoder's readout matters."""

    site_width: int = 6
    n_states: int = 3


@pytest.fixture
def settle(folders):
    """Give settings of a tiny pre-training; `None` leaves a setting at its default."""
    def make(*sets, **flags):
        named = {**SIZES, "backbone": f"hf:{folders('whisper')}", **flags}
        return resolve({key: value for key, value in named.items() if value is not None}, sets)

    return make


@pytest.fixture
def branches(settle):
    """Give a function from settings to branches on states of six numbers."""
    def make(*sets, **flags):
        torch.manual_seed(0)
        return Branches(Site(), settle(*sets, **flags))

    return make


class Corpus:
    """A corpus of which only the names of its utterances matter."""

    def __init__(self, n):
        import pandas as pd

        self.manifest = pd.DataFrame({"utterance": [f"made/{index}" for index in range(n)]})


class Made:
    """A source of such a corpus."""

    def __init__(self, n):
        self.corpus = Corpus(n)


@pytest.fixture
def make_frames():
    """Give a function from lengths to crops of random states of six numbers."""
    def make(lengths, seed=0, samples_each=320):
        lengths = np.asarray(lengths, np.int64)
        values = np.random.default_rng(seed).normal(size=(lengths.sum(), 6)).astype(np.float16)
        n = len(lengths)
        crops = np.stack([np.arange(n), np.zeros(n, int), lengths * samples_each], 1)
        states = States("made", "last", np.arange(n), crops, lengths, values)
        return FrameSet([Made(n)], [states])

    return make
