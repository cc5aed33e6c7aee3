"""Synthetic stand-ins: voices from `voice.py` in each corpus's own published layout."""

from __future__ import annotations

import collections
import dataclasses
import math
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from emokit.core.errors import ConfigError, CorpusError, culprits
from emokit.core.files import beneath, write_text
from emokit.core.seeding import derive
from emokit.corpora.speaking import speak_all
from emokit.corpora.utterance import StandIn

USUAL = ("crema_d", "emodb", "emogator", "nemo", "ravdess", "tess")
"""Corpora that stand-ins are made of where none is named."""

MARKER = "SYNTHETIC.txt"
"""File in a corpus folder that says its recordings are synthetic; `read_marker` reads it."""

VERSION = 1
"""Raise when the same seed no longer gives the same voices."""

LEAST_SPEAKERS, LEAST_PER_CELL = 4, 3
"""What a thinned corpus keeps if it has as many: speakers, and files per speaker and emotion."""


@dataclasses.dataclass(frozen=True)
class SyntheticCorpus:
    """One written stand-in.

    Args:
        name: id of the corpus.
        folder: its root, as a parser reads it.
        n_files: recordings that lie there; one within a long file counts by itself.
        n_written: those written by this call; the others were there already.
    """

    name: str
    folder: Path
    n_files: int
    n_written: int


