"""Labels: which class each of a corpus's words becomes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from emokit.core.errors import ConfigError, ManifestError, choices, culprits
from emokit.corpora.parsers import FORMATS, PARSERS
from emokit.corpora.spec import CorpusSpec
from emokit.corpora.words import class_word, normalise


def assign_classes(
    spec: CorpusSpec, originals: Iterable[str]
) -> tuple[tuple[str, ...], dict[str, str | None]]:
    """Decide the class of every original word of a corpus.

    A word becomes what `merge` says, otherwise its canonical word, otherwise itself. Words in
    `drop`, and words whose class is not in `classes` if that is given, become None.

    Args:
        spec: choices of the experimenter.
        originals: the corpus's own words (or codes) that were found, in any order, repeated or
            not.

    Returns:
        The class order (as in `classes`, otherwise the parser's or that of `emotions`, otherwise
        sorted; classes without utterance left out), and the class or None of each word found.

    Raises:
        ConfigError: `classes`, `merge` or `drop` names a word that the corpus does not have, or
            one twice; with the line in `corpora.yaml`.
        ManifestError: a label found is covered by nothing, two words would silently become one
            class, or nothing is left.
    """
    found = set(originals)
    order, mapping = _mapping(spec, found)
    kept = {mapping[word] for word in found} - {None}
    if not kept:
        raise ManifestError(
            f"{spec.at('classes')}: no utterance of '{spec.name}' is left in its classes; its "
            f"labels are {culprits(sorted(found), 8) or 'none'}. Mend 'classes' and 'drop'."
        )
    return tuple(word for word in order if word in kept), {word: mapping[word] for word in found}


def absent_classes(spec: CorpusSpec, originals: Iterable[str]) -> tuple[str, ...]:
    """Name the classes that the corpus has, or `classes` lists, but no utterance found here."""
    found = set(originals)
    order, mapping = _mapping(spec, found)
    kept = {mapping[word] for word in found}
    return tuple(word for word in order if word not in kept)


def soft_label(
    mapping: Mapping[str, str | None], extra: Mapping[str, str | float], emotion: str = ""
) -> dict[str, str | float]:
    """Give an utterance's further facts with its soft label over the classes of the corpus.

    `p_<word>` of merged words add up in `p_<class>`; what fell on dropped words is taken out and
    the rest divided by its sum, or left empty if nothing remains. Shares have six digits.

    A parser's `agreement` is with the original word. Where its class joins several words it
    becomes the sum of their `p_<word>`, which is the share of raters for the class (where a
    rater's several words lie in several classes, each counts in part; then at least the agreement
    with the word itself). Without votes the agreement with the class is unknown and left out.

    Args:
        mapping: original word to class, of `assign_classes`.
        extra: `Utterance.extra`.
        emotion: the original word of the utterance, a key of `mapping`.
    """
    into = {normalise(word): name for word, name in mapping.items()}
    into |= {name: name for name in mapping.values() if name}
    result: dict[str, str | float] = {}
    shares: dict[str, float] = {}
    words: dict[str, set[str]] = {}
    for word, name in mapping.items():
        words.setdefault(name or "", set()).add(normalise(word))
    for key, value in extra.items():
        if not key.startswith("p_"):
            result[key] = value
        elif (name := into.get(normalise(key[2:]), class_word(key[2:]))) in into.values():
            if name is not None:
                shares[name] = shares.get(name, 0.0) + float(value)
                # the class by its own name is no further word, where labels are codes, say
                words.setdefault(name, set()).update({normalise(key[2:])} - {name})
    own = mapping.get(emotion) or ""
    if "agreement" in result and own and len(words[own]) > 1:
        former = float(result.pop("agreement"))
        if shares:
            result["agreement"] = round(max(former, min(1.0, shares.get(own, 0.0))), 6)
    total = sum(shares.values())
    if total > 0:
        result |= {f"p_{name}": round(share / total, 6) for name, share in shares.items()}
    return result


def _mapping(spec: CorpusSpec, found: set[str]) -> tuple[list[str], dict[str, str | None]]:
    """Give the class order and the class of every word known or found."""
    meaning = _meanings(spec, found)
    merged = _merged(spec, meaning)
    dropped = _dropped(spec, meaning, merged)
    mapping: dict[str, str | None] = {}
    for word, means in meaning.items():
        mapping[word] = None if word in dropped else merged.get(word, class_word(means))
    _no_silent_merge(spec, found, meaning, merged, mapping)
    order = list(dict.fromkeys(name for name in mapping.values() if name))
    if spec.classes is not None:
        wanted = _once(spec, "classes", [class_word(word) for word in spec.classes])
        for word in wanted:
            if word not in order:
                raise ConfigError(
                    f"{spec.at('classes')}: '{spec.name}' has no class '{word}'. "
                    f"{choices(word, order)}"
                )
        mapping = {word: name if name in wanted else None for word, name in mapping.items()}
        order = wanted
    return order, mapping


def _meanings(spec: CorpusSpec, found: set[str]) -> dict[str, str]:
    """Give every word known or found, and the word it means, in class order."""
    if not spec.format:
        words = list(PARSERS[spec.parser].EMOTIONS.values())
        return {word: word for word in [*words, *sorted(found - set(words))]}
    if not spec.emotions:
        # a format may tell the labels in their order, as a parser does
        told = getattr(FORMATS[spec.format], "words", None)
        words = told(Path(spec.root), spec.settings) if told else []
        rest = sorted(found - set(words), key=lambda word: (class_word(word), word))
        return {word: word for word in [*words, *rest]}
    meaning = dict(spec.emotions)
    # a list may hold codes and their words side by side
    meaning |= {word: word for word in spec.emotions.values() if word not in meaning}
    uncovered = sorted(found - set(meaning) - set(spec.drop))
    if uncovered:
        raise ManifestError(
            f"{spec.at('emotions')}: 'emotions' of '{spec.name}' does not say what "
            f"{len(uncovered)} labels mean: {culprits(map(repr, uncovered), 8)}. Add them there or "
            "to 'drop'."
        )
    return meaning | {word: word for word in sorted(found - set(meaning))}


def _find(spec: CorpusSpec, key: str, word: str, meaning: dict[str, str]) -> list[str]:
    """Find the original words that an entry of `merge` or `drop` speaks of."""
    if word in meaning:
        return [word]
    near = [own for own in meaning if normalise(own) == normalise(word)] or [
        own for own, means in meaning.items() if class_word(means) == class_word(word)]
    if not near:
        raise ConfigError(
            f"{spec.at(key, word)}: '{key}' names '{word}', which is no label of '{spec.name}'. "
            f"{choices(word, meaning)}"
        )
    return near


def _merged(spec: CorpusSpec, meaning: dict[str, str]) -> dict[str, str]:
    merged: dict[str, str] = {}
    for word, target in spec.merge.items():
        for own in _find(spec, "merge", word, meaning):
            if merged.setdefault(own, class_word(target)) != class_word(target):
                raise ConfigError(
                    f"{spec.at('merge', word)}: '{own}' is merged into both '{merged[own]}' and "
                    f"'{class_word(target)}'. Remove one of the two."
                )
    return merged


def _dropped(spec: CorpusSpec, meaning: dict[str, str], merged: dict[str, str]) -> set[str]:
    dropped = {own for word in _once(spec, "drop", spec.drop)
               for own in _find(spec, "drop", word, meaning)}
    both = sorted(dropped & set(merged))
    if both:
        raise ConfigError(
            f"{spec.at('drop')}: {culprits(map(repr, both))} stands in both 'merge' and 'drop'. "
            "Remove one of the two."
        )
    return dropped


def _once(spec: CorpusSpec, key: str, words: list[str]) -> list[str]:
    twice = sorted({word for word in words if words.count(word) > 1})
    if twice:
        raise ConfigError(
            f"{spec.at(key)}: '{key}' of '{spec.name}' lists {culprits(map(repr, twice))} twice. "
            "Remove one of the two."
        )
    return words


def _no_silent_merge(spec, found, meaning, merged, mapping) -> None:
    """Two different words of a corpus become one class only if the experimenter says so."""
    for name in sorted({mapping[word] for word in found} - {None}):
        words = sorted(word for word in found if mapping[word] == name and word not in merged)
        if len({normalise(meaning[word]) for word in words}) > 1:
            raise ManifestError(
                f"Labels {culprits(map(repr, words), 8)} of '{spec.name}' would all become "
                f"'{name}'. If they are one class say so in corpora.yaml: "
                f"'merge: {{{', '.join(f'{word}: {name}' for word in words)}}}'; or 'drop' one."
            )
