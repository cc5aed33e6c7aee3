"""What is true of each corpus, whether or not emokit reads it: the facts of `catalogue.yaml`."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable
from importlib import resources
from pathlib import Path

from emokit.core.config import from_mapping, knob
from emokit.core.errors import ConfigError, choices
from emokit.core.files import read_yaml
from emokit.corpora.parsers import LISTED


@dataclasses.dataclass(frozen=True)
class Entry:
    """Facts of one corpus; None and empty are unknown."""

    name: str = knob("", "Id of the corpus.")
    title: str = knob("", "Name as its authors write it.")
    language: str = knob("", "ISO 639 codes, or words.")
    style: str = knob("", "Acted, induced, podcasts, ….")
    speakers: int | None = knob(None, "Number of speakers.", minimum=1)
    utterances: int | None = knob(None, "Number of utterances as published.", minimum=1)
    hours: float | None = knob(None, "Hours of speech.", above=0)
    rate: int | None = knob(None, "Sample rate of most files, Hz.", minimum=1)
    classes: list[str] | str = knob([], "Classes in canonical words, or a description.")
    licence: str = knob("", "Licence in words.")
    access: str = knob("open", "How to obtain it.", choices=("open", "form", "private"))
    where: str = knob("", "Where to obtain it.")
    citation: str = knob("", "Authors, year, place.")
    parser: str = knob("", "Parser in emokit; empty: by lists or a pattern.")
    emoset: str = knob("", "Task name among the 26 corpora of EmoNet.")
    emobox: str = knob("", "EmoBox's folder of it, where that has another name.")
    unconfirmed: list[str] = knob([], "Fields that could not be checked.")

    @property
    def status(self) -> str:
        """How emokit reads it: the parser's name, `its lists`, or `list` if you describe it."""
        return "its lists" if self.parser in LISTED else self.parser or "list"


@functools.cache
def entries() -> dict[str, Entry]:
    """Give the facts of every corpus in the catalogue by name, in its order."""
    path = Path(str(resources.files("emokit.corpora.facts").joinpath("catalogue.yaml")))
    table, lines = read_yaml(path)
    return {name: from_mapping(Entry, {"name": name, **facts}, f"{path}:{lines[name,]}")
            for name, facts in table.items()}


def entry(name: str) -> Entry:
    """Give the facts of one corpus.

    Raises:
        ConfigError: the catalogue has no such corpus.
    """
    if name not in entries():
        raise ConfigError(
            f"The catalogue has no corpus '{name}'. {choices(name, entries())}")
    return entries()[name]


def rows(found: Iterable = ()) -> list[dict[str, str]]:
    """Give the catalogue as a table of text for `emokit corpora list`.

    Args:
        found: what `emokit.corpora.discovery.discover` found.

    Returns:
        A row for each corpus: name, title, language, speakers, utterances, classes, licence,
        access, reader, state (`found`, `partial n/N`, `tables only`, `2 copies`, `missing`),
        files of the largest copy, folder. Unconfirmed numbers have a `?`.
    """
    here: dict[str, list] = {}
    for item in found:
        here.setdefault(item.name, []).append(item)
    table = []
    for name, facts in entries().items():
        items = here.get(name, [])
        copies = sum(item.n_audio > 0 for item in items)
        best = max(items, key=lambda item: item.n_audio, default=None)
        classes = facts.classes if isinstance(facts.classes, str) else ", ".join(facts.classes)
        table.append({
            "name": name, "title": facts.title, "language": facts.language,
            "speakers": _number(facts, "speakers"), "utterances": _number(facts, "utterances"),
            "classes": classes, "licence": facts.licence, "access": facts.access,
            "reader": facts.status, "emoset": "yes" if facts.emoset else "",
            "state": f"{copies} copies" if copies > 1 else _state(facts, best) if best else (
                "missing"),
            "files": str(best.n_audio) if best else "",
            "folder": ", ".join(str(item.folder) for item in items),
        })
    return table


def _state(facts: Entry, found) -> str:
    if not found.n_audio:
        return "tables only"
    if not facts.utterances or found.n_audio >= facts.utterances:
        return "found"
    n_files = facts.utterances
    if facts.parser and facts.parser not in LISTED:
        from emokit.corpora.audit_list import of_parser
        from emokit.corpora.parsers import PARSERS

        # some corpora cut many utterances out of one file
        n_files = min(n_files, len(of_parser(PARSERS[facts.parser])))
    return "found" if found.n_audio >= n_files else f"partial {found.n_audio}/{n_files}"


def _number(facts: Entry, field: str) -> str:
    value = getattr(facts, field)
    return ("" if value is None else str(value)) + ("?" if field in facts.unconfirmed else "")
