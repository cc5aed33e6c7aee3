"""The card of a HuggingFace data set: what the YAML at the top of its README.md says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from emokit.core.errors import ConfigError, CorpusError, choices


def splits(root: Path, config: str = "") -> list[tuple[str, str]]:
    """Give (split, pattern of its files) as the card lists them; empty if it lists none.

    Args:
        config: the configuration, where there are several.

    Raises:
        ConfigError: several configurations and none chosen, or no such one.
    """
    entry = _chosen(_head(root).get("configs"), config, root)
    files = entry.get("data_files") if entry else None
    folder = str(entry.get("data_dir") or "").strip("/") if entry else ""
    if isinstance(files, dict):
        files = [{"split": split, "path": path} for split, path in files.items()]
    if isinstance(files, str):
        files = [{"split": "train", "path": files}]
    found = []
    for row in files or []:
        if isinstance(row, str):
            row = {"split": "train", "path": row}
        patterns = row.get("path", [])
        for pattern in [patterns] if isinstance(patterns, str) else patterns:
            found.append((str(row.get("split", "")), f"{folder}/{pattern}" if folder else pattern))
    return found


def class_labels(root: Path, config: str = "") -> dict[str, list[str]]:
    """Give the names of each ClassLabel that the card lists, in their order."""
    infos = _head(root).get("dataset_info")
    info = _chosen([infos] if isinstance(infos, dict) else infos, config, root)
    result = {}
    for feature in (info or {}).get("features") or []:
        kind = feature.get("dtype") if isinstance(feature, dict) else None
        names = kind.get("class_label", {}).get("names") if isinstance(kind, dict) else None
        if isinstance(names, dict):
            names = [names[key] for key in sorted(names, key=lambda key: int(key))]
        if names:
            result[feature["name"]] = [str(name) for name in names]
    return result


def scales(root: Path) -> dict[str, tuple[float, float]]:
    """Give lowest and highest value of dimensions, from the card's own entry `emokit`."""
    own = _head(root).get("emokit")
    found = own.get("scales") if isinstance(own, dict) else None
    return {name: (float(low), float(high)) for name, (low, high) in (found or {}).items()}


def _head(root: Path) -> dict[str, Any]:
    import yaml

    path = Path(root) / "README.md"
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise CorpusError(f"Cannot read '{path}' ({error}). Load it again.") from None
    if not text.startswith("---"):
        return {}
    try:
        # base values only: `no` stays a word, numbers are not asked for here
        head = yaml.load(text[3:].partition("\n---")[0], yaml.BaseLoader)
    except yaml.YAMLError as error:
        raise CorpusError(f"The head of '{path}' is not YAML ({error.__class__.__name__}). Mend "
                          "or remove it.") from None
    return head if isinstance(head, dict) else {}


def _chosen(entries, config: str, root: Path) -> dict[str, Any] | None:
    entries = [entry for entry in entries or [] if isinstance(entry, dict)]
    known = [str(entry.get("config_name", "default")) for entry in entries]
    if config:
        if config not in known and entries:
            raise ConfigError(f"The data set in '{root}' has no configuration '{config}'. "
                              f"{choices(config, known)}")
        return next((entry for entry, name in zip(entries, known) if name == config), None)
    if len(entries) > 1:
        default = [entry for entry, name in zip(entries, known)
                   if name == "default" or str(entry.get("default")).lower() == "true"]
        if len(default) == 1:
            return default[0]
        raise ConfigError(f"The data set in '{root}' has the configurations "
                          f"{', '.join(known)}. Set 'config' to one of them.")
    return entries[0] if entries else None
