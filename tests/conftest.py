"""What all tests share: a seeded generator, quiet threads, and where the real corpora are."""

import os

import numpy as np
import pytest

# two cores are shared with worker processes; more threads only fight
os.environ.setdefault("OMP_NUM_THREADS", "2")


@pytest.fixture
def rng():
    """One seeded generator per test."""
    return np.random.default_rng(20261121)


@pytest.fixture(scope="session")
def real_corpora():
    """Folder of real recordings; the test is skipped where there is none."""
    root = os.environ.get("EMOKIT_CORPORA")
    if not root:
        pytest.skip("EMOKIT_CORPORA is not set")
    return root
