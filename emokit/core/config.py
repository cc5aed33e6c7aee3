"""Settings: a dataclass field with its help is the only place where a knob exists.

Command-line options, YAML files, run folders and docs are all read off the same field.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from emokit.core.errors import ConfigError, choices as choices_text


def knob(
    default: Any = dataclasses.MISSING,
    help: str = "",
    *,
    choices: Iterable[str] | Callable[[], Iterable[str]] | None = None,
    minimum: float | None = None,
    above: float | None = None,
    maximum: float | None = None,
    below: float | None = None,
    cosmetic: bool = False,
) -> Any:
    """Declare one setting as a dataclass field.

    Args:
        default: its value when nobody says otherwise; a list or dict is copied for each config.
        help: one sentence with the unit, shown by `--help` and in the docs.
        choices: the words allowed, or a function that gives them.
        minimum, above, maximum, below: limits of a number; `above` and `below` exclude the limit.
        cosmetic: cannot change results (workers, device), so the signature leaves it out.
    """
    metadata = {
        "help": help, "choices": choices, "minimum": minimum, "above": above,
        "maximum": maximum, "below": below, "cosmetic": cosmetic, "knob": True,
    }
    if isinstance(default, (list, dict, set)):
        return dataclasses.field(default_factory=lambda: type(default)(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def field_types(cls: type) -> dict[str, Any]:
    """Give the resolved type of each field of a config class."""
    hints = typing.get_type_hints(cls)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


def field_choices(field: dataclasses.Field) -> list[str] | None:
    """Give the words a field allows, or None if it is free."""
    allowed = field.metadata.get("choices")
    if allowed is None:
        return None
    return list(allowed() if callable(allowed) else allowed)


def from_mapping(cls: type, mapping: Mapping[str, Any], where: str | Callable[[str], str] = ""):
    """Make a config from a mapping, refusing unknown keys, wrong types and values out of range.

    Args:
        cls: the dataclass.
        mapping: field to value; fields left out take their default.
        where: what to call the place in messages ("corpora.yaml:3"), or a function from the
            offending key to that place.

    Raises:
        ConfigError: with the place, the value and the choices.

    Example:
        >>> @dataclasses.dataclass(frozen=True)
        ... class Config:
        ...     rank: int = knob(8, "Rank.", minimum=1)
        >>> from_mapping(Config, {"rank": 4})
        Config(rank=4)
    """
    place = where if callable(where) else (lambda key: where)
    if not isinstance(mapping, Mapping):
        raise ConfigError(f"{_at(place(''))}expected settings as 'key: value', got {mapping!r}.")
    hints = field_types(cls)
    fields = {field.name: field for field in dataclasses.fields(cls)}
    values = {}
    for key, value in mapping.items():
        if key not in fields:
            raise ConfigError(
                f"{_at(place(key))}unknown setting '{key}'. {choices_text(key, fields)}"
            )
        values[key] = coerce(value, hints[key], fields[key], _at(place(key)) + f"'{key}'")
    for name, field in fields.items():
        required = (field.default is dataclasses.MISSING
                    and field.default_factory is dataclasses.MISSING)
        if required and name not in values:
            raise ConfigError(f"{_at(place(''))}setting '{name}' is missing. {_help(field)}")
    return cls(**values)


def _at(place: str) -> str:
    return f"{place}: " if place else ""


def _help(field: dataclasses.Field) -> str:
    return field.metadata.get("help", "")


_KINDS = {int: "a whole number", float: "a number", str: "text", bool: "true or false",
          list: "a list", dict: "a mapping", tuple: "a list"}


def coerce(value: Any, kind: Any, field: dataclasses.Field | None = None, name: str = "value"):
    """Check a value against a type and a field's limits, converting only where nothing is lost.

    A whole float passes as int and an int as float; a bool is never a number, text is never split.

    Raises:
        ConfigError: with the name, the value and what was expected.
    """
    options = _options(kind)
    if value is None:
        if type(None) in options or kind is Any:
            return None
        raise ConfigError(f"{name} is empty; expected {_kinds_text(options)}.")
    for option in options:
        accepted, result = _accept(value, option, name)
        if accepted:
            if field is not None:
                _check_limits(result, field, name)
            return result
    raise ConfigError(f"{name} is {value!r}; expected {_kinds_text(options)}.")


def _options(kind: Any) -> tuple:
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return typing.get_args(kind)
    return (kind,)


def _kinds_text(options: tuple) -> str:
    words = []
    for option in options:
        if option is not type(None):
            base = typing.get_origin(option) or option
            word = _KINDS.get(base, getattr(base, "__name__", str(base)))
            item = [kind for kind in typing.get_args(option) if kind is not Ellipsis]
            if base in (list, tuple) and item and item[-1] in _KINDS:
                word += f" of {_KINDS[item[-1]].removeprefix('a ')}s".replace("texts", "words")
            words.append(word)
    return " or ".join(words)


def _accept(value: Any, kind: Any, name: str) -> tuple[bool, Any]:
    if kind is Any:
        return True, value
    origin, args = typing.get_origin(kind) or kind, typing.get_args(kind)
    if origin is bool:
        return isinstance(value, bool), value
    if origin is int:
        whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        return whole and not isinstance(value, bool), int(value) if whole else value
    if origin is float:
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return number, float(value) if number else value
    if origin is str:
        return isinstance(value, str), value
    if origin in (list, tuple):
        if not isinstance(value, (list, tuple)):
            return False, value
        item = args[0] if args else Any
        return True, origin(
            coerce(entry, item, None, f"{name}[{index}]") for index, entry in enumerate(value)
        )
    if origin is dict:
        if not isinstance(value, Mapping):
            return False, value
        item = args[1] if len(args) == 2 else Any
        return True, {key: coerce(entry, item, None, f"{name}.{key}")
                      for key, entry in value.items()}
    if dataclasses.is_dataclass(kind):
        return True, value if isinstance(value, kind) else from_mapping(kind, value, name)
    return isinstance(value, kind), value


def _check_limits(value: Any, field: dataclasses.Field, name: str) -> None:
    allowed = field_choices(field)
    if allowed is not None:
        for word in value if isinstance(value, (list, tuple)) else [value]:
            if word not in allowed:
                raise ConfigError(f"{name} is '{word}'. {choices_text(word, allowed)}")
    limits = field.metadata
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if isinstance(value, float) and not math.isfinite(value):
            raise ConfigError(f"{name} is {value}; expected a finite number.")
        for word, breaks, text in (
            ("minimum", lambda limit: value < limit, "at least"),
            ("above", lambda limit: value <= limit, "more than"),
            ("maximum", lambda limit: value > limit, "at most"),
            ("below", lambda limit: value >= limit, "less than"),
        ):
            limit = limits.get(word)
            if limit is not None and breaks(limit):
                raise ConfigError(f"{name} is {value}; it must be {text} {limit}.")


def to_mapping(config: Any) -> dict[str, Any]:
    """Turn a config into plain dicts, lists and scalars, as YAML and JSON hold them."""
    def plain(value):
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return {field.name: plain(getattr(value, field.name))
                    for field in dataclasses.fields(value)}
        if isinstance(value, Mapping):
            return {key: plain(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [plain(item) for item in value]
        return value

    return plain(config)


def cosmetic_fields(cls: type) -> set[str]:
    """Name the fields that cannot change results."""
    return {field.name for field in dataclasses.fields(cls) if field.metadata.get("cosmetic")}


def signature(value: Any, length: int = 8) -> str:
    """Hash settings to a short name: equal settings, equal name, in whatever order they stand.

    Fields declared cosmetic are left out at every depth of dataclasses.

    Example:
        >>> signature({"b": 1, "a": 2}) == signature({"a": 2, "b": 1})
        True
    """
    def plain(item):
        if dataclasses.is_dataclass(item) and not isinstance(item, type):
            hidden = cosmetic_fields(type(item))
            return {field.name: plain(getattr(item, field.name))
                    for field in dataclasses.fields(item) if field.name not in hidden}
        if isinstance(item, Mapping):
            return {str(key): plain(entry) for key, entry in item.items()}
        if isinstance(item, (list, tuple)):
            return [plain(entry) for entry in item]
        return item

    text = json.dumps(plain(value), sort_keys=True, ensure_ascii=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def parse_scalar(text: str) -> Any:
    """Read a value from the command line as YAML would ("8" is a number, "C/4" text).

    `a|b` is a list, `null` and `none` are nothing.
    """
    import yaml

    from emokit.core.files import _loader

    if text.strip().lower() in ("none", "null", "~"):
        return None
    if "|" in text:
        return [parse_scalar(part) for part in text.split("|")]
    loader = _loader()(text)
    try:
        return loader.get_single_data()
    except yaml.YAMLError:
        return text
    finally:
        loader.dispose()


def assign(settings: dict[str, Any], assignment: str) -> None:
    """Apply one `--set path.to.key=value` in place.

    A step into a list picks the item whose `name` it is, so `adapters.lora.rank=8` finds LoRA.

    Raises:
        ConfigError: no '=', or a step that leads nowhere.

    Example:
        >>> settings = {"adapters": [{"name": "lora"}]}
        >>> assign(settings, "adapters.lora.rank=8")
        >>> settings
        {'adapters': [{'name': 'lora', 'rank': 8}]}
    """
    path, equals, text = assignment.partition("=")
    keys = [key.strip() for key in path.strip().split(".")]
    if not equals or not all(keys):
        raise ConfigError(f"--set '{assignment}' is not of the form path.to.key=value.")
    here: Any = settings
    for depth, key in enumerate(keys[:-1]):
        if isinstance(here, list):
            named = {item.get("name"): item for item in here if isinstance(item, dict)}
            if key not in named:
                raise ConfigError(
                    f"--set '{assignment}': '{'.'.join(keys[:depth])}' has no '{key}'. "
                    f"{choices_text(key, named)}"
                )
            here = named[key]
        else:
            below = here.get(key)
            if isinstance(below, str):
                # `backbone: resnet` is short for `backbone: {name: resnet}`
                below = here[key] = {"name": below}
            if below is None:
                below = here[key] = {}
            if not isinstance(below, (dict, list)):
                raise ConfigError(
                    f"--set '{assignment}': '{'.'.join(keys[:depth + 1])}' is {below!r} "
                    f"and has no settings below it."
                )
            here = below
    if isinstance(here, list):
        raise ConfigError(f"--set '{assignment}' names an item of a list, not a setting of it.")
    here[keys[-1]] = parse_scalar(text.strip())


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Lay settings over others: mappings merge key by key, everything else is replaced.

    A mapping with another `name` (another backbone, another adapter) replaces the former whole,
    because settings of one part mean nothing to another.
    """
    result = dict(base)
    for key, value in over.items():
        former = result.get(key)
        if isinstance(former, str) and isinstance(value, Mapping):
            former = {"name": former}
        same = isinstance(former, Mapping) and isinstance(value, Mapping) and (
            value.get("name") in (None, former.get("name"))
        )
        result[key] = merge(former, value) if same else value
    return result


