"""Tables of parts: a name, and where its code lives."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping

from emokit.core.errors import ConfigError, choices


class Registry(Mapping):
    """Names of parts of one kind, each imported when asked for.

    Reading the names imports nothing, so help and tests can list every part at once.

    Args:
        kind: what the parts are, for messages ("backbone").
        table: name to `"package.module:attribute"`, or `"package.module"` for the module itself.

    Example:
        >>> Registry("thing", {"path": "os:path"})["path"].__name__
        'posixpath'
    """

    def __init__(self, kind: str, table: Mapping[str, str]):
        self.kind = kind
        self._table = dict(table)

    def __getitem__(self, name: str):
        if name not in self._table:
            raise ConfigError(f"Unknown {self.kind} '{name}'. {choices(name, self._table)}")
        module, _, attribute = self._table[name].partition(":")
        loaded = importlib.import_module(module)
        return getattr(loaded, attribute) if attribute else loaded

    def __iter__(self) -> Iterator[str]:
        return iter(self._table)

    def __len__(self) -> int:
        return len(self._table)

    def __contains__(self, name: object) -> bool:
        return name in self._table
