"""Tiny encoders in folders, and settings that fit in a second."""

import json

import pytest
import torch
from safetensors.torch import save_file

from emokit.models.backbones.hf import HuggingFace, HuggingFaceConfig
from emokit.pretraining.config import ContrastiveConfig, resolve
from emokit.pretraining.contrastive import Contrastive
from emokit.testing import TINY_TRANSFORMERS

SIZES = ContrastiveConfig(negatives=5, entries=8, code_dim=12, projection_dim=10)


def write_folder(path, kind, quantiser=False):
    """Write a tiny encoder with random weights as the transformers library lays it out."""
    torch.manual_seed(1)
    shape = TINY_TRANSFORMERS[kind]
    encoder = HuggingFace(HuggingFaceConfig(architecture=shape))
    tensors = dict(encoder.state_dict())
    if quantiser:
        tensors = {f"wav2vec2.{name}": tensor for name, tensor in tensors.items()}
        tensors |= Contrastive(shape["conv_dim"][-1], encoder.dim, SIZES).state_dict()
    path.mkdir(parents=True, exist_ok=True)
    (path / "config.json").write_text(json.dumps({**shape, "num_codevector_groups": 2}))
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()},
              path / "model.safetensors")
    return path


@pytest.fixture(scope="session")
def folders(tmp_path_factory):
    """Give a function from a kind of encoder to its folder."""
    base, made = tmp_path_factory.mktemp("encoders"), {}

    def folder(kind="wav2vec2", quantiser=False):
        key = (kind, quantiser)
        if key not in made:
            made[key] = write_folder(base / f"{kind.replace(' ', '_')}{quantiser:d}", *key)
        return made[key]

    return folder


TINY = ("contrastive.negatives=5", "contrastive.entries=8", "contrastive.code_dim=12",
        "contrastive.projection_dim=10")


@pytest.fixture(scope="session")
def settle():
    """Give settings of a tiny pre-training."""
    def make(folder, *sets, kind="tapt", **flags):
        return resolve(kind, {
            "backbone": f"hf:{folder}", "steps": 4, "every": 2, "batch_seconds": 3.0,
            "corpora": ["emodb", "ravdess"], "clusters": [6], "teacher": "mfcc", "device": "cpu",
            "held_out": 0.34, "learning_rate": 1e-3, **flags}, [*TINY, *sets])

    return make