def write_synthetic(
    root: str | os.PathLike,
    names: Iterable[str] = (),
    scale: float = 1.0,
    seed: int = 0,
    jobs: int = 1,
    limit: int | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> list[SyntheticCorpus]:
    """Write stand-ins for corpora below `root/<name>`, or complete those that are unfinished.

    A recording depends on its corpus, its published path and the seed alone, so any number of
    processes, any interruption and any other scale give the same bytes.

    Args:
        names: ids of corpora with a parser; `USUAL` if empty.
        scale: share of the published files, 0 < scale <= 1, see `thin`.
        jobs: processes.
        limit: at most about this many recordings a corpus, whatever the scale.
        progress: called with the corpus, recordings done and recordings in all.

    Raises:
        ConfigError: scale, jobs or limit out of range, or an unknown corpus.
        CorpusError: the folder holds something else: real files, or stand-ins of another seed,
            a larger scale or another version. Nothing is touched then.
        EmokitError: the disk refuses.
    """
    from emokit.corpora.parsers import PARSERS

    _check(scale, jobs, limit)
    names = list(dict.fromkeys(names)) or list(USUAL)
    parsers = {name: PARSERS[name] for name in names}
    plans = {}
    for name, parser in parsers.items():
        everything = list(parser.stand_ins())
        chosen = thin(everything, scale, limit)
        for item in chosen:
            beneath(root, item.path)
        _claim(Path(root) / name, name, seed, len(chosen))
        plans[name] = chosen
    return [
        _write_corpus(Path(root) / name, name, plans[name], parsers[name], seed, scale, jobs,
                      progress)
        for name in names
    ]


def read_marker(folder: str | os.PathLike) -> dict[str, str] | None:
    """Read what `SYNTHETIC.txt` says, or None if the folder is not known to be synthetic.

    Returns:
        Keys `corpus`, `seed`, `scale`, `recordings`, `version`, `state` (`writing` or `complete`).
    """
    try:
        text = (Path(folder) / MARKER).read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    pairs = (line.partition(": ") for line in text.splitlines() if ": " in line)
    return {key: value for key, _, value in pairs}


def thin(stand_ins: Sequence[StandIn], scale: float = 1.0,
         limit: int | None = None) -> list[StandIn]:
    """Choose a share of a corpus, evenly over speakers and emotions.

    With few files wanted, speakers are left out first (genders in turn), so that each speaker
    keeps every emotion with `LEAST_PER_CELL` files; at least `LEAST_SPEAKERS` remain. Only when
    all speakers are in does the number per speaker and emotion grow. A smaller choice is always
    part of a larger one.

    Args:
        stand_ins: the published list.
        scale: share of the files, 0 < scale <= 1; the floors above may give more.
        limit: at most about this many files; the floors hold here too.

    Returns:
        The chosen ones in the order given.
    """
    wanted = min(math.ceil(scale * len(stand_ins)), limit or len(stand_ins))
    if wanted >= len(stand_ins):
        return list(stand_ins)
    cells: dict[str, dict[str, list[StandIn]]] = collections.defaultdict(
        lambda: collections.defaultdict(list))
    for item in stand_ins:
        cells[item.speaker][item.emotion].append(item)
    for emotions in cells.values():
        for emotion, items in emotions.items():
            emotions[emotion] = _texts_in_turn(items)
    chosen: list[StandIn] = []
    kept = []
    for speaker in speaker_order(stand_ins):
        block = [item for items in cells[speaker].values() for item in items[:LEAST_PER_CELL]]
        if len(kept) >= LEAST_SPEAKERS and len(chosen) + len(block) > wanted:
            break
        kept.append(speaker)
        chosen += block
    if len(kept) == len(cells):
        chosen += _more(cells, wanted - len(chosen))
    paths = {item.path for item in chosen}
    return [item for item in stand_ins if item.path in paths]


def speaker_order(stand_ins: Sequence[StandIn]) -> list[str]:
    """Give the speakers in the order in which thinning keeps them: genders in turn."""
    genders: dict[str, list[str]] = collections.defaultdict(list)
    for speaker, gender in sorted({(item.speaker, item.gender) for item in stand_ins}):
        genders[gender].append(speaker)
    ranked = [
        (rank, gender, speaker)
        for gender, speakers in genders.items()
        for rank, speaker in enumerate(
            sorted(speakers, key=lambda name: derive(0, "thin", name)))
    ]
    return list(dict.fromkeys(speaker for _, _, speaker in sorted(ranked)))


def _texts_in_turn(items: list[StandIn]) -> list[StandIn]:
    seen: collections.Counter = collections.Counter()
    ranked = []
    for item in sorted(items, key=lambda item: derive(0, "thin", item.path)):
        ranked.append((seen[item.text], len(ranked), item))
        seen[item.text] += 1
    return [item for _, _, item in sorted(ranked, key=lambda entry: entry[:2])]


def _more(cells, n: int) -> list[StandIn]:
    """Give n further files, one from each cell in turn."""
    more: list[StandIn] = []
    depth = LEAST_PER_CELL
    while len(more) < n:
        layer = [items[depth] for emotions in cells.values() for items in emotions.values()
                 if len(items) > depth]
        layer.sort(key=lambda item: derive(0, "thin", item.path))
        more += layer[:n - len(more)]
        depth += 1
    return more


def _check(scale: float, jobs: int, limit: int | None) -> None:
    if not 0 < scale <= 1:
        raise ConfigError(f"scale is {scale}, but must lie above 0 and be at most 1.")
    for name, value in (("jobs", jobs), ("limit", limit)):
        if value is not None and value < 1:
            raise ConfigError(f"{name} is {value}, but must be at least 1.")


def _claim(folder: Path, name: str, seed: int, n_files: int) -> None:
    """Make sure that writing here mixes with nothing else."""
    marker = read_marker(folder)
    if marker is None:
        there = [path.name for path in folder.iterdir()] if folder.is_dir() else []
        if there:
            raise CorpusError(
                f"Folder '{folder}' holds {culprits(sorted(there))} and no {MARKER}, so it is not "
                "synthetic. Choose an empty folder for synthetic corpora."
            )
        return
    for key, ours in (("corpus", name), ("seed", seed), ("version", VERSION)):
        if marker.get(key) != str(ours):
            raise CorpusError(
                f"'{folder}' holds synthetic recordings with {key} '{marker.get(key)}', not "
                f"'{ours}'. Remove that folder or choose another."
            )
    if int(marker.get("recordings", 0)) > n_files:
        raise CorpusError(
            f"'{folder}' already holds {marker['recordings']} synthetic recordings (scale "
            f"{marker.get('scale')}), more than the {n_files} asked for. Remove that folder, "
            "choose another or ask for the same number."
        )


def _write_corpus(folder, name, chosen, parser, seed, scale, jobs, progress) -> SyntheticCorpus:
    def mark(state: str) -> None:
        write_text(folder / MARKER, (
            "Synthetic stand-ins written by emokit. Nobody spoke these recordings; they only\n"
            "have the names and the layout of the corpus.\n\n"
            f"corpus: {name}\nseed: {seed}\nscale: {scale:g}\nrecordings: {len(chosen)}\n"
            f"version: {VERSION}\nstate: {state}\n"
        ))

    marker = read_marker(folder) or {}
    lost = {file for file in {item.file for item in chosen} if not (folder / file).exists()}
    # what lies in a long recording depends on all that was chosen, and its times are not kept
    renew = (marker.get("state"), marker.get("recordings")) != ("complete", str(len(chosen))) or (
        any(item.within in lost for item in chosen))
    missing = [item for item in chosen if item.file in lost or item.within and renew]
    if missing or marker.get("state") != "complete":
        mark("writing")
        done = len(chosen) - len(missing)
        if progress:
            progress(name, done, len(chosen))
        lengths = {}
        for spoken in speak_all(folder, name, missing, seed, jobs):
            done += len(spoken)
            lengths |= {item.path: item for item in spoken}
            if progress:
                progress(name, done, len(chosen))
        chosen = [lengths.get(item.path, item) for item in chosen]
        tables = getattr(parser, "stand_in_tables", None)
        for path, text in (tables(chosen) if tables else {}).items():
            write_text(beneath(folder, path), text)
        mark("complete")
    return SyntheticCorpus(name, folder, len(chosen), len(missing))
