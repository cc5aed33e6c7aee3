"""Tiny corpora and tables for tests: published file names, a third of a second of sound each.

The sounds are buzzes whose pitch and brightness depend on the emotion, so that a model can learn
them within a few steps; `emokit.corpora.voice` makes voices where realism matters.
"""

from __future__ import annotations

import collections
import dataclasses
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from emokit.core.errors import ConfigError, choices
from emokit.core.files import write_text
from emokit.core.seeding import generator
from emokit.corpora.utterance import StandIn

RATE = 16_000

_TINY_WAV2VEC2 = {
    "hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 40,
    "conv_dim": [12, 16, 16], "conv_kernel": [10, 3, 2], "conv_stride": [5, 4, 4],
    "num_conv_pos_embeddings": 8, "num_conv_pos_embedding_groups": 4, "mask_time_prob": 0.0,
    "do_normalize": False}
_LARGE = {"do_stable_layer_norm": True, "feat_extract_norm": "layer"}

TINY_TRANSFORMERS = {
    "wav2vec2": {**_TINY_WAV2VEC2, "model_type": "wav2vec2"},
    "wav2vec2 large": {**_TINY_WAV2VEC2, **_LARGE, "model_type": "wav2vec2", "conv_bias": True,
                       "do_normalize": True},
    "hubert": {**_TINY_WAV2VEC2, "model_type": "hubert", "feat_proj_layer_norm": False,
               "mask_time_prob": 0.05, "num_conv_pos_embeddings": 7},
    "data2vec-audio": {**_TINY_WAV2VEC2, "model_type": "data2vec-audio",
                       "num_conv_pos_embeddings": 2, "conv_pos_kernel_size": 5,
                       "feat_extract_norm": "layer"},
    "wavlm": {**_TINY_WAV2VEC2, "model_type": "wavlm", "num_buckets": 16,
              "max_bucket_distance": 30},
    "wavlm large": {**_TINY_WAV2VEC2, **_LARGE, "model_type": "wavlm", "num_buckets": 16,
                    "max_bucket_distance": 30, "hidden_act": "relu"},
    "whisper": {"model_type": "whisper", "d_model": 24, "encoder_layers": 3,
                "encoder_attention_heads": 2, "encoder_ffn_dim": 40, "num_mel_bins": 8,
                "max_source_positions": 50},
}
"""Architectures of every family of speech transformers, post-norm and pre-norm, for `hf`."""


def buzz(emotion: str, speaker: str = "", seconds: float = 0.3, rate: int = RATE,
         seed: int = 0) -> np.ndarray:
    """Give harmonics in noise, float32 [S] in (-1, 1), never twice the same for another seed.

    The emotion sets pitch and slope of the harmonics, the speaker shifts the pitch a little.
    """
    from emokit.corpora.acting import EMOTIONS

    words = list(EMOTIONS)
    index = words.index(emotion) if emotion in words else generator(0, emotion).integers(10, 20)
    pitch = 110 * 2 ** (index / 6 + generator(0, "buzz", speaker).uniform(-0.05, 0.05))
    rng = generator(seed, "buzz", emotion, speaker)
    time = np.arange(max(round(seconds * rate), 1)) / rate
    harmonics = np.arange(1, 1 + min(12, max(int(rate / 2 / pitch) - 1, 1)))
    levels = harmonics ** -(0.4 + 0.8 * ((index * 3) % 10) / 10)
    phases = rng.uniform(0, 2 * np.pi, len(harmonics))
    sound = levels @ np.sin(2 * np.pi * pitch * harmonics[:, None] * time + phases[:, None])
    sound = 0.1 * sound / np.sqrt(np.mean(sound**2)) + 0.01 * rng.standard_normal(len(time))
    return np.clip(sound, -0.99, 0.99).astype(np.float32)


def write_wav(path: str | os.PathLike, samples: np.ndarray, rate: int = RATE,
              subtype: str | None = None) -> Path:
    """Write samples, [S] or [S, channels], in the format that the extension names.

    Args:
        subtype: of libsndfile, e.g. "PCM_24" or "FLOAT"; the format's default if None (16 bit
            for WAV and FLAC).
    """
    import soundfile

    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # readers go by content, so films hold a WAV without a picture, as in `speaking`
    film = path.suffix.lower() in (".avi", ".mp4", ".m4a", ".webm")
    soundfile.write(path, samples, rate, subtype=subtype, format="WAV" if film else None)
    return path


