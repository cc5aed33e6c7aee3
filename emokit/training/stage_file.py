"""The file of a stage plan: what each stage learns, from which start, with which settings."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from emokit.core.config import merge
from emokit.core.errors import ConfigError, choices
from emokit.core.files import read_yaml
from emokit.training.config import TrainConfig
from emokit.training.settings import resolve

KEYS = {
    "name": "of the stage",
    "corpus": "built corpus that it learns", "corpora": "several, in one joint model",
    "start": "stage whose weights it begins with; STAGE/CORPUS where that one has several corpora",
    "train": "parts that learn, default: what `mode` would have learn",
    "freeze": "parts among them that do not",
    "rates": "learning rates of parts that have their own",
    "head": "new: the head begins at random instead of as that of the start",
}
"""What a stage may say besides any setting of training."""

_WHOLE = ("seeds", "folds", "device")
_DECIDED = ("regime", "mode", "init", "copy_from", "new_head")


@dataclasses.dataclass(frozen=True)
class Stage:
    """One training of a plan.

    Args:
        name: as tables print it.
        config, explicit: of training, see `emokit.training.settings.resolve`; `init` is set once
            the group of the start is known.
        start: name of the stage that it begins from; empty for the first.
        former: corpus of that stage whose adapters, norms and head are taken over.
        train: parts that learn; None leaves it to the mode.
        where: file and line, for messages.
    """

    name: str
    config: TrainConfig
    explicit: Mapping[str, Any]
    start: str = ""
    former: str = ""
    train: tuple[str, ...] | None = None
    where: str = ""

    @property
    def corpora(self) -> list[str]:
        """Names of the corpora that it learns."""
        return self.config.corpora


def read_stages(path: str | Path, flags: Mapping[str, Any] | None = None,
                sets: Sequence[str] = ()) -> list[Stage]:
    """Read a plan: settings that all stages share, and under `stages` the stages in order.

    Args:
        flags, sets: go before what the file says, for every stage.

    Raises:
        ConfigError: unknown keys, a start that does not stand before its stage, settings that
            cannot be; with file and line.
    """
    flags = dict(flags or {})
    content, lines = read_yaml(path)
    if not isinstance(content, dict) or not isinstance(content.get("stages"), list) \
            or not content["stages"]:
        raise ConfigError(f"'{path}' holds no stages; expected 'stages:' and below it a list of "
                          "them, each {name: …, corpus: …, epochs: …}.")
    shared = {key: value for key, value in content.items() if key != "stages"}
    over = {*flags, *(text.partition("=")[0].strip() for text in sets)}
    for key in (*_DECIDED, "corpora"):
        if key in over or (key in shared and key != "init"):
            raise ConfigError(f"'{key}' is what each stage says itself. Leave it out beside "
                              f"'{path}'.")
    if "folds" in shared:
        shared["folds"] = str(shared["folds"])
    first_init, made = shared.pop("init", None), []
    for number, raw in enumerate(content["stages"]):
        where = f"{path}:{lines.get(('stages', number), lines.get(('stages',), 1))}"
        if not isinstance(raw, dict):
            raise ConfigError(f"{where}: a stage is {raw!r}; expected {{name: …, corpus: …}}.")
        made.append(_stage(raw, shared, first_init, made, flags, sets, where))
    return made


def _stage(raw, shared, init, before: Sequence[Stage], flags, sets, where) -> Stage:
    known = {field.name for field in dataclasses.fields(TrainConfig)} - {*_DECIDED, *_WHOLE}
    for key in raw:
        if key in _WHOLE:
            raise ConfigError(f"{where}: '{key}' belongs to the whole plan. Put it at the left "
                              "margin.")
        if key not in KEYS and key not in known:
            raise ConfigError(f"{where}: unknown key '{key}' of a stage. "
                              f"{choices(key, [*KEYS, *sorted(known - set(KEYS))])}")
    name = raw.get("name")
    if not isinstance(name, str) or not name or name != Path(name).name:
        raise ConfigError(f"{where}: 'name' of a stage is {name!r}; expected a word.")
    if name in [stage.name for stage in before]:
        raise ConfigError(f"{where}: two stages are called '{name}'. Names must differ.")
    if ("corpus" in raw) == ("corpora" in raw):
        raise ConfigError(f"{where}: give stage '{name}' a 'corpus', or several 'corpora'.")
    corpora = raw["corpora"] if "corpora" in raw else [raw["corpus"]]
    if not isinstance(corpora, list) or not corpora or not all(
            isinstance(word, str) for word in corpora):
        raise ConfigError(f"{where}: 'corpora' of stage '{name}' is {corpora!r}; expected names "
                          "of built corpora.")
    settings = merge(shared, {key: value for key, value in raw.items() if key not in (
        "name", "corpus", "corpora", "start", "train", "head")})
    settings |= {"corpora": corpora, "regime": "single" if len(corpora) == 1 else "joint"}
    start, former = _start(raw, before, corpora, where)
    if start is not None:
        # the name of its group is known once that is laid out
        settings["init"] = start.name
        if former not in corpora and len(corpora) == 1:
            settings["copy_from"] = former
    elif init is not None:
        settings["init"] = init
    if raw.get("head") not in (None, "new"):
        raise ConfigError(f"{where}: 'head' of stage '{name}' is {raw['head']!r}; it can be 'new'. "
                          "The kind of head stands at the left margin.")
    if "head" in raw:
        if start is None:
            raise ConfigError(f"{where}: stage '{name}' has no start, so that its head is new "
                              "anyway. Leave out 'head'.")
        settings["new_head"] = True
    train = raw.get("train")
    if train is not None:
        if isinstance(train, str):
            train = [train]
        if not isinstance(train, list) or not train or not all(
                isinstance(part, str) for part in train):
            raise ConfigError(f"{where}: 'train' of stage '{name}' is {train!r}; expected a list "
                              "of parts, e.g. [adapters, head].")
    try:
        if train is not None:
            # what a flag or --set says of the backbone counts too
            backbone = resolve(flags, sets, plan=settings)[0].backbone
            settings["mode"] = _mode(train, "init" in settings or bool(backbone.get("path")))
        config, explicit = resolve(flags, sets, plan=settings)
    except ConfigError as error:
        raise ConfigError(f"{where}: stage '{name}': {error}") from None
    return Stage(name, config, explicit, start.name if start else "", former,
                 None if train is None else tuple(train), where)


def _start(raw, before: Sequence[Stage], corpora, where) -> tuple[Stage | None, str]:
    """Find the stage that `start` names, and the corpus whose part is taken over."""
    if "start" not in raw:
        return None, ""
    name, _, former = str(raw["start"]).partition("/")
    found = {stage.name: stage for stage in before}
    if name not in found:
        raise ConfigError(f"{where}: 'start' is '{name}', which is no stage before this one. "
                          f"{choices(name, found)}")
    theirs, here, earlier = found[name].corpora, found.get(found[name].start), []
    while here is not None:
        earlier += here.corpora
        here = found.get(here.start)
    if len(corpora) > 1 and len(theirs) == 1:
        raise ConfigError(f"{where}: a stage of several corpora cannot start from one of a single "
                          "corpus. Let each have a stage of its own, or begin with the joint one.")
    known = [corpus for corpus in corpora if corpus in theirs]
    again = [corpus for corpus in corpora if corpus in earlier and corpus not in theirs]
    if again:
        raise ConfigError(f"{where}: '{again[0]}' was learnt before stage '{name}' already, and "
                          "what it has of its own is kept. Start from the stage that learnt it.")
    if not former:
        former = known[0] if known else theirs[0]
        if not known and len(theirs) > 1 and len(corpora) == 1:
            raise ConfigError(f"{where}: stage '{name}' has the corpora {', '.join(theirs)}. Say "
                              f"whose adapters and head are taken over: start: {name}/{former}")
    if former not in theirs:
        raise ConfigError(f"{where}: 'start' is '{raw['start']}', but that stage has no corpus "
                          f"'{former}'. {choices(former, theirs)}")
    return found[name], former


def _mode(train: Sequence[str], started: bool) -> str:
    """Give the mode under which at least these parts learn.

    Args:
        started: whether the backbone begins with trained weights.
    """
    if "backbone" not in train:
        return "head" if set(train) == {"head"} else "adapters"
    return "finetune" if started else "scratch"
