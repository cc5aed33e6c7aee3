"""Emotion words: how they are spelt, and which of them mean the same."""

from __future__ import annotations

import csv
import functools
import re
import unicodedata
from importlib import resources

from emokit.corpora.parsers.names import nfc


@functools.cache
def _facts() -> tuple[int, dict[str, str], tuple[str, ...]]:
    text = resources.files("emokit.corpora.facts").joinpath("emotion_words.csv").read_text("utf-8")
    meaning: dict[str, str] = {}
    version, words = 0, []
    for row in csv.DictReader(text.splitlines()):
        version = int(row["version"])
        word = normalise(row["word"])
        words.append(word)
        for form in [word, *map(normalise, filter(None, row["synonyms"].split("|")))]:
            if meaning.setdefault(form, word) != word:
                raise AssertionError(f"emotion_words.csv: '{form}' means two words")
    return version, meaning, tuple(words)


@functools.lru_cache(maxsize=4096)
def normalise(word: str) -> str:
    """Spell a word as classes are spelt: NFC, lower case, `_` for everything that is no letter.

    Example:
        >>> normalise("Surprise (Negative)")
        'surprise_negative'
    """
    # twice, because folding may decompose what composing then changes again
    folded = nfc(nfc(nfc(word).casefold()).casefold())
    # marks are letters too: vowel signs of Devanagari, say
    kept = "".join(letter if letter.isalnum() or unicodedata.category(letter).startswith("M")
                   else "_" for letter in folded)
    return re.sub("_+", "_", kept).strip("_") or folded.strip()


def canonical(word: str) -> str | None:
    """Give the canonical word for an emotion word in any of its forms, None if it is not known.

    Only whole words are known. Codes ("A", "hap") mean different things in different corpora,
    so their meaning belongs to a parser or to `emotions` in `corpora.yaml`.

    Example:
        >>> canonical("Angry"), canonical("A")
        ('anger', None)
    """
    return _facts()[1].get(normalise(word))


def class_word(word: str) -> str:
    """Give the class a word becomes when nobody says otherwise: canonical, or the word itself."""
    return canonical(word) or normalise(word)


def __getattr__(name: str):
    # read when first asked for: nothing is opened at import
    if name == "CANONICAL":
        return _facts()[2]
    if name == "VERSION":
        return _facts()[0]
    raise AttributeError(name)
