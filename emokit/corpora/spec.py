"""What the experimenter chose for each corpus: `corpora.yaml` read, checked, resolved."""

from __future__ import annotations

import dataclasses
import difflib
import logging
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from emokit.core.config import from_mapping, knob
from emokit.core.errors import ConfigError, CorpusError, choices, culprits
from emokit.corpora.packaged import Choices, packaged
from emokit.corpora.parsers import FORMATS, PARSERS

__all__ = ["CorpusSpec", "PartitionRule", "as_emobox", "packaged", "read_specs", "survey"]

log = logging.getLogger("emokit")

RULES = ("official", "speakers", "auto", "folds", "csv", "emobox")


@dataclasses.dataclass(frozen=True)
class PartitionRule:
    """How a corpus is divided; an empty rule means official where there is one, else auto."""

    rule: str = knob("", "How to divide the corpus.", choices=("", *RULES))
    test: list[str] = knob([], "Test speakers, for the rule 'speakers'.")
    dev: list[str] = knob([], "Dev speakers, for the rule 'speakers'.")
    k: int = knob(5, "Number of speaker-disjoint folds, for the rule 'folds'.", minimum=3)
    by: str = knob("", "Column whose every value is a fold, for the rule 'folds': session, say.")
    file: str = knob("", "CSV of file,partition, for the rule 'csv', relative to corpora.yaml.")
    folder: str = knob("", "EmoBox's folder data, for the rule 'emobox', relative to corpora.yaml.")
    fold: int = knob(1, "Fold of EmoBox, for the rule 'emobox'.", minimum=1)


@dataclasses.dataclass(frozen=True)
class CorpusSpec:
    """One entry of `corpora.yaml`, resolved.

    Args:
        name: id of the corpus.
        lines: place in `corpora.yaml` of each key path, for messages.
        packaged: those of its choices that come with emokit, in words.
    """

    name: str = knob("", "Id of the corpus.")
    root: str = knob("", "Folder of the unpacked download.", cosmetic=True)
    parser: str = knob("", "Parser of a published corpus; the corpus's own name if unset.")
    format: str = knob("", "Format that describes a corpus of one's own.")
    settings: Any = knob(None, "Settings of the format.")
    classes: list[str] | None = knob(None, "Classes to keep, in this order; all if unset.")
    merge: dict[str, str] = knob({}, "Original word to the class it becomes.")
    drop: list[str] = knob([], "Original words to leave out.")
    only: dict[str, list[str]] = knob(
        {}, "Column to the values that are kept: part of a corpus as a corpus of its own.")
    emotions: dict[str, str] = knob({}, "Code in the list or path to the word it means.")
    partitions: PartitionRule = knob(PartitionRule(), "How the corpus is divided.")
    language: str = knob("", "ISO 639 code, where the corpus does not say.")
    views: dict[str, dict[str, str]] = knob(
        {}, "View to word to its class there, where the tables do not know the word.")
    scales: dict[str, list[float]] = knob(
        {}, "Dimension to lowest and highest value of its scale, where the corpus does not say.")
    lines: Mapping[tuple, str] = dataclasses.field(
        default_factory=dict, compare=False, repr=False, metadata={"cosmetic": True})
    packaged: str = dataclasses.field(
        default="", compare=False, repr=False, metadata={"cosmetic": True})

    def at(self, *keys: str) -> str:
        """Say where a key stands ("corpora.yaml:12"), or the nearest key above it."""
        while keys and keys not in self.lines:
            keys = keys[:-1]
        return self.lines.get(keys, f"corpus '{self.name}'")


_KEYS = ("root", "parser", "format", "classes", "merge", "drop", "only", "emotions", "partitions",
         "language", "views", "scales")
_NAME = re.compile(r"[a-z][a-z0-9_]*")


def read_specs(
    path: str | os.PathLike | None = None,
    names: Iterable[str] = (),
    root_default: str | os.PathLike | None = None,
    environment: Mapping[str, str] | None = None,
) -> list[CorpusSpec]:
    """Give the corpora to build, sorted by name; see `survey` for those that are skipped."""
    return survey(path, names, root_default, environment)[0]


