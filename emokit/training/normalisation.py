"""Mean and deviation per band of the frames of a train partition."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from emokit.corpora.store import RATE
from emokit.loading.dataset import collate
from emokit.loading.source import Source
from emokit.models.model import EmotionModel
from emokit.training.predict import batches


def normalise(model: EmotionModel, sources: Sequence[Source], fresh: set[str]) -> None:
    """Measure mean and deviation per band on train, per corpus or pooled, for new parts."""
    kind = model.settings.normalisation
    if kind not in ("corpus", "pooled"):
        return
    moments = {}
    for source in sources:
        if source.head in fresh:
            sums = _moments(model, source)
            key = source.head if kind == "corpus" else ""
            former = moments.get(key)
            moments[key] = sums if former is None else [a + b for a, b in zip(former, sums)]
    for head in sorted(fresh):
        n, total, squares = moments[head if kind == "corpus" else ""]
        mean = total / n
        std = (squares / n - mean**2).clamp(min=0).sqrt()
        model.set_normalisation(head, mean.float(), std.float())


def _moments(model: EmotionModel, source: Source):
    """Sum frames, their values and squares per band over the train partition, in float64."""
    rows, audio = source.rows["train"], source.corpus.audio
    # ten minutes a row at most, so that one long file cannot fill the memory
    spans = [(int(row), 0, min(int(length), 600 * RATE))
             for row, length in zip(rows, audio.lengths[rows])]
    n, total, squares = 0, 0.0, 0.0
    with torch.inference_mode():
        for some in batches(spans):
            batch = collate([audio.read(*span) for span in some], source.head)
            frames, lengths = model.frontend(batch.inputs, batch.lengths)
            real = torch.arange(frames.shape[1])[None, :] < lengths[:, None]
            values = frames[real].double()
            n += len(values)
            total = total + values.sum(dim=0)
            squares = squares + (values**2).sum(dim=0)
    return [n, total, squares]
