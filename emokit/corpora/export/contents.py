"""What every export holds: the columns of the manifest that mean something elsewhere, and sound."""

from __future__ import annotations

import io

import numpy as np

from emokit.corpora.store import RATE
from emokit.corpora.utterance import source_id

_LEFT_OUT = ("corpus", "path", "start", "duration", "fold", "audio_hash")


def columns(corpus):
    """Give the manifest as others want it: ids without the corpus, empty columns left out.

    Returns:
        A pandas table with the corpus's row order: `utterance, emotion, emotion_original,
        speaker, partition` and further columns, numbers as float with NaN for unknown.
    """
    import pandas as pd

    table = corpus.manifest.copy()
    for name in ("utterance", "speaker"):
        table[name] = table[name].map(source_id)
    first = ["utterance", "emotion", "emotion_original", "speaker", "partition"]
    rest = [name for name in table if name not in (*first, *_LEFT_OUT)]
    known = [name for name in rest if table[name].notna().any() and (
        pd.api.types.is_numeric_dtype(table[name]) or (table[name] != "").any())]
    return table[first + known]


def is_number(column) -> bool:
    """Tell whether a column of `columns` holds numbers."""
    import pandas as pd

    return pd.api.types.is_numeric_dtype(column)


def wav(samples: np.ndarray) -> bytes:
    """Give int16 samples [S] as the bytes of a WAV file."""
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, samples, RATE, format="WAV", subtype="PCM_16")
    return file.getvalue()


def languages(corpus) -> list[str]:
    """Give the ISO 639 codes of the corpus, sorted; empty if it is not known."""
    if "language" not in corpus.manifest:
        return []
    return sorted(set(corpus.manifest["language"]) - {""})