def pick(name: str, n_speakers: int = 3, per_class: int = 2,
         classes: Iterable[str] = ()) -> list[StandIn]:
    """Choose a few files of a published corpus, speakers with the fewest gaps first.

    Args:
        per_class: files per speaker and emotion, fewer where the corpus has fewer; at least four
            in corpora with fewer than three speakers, which are divided by sentence.
        classes: canonical words; all of the corpus if empty.

    Raises:
        ConfigError: an unknown corpus, or a word that the corpus does not have.
    """
    from emokit.corpora.parsers import PARSERS
    from emokit.corpora.synthetic import speaker_order

    everything = list(PARSERS[name].stand_ins())
    known = sorted({item.emotion for item in everything})
    wanted = set(classes) or set(known)
    for word in sorted(wanted - set(known)):
        raise ConfigError(f"Corpus '{name}' has no '{word}'. {choices(word, known)}")
    chosen: dict[str, list[StandIn]] = {speaker: [] for speaker in speaker_order(everything)}
    per_class = max(per_class, 4) if len(chosen) < 3 else per_class
    taken: collections.Counter = collections.Counter()
    for item in everything:
        if item.emotion in wanted and taken[item.speaker, item.emotion] < per_class:
            taken[item.speaker, item.emotion] += 1
            chosen[item.speaker].append(item)
    fullest = sorted(chosen.values(), key=len, reverse=True)[:n_speakers]
    return [item for items in fullest for item in items]


def tiny_corpus(root: str | os.PathLike, name: str = "emodb", n_speakers: int = 3,
                per_class: int = 2, seconds: float = 0.3, seed: int = 0,
                classes: Iterable[str] = ()) -> Path:
    """Write a tiny corpus as its parser expects it, tables included, and give its root.

    Args:
        root: becomes the corpus root.
        seconds: length of each file; every second file is a tenth longer, so lengths differ.
    """
    from emokit.corpora.parsers import PARSERS

    root, chosen = Path(root), pick(name, n_speakers, per_class, classes)
    sounds = collections.defaultdict(list)
    for index, item in enumerate(chosen):
        sound = buzz(item.emotion, f"{name}/{item.speaker}", seconds * (1 + 0.1 * (index % 2)),
                     seed=seed + index)
        sounds[item.file].append(sound)
        chosen[index] = dataclasses.replace(item, seconds=len(sound) / RATE)
    for file, parts in sounds.items():
        write_wav(root / file, np.concatenate(parts))
    tables = getattr(PARSERS[name], "stand_in_tables", None)
    for path, text in (tables(chosen) if tables else {}).items():
        write_text(root / path, text)
    return root


def tiny_emoset(folder: str | os.PathLike, names: Sequence[str] = ("emodb", "ravdess"),
                options=None, **corpus) -> Path:
    """Write tiny corpora below `folder/raw`, build them as the command does, give `folder/emoset`.

    Args:
        options: `BuildOptions`; the default with one process if None.
        corpus: arguments of `tiny_corpus`.
    """
    from emokit.corpora.build import BuildOptions, build_corpora
    from emokit.corpora.spec import read_specs

    raw, emoset = Path(folder) / "raw", Path(folder) / "emoset"
    for name in names:
        tiny_corpus(raw / name, name, **corpus)
    build_corpora(read_specs(None, names, raw), emoset, options or BuildOptions(jobs=1))
    return emoset


def toy_predictions(n_speakers: int = 4, per_class: int = 5,
                    classes: Sequence[str] = ("anger", "neutral", "sadness"),
                    accuracy: float = 0.6, seed: int = 0, corpus: str = "toy",
                    partition: str = "test"):
    """Give a predictions table as runs write it, as pandas.

    Truths are balanced over speakers and classes and do not depend on the seed, so that tables of
    two seeds can be compared. A prediction is right with the given probability, the rest spread
    evenly; probabilities agree with it.
    """
    import pandas as pd

    rng = generator(seed, "toy predictions")
    n_classes = len(classes)
    truth = np.tile(np.repeat(np.arange(n_classes), per_class), n_speakers)
    speaker = np.repeat(np.arange(n_speakers), n_classes * per_class)
    wrong = rng.integers(1, max(n_classes, 2), len(truth))
    prediction = np.where(rng.random(len(truth)) < accuracy, truth, (truth + wrong) % n_classes)
    probabilities = rng.dirichlet(np.ones(n_classes), len(truth))
    rows = np.arange(len(truth))
    highest = probabilities.argmax(1)
    swapped = probabilities[rows, prediction].copy()
    probabilities[rows, prediction] = probabilities[rows, highest]
    probabilities[rows, highest] = np.where(
        highest == prediction, probabilities[rows, highest], swapped)
    words = np.array(classes, dtype=object)
    return pd.DataFrame({
        "utterance": [f"{corpus}/u{row:04d}" for row in rows],
        "corpus": corpus,
        "speaker": [f"{corpus}/s{number}" for number in speaker],
        "session": "",
        "fold": "",
        "partition": partition,
        "truth": words[truth],
        "prediction": words[prediction],
        **{f"p_{word}": probabilities[:, k] for k, word in enumerate(classes)},
    })
