"""Arousal, valence, dominance: from a corpus's own scale to [0, 1], in this one place."""

from __future__ import annotations

import logging

import numpy as np

from emokit.core.errors import CorpusError, culprits
from emokit.corpora.store import BuiltCorpus
from emokit.corpora.utterance import DIMENSIONS

log = logging.getLogger("emokit")

OUTSIDE_SHARE = 0.05
"""Share of values outside the stated scale from which the scale must be wrong."""


def has_dimensions(corpus: BuiltCorpus) -> bool:
    """Say whether any utterance of a corpus has one."""
    return bool(_present(corpus))


def _present(corpus: BuiltCorpus) -> tuple[str, ...]:
    table = corpus.manifest
    return tuple(name for name in DIMENSIONS if name in table and table[name].notna().any())


def rescaled(corpus: BuiltCorpus) -> tuple[tuple[str, ...], np.ndarray]:
    """Give a corpus's dimensions on [0, 1]: (value - low) / (high - low), low and high stated.

    Nothing is clipped and nothing fitted: a mean of raters that lies a little outside the scale
    (IEMOCAP has some) stays there, with a line in the log.

    Returns:
        (dimensions that some utterance has, values [N, R] float32 by manifest row, NaN where
        unknown).

    Raises:
        CorpusError: no dimension at all, one without a stated scale, or a scale that more than
            one value in twenty leaves.
    """
    table = corpus.manifest
    names = _present(corpus)
    if not names:
        raise CorpusError(
            f"Corpus '{corpus.name}' has no arousal, valence or dominance. Choose another "
            "--target, or leave it out with --corpora."
        )
    scales = corpus.build.get("scales", {})
    unstated = [name for name in names if name not in scales]
    if unstated:
        raise CorpusError(
            f"Corpus '{corpus.name}' has {culprits(unstated)}, but nobody says on which scale. "
            f"State it in corpora.yaml, e.g. 'scales: {{{unstated[0]}: [1, 5]}}', and build again."
        )
    columns = []
    for name in names:
        low, high = scales[name]
        values = table[name].to_numpy(float)
        _check(corpus, name, values, low, high)
        columns.append((values - low) / (high - low))
    return names, np.stack(columns, axis=1).astype(np.float32)


def _check(corpus: BuiltCorpus, name: str, values: np.ndarray, low: float, high: float) -> None:
    outside = np.flatnonzero((values < low) | (values > high))
    if not len(outside):
        return
    ids = corpus.manifest["utterance"].iloc[outside[:4]]
    shown = culprits([f"{one} {values[row]:g}" for one, row in zip(ids, outside)])
    words = (f"{len(outside)} utterances of '{corpus.name}' have {name} outside its scale "
             f"{low:g} to {high:g}: {shown}")
    if len(outside) > OUTSIDE_SHARE * np.isfinite(values).sum():
        raise CorpusError(f"{words}. State the right scale in corpora.yaml, e.g. 'scales: "
                          f"{{{name}: [LOWEST, HIGHEST]}}' with the ends that raters could "
                          "choose, and build again.")
    log.warning("%s; they are taken as they are", words)
