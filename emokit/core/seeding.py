"""One seed, many independent generators, each named after its purpose."""

from __future__ import annotations

import hashlib
import random

import numpy as np


def derive(seed: int, *names: object) -> int:
    """Derive a 63-bit seed from a seed and the names of its purpose.

    Hashing keeps the streams independent: a new draw for one purpose moves no other.
    """
    text = "\x1f".join([str(seed), *map(str, names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, *names: object) -> np.random.Generator:
    """Make the NumPy generator of one purpose, e.g. `generator(0, "crop", epoch)`."""
    return np.random.default_rng(derive(seed, *names))


def torch_generator(seed: int, *names: object, device: str = "cpu"):
    """Make the torch generator of one purpose on a device."""
    import torch

    return torch.Generator(device=device).manual_seed(derive(seed, *names))


def seed_everything(seed: int) -> None:
    """Seed the global generators too, for libraries that draw from them (weight initialisation)."""
    import torch

    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
