"""The one scoring function: training, `evaluate` and `predict` all call it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import torch

from emokit.audio.crop import scoring_crops
from emokit.corpora.store import RATE
from emokit.loading.dataset import collate
from emokit.loading.source import Source

CROPS_PER_BATCH = 64
SECONDS_PER_BATCH = 400.0


def place(model, device):
    """Put a model on a device in the memory layout that it runs in there; gives the model."""
    model.to(device)
    if torch.device(device).type == "cuda":
        model.to(memory_format=torch.channels_last)
    return model


def crop_probabilities(
    model,
    head: str,
    lengths: Sequence[int],
    read: Callable[[int, int, int], np.ndarray],
    window: float | None,
    rule: str = "multi",
) -> np.ndarray:
    """Score utterances: softmax of each crop, averaged over the crops.

    p = (1/n) sum_i softmax(z_i). Crops of several utterances share batches, sorted by length so
    that little is padding; scores do not depend on batch mates. Always in eval mode and full
    float32, without the ten-bit products (TF32) that cuDNN allows itself.

    Args:
        model: an EmotionModel, on its device.
        head: whose adapter and head.
        lengths: N lengths in samples.
        read: (utterance, start, stop) -> samples [S], int16 or float32.
        window: seconds, or None for whole utterances.
        rule: crop rule of `emokit.audio.crop.scoring_crops`.

    Returns:
        [N, K] float64, rows sum to 1.
    """
    device = next(model.parameters()).device

    def logits(some):
        return model(collate([read(*crop) for crop in some], head).to(device))

    with scoring(model):
        return mean_probabilities(
            ((some, logits(some)) for some in batches(crops_of(lengths, window, rule))),
            len(lengths), len(model.labels[head]))


def crops_of(lengths: Sequence[int], window: float | None, rule: str
             ) -> list[tuple[int, int, int]]:
    """Give the scoring crops of all utterances, (utterance, start, stop) in samples."""
    size = None if window is None else round(window * RATE)
    crops = []
    for index, length in enumerate(lengths):
        spans = [(0, int(length))] if size is None else scoring_crops(int(length), size, rule)
        crops += [(index, start, stop) for start, stop in spans]
    return crops


def mean_probabilities(scored: Iterable[tuple[Sequence[tuple[int, int, int]], torch.Tensor]],
                       n: int, n_classes: int) -> np.ndarray:
    """Average the softmax of crops over each utterance.

    Args:
        scored: batches of crops (utterance, start, stop), each with its logits [B, K].
        n: utterances, each with a crop at least.

    Returns:
        [n, K] float64, rows sum to 1.
    """
    total, count = np.zeros((n, n_classes)), np.zeros(n)
    for some, logits in scored:
        probabilities = torch.softmax(logits.double().cpu(), dim=1).numpy()
        owners = np.array([crop[0] for crop in some])
        np.add.at(total, owners, probabilities)
        np.add.at(count, owners, 1)
    return total / count[:, None]


@contextlib.contextmanager
def scoring(model):
    """Hold a model in eval mode without gradients and in full float32 while the block runs."""
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode(), _full_precision():
            yield
    finally:
        model.train(was_training)


@contextlib.contextmanager
def _full_precision():
    # not cudnn.flags(), which sets everything that it is not given to its own defaults
    cudnn = torch.backends.cudnn
    before, cudnn.allow_tf32 = cudnn.allow_tf32, False
    try:
        yield
    finally:
        cudnn.allow_tf32 = before


def batches(crops: Iterable[tuple[int, int, int]]) -> Iterator[list[tuple[int, int, int]]]:
    """Put crops together, longest first, bounded in number and in seconds with padding.

    Args:
        crops: (utterance, start, stop) in samples.
    """
    crops = sorted(crops, key=lambda crop: (crop[1] - crop[2], crop[0], crop[1]))
    start = 0
    while start < len(crops):
        longest = max(1, crops[start][2] - crops[start][1])
        n = max(1, min(CROPS_PER_BATCH, int(SECONDS_PER_BATCH * RATE / longest)))
        yield crops[start:start + n]
        start += n


def score(model, source: Source, partition: str, window: float | None, rule: str = "multi"):
    """Score one partition of one corpus.

    Where the head has classes that the corpus lacks (pooled runs), they are left out and the rest
    is scaled to sum to 1, because the corpus's own class list is known.

    Returns:
        (probabilities [n, K] over `source.labels`, truth [n] index into `source.labels`).
    """
    rows = source.rows[partition]
    audio = source.corpus.audio
    probabilities = crop_probabilities(
        model, source.head, audio.lengths[rows],
        lambda index, start, stop: audio.read(int(rows[index]), start, stop), window, rule,
    )
    return on_own_labels(source, partition, probabilities)


def on_own_labels(source: Source, partition: str, probabilities: np.ndarray
                  ) -> tuple[np.ndarray, np.ndarray]:
    """Give what `score` does, from probabilities [n, K of the head]."""
    columns = [source.head_labels.index(label) for label in source.labels]
    back = np.full(len(source.head_labels), -1)
    back[columns] = np.arange(len(columns))
    if len(columns) < len(source.head_labels):
        probabilities = probabilities[:, columns]
        probabilities = probabilities / probabilities.sum(axis=1, keepdims=True)
    return probabilities, back[source.classes[source.rows[partition]]]


def prediction_table(source: Source, partition: str, probabilities: np.ndarray,
                     truth: np.ndarray):
    """Make the predictions table of scored rows; prediction = argmax, ties to the lower index."""
    import pandas as pd

    rows = source.corpus.manifest.iloc[source.rows[partition]]
    labels = np.array(source.labels, dtype=object)
    session = rows["session"] if "session" in rows else ""
    table = pd.DataFrame({
        "utterance": rows["utterance"], "corpus": source.name, "speaker": rows["speaker"],
        "session": session, "fold": "" if source.fold is None else str(source.fold),
        "partition": partition, "truth": labels[truth],
        "prediction": labels[probabilities.argmax(axis=1)],
    })
    if "dialogue" in rows:
        table["dialogue"] = rows["dialogue"]
    for index, label in enumerate(source.labels):
        table[f"p_{label}"] = probabilities[:, index]
    return table.reset_index(drop=True)


def selection_figures(probabilities: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Give what selects a checkpoint: (mean recall, mean negative log-likelihood).

    The mean is over the classes that occur, so it equals the UAR wherever that is defined; a dev
    partition whose missing class was waived at build can still select.
    """
    hits = probabilities.argmax(axis=1) == truth
    counts = np.bincount(truth)
    recalls = np.bincount(truth, weights=hits)[counts > 0] / counts[counts > 0]
    chosen = probabilities[np.arange(len(truth)), truth]
    return float(recalls.mean()), float(-np.log(np.maximum(chosen, 1e-12)).mean())
