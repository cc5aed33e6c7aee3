"""Embeddings of a frozen encoder that others trained, from a file of the user's."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch

from emokit.core.config import knob
from emokit.core.errors import CheckpointError
from emokit.core.files import file_digest
from emokit.models.backbones import BACKBONES
from emokit.models.pretrained import read_weights, weights_file


class Embedding:
    """Mean plus maximum over time of a frozen encoder, named as `embedding:PATH`.

    PATH is a file (.safetensors, .npz, .pth) or a folder with one such file; the encoder is the
    backbone that recognises its tensors: `byols`, 512 numbers.

    Source:
        Scheidwasser-Clow et al. 2022 (SERAB), as BYOL-S embeds an utterance.
    """

    slow = True
    library = "torch"
    classifier = "logistic"

    @dataclasses.dataclass(frozen=True)
    class Config:
        """Settings of an embedding."""

        path: str = knob(help="File of weights, or a folder that holds one: embedding:PATH.")

    def __init__(self, config: Config):
        self.config = config
        self.file = weights_file(config.path)
        weights = read_weights(self.file)
        known = [cls for cls in map(BACKBONES.__getitem__, BACKBONES) if cls.recognises(weights)]
        if not known:
            raise CheckpointError(
                f"'{self.file}' holds weights of no encoder that emokit knows as an embedding "
                f"(known: {', '.join(name for name in BACKBONES if _is_encoder(name))}). To go on "
                "from a model that emokit trained use 'emokit train --init'."
            )
        self.backbone = known[0].of_weights(weights)

    @property
    def dim(self) -> int:
        """Numbers per utterance."""
        return self.backbone.dim

    def identity(self) -> str:
        """Give the hash of the weights, so that a moved file is the same and another is not."""
        return file_digest(self.file)

    def __call__(self, waveform: np.ndarray) -> np.ndarray:
        """Embed one utterance, [S] float32 in [-1, 1] at 16 kHz, as [dim] float32."""
        with torch.inference_mode():
            inputs = torch.from_numpy(np.array(waveform, np.float32))[None]
            frames, _ = self.backbone(inputs, torch.tensor([inputs.shape[1]]))
            return (frames.mean(1) + frames.amax(1))[0].numpy()


def _is_encoder(name: str) -> bool:
    return "recognises" in vars(BACKBONES[name])
