"""Errors that a user caused or can mend; the command line prints each as one line."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class EmokitError(Exception):
    """Base of all errors in words.

    Every subclass takes exactly one string, because DataLoader and process-pool workers rebuild
    an exception as `type(error)(message)`.
    """


class CorpusError(EmokitError):
    """A corpus folder, its files or its description are not as they must be."""


class ManifestError(EmokitError):
    """A table (manifest, list of files, predictions) breaks its columns or rules."""


class ConfigError(EmokitError):
    """A setting is unknown, of the wrong type, out of range or in conflict with another."""


class CheckpointError(EmokitError):
    """A file of weights is damaged, foreign, or does not fit what it is loaded into."""


def culprits(items: Iterable[object], shown: int = 3) -> str:
    """Name a few culprits and the total, for the end of a message.

    Example:
        >>> culprits(["a.wav", "b.wav", "c.wav", "d.wav"])
        'a.wav, b.wav, c.wav and 1 more'
    """
    # a message stays one line whatever files are called
    names = [str(item).replace("\n", "\\n") for item in items]
    rest = len(names) - shown
    return ", ".join(names[:shown]) + (f" and {rest} more" if rest > 0 else "")


def choices(name: str, known: Iterable[str]) -> str:
    """Say what was possible, the nearest name first, for the end of a message.

    Example:
        >>> choices("resnt", ["resnet", "wav2vec2"])
        "Did you mean 'resnet'? Choices: resnet, wav2vec2."
    """
    known = [str(word) for word in known if word != ""]
    near = difflib.get_close_matches(str(name), known, n=1)
    hint = f"Did you mean '{near[0]}'? " if near else ""
    return f"{hint}Choices: {', '.join(known) or 'none'}."
