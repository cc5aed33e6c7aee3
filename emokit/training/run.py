"""Run folders: groups of cells, what is in a cell, and what state it is in."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import re
import sys
from pathlib import Path
from typing import Any

from emokit import __version__
from emokit.core.errors import EmokitError, choices
from emokit.core.files import (
    disk_errors, locked, read_json, remove_tree, to_json, write_json, write_text, write_yaml,
)

CONFIG, ENVIRONMENT, HISTORY = "config.yaml", "environment.json", "history.jsonl"
METRICS, PARAMETERS, RESUME = "metrics.json", "parameters.json", "resume.pt"
BEST, LAST, FAILED = "best.safetensors", "last.safetensors", "failed.json"
PREDICTIONS = "predictions"


@dataclasses.dataclass(frozen=True)
class Cell:
    """The folder of one fitted model.

    `metrics.json` is written last, so its presence means that the model is complete.
    """

    folder: Path

    @property
    def name(self) -> str:
        """Name of the cell, e.g. `emodb-f2-s1`."""
        return self.folder.name

    @property
    def is_complete(self) -> bool:
        """Whether the model is fitted."""
        return (self.folder / METRICS).is_file()

    @property
    def state(self) -> str:
        """`complete`, `failed`, `interrupted` (resumes when run again) or `empty`."""
        if self.is_complete:
            return "complete"
        if (self.folder / FAILED).is_file():
            return "failed"
        return "interrupted" if (self.folder / RESUME).is_file() else "empty"

    @property
    def seed(self) -> int:
        """Seed, from the name."""
        return int(_parse(self.name)[2])

    @property
    def fold(self) -> int | None:
        """Test fold, from the name."""
        return _parse(self.name)[1]

    @property
    def who(self) -> str:
        """Corpus of the cell, or `joint` or `pooled`."""
        return _parse(self.name)[0]

    def metrics(self) -> dict[str, Any]:
        """Read `metrics.json`."""
        return read_json(self.folder / METRICS)

    def history(self) -> list[dict[str, Any]]:
        """Read the history, one record an epoch; a line cut off by a crash is left out."""
        path = self.folder / HISTORY
        if not path.is_file():
            return []
        records = []
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                records.append(json.loads(line))
            except ValueError:
                break
        return records

    def write_history(self, records: list[dict[str, Any]]) -> None:
        """Write the whole history, as a resumed run does first."""
        write_text(self.folder / HISTORY, "".join(to_json(record) + "\n" for record in records))

    def append_history(self, record: dict[str, Any]) -> None:
        """Append one epoch."""
        with disk_errors(self.folder / HISTORY):
            with open(self.folder / HISTORY, "a", encoding="utf-8") as file:
                file.write(to_json(record) + "\n")

    def alone(self):
        """Keep other processes from fitting the same cell at once; a context.

        Raises:
            EmokitError: one does.
        """
        return locked(self.folder / ".lock", EmokitError(
            f"Another process is fitting '{self.folder}'. Wait for it, or fit other cells."))

    def predictions(self, corpus: str, partition: str) -> Path:
        """Name the file of predictions of one corpus and partition."""
        return self.folder / PREDICTIONS / f"{corpus}.{partition}.csv"


def _parse(name: str) -> tuple[str, int | None, str]:
    match = re.fullmatch(r"(.+?)(?:-f(\d+))?-s(\d+)", name)
    if not match:
        raise EmokitError(f"'{name}' is no cell. Cells are named CORPUS[-fFOLD]-sSEED.")
    return match[1], None if match[2] is None else int(match[2]), match[3]


def cell_name(who: str, fold: int | None, seed: int) -> str:
    """Name a cell.

    Example:
        >>> cell_name("emodb", 2, 1), cell_name("joint", None, 0)
        ('emodb-f2-s1', 'joint-s0')
    """
    return f"{who}{'' if fold is None else f'-f{fold}'}-s{seed}"


@dataclasses.dataclass(frozen=True)
class Group:
    """All cells with the same settings."""

    folder: Path

    @property
    def name(self) -> str:
        """Name of the folder, settings signature at its end."""
        return self.folder.name

    def cell(self, name: str) -> Cell:
        """Give one cell, there or not."""
        return Cell(self.folder / name)

    def cells(self) -> list[Cell]:
        """Give the cells on disk, sorted by name."""
        return [Cell(path.parent) for path in sorted(self.folder.glob(f"*/{CONFIG}"))]

    def config(self) -> dict[str, Any]:
        """Read the settings of the group."""
        from emokit.core.files import read_yaml

        return read_yaml(self.folder / "group.yaml")[0]


def groups(runs: str | os.PathLike) -> list[Group]:
    """Give all groups below a folder, the one written last at the end."""
    found = [path.parent for path in Path(runs).glob("*/group.yaml")]

    def last_written(folder: Path) -> tuple[int, str]:
        times = [path.stat().st_mtime_ns for path in folder.glob(f"*/{METRICS}")]
        return max(times, default=(folder / "group.yaml").stat().st_mtime_ns), folder.name

    return [Group(folder) for folder in sorted(found, key=last_written)]


def find_group(runs: str | os.PathLike, name: str) -> Group:
    """Find a group by path, name, or an unambiguous beginning of its name.

    Raises:
        EmokitError: none or several, with the choices.
    """
    given = Path(name)
    if (given / "group.yaml").is_file():
        return Group(given)
    present = {group.name: group for group in groups(runs)}
    matching = [group for text, group in present.items() if text == given.name] or [
        group for text, group in present.items() if given.name and text.startswith(given.name)]
    if len(matching) == 1:
        return matching[0]
    if matching:
        raise EmokitError(
            f"'{name}' means several groups: {', '.join(group.name for group in matching)}. "
            "Give more of the name."
        )
    raise EmokitError(f"There is no group '{name}' below '{runs}'. {choices(name, present)}")


def environment(device: str, precision: str, why: str) -> dict[str, Any]:
    """Describe what a run ran on: versions, machine, device, precision and the reason for it."""
    import importlib.metadata

    packages = ("torch", "numpy", "pandas", "librosa", "soundfile", "soxr", "scikit-learn")
    versions = {}
    for package in packages:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = None
    return {"emokit": __version__, "python": platform.python_version(), "packages": versions,
            "platform": platform.platform(), "processors": os.cpu_count(), "device": device,
            "precision": precision, "precision_reason": why, "command": sys.argv,
            "commit": _commit(), "slurm_job": os.environ.get("SLURM_JOB_ID")}


def _commit() -> str | None:
    """Give the commit of an editable install, read from .git without running git."""
    root = Path(__file__).resolve().parents[2] / ".git"
    try:
        head = (root / "HEAD").read_text().strip()
        if head.startswith("ref: "):
            return (root / head[5:]).read_text().strip()
        return head
    except OSError:
        return None


def start_cell(cell: Cell, config: dict[str, Any], parameters: dict[str, Any],
               surroundings: dict[str, Any]) -> None:
    """Write what is known before the first epoch, and drop what a former model here has said."""
    (cell.folder / METRICS).unlink(missing_ok=True)
    remove_tree(cell.folder / PREDICTIONS)
    write_json(cell.folder / ENVIRONMENT, surroundings)
    write_json(cell.folder / PARAMETERS, parameters)
    (cell.folder / FAILED).unlink(missing_ok=True)
    write_yaml(cell.folder / CONFIG, config)