def survey(
    path: str | os.PathLike | None = None,
    names: Iterable[str] = (),
    root_default: str | os.PathLike | None = None,
    environment: Mapping[str, str] | None = None,
) -> tuple[list[CorpusSpec], list[str]]:
    """Resolve `corpora.yaml` and what lies below the default root.

    An entry with a root, and a corpus of one's own, is always built. An entry without a root
    holds choices for a published corpus, built if its folder is found below the default root; so
    is every other folder there that a parser recognises. Keys that an entry lacks are those of
    the packaged `corpora.yaml`. A root that lies a folder or two too high is lowered, with a line
    in the log.

    Args:
        path: a `corpora.yaml`; the packaged one alone if None.
        names: build only these; all if empty.
        root_default: where to look for published corpora; `EMOKIT_CORPORA` if None.
        environment: what `${VAR}` means.

    Returns:
        The specs sorted by name, and a line in words for each corpus that is skipped.

    Raises:
        ConfigError: a key, type or value is wrong; with file, line and nearest name.
        CorpusError: a corpus that was named is not there or in two folders, or there is nothing
            to build.
    """
    from emokit.corpora.discovery import discover

    environment = {} if environment is None else environment
    own = Choices(path)
    root_default = root_default or environment.get("EMOKIT_CORPORA") or None
    found = discover(root_default) if root_default else []
    names = list(dict.fromkeys(names))
    _check_names(names, own.names, found, root_default)
    specs, skipped = [], []
    for name in sorted({*own.names, *(item.name for item in found)}):
        if names and name not in names:
            continue
        entry = own.entry(name)
        spec = dataclasses.replace(_spec(name, entry.raw, entry.places, own.file, environment),
                                   packaged=entry.words)
        if spec.root:
            specs.append(_lowered(spec))
            continue
        here = [item for item in found if item.name == spec.parser]
        good = [item for item in here if item.state == "found"]
        if len(good) == 1:
            specs.append(dataclasses.replace(spec, root=str(good[0].folder)))
            continue
        if not names and not here:
            continue
        if good:
            why = (f"{len(good)} folders look like '{spec.parser}': "
                   f"{culprits((str(item.folder) for item in good), 6)}. Set 'root' of {name} in "
                   "corpora.yaml to the one you mean")
            if names:
                raise CorpusError(f"Corpus '{name}': {why}.")
        else:
            why = f"'{here[0].folder}' holds no audio, only tables" if here else (
                _unseen(root_default))
            if names:
                raise _absent(name, spec.parser, why, bool(here))
        skipped.append(f"{name}: skipped, {why}")
    if not specs:
        raise CorpusError(_nothing(root_default, skipped))
    return specs, skipped


def _lowered(spec: CorpusSpec) -> CorpusSpec:
    """Set the root to the folder that holds the corpus, if it lies below the one given."""
    from emokit.corpora.discovery import lowered

    if spec.format:
        return spec
    root = lowered(spec.parser, Path(spec.root))
    if root != Path(spec.root):
        log.warning(f"{spec.name}: its root is taken to be '{root}', the one folder below "
                    f"'{spec.root}' that looks like {spec.parser}.")
    return dataclasses.replace(spec, root=str(root))


def _nothing(root_default, skipped: list[str]) -> str:
    how = ("Set EMOKIT_CORPORA to the folder that holds your corpora, describe them in "
           "corpora.yaml, or try 'emokit build-corpus --synthetic'.")
    if not root_default:
        return f"There is no corpus to build: EMOKIT_CORPORA is not set. {how}"
    if not os.path.isdir(root_default):
        return f"There is no corpus to build: there is no folder '{root_default}'. {how}"
    if skipped:
        return f"There is no corpus to build: {'; '.join(skipped)}. {how}"
    return (f"There is no corpus to build: no folder below '{root_default}' holds audio of a "
            f"known corpus. {how}")


def _unseen(root_default) -> str:
    return f"no folder below '{root_default}' looks like it" if root_default else \
        "EMOKIT_CORPORA is not set"


