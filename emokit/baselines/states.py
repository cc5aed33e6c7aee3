"""A linear probe of a frozen speech transformer: mean and deviation of the best layer's states."""

from __future__ import annotations

import dataclasses
import hashlib
import logging

import numpy as np
import torch

from emokit.baselines import fitting
from emokit.baselines.config import BaselineConfig
from emokit.core.config import knob
from emokit.core.errors import ConfigError
from emokit.corpora.store import RATE
from emokit.loading.source import Source
from emokit.models.backbones import BACKBONES
from emokit.training.predict import on_own_answers
from emokit.training.selection import figures

log = logging.getLogger("emokit")

BACKBONES_WITH_STATES = ("hf", "torchaudio")

PIECE = 15 * RATE
"""Samples that run at once, those of the recipe for transformers; longer utterances run in pieces
of equal length, and the statistics are over the frames of all."""


class States:
    """Mean and standard deviation over time of the states of each layer, named as `states:PATH`.

    The linear model is fitted to each layer alone, and the layer with the best dev UAR (of
    dimensions, the best mean CCC) stays; ties go to the lower one.

    Source:
        Layer-wise linear probes as in Pasad et al. 2021, "Layer-wise analysis of a self-supervised
        speech representation model"; the deviation beside the mean and the choice on dev are
        emokit's.
    """

    slow = True
    library = "torch"
    classifier = "logistic"

    @dataclasses.dataclass(frozen=True)
    class Config:
        """Settings of a probe."""

        path: str = knob(help="A pretrained speech transformer, as --backbone names it: "
                              "states:hf:PATH_OR_ID or states:torchaudio:BUNDLE; states:PATH is "
                              "short for states:hf:PATH.")

    def __init__(self, config: Config):
        self.config = config
        name, _, path = config.path.partition(":")
        if name not in BACKBONES:
            name, path = "hf", config.path
        if name not in BACKBONES_WITH_STATES:
            raise ConfigError(f"'states:{config.path}': '{name}' has no states of layers. Name a "
                              "speech transformer, states:hf:PATH_OR_ID, or take embedding:PATH.")
        cls = BACKBONES[name]
        self.backbone = cls(cls.Config(path=path))
        self.backbone.load_start()
        self.backbone.eval()
        self._identity = ""

    @property
    def dim(self) -> int:
        """Numbers per utterance."""
        return self.backbone.n_states * self.layer_dim

    @property
    def layer_dim(self) -> int:
        """Numbers per utterance and layer."""
        return 2 * self.backbone.dim

    def identity(self) -> str:
        """Give the hash of the weights, so that a moved folder is the same and another is not."""
        if not self._identity:
            digest = hashlib.sha256()
            for name, tensor in sorted(self.backbone.state_dict().items()):
                digest.update(f"{name} {tuple(tensor.shape)}".encode())
                digest.update(tensor.contiguous().numpy().tobytes())
            self._identity = digest.hexdigest()
        return self._identity

    def __call__(self, waveform: np.ndarray) -> np.ndarray:
        """Describe one utterance, [S] float32 in [-1, 1] at 16 kHz, as [dim] float32."""
        n_pieces = max(1, -(-len(waveform) // PIECE))
        found = []
        with torch.inference_mode():
            for piece in np.array_split(np.array(waveform, np.float32), n_pieces):
                inputs = torch.from_numpy(piece)[None]
                found.append(self.backbone.states(inputs, torch.tensor([inputs.shape[1]]))[0][0])
            states = torch.cat(found, 1)  # [N, T, D]
            return torch.cat([states.mean(1), states.std(1, correction=0)], 1).flatten().numpy()

    def fit(self, source: Source, parts: dict[str, np.ndarray], config: BaselineConfig
            ) -> tuple[fitting.Models, fitting.Models]:
        """Fit as `fitting.fit` to each layer, and keep the best; the others' weights are 0."""
        best = None
        for layer in range(self.backbone.n_states):
            columns = slice(layer * self.layer_dim, (layer + 1) * self.layer_dim)
            chosen, fitted = fitting.fit(
                source, {name: values[:, columns] for name, values in parts.items()}, config)
            score = figures(source, on_own_answers(
                source, "dev", chosen.answers(parts["dev"][:, columns])))["score"]
            if best is None or score > best[0]:
                best = score, layer, columns, chosen, fitted
        score, layer, columns, *models = best
        log.info("%s: layer %d of 0 to %d is the best on dev, %.3f", source.name, layer,
                 self.backbone.n_states - 1, score)
        return tuple(_widened(model, columns, self.dim) for model in models)


def _widened(models: fitting.Models, columns: slice, dim: int) -> fitting.Models:
    """Give models that take the features of all layers and heed those of one."""
    def wide(model):
        if model is None:
            return None
        changes = {}
        for name, rest in (("mean", 0.0), ("scale", 1.0), ("median", 0.0), ("weight", 0.0)):
            values = getattr(model, name)
            shape = (*values.shape[:-1], dim)
            changes[name] = np.full(shape, rest)
            changes[name][..., columns] = values
        return dataclasses.replace(model, **changes)

    return fitting.Models(wide(models.classes), wide(models.dimensions))
