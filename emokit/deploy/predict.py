"""Emotions of any audio file."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from emokit.audio.read import read_int16
from emokit.core.errors import CheckpointError, ConfigError, EmokitError, choices
from emokit.corpora.words import canonical
from emokit.corpora.parsers.names import AUDIO
from emokit.corpora.store import RATE
from emokit.loading.source import POOLED
from emokit.training import checkpoint
from emokit.training.predict import crop_answers, place
from emokit.training.run import find_group

log = logging.getLogger("emokit")

AUDIO_SUFFIXES = (*AUDIO, ".opus")


class Predictor:
    """A trained model that answers for waveforms.

    Args:
        path: checkpoint.
        corpus: whose adapter and head answer; None takes the pooled head if there is one,
            otherwise the mean over all heads in canonical words.
        device: torch device.

    Raises:
        CheckpointError: damaged or foreign file.
        ConfigError: a corpus that the model does not have.
    """

    def __init__(self, path: str | os.PathLike, corpus: str | None = None, device: str = "cpu"):
        self.model, self.checkpoint = checkpoint.load(path)
        place(self.model, device)
        heads = list(self.model.labels)
        if corpus is not None and corpus not in heads:
            raise ConfigError(f"The model has no corpus '{corpus}'. {choices(corpus, heads)}")
        self.corpus = corpus or (POOLED if POOLED in heads else None)
        self.heads = [self.corpus] if self.corpus else heads

    def __call__(self, waveform: np.ndarray) -> dict[str, Any]:
        """Answer for one utterance.

        Args:
            waveform: [S] at 16 kHz, float32 or int16.

        Returns:
            `prediction`, its `probability`, all `probabilities` by name, or of dimensions
            `dimensions` on [0, 1] by name; and `heads` with each head's own answer where several
            were averaged. The mean counts a word that a head does not know as probability 0
            there, so the words of few corpora come out lower; a dimension is averaged over the
            heads that know it.
        """
        facts = self.checkpoint.facts
        answers = {}
        for head in self.heads:
            answers[head] = crop_answers(
                self.model, head, [len(waveform)],
                lambda index, start, stop: waveform[start:stop], facts["window"], facts["scoring"],
            )[0].tolist()
        labels, dimensions = self.model.labels, self.model.dimensions
        found = {head: _answer(dict(zip(labels[head], values)),
                               dict(zip(dimensions[head], values[len(labels[head]):])))
                 for head, values in answers.items()}
        if self.corpus:
            return {"corpus": self.corpus, **found[self.corpus]}
        words: dict[str, float] = {}
        known: dict[str, list[float]] = {}
        for head, values in answers.items():
            for label, value in zip(labels[head], values):
                word = canonical(label) or label
                words[word] = words.get(word, 0.0) + value / len(answers)
            for name, value in zip(dimensions[head], values[len(labels[head]):]):
                known.setdefault(name, []).append(value)
        mean = _answer(words, {name: sum(several) / len(several)
                               for name, several in known.items()})
        return {**mean, "heads": found}


def _answer(probabilities: dict[str, float], dimensions: dict[str, float]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if probabilities:
        # max keeps the first of equals, as argmax does in scoring
        best = max(probabilities, key=probabilities.get)
        found = {"prediction": best, "probability": round(probabilities[best], 6),
                 "probabilities": {name: round(value, 6)
                                   for name, value in probabilities.items()}}
    if dimensions:
        found["dimensions"] = {name: round(value, 6) for name, value in dimensions.items()}
    return found


def predict_files(predictor: Predictor, paths: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Answer for files one after another; a file that cannot be read is an answer too.

    Yields:
        Records with `file`, `seconds` and what `Predictor` gives, or `file` and `error`.
    """
    for path in paths:
        try:
            # the very samples that a build would store, so scores agree with `evaluate`
            waveform = read_int16(path)
        except EmokitError as error:
            yield {"file": str(path), "error": str(error)}
            continue
        yield {"file": str(path), "seconds": round(len(waveform) / RATE, 3), **predictor(waveform)}


def expand(paths: Iterable[str]) -> Iterator[str]:
    """Replace folders by the audio files below them, sorted; everything else stays as given.

    Raises:
        EmokitError: a folder without audio.
    """
    for path in paths:
        if not os.path.isdir(path):
            yield path
            continue
        found = sorted(str(file) for file in Path(path).rglob("*")
                       if file.suffix.lower() in AUDIO_SUFFIXES and not file.name.startswith("."))
        if not found:
            raise EmokitError(
                f"There is no audio file below '{path}' ({', '.join(AUDIO_SUFFIXES)})."
            )
        yield from found


def find_checkpoint(runs: str | Path, name: str) -> Path:
    """Find the checkpoint that answers for GROUP, GROUP/CELL or a file.

    Of a group whose cells differ only in their seed, the lowest seed answers; which one is logged.

    Raises:
        CheckpointError: nothing there, or several models that are no copies of one another.
    """
    try:
        return checkpoint.find(runs, name)
    except CheckpointError:
        cells = []
        if not Path(name).is_file():
            try:
                cells = [cell for cell in find_group(runs, name).cells() if cell.is_complete]
            except EmokitError:
                cells = []
        if len({(cell.who, cell.fold) for cell in cells}) != 1:
            raise
    chosen = min(cells, key=lambda cell: cell.seed)
    log.info("%s answers, of %d seeds", chosen.name, len(cells))
    return chosen.folder / "best.safetensors"