_ITEM = re.compile(r"\s*([A-Za-z_][\w:./-]*)\s*(?:\(([^()]*)\))?\s*")


def parse_spec(text: str) -> list[dict[str, Any]]:
    """Read a composition `name(key=value,…)+name` into a list of mappings.

    `name:PATH` is short for `name(path=PATH)`.

    Raises:
        ConfigError: not of that form, or a name twice.

    Example:
        >>> parse_spec("gate+lora(rank=8,where=query|value)")
        [{'name': 'gate'}, {'name': 'lora', 'rank': 8, 'where': ['query', 'value']}]
    """
    items: list[dict[str, Any]] = []
    position = 0
    while position < len(text):
        match = _ITEM.match(text, position)
        if not match:
            raise ConfigError(f"'{text}' is not of the form name(key=value,…)+name.")
        name, colon, path = match[1].partition(":")
        item: dict[str, Any] = {"name": name, **({"path": path} if colon else {})}
        for pair in filter(None, (part.strip() for part in (match[2] or "").split(","))):
            key, equals, value = pair.partition("=")
            if not equals:
                raise ConfigError(f"'{pair}' in '{text}' is not of the form key=value.")
            item[key.strip()] = parse_scalar(value.strip())
        if any(other["name"] == item["name"] for other in items):
            raise ConfigError(f"'{item['name']}' stands twice in '{text}'. Names must differ.")
        items.append(item)
        position = match.end()
        if position < len(text):
            if text[position] != "+" or position + 1 == len(text):
                raise ConfigError(f"'{text}' is not of the form name(key=value,…)+name.")
            position += 1
    return items


def format_spec(items: Iterable[Mapping[str, Any]]) -> str:
    """Write a composition as `parse_spec` reads it."""
    def value_text(value):
        if isinstance(value, (list, tuple)):
            return "|".join(value_text(entry) for entry in value)
        return "null" if value is None else str(value).lower() if isinstance(value, bool) \
            else str(value)

    texts = []
    for item in items:
        settings = ",".join(f"{key}={value_text(value)}" for key, value in item.items()
                            if key != "name")
        texts.append(item["name"] + (f"({settings})" if settings else ""))
    return "+".join(texts)
