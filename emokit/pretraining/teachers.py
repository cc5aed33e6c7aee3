"""Whose frames are clustered: spectra, the encoder as it starts, another encoder, a trained model.

Each gives frames of whole utterances; the loop finds the one nearest in time to a frame of the
encoder that learns.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from emokit.core.config import parse_spec, signature
from emokit.core.errors import ConfigError, choices, culprits
from emokit.core.files import file_digest
from emokit.features.logmel import LogMel, LogMelConfig
from emokit.loading.dataset import collate
from emokit.loading.source import POOLED, Source
from emokit.models.backbones import BACKBONES
from emokit.training.predict import batches, crops_of, place

log = logging.getLogger("emokit")

SPECTRA = ("logmel", "mfcc")
SELF = "self"
_BANDS, _CEPSTRA = 40, 13


@dataclasses.dataclass(frozen=True)
class Spectra:
    """Log-mel energies or MFCCs with their first and second slopes.

    Args:
        kind: `logmel` [40] or `mfcc` [39].
        width, hop: samples of the window and from frame to frame, those of the encoder, so that
            frames are the same in number and place.

    Source:
        HuBERT (Hsu et al. 2021) clusters 39 MFCCs first. Slopes are regressions over five
        frames, ends repeated.
    """

    kind: str
    width: int
    hop: int

    @property
    def signature(self) -> str:
        """Short name of all that the frames depend on."""
        return signature([self.kind, self.width, self.hop, _BANDS, _CEPSTRA])

    def frames(self, source: Source, rows: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """Give (row, frames [T, F] float32) of each row, longest first."""
        front_end = LogMel(LogMelConfig(n_fft=self.width, hop=self.hop, bands=_BANDS,
                                        center=False))
        audio = source.corpus.audio
        for some in batches(crops_of(audio.lengths[rows], None, "whole")):
            batch = collate([audio.read(int(rows[crop[0]])) for crop in some], source.name)
            with torch.inference_mode():
                values, lengths = front_end(batch.inputs, batch.lengths)
            for crop, own, length in zip(some, values, lengths.tolist()):
                own = own[:length]
                if self.kind == "mfcc":
                    own = _with_slopes(own @ _cosines(_BANDS, _CEPSTRA))
                yield int(rows[crop[0]]), own.numpy()


def _cosines(bands: int, n: int) -> Tensor:
    """Give the first n columns of the orthonormal discrete cosine transform (II), [bands, n]."""
    place = (torch.arange(bands, dtype=torch.float64) + 0.5)[:, None]
    basis = torch.cos(torch.pi / bands * place * torch.arange(n)) * (2 / bands) ** 0.5
    basis[:, 0] *= 0.5 ** 0.5
    return basis.float()


def _with_slopes(frames: Tensor) -> Tensor:
    """Add slopes and slopes of slopes to frames [T, F], giving [T, 3 F]."""
    def slope(values: Tensor) -> Tensor:
        padded = torch.cat([values[:1]] * 2 + [values] + [values[-1:]] * 2)
        size = len(values)
        return sum(step * (padded[2 + step:2 + step + size] - padded[2 - step:2 - step + size])
                   for step in (1, 2)) / 10

    first = slope(frames)
    return torch.cat([frames, first, slope(first)], 1)


@dataclasses.dataclass(frozen=True)
class States:
    """The frames that a frozen model gives before its pooling; kept on disk beside the corpus.

    Args:
        model: an EmotionModel, on its device.
        signature: short name of all that the frames depend on.
        head: the part of the model that hears them, or None for the corpus's own.
    """

    model: Any
    signature: str
    head: str | None = None

    def frames(self, source: Source, rows: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """Give (row, frames [T, D]) of each row."""
        from emokit.training.states import states

        source = dataclasses.replace(source, head=self.head or source.name)
        found = states(self.model, source, rows, None, "whole", level="frames")
        for number, (index, _, _) in enumerate(found.crops):
            start, stop = found.offsets[number:number + 2]
            yield int(rows[index]), np.asarray(found.values[start:stop], np.float32)


def teacher_identity(spec: str, runs: Path) -> Any:
    """Give what a teacher's name means, for a signature: weights by their bytes.

    Raises:
        ConfigError: nothing of that name.
    """
    from emokit.training.checkpoint import find
    from emokit.training.start import weights_identity

    if _is_cell(spec):
        return file_digest(find(runs, spec))
    item = _item(spec)
    if item["name"] in (*SPECTRA, SELF):
        return item
    weights = weights_identity(item)
    return item if weights is None else {**item, "path": weights}


def _is_cell(spec: str) -> bool:
    return "/" in spec and ":" not in spec and "(" not in spec


def _item(spec: str) -> dict[str, Any]:
    item, *more = parse_spec(spec) or [{"name": ""}]
    known = (SELF, *SPECTRA, *BACKBONES)
    if more or item["name"] not in known:
        raise ConfigError(f"teacher is '{spec}', which names no one teacher. "
                          f"{choices(item['name'], known)} Or a trained model as GROUP/CELL.")
    return item


def make_teacher(spec: str, encoder, backbone: Mapping[str, Any], sources: Sequence[Source],
                 runs: Path, device) -> Spectra | States:
    """Make the teacher that a setting names.

    Args:
        encoder: the encoder that learns, for its frames.
        backbone: its settings.

    Raises:
        ConfigError: nothing of that name, no weights, or weights that are random.
        CheckpointError: a trained model that saw dev or test, or does not know a corpus.
    """
    if _is_cell(spec):
        return _trained(spec, sources, runs, device)
    item = _item(spec)
    if item["name"] in SPECTRA:
        if len(item) > 1:
            raise ConfigError(f"teacher is '{spec}', but '{item['name']}' has no settings.")
        return Spectra(item["name"], encoder.shortest, encoder.hop)
    if item["name"] == SELF:
        item = {**backbone, **{key: value for key, value in item.items() if key != "name"}}
        hint = ("teacher is 'self', but the encoder starts from random weights, which teach "
                "nothing. Take teacher=mfcc.")
    else:
        hint = (f"teacher is '{spec}', which names no weights, and random ones teach nothing. "
                f"Choose {', '.join(SPECTRA)}, hf:FOLDER, byols:FILE or GROUP/CELL.")
    if not item.get("path"):
        raise ConfigError(hint)
    return _pretrained(item, sources, device)


def _pretrained(item: Mapping[str, Any], sources: Sequence[Source], device) -> States:
    from emokit.models.model import EmotionModel
    from emokit.models.settings import ModelSettings, complete
    from emokit.training.states import encoder_signature

    settings = complete(ModelSettings(backbone=dict(item), normalisation="none",
                                      pooling="average"))
    model = EmotionModel(settings, {})
    model.backbone.load_start()
    for source in sources:
        # of the head nothing is used
        model.add_corpus(source.name, ("a", "b"))
    place(model, device).eval()
    return States(model, encoder_signature(model, sources[0].name, "frames"))


def _trained(spec: str, sources: Sequence[Source], runs: Path, device) -> States:
    from emokit.training import checkpoint
    from emokit.training.start import refuse_leaks
    from emokit.training.states import encoder_signature

    model, found = checkpoint.load(checkpoint.find(runs, spec))
    refuse_leaks(found, sources)
    pooled = model.corpora == (POOLED,)
    unknown = [source.name for source in sources if source.name not in model.corpora]
    if unknown and not pooled:
        raise ConfigError(f"The teacher '{found.path}' does not know {culprits(unknown)}. Choose "
                          f"among {culprits(model.corpora, 30)} with --corpora, or another "
                          "teacher.")
    log.warning("The teacher '%s' learnt from labels of train. Where labels are to be saved, as in "
                "active learning, this gives away those it saw.", found.path)
    place(model, device).eval()
    heads = [POOLED] if pooled else [source.name for source in sources]
    return States(model, signature([encoder_signature(model, head, "frames") for head in heads]),
                  POOLED if pooled else None)