def _absent(name: str, parser: str, why: str, tables: bool = False) -> CorpusError:
    """Say what is missing, and how to obtain it."""
    from emokit.corpora.fetch import downloads, obtaining

    root = f"Set 'root' of {name} in corpora.yaml to the unpacked download. "
    if tables:
        root = "The audio is missing. "
        if parser in downloads():
            root += f"Run: emokit corpora fetch {parser}. "
    return CorpusError(f"Corpus '{name}': {why}. {root}{obtaining(parser)}")


def _check_names(names, entries, found, root_default) -> None:
    from emokit.corpora import catalogue

    known = sorted({*entries, *PARSERS, *(item.name for item in found)})
    for name in names:
        if name not in known and name in catalogue.entries():
            raise CorpusError(
                f"emokit has no parser for '{name}'. Describe your copy in corpora.yaml with "
                "'format: pattern' or 'format: csv'; 'emokit corpora init' writes one to fill in."
            )
        if name not in known:
            raise ConfigError(
                f"Unknown corpus '{name}'. {choices(name, known)} A corpus of your own needs an "
                "entry in corpora.yaml."
            )
        if name not in entries and name not in {item.name for item in found}:
            raise _absent(name, name, _unseen(root_default))


def _spec(name, raw, places, file, environment) -> CorpusSpec:
    def at(*keys):
        while keys and keys not in places:
            keys = keys[:-1]
        return places.get(keys, str(file))

    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{at()}: '{name}' is no id of a corpus. Use small letters, digits and _, a letter "
            "first."
        )
    raw = dict(raw)
    parser, form = raw.get("parser", ""), raw.get("format", "")
    for key, word, table in (("parser", parser, PARSERS), ("format", form, FORMATS)):
        if key in raw and (not isinstance(word, str) or word not in table):
            raise ConfigError(f"{at(key)}: unknown {key} '{word}'. {choices(word, table)}")
    if parser and form:
        raise ConfigError(f"{at('parser')}: '{name}' has both 'parser' and 'format'. Remove one.")
    if not form:
        parser = parser or name
        if parser not in PARSERS:
            near = difflib.get_close_matches("format", [key for key in raw if key not in _KEYS], 1)
            if near:
                raise ConfigError(f"{at(near[0])}: unknown setting '{near[0]}' of '{name}'. Did "
                                  "you mean 'format'?")
            raise ConfigError(
                f"{at()}: nobody wrote a parser for '{name}'. Describe it with 'format: pattern' "
                f"or 'format: csv', or set 'parser'. {choices(name, PARSERS)}"
            )
        if "emotions" in raw:
            raise ConfigError(
                f"{at('emotions')}: 'emotions' is for formats; the parser '{parser}' knows its "
                "own codes. Use 'merge' to rename words."
            )
    module = FORMATS[form] if form else None
    own = {field.name for field in dataclasses.fields(module.Config)} if module else set()
    for key in raw:
        if key not in _KEYS and key not in own:
            raise ConfigError(
                f"{at(key)}: unknown setting '{key}' of '{name}'. {choices(key, (*_KEYS, *own))}"
            )
    values = {key: _words(raw[key]) if key in ("classes", "drop", "merge", "emotions")
              else raw[key] for key in raw if key in _KEYS and key != "partitions"}
    if isinstance(values.get("only"), dict):
        values["only"] = {key: _words(value if isinstance(value, list) else [value])
                          for key, value in values["only"].items()}
    if "root" in values:
        values["root"] = _path(values["root"], at("root"), "root", file, environment)
    elif module:
        raise ConfigError(f"{at()}: corpus '{name}' has no 'root'. Set it to its folder.")
    spec = from_mapping(CorpusSpec, {**values, "parser": parser, "format": form, "name": name},
                        lambda key: at(key) if key else at())
    settings = None
    if module:
        given = {key: raw[key] for key in raw if key in own}
        if "lists" in given:
            lists = given["lists"]
            given["lists"] = [_expand(item, at("lists"), "lists", environment)
                              for item in (lists if isinstance(lists, list) else [lists])]
        if "folder" in given:
            given["folder"] = os.path.expanduser(
                _expand(given["folder"], at("folder"), "folder", environment))
        try:
            settings = from_mapping(module.Config, given, lambda key: at(key) if key else at())
        except ConfigError as error:
            text = str(error)
            raise ConfigError(text if text.startswith(str(file)) else
                              f"{at(*own & set(raw))}: {text}") from None
    return dataclasses.replace(spec, settings=settings, lines=places,
                               partitions=_rule(name, raw, at, file, environment))


