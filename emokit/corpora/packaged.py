"""The `corpora.yaml` that comes with emokit, the base over which an own one is laid."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from emokit.core.errors import ConfigError
from emokit.core.files import read_yaml


@dataclasses.dataclass(frozen=True)
class Entry:
    """Choices for one corpus: the experimenter's, and the packaged ones for keys without.

    Args:
        raw: value by key.
        places: `file:line` by key path; () is the entry itself.
        words: the packaged choices among them as YAML; empty if there is none.
    """

    raw: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    places: Mapping[tuple, str] = dataclasses.field(default_factory=dict)
    words: str = ""


class Choices:
    """The entries of a `corpora.yaml`, each over the packaged entry of its corpus."""

    def __init__(self, path: str | os.PathLike | None = None):
        """Read the file at `path`; the packaged one alone if None.

        Raises:
            ConfigError: it cannot be read, or is no mapping.
        """
        self.file = packaged() if path is None else Path(path)
        self._base = _read(packaged())
        alone = self.file.exists() and self.file.samefile(packaged())
        self._own = ({}, {}) if alone else _read(self.file)

    @property
    def names(self) -> set[str]:
        """Every corpus with an entry in either file."""
        return {*self._own[0], *self._base[0]}

    def entry(self, name: str) -> Entry:
        """Give the choices for a corpus, key by key; a key that is null there has no choice.

        The packaged entry is that of the entry's parser, if it names one; none for an entry with
        a `format`, which describes labels of its own.

        Raises:
            ConfigError: the entry is no mapping.
        """
        own, places = _entry(self._own, name, self.file)
        published = own.get("parser", name)
        base, base_places = ({}, {}) if "format" in own or not isinstance(published, str) else (
            _entry(self._base, published, packaged()))
        kept = _beside({key: value for key, value in base.items() if key not in own}, own)
        places = {**{keys: place for keys, place in base_places.items()
                     if not keys or keys[0] in kept}, **places}
        raw = {key: value for key, value in {**kept, **own}.items() if value is not None}
        return Entry(raw, places, _words(kept))


def packaged() -> Path:
    """Give the path of the `corpora.yaml` that comes with emokit."""
    return Path(str(resources.files("emokit").joinpath("corpora.yaml")))


def _read(file: Path) -> tuple[dict, dict]:
    entries, lines = read_yaml(file)
    if not isinstance(entries, dict):
        raise ConfigError(f"{file}: expected 'corpus: {{settings}}', one entry a corpus.")
    return entries, lines


def _entry(table: tuple[dict, dict], name: str, file: Path) -> tuple[dict, dict]:
    """Give one raw entry and the places of its keys, the corpus's name left out of the paths."""
    entries, lines = table
    raw = entries.get(name)
    places = {keys[1:]: f"{file}:{line}" for keys, line in lines.items() if keys[0] == name}
    if raw is None:
        return {}, places
    if not isinstance(raw, dict):
        raise ConfigError(f"{places[()]}: expected settings of '{name}', got {raw!r}.")
    return raw, places


def _beside(kept: dict[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Take words that the experimenter drops or merges out of what is packaged for them."""
    from emokit.corpora.words import class_word

    def spoken_of(key):
        words = own.get(key)
        return {class_word(str(word)) for word in words} if isinstance(words, (list, dict)) else (
            set())

    dropped, merged = spoken_of("drop"), spoken_of("merge")
    result = dict(kept)
    if "merge" in kept:
        result["merge"] = {word: name for word, name in kept["merge"].items()
                           if class_word(word) not in dropped}
    for key, taken in (("drop", merged), ("classes", dropped)):
        if key in kept:
            result[key] = [word for word in kept[key] if class_word(word) not in taken]
    return {key: value for key, value in result.items() if value}


def _words(kept: Mapping[str, Any]) -> str:
    import yaml

    return "; ".join(
        f"{key}: " + yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=1000)
        .removesuffix("...\n").strip() for key, value in kept.items())
