"""The one scoring function: training, `evaluate` and `predict` all call it."""

from __future__ import annotations

import contextlib
import dataclasses
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


@dataclasses.dataclass(frozen=True)
class Scores:
    """What a model says of the rows of one partition of one corpus, and what is true.

    Args:
        probabilities: [n, K] over `source.labels`, rows sum to 1; K may be 0.
        truth: [n] index into `source.labels`, -1 where the view has no place for the row.
        values: [n, R] over `source.dimensions`.
        true_values: [n, R], NaN where unknown.
    """

    probabilities: np.ndarray
    truth: np.ndarray
    values: np.ndarray
    true_values: np.ndarray


def crop_answers(
    model,
    head: str,
    lengths: Sequence[int],
    read: Callable[[int, int, int], np.ndarray],
    window: float | None,
    rule: str = "multi",
) -> np.ndarray:
    """Score utterances: softmax of each crop's logits, averaged over the crops; so for values.

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
        [N, K + R] float64, probabilities of the head's classes, then values of its dimensions.
    """
    device = next(model.parameters()).device

    def answers(some):
        return model(collate([read(*crop) for crop in some], head).to(device))

    with scoring(model):
        return mean_answers(
            ((some, answers(some)) for some in batches(crops_of(lengths, window, rule))),
            len(lengths), model.part(head))


def crops_of(lengths: Sequence[int], window: float | None, rule: str
             ) -> list[tuple[int, int, int]]:
    """Give the scoring crops of all utterances, (utterance, start, stop) in samples."""
    size = None if window is None else round(window * RATE)
    crops = []
    for index, length in enumerate(lengths):
        spans = [(0, int(length))] if size is None else scoring_crops(int(length), size, rule)
        crops += [(index, start, stop) for start, stop in spans]
    return crops


def mean_answers(scored: Iterable[tuple[Sequence[tuple[int, int, int]], torch.Tensor]],
                 n: int, own) -> np.ndarray:
    """Average probabilities and values of crops over each utterance.

    Args:
        scored: batches of crops (utterance, start, stop), each with its head's answers [B, K + R].
        n: utterances, each with a crop at least.
        own: the `CorpusPart` whose head answered.

    Returns:
        [n, K + R] float64, the first K columns sum to 1.
    """
    k = len(own.labels)
    total, count = np.zeros((n, k + len(own.dimensions))), np.zeros(n)
    for some, answers in scored:
        answers = answers.double().cpu()
        answers = torch.cat([torch.softmax(answers[:, :k], dim=1), answers[:, k:]], dim=1).numpy()
        owners = np.array([crop[0] for crop in some])
        np.add.at(total, owners, answers)
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


def score(model, source: Source, partition: str, window: float | None, rule: str = "multi"
          ) -> Scores:
    """Score one partition of one corpus.

    Where the head has classes that the corpus lacks (pooled runs), they are left out and the rest
    is scaled to sum to 1, because the corpus's own class list is known.
    """
    rows = source.rows[partition]
    audio = source.corpus.audio
    answers = crop_answers(
        model, source.head, audio.lengths[rows],
        lambda index, start, stop: audio.read(int(rows[index]), start, stop), window, rule,
    )
    return on_own_answers(source, partition, answers)


def on_own_answers(source: Source, partition: str, answers: np.ndarray) -> Scores:
    """Give what `score` does, from answers [n, K + R] of the head."""
    rows = source.rows[partition]
    columns = [source.head_labels.index(label) for label in source.labels]
    # -1 stays -1
    back = np.full(len(source.head_labels) + 1, -1)
    back[columns] = np.arange(len(columns))
    probabilities = answers[:, columns]
    if 0 < len(columns) < len(source.head_labels):
        probabilities = probabilities / probabilities.sum(axis=1, keepdims=True)
    others = [len(source.head_labels) + source.head_dimensions.index(name)
              for name in source.dimensions]
    return Scores(probabilities, back[source.classes[rows]], answers[:, others],
                  source.own_values(rows).astype(float))


def prediction_table(source: Source, partition: str, scores: Scores):
    """Make the predictions table of scored rows; prediction = argmax, ties to the lower index.

    Dimensions stand there on [0, 1], truth as `truth_<dimension>`, empty where it is unknown.
    """
    import pandas as pd

    rows = source.corpus.manifest.iloc[source.rows[partition]]
    session = rows["session"] if "session" in rows else ""
    table = pd.DataFrame({
        "utterance": rows["utterance"], "corpus": source.name, "speaker": rows["speaker"],
        "session": session, "fold": "" if source.fold is None else str(source.fold),
        "partition": partition})
    if source.labels:
        labels = np.array([*source.labels, ""], dtype=object)
        table["truth"] = labels[scores.truth]
        table["prediction"] = labels[scores.probabilities.argmax(axis=1)]
    if "dialogue" in rows:
        table["dialogue"] = rows["dialogue"]
    for index, label in enumerate(source.labels):
        table[f"p_{label}"] = scores.probabilities[:, index]
    for index, name in enumerate(source.dimensions):
        table[f"truth_{name}"] = scores.true_values[:, index]
        table[name] = scores.values[:, index]
    return table.reset_index(drop=True)
