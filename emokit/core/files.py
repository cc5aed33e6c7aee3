"""Files written whole or not at all, and one way each to read and write CSV, JSON, YAML."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from emokit.core.errors import ConfigError, EmokitError, ManifestError


@contextlib.contextmanager
def disk_errors(path: str | os.PathLike) -> Iterator[None]:
    """Turn what the file system refuses while writing `path` into one line in words.

    Raises:
        EmokitError: disk full, quota, no permission, read-only or missing folder.
    """
    try:
        yield
    except OSError as error:
        why = {
            errno.ENOSPC: "the disk is full. Free some space and run the command again",
            errno.EDQUOT: "your disk quota is used up. Free some space and run the command again",
            errno.EACCES: "permission denied. Choose another folder or change its rights",
            errno.EPERM: "permission denied. Choose another folder or change its rights",
            errno.EFBIG: "it grew beyond the largest file allowed. Raise 'ulimit -f' or choose "
                         "another disk",
            errno.EROFS: "the file system is read-only. Choose another folder",
            errno.ENOENT: "its folder is missing. Make it first",
            errno.ENOTDIR: "a part of this path is a file, not a folder. Choose another folder",
            errno.EEXIST: "a file with this name is in the way. Remove it or choose another folder",
            errno.EISDIR: "there is a folder with this name. Choose another name",
        }.get(error.errno)
        if why is None:
            raise
        raise EmokitError(f"Cannot write '{path}': {why}.") from error


@contextlib.contextmanager
def atomic(path: str | os.PathLike) -> Iterator[Path]:
    """Give a temporary name beside `path`, and rename it to `path` if the block succeeds.

    A reader never sees half a file, a crash leaves the former one. `.partial` files of a killed
    process are harmless and may be deleted.

    Example:
        >>> import tempfile
        >>> target = Path(tempfile.mkdtemp()) / "words.txt"
        >>> with atomic(target) as partial:
        ...     _ = partial.write_text("calm")
        >>> target.read_text()
        'calm'
    """
    path = Path(path)
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            prefix=f".{path.name}.", suffix=".partial", dir=path.parent
        )
        os.close(handle)
    partial = Path(name)
    try:
        with disk_errors(path):
            # mkstemp is private to the user; results are shared like any other file
            os.chmod(partial, 0o666 & ~_umask())
            yield partial
            os.replace(partial, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            partial.unlink()


@contextlib.contextmanager
def locked(path: str | os.PathLike, busy: EmokitError, wait: bool = False) -> Iterator[None]:
    """Hold a lock file while the block runs; the lock dies with its process, the file stays.

    Args:
        busy: raised if another process holds it.
        wait: wait for the other process instead.
    """
    path = Path(path)
    try:
        import fcntl
    except ImportError:
        yield
        return
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = open(path, "w")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise busy from None
        except OSError:
            # some network file systems know no locks
            pass
        yield


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_text(path: str | os.PathLike, text: str) -> Path:
    """Write UTF-8 text whole or not at all."""
    with atomic(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="\n")
    return Path(path)


def write_bytes(path: str | os.PathLike, data: bytes) -> Path:
    """Write bytes whole or not at all.

    Writers of weights get their bytes made in memory and written here, because on a full disk they
    raise errors of their own that say nothing.
    """
    with atomic(path) as partial:
        partial.write_bytes(data)
    return Path(path)


def write_json(path: str | os.PathLike, value: Any) -> Path:
    """Write JSON with sorted keys; NaN and infinities become null, which is all JSON knows."""
    text = json.dumps(_plain(value), indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return write_text(path, text + "\n")


def to_json(value: Any) -> str:
    """Give one line of JSON, in the order of the keys, for logs and JSON lines."""
    return json.dumps(_plain(value), ensure_ascii=False, allow_nan=False)


def read_json(path: str | os.PathLike) -> Any:
    """Read JSON.

    Raises:
        EmokitError: no such file, or it is not JSON.
    """
    path = Path(path)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise EmokitError(f"There is no file '{path}'.") from None
    except OSError as error:
        raise EmokitError(f"Cannot read '{path}': {error.strerror}.") from None
    except ValueError as error:
        raise EmokitError(
            f"'{path}' is not valid JSON ({error}). Remove it and run what made it again."
        ) from None


def _plain(value: Any) -> Any:
    """Turn NumPy scalars, arrays, paths, tuples and NaN into what JSON and YAML know."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item) for item in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def write_yaml(path: str | os.PathLike, value: Any) -> Path:
    """Write YAML in the order of the keys."""
    import yaml

    text = yaml.safe_dump(_plain(value), sort_keys=False, allow_unicode=True, width=100)
    return write_text(path, text)