def as_emobox(spec: CorpusSpec, folder: str | os.PathLike) -> CorpusSpec:
    """Give a spec that is divided as fold 1 of EmoBox, whatever else was chosen.

    Args:
        folder: EmoBox's folder `data`.

    Raises:
        CorpusError: EmoBox has no lists of the corpus, or there is no such folder.
    """
    from emokit.corpora.parsers.emobox import corpus_folder

    data = Path(os.path.abspath(os.path.expanduser(folder)))
    rule = PartitionRule("emobox", folder=str(corpus_folder(data, spec.parser or spec.name)))
    return dataclasses.replace(spec, partitions=rule)


def _words(value: Any) -> Any:
    """Read numbers among words as words: labels and speakers may look like numbers."""
    def word(item):
        return str(item) if isinstance(item, int) and not isinstance(item, bool) else item

    if isinstance(value, list):
        return [word(item) for item in value]
    if isinstance(value, dict):
        return {key: word(item) for key, item in value.items()}
    return value


def _rule(name, raw, at, file, environment) -> PartitionRule:
    given = raw.get("partitions", {})
    if isinstance(given, str):
        given = {"rule": given}
    if isinstance(given, dict):
        given = {key: _words(value) if key in ("test", "dev") else value
                 for key, value in given.items()}
        for key in ("file", "folder"):
            if given.get(key):
                given[key] = _path(given[key], at("partitions", key), key, file, environment)
    if not isinstance(given, dict):
        raise ConfigError(f"{at('partitions')}: 'partitions' is {given!r}; expected a rule, such "
                          "as auto, or settings such as '{rule: folds, k: 5}'.")
    rule = from_mapping(PartitionRule, given,
                        lambda key: at("partitions", key) if key else at("partitions"))
    needs = {"speakers": ("test", "dev"), "csv": ("file",), "emobox": ("folder",)}
    for key in needs.get(rule.rule, ()):
        if not getattr(rule, key):
            raise ConfigError(
                f"{at('partitions')}: the rule '{rule.rule}' of '{name}' needs '{key}'."
            )
    belongs = {"test": "speakers", "dev": "speakers", "k": "folds", "by": "folds", "file": "csv",
               "folder": "emobox", "fold": "emobox"}
    for key, owner in belongs.items():
        if key in given and rule.rule != owner:
            raise ConfigError(
                f"{at('partitions', key)}: '{key}' belongs to the rule '{owner}', not to "
                f"'{rule.rule or 'auto'}'. Set 'rule: {owner}' or remove '{key}'."
            )
    if "by" in given and "k" in given:
        raise ConfigError(f"{at('partitions', 'k')}: 'by' of '{name}' says how many folds there "
                          "are. Remove 'k' or 'by'.")
    return rule


def _expand(text: Any, where: str, key: str, environment: Mapping[str, str]) -> str:
    if not isinstance(text, str):
        raise ConfigError(f"{where}: '{key}' is {text!r}; expected text.")

    def value(match):
        found = environment.get(match[1]) or match[2]
        if found is None:
            raise ConfigError(
                f"{where}: '{key}' needs the environment variable {match[1]}, which is not set. "
                f"Run 'export {match[1]}=…' or write the path here."
            )
        return found

    return re.sub(r"\$\{(\w+)(?::-([^}]*))?\}", value, text)


def _path(text, where, key, file: Path, environment) -> str:
    path = os.path.expanduser(_expand(text, where, key, environment))
    if not path:
        raise ConfigError(f"{where}: '{key}' is empty. Set it to a path.")
    return os.path.normpath(os.path.join(file.parent, path))
