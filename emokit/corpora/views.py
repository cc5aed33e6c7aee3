"""Other label sets over the same corpora: canonical classes, and cells of arousal and valence.

Views are applied in training and evaluation, never at build.
"""

from __future__ import annotations

import csv
import functools
from collections.abc import Iterable, Mapping
from importlib import resources

from emokit.core.errors import ConfigError, ManifestError, choices, culprits
from emokit.corpora.spec import CorpusSpec
from emokit.corpora.words import canonical, class_word

VIEWS = {
    "canonical7": ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"),
    "canonical4": ("anger", "happiness", "neutral", "sadness"),
    "arousal-valence": ("low_negative", "low_neutral", "low_positive",
                        "high_negative", "high_neutral", "high_positive"),
    "arousal": ("low", "high"),
    "valence": ("negative", "positive"),
}
"""Name of the view to its classes, in their order. Positive valence includes neutral."""

# the usual four classes of IEMOCAP count its excited turns as happy
_CANONICAL4 = {("iemocap", "excitement"): "happiness"}


def view_classes(view: str) -> tuple[str, ...]:
    """Give the classes of a view in their order.

    Raises:
        ConfigError: no such view.
    """
    if view not in VIEWS:
        raise ConfigError(f"Unknown view '{view}'. {choices(view, VIEWS)}")
    return VIEWS[view]


def split_target(target: str) -> tuple[str, bool]:
    """Give what a target asks for: (view of the classes or empty, whether dimensions).

    Example:
        >>> split_target("dimensions"), split_target("canonical4+dimensions")
        (('', True), ('canonical4', True))
    """
    view, _, rest = target.partition("+")
    return ("", True) if view == "dimensions" else (view, rest == "dimensions")


def own_rows(spec: CorpusSpec, classes: Iterable[str]) -> dict[str, dict[str, str]]:
    """Check what `views` of an entry of `corpora.yaml` says of a corpus's classes.

    Returns:
        View to class to its class in the view, as `apply_view` takes it; `-` leaves it out.

    Raises:
        ConfigError: no such view, class, or class of the view, or a word given twice; with the
            line in `corpora.yaml`.
    """
    classes = list(classes)
    rows: dict[str, dict[str, str]] = {}
    for view, words in spec.views.items():
        if view not in VIEWS:
            raise ConfigError(f"{spec.at('views', view)}: unknown view '{view}'. "
                              f"{choices(view, VIEWS)}")
        for word, means in words.items():
            name = class_word(word)
            if name not in classes:
                raise ConfigError(f"{spec.at('views', view, word)}: '{spec.name}' has no class "
                                  f"'{word}'. {choices(name, classes)}")
            if means not in (*VIEWS[view], "-"):
                raise ConfigError(f"{spec.at('views', view, word)}: view '{view}' has no class "
                                  f"'{means}'. {choices(means, (*VIEWS[view], '-'))}")
            if rows.setdefault(view, {}).setdefault(name, means) != means:
                raise ConfigError(f"{spec.at('views', view, word)}: '{word}' stands there twice. "
                                  "Remove one of the two.")
    return rows


def apply_view(view: str, corpus: str, classes: Iterable[str],
               own: Mapping[str, Mapping[str, str]] | None = None) -> dict[str, str | None]:
    """Give the view's class of each class of a corpus; None leaves it out.

    `canonical7` and `canonical4` leave out the canonical words that they lack (boredom, calm …).
    The others follow `facts/arousal_valence.csv`, where a row of the corpus beats a general one.
    What the experimenter said beats both; a cell of `arousal-valence` serves its halves too.

    Args:
        view: a name in `VIEWS`.
        corpus: id of the corpus.
        classes: its classes.
        own: what `own_rows` gave, from build.json.

    Raises:
        ConfigError: no such view.
        ManifestError: a class that the view says nothing of.

    Example:
        >>> apply_view("arousal", "emodb", ["anger", "boredom"])
        {'anger': 'high', 'boredom': 'low'}

    Source:
        Arousal and valence: the six classes of ExHuBERT (Amiriparian et al. 2024); the binary
        mapping of Schuller et al. 2009, 2010 for six corpora; all other words are emokit's own
        choice, marked in the table with their confidence.
    """
    known = view_classes(view)
    said = _said(view, own or {})
    result: dict[str, str | None] = {}
    uncovered = []
    for word in classes:
        if word in said:
            result[word] = None if said[word] == "-" else said[word]
        elif view.startswith("canonical"):
            name = canonical(word)
            if view == "canonical4":
                name = _CANONICAL4.get((corpus, name), name)
            if name is None:
                uncovered.append(word)
            else:
                result[word] = name if name in known else None
        else:
            cell = _cell(corpus, word)
            if cell is None:
                uncovered.append(word)
            else:
                result[word] = _in_view(view, *cell)
    if uncovered:
        raise ManifestError(
            f"View '{view}' says nothing of {len(uncovered)} classes of '{corpus}': "
            f"{culprits(map(repr, uncovered), 8)}. Merge them into known words, drop them, or say "
            f"in corpora.yaml where they belong: 'views: {{{view}: {{{uncovered[0]}: "
            f"{known[0]}}}}}' ('-' leaves a word out)."
        )
    return result


def version() -> int:
    """Give the version of the arousal and valence table, for checkpoints."""
    return _table()[0]


@functools.cache
def _table() -> tuple[int, dict[tuple[str, str], tuple[str, str]]]:
    facts = resources.files("emokit.corpora.facts")
    text = facts.joinpath("arousal_valence.csv").read_text("utf-8")
    number, cells = 0, {}
    for row in csv.DictReader(text.splitlines()):
        number = int(row["version"])
        key = (row["corpus"], class_word(row["label"]))
        if cells.setdefault(key, (row["arousal"], row["valence"])) != (
                row["arousal"], row["valence"]):
            raise AssertionError(f"arousal_valence.csv: {key} stands twice")
    return number, cells


def _cell(corpus: str, word: str) -> tuple[str, str] | None:
    cells = _table()[1]
    word = class_word(word)
    return cells.get((corpus, word), cells.get(("*", word)))


def _said(view: str, own: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Give what the experimenter said for a view, there or by a cell of `arousal-valence`."""
    halves = own.get("arousal-valence", {}) if view in ("arousal", "valence") else {}
    return {word: cell if cell == "-" else _in_view(view, *cell.split("_"))
            for word, cell in halves.items()} | dict(own.get(view, {}))


def _in_view(view: str, arousal: str, valence: str) -> str | None:
    if arousal == "-":
        return None
    if view == "arousal":
        return arousal
    if view == "valence":
        return "negative" if valence == "negative" else "positive"
    return f"{arousal}_{valence}"