def read_yaml(path: str | os.PathLike) -> tuple[Any, dict[tuple, int]]:
    """Read one YAML document and the line on which each key stands.

    Scalars follow YAML 1.2 where 1.1 bites: `no`, `yes`, `on`, `off` stay words (a language code,
    a class), and a number with a leading zero ("03", a speaker) stays text.

    Returns:
        The value, and `{path of keys: line}` with lines from 1, e.g. `("emodb", "root") -> 3`.
        An empty file gives `({}, {})`.

    Raises:
        ConfigError: no such file, not UTF-8, not YAML, or a key given twice; with the line.
    """
    import yaml

    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"There is no file '{path}'.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"Cannot read '{path}': {error}.") from None
    loader = _loader()(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return {}, {}
        lines: dict[tuple, int] = {}
        return _construct(loader, node, (), lines, path), lines
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        problem = getattr(error, "problem", None) or str(error)
        raise ConfigError(f"{where}: not valid YAML ({problem}). Mend that line.") from None
    finally:
        loader.dispose()


def _loader():
    import re

    import yaml

    class Loader(yaml.SafeLoader):
        pass

    Loader.yaml_implicit_resolvers = {
        first: [pair for pair in pairs
                if pair[0] not in ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:int",
                                   "tag:yaml.org,2002:float", "tag:yaml.org,2002:timestamp")]
        for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    Loader.add_implicit_resolver(
        "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"),
        list("tTfF")
    )
    Loader.add_implicit_resolver(
        "tag:yaml.org,2002:int", re.compile(r"^[-+]?(?:0|[1-9][0-9]*)$"), list("-+0123456789")
    )
    Loader.add_implicit_resolver(
        "tag:yaml.org,2002:float",
        # YAML 1.1 reads 1e-3 as text; everybody means the number
        re.compile(r"^[-+]?(?:(?:[1-9][0-9]*|0)?\.[0-9]+|(?:[1-9][0-9]*|0)\.?)(?:[eE][-+]?[0-9]+)?$"
                   r"|^[-+]?\.(?:inf|Inf|INF)$|^\.(?:nan|NaN|NAN)$"),
        list("-+0123456789."),
    )
    return Loader


def _construct(loader, node, keys: tuple, lines: dict[tuple, int], path: Path) -> Any:
    import yaml

    plain = {yaml.MappingNode: "tag:yaml.org,2002:map", yaml.SequenceNode: "tag:yaml.org,2002:seq"}
    if node.tag != plain.get(type(node), node.tag):
        raise ConfigError(
            f"{path}:{node.start_mark.line + 1}: not valid YAML (tag '{node.tag}' makes objects). "
            "Mend that line."
        )
    if isinstance(node, yaml.MappingNode):
        loader.flatten_mapping(node)
        value = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            line = key_node.start_mark.line + 1
            if key in value:
                raise ConfigError(f"{path}:{line}: '{key}' is given twice. Remove one of the two.")
            lines[(*keys, key)] = line
            value[key] = _construct(loader, value_node, (*keys, key), lines, path)
        return value
    if isinstance(node, yaml.SequenceNode):
        value = []
        for index, item in enumerate(node.value):
            lines[(*keys, index)] = item.start_mark.line + 1
            value.append(_construct(loader, item, (*keys, index), lines, path))
        return value
    return loader.construct_object(node, deep=True)


def write_csv(path: str | os.PathLike, table) -> Path:
    """Write a pandas table as CSV without its index; NaN is empty, floats round-trip."""
    with atomic(path) as partial:
        table.to_csv(partial, index=False, lineterminator="\n", encoding="utf-8")
    return Path(path)


def read_csv(path: str | os.PathLike, **types: str):
    """Read a CSV as text, then give the named columns their types.

    Every column stays text unless named, so "03" and "NA" remain what they are.

    Args:
        types: column to "float" or "int"; empty cells of float columns become NaN.

    Raises:
        ManifestError: no such file, not a table, or a cell that is not of the column's type.
    """
    import pandas as pd

    path = Path(path)
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except FileNotFoundError:
        raise ManifestError(f"There is no file '{path}'.") from None
    except OSError as error:
        raise ManifestError(f"Cannot read '{path}': {error.strerror}.") from None
    except ValueError as error:
        raise ManifestError(f"'{path}' is not a CSV table ({str(error).strip()}).") from None
    for column, kind in types.items():
        if column in table:
            table[column] = typed_column(table[column], kind, path)
    return table


def typed_column(column, kind: str, path: Path):
    import pandas as pd

    numbers = pd.to_numeric(column.where(column != "", None), errors="coerce").astype(float)
    wrong = numbers.isna() & (column != "") & (column.str.lower() != "nan")
    if kind == "int":
        wrong |= numbers.isna() | (numbers % 1 != 0)
    if wrong.any():
        row = int(wrong.to_numpy().argmax())
        noun = "a whole number" if kind == "int" else "a number"
        raise ManifestError(
            f"{path}:{row + 2}: column '{column.name}' has '{column.iloc[row]}', not {noun}."
        )
    return numbers.astype("int64") if kind == "int" else numbers


def file_digest(path: str | os.PathLike) -> str:
    """Give the SHA-256 of a file's bytes, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() if hasattr(
            hashlib, "file_digest") else hashlib.sha256(file.read()).hexdigest()


def remove_tree(path: str | os.PathLike) -> None:
    """Remove a folder, if it is there."""
    shutil.rmtree(path, ignore_errors=True)


def beneath(root: str | os.PathLike, relative: str) -> Path:
    """Join a path from a table to its root.

    Raises:
        ManifestError: the path is absolute or climbs out of the root; tables are data and must
            not make emokit read other files.
    """
    relative = str(relative)
    if os.path.isabs(relative) or ".." in Path(relative).parts or "\0" in relative:
        raise ManifestError(
            f"Path '{relative}' leaves its folder '{root}'. Use a path below that folder."
        )
    return Path(root) / relative
