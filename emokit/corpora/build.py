"""Raw folders to built corpora: parsed, checked, decoded once, laid down whole or not at all."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from emokit.core.config import knob
from emokit.core.errors import CorpusError, EmokitError, choices, culprits
from emokit.core.files import disk_errors, read_json, remove_tree, write_csv, write_json
from emokit.corpora import swap
from emokit.corpora.spec import CorpusSpec
from emokit.corpora.utterance import source_id

BUILD_VERSION = 3
"""Raise when built files would change, so that every corpus is built again."""

Progress = Callable[[str, int, int], None]
"""Called with the corpus, utterances done and utterances in all."""


@dataclasses.dataclass(frozen=True)
class BuildOptions:
    """How to build; what is allowed here is written into build.json and every report."""

    jobs: int | None = knob(
        None, "Processes that decode; every core if unset.", minimum=1, cosmetic=True)
    seed: int = knob(0, "Seed of automatic partitions.", minimum=0)
    rebuild: bool = knob(False, "Build again even where nothing changed.", cosmetic=True)
    report: bool = knob(True, "Draw report.html, some seconds for many corpora.", cosmetic=True)
    skip_unreadable: bool = knob(False, "Leave out files that cannot be read, or that are missing.")
    allow_cut_stretches: bool = knob(
        False, "Keep of stretches whose time stamps end past their file what the file holds.")
    allow_silence: bool = knob(False, "Keep files in which nothing can be heard.")
    allow_shared_speakers: bool = knob(False, "Accept speakers in two partitions.")
    allow_missing_classes: bool = knob(False, "Accept partitions that lack a class.")
    allow_duplicates: bool = knob(
        False, "Accept one recording across partitions, or identical audio under two labels.")
    allow_shared_audio: bool = knob(False, "Accept identical audio in two corpora.")
    allow_shared_recordings: bool = knob(
        False, "Accept one recording in two corpora, in another coding, rate or level.")

    def waived(self) -> set[str]:
        """Name the flags in force that waive a check."""
        return {f"--{field.name.replace('_', '-')}" for field in dataclasses.fields(self)
                if field.name.startswith(("allow_", "skip_")) and getattr(self, field.name)}


@dataclasses.dataclass(frozen=True)
class BuildResult:
    """What became of one corpus.

    Args:
        name: of the corpus.
        folder: where it lies.
        state: "built" or "unchanged".
        build: its build.json.
    """

    name: str
    folder: Path
    state: str
    build: dict

    @property
    def words(self) -> str:
        """Say it in one line."""
        from emokit.corpora.card import divided, length

        counts = self.build["counts"]
        text = (f"{self.name}: {self.state}, {counts['utterances']:,} utterances, "
                f"{length(counts['seconds'])}, speakers {counts['speakers']}, "
                f"classes {len(self.build['classes'])}, "
                f"partitions {divided(self.build['partitions'])}")
        if counts["rejected"]:
            text += f", {counts['rejected']} rejected"
        if counts.get("missing"):
            text += f", missing {counts['missing']:,} of {counts['listed']:,} listed"
        for word, rows in (("waived", self.build["waivers"]), ("warning", self.build["warnings"])):
            if rows:
                text += f", {word}: " + "; ".join(
                    f"{row['check']} ({row['count']})" for row in rows)
        return text


def build_corpora(
    specs: Iterable[CorpusSpec],
    out: str | os.PathLike,
    options: BuildOptions = BuildOptions(),
    progress: Progress | None = None,
    tell: Callable[[BuildResult], None] = lambda result: None,
) -> list[BuildResult]:
    """Build corpora into `out`, one folder each, then the index and the report over all of them.

    Labels, partitions and speakers of every corpus are checked before the first file is decoded.
    A corpus whose files, settings and code did not change is left as it is. After an error or a
    kill the next call takes up what was done.

    Args:
        specs: from `emokit.corpora.spec.read_specs`.
        out: made if missing.
        options: see there.
        progress: see `Progress`.
        tell: called with each result as soon as it is there.

    Returns:
        One result per corpus, in the order of `specs`.

    Raises:
        EmokitError: in words, of every corpus; those without fault are built nevertheless, unless
            what is wrong could be told before decoding.
    """
    from emokit.corpora.index import INDEX, write_index

    specs, out = list(specs), Path(out)
    names = [spec.name for spec in specs]
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise CorpusError(f"Corpus {culprits(twice)} is given twice. Name it once.")
    with disk_errors(out):
        out.mkdir(parents=True, exist_ok=True)
    results: dict[str, BuildResult] = {}
    errors: list[EmokitError] = []
    with contextlib.ExitStack() as locks:
        plans = {}
        for spec in specs:
            locks.enter_context(swap.lock(out, spec.name))
            swap.recover(out, spec.name)
            inputs = _inputs(spec, out, options)
            former = None if options.rebuild else _former(out / spec.name, inputs, options)
            if former is not None:
                results[spec.name] = BuildResult(spec.name, out / spec.name, "unchanged", former)
                continue
            with _gathered(errors):
                plans[spec.name] = _plan(spec, options), inputs
        for result in results.values():
            tell(result)
        if errors:
            raise _together(errors)
        for name, (plan, inputs) in plans.items():
            with _gathered(errors):
                build = _build(plan, inputs, out, options, progress)
                results[name] = BuildResult(name, out / name, "built", build)
                tell(results[name])
        with swap.lock(out, INDEX, wait=True), _gathered(errors):
            write_index(out, options.waived(), options.report)
    if errors:
        raise _together(errors)
    return [results[name] for name in names]


@contextlib.contextmanager
def _gathered(errors: list[EmokitError]) -> Iterator[None]:
    """Put off an error, so that the other corpora have their turn."""
    try:
        yield
    except EmokitError as error:
        errors.append(error)


def _together(errors: Sequence[EmokitError]) -> EmokitError:
    first, *others = errors
    more = f" (and {len(others)} more failed: {' | '.join(map(str, others))})" if others else ""
    return type(first)(f"{first}{more}")


def remove_corpus(out: str | os.PathLike, name: str) -> None:
    """Remove a built corpus, and it alone; the index and the report follow.

    Raises:
        CorpusError: it is not built there.
    """
    from emokit.corpora.index import INDEX, write_index
    from emokit.corpora.store import BUILD, built_names

    built = built_names(out)
    if name not in built:
        raise CorpusError(f"Corpus '{name}' is not built in '{out}'. {choices(name, built)}")
    with swap.lock(Path(out), name), swap.lock(Path(out), INDEX, wait=True):
        # the marker of completeness goes first, so no reader sees half of it
        (Path(out) / name / BUILD).unlink()
        remove_tree(Path(out) / name)
        write_index(out, {"--allow-shared-audio", "--allow-shared-recordings"})


def _inputs(spec: CorpusSpec, out: Path, options: BuildOptions) -> str:
    """Sign what a build depends on; waivers do not belong to it, they allow and change nothing."""
    from emokit.corpora.card import catalogue_facts
    from emokit.corpora.code import deciding
    from emokit.corpora.inputs import inputs_signature
    from emokit.corpora.parsers import FORMATS, LISTED, PARSERS

    if not Path(spec.root).is_dir():
        # the parser says in words what is wrong with the root
        return ""
    module = FORMATS[spec.format] if spec.format else PARSERS[spec.parser]
    further = deciding(Path(__file__), Path(module.__file__))
    further += [spec.partitions.file] if spec.partitions.file else []
    further += [Path(spec.root) / path for path in getattr(spec.settings, "lists", None) or ()]
    further += _emobox_lists(spec)
    # the classes of corpora without a layout of their own stand in the catalogue
    words = list(module.EMOTIONS) if spec.parser in LISTED else []
    settings = [BUILD_VERSION, spec, options.seed, catalogue_facts(spec), words]
    return inputs_signature(spec.root, settings, further, without=out)


def _emobox_lists(spec: CorpusSpec) -> list[Path]:
    """Name the lists of EmoBox that a build reads, wherever they lie."""
    from emokit.corpora.parsers.emobox import corpus_folder

    folders = [spec.settings.folder] if spec.format == "emobox" else []
    if spec.partitions.folder:
        with contextlib.suppress(CorpusError):
            folders.append(corpus_folder(Path(spec.partitions.folder), spec.name))
    return sorted(path for folder in folders for pattern in ("*.json", "fold_*/*.jsonl")
                  for path in (Path(spec.root) / folder).glob(pattern))


def _former(folder: Path, inputs: str, options: BuildOptions) -> dict | None:
    """Give build.json of a finished build from these very inputs."""
    from emokit.corpora.store import AUDIO, BUILD

    try:
        build = read_json(folder / BUILD)
        whole = (folder / AUDIO).stat().st_size == 2 * build["counts"]["samples"]
        if options.allow_cut_stretches and build["counts"]["past_end"]:
            return None
        return build if whole and inputs and build["inputs"] == inputs else None
    except (OSError, EmokitError, KeyError, TypeError):
        return None


def _plan(spec: CorpusSpec, options: BuildOptions):
    from emokit.corpora import checks
    from emokit.corpora.plan import make_plan

    plan = make_plan(spec, options.seed)
    checks.settle(spec.name, _label_findings(plan, plan.table), options.waived())
    return plan


def _label_findings(plan, table) -> list:
    """Check what can be told without audio."""
    from emokit.corpora import checks

    shared = [] if plan.partitions.waiver else checks.shared_speakers(table)
    missing = checks.missing_files(plan.missing, plan.n_listed)
    return [*missing, *shared, *checks.missing_classes(table, plan.classes),
            *checks.one_class(table)]


def _build(plan, inputs: str, out: Path, options: BuildOptions, progress) -> dict:
    """Decode, check and lay down one corpus."""
    import numpy as np

    from emokit.corpora import blocks, card, checks, manifest, ratings, recordings
    from emokit.corpora.store import AUDIO, BUILD, FINGERPRINTS, MANIFEST, OFFSETS, RATE

    name = plan.spec.name
    swap.check_target(out / name, plan.spec)
    work = out / f".{name}.building"
    jobs = options.jobs or len(os.sched_getaffinity(0))
    planned = blocks.plan_blocks(plan.items())
    done: dict[int, list] = {}
    n_done, n_all = 0, len(plan.table)
    for block, rows in blocks.decode_all(plan.spec.root, planned, work / "blocks", jobs):
        done[block.index] = rows
        n_done += len(rows)
        if progress:
            progress(name, n_done, n_all)
    stored = [done[block.index] for block in planned]
    table = plan.table.copy()
    flat = [row for rows in stored for row in rows]
    decoded = np.array([not row.problem for row in flat])
    if not options.allow_cut_stretches:
        flat = [dataclasses.replace(row, problem=row.overrun) if row.overrun else row
                for row in flat]
    table["duration"] = [row.length / RATE for row in flat]
    table["audio_hash"] = [row.digest for row in flat]
    table["silent"] = [row.silent for row in flat]
    table["clipped"] = [row.clipped for row in flat]
    table["overrun"] = [row.overrun for row in flat]
    problems, what = _problems(plan, flat)
    rejected = _rejected(sorted([*plan.rejected, *problems]))
    write_csv(work / "rejected.csv", rejected)
    good = np.array([not row.problem for row in flat])
    n_all = len(table) if what == "utterances" else table["path"].nunique()
    n_cut = sum(bool(row.problem and row.overrun) for row in flat)
    findings = checks.unreadable(n_all, problems, work / "rejected.csv", what, n_cut)
    table = table[good].reset_index(drop=True)
    if not len(table):
        checks.stop(name, findings)
    findings += checks.cut_stretches(table) + checks.silent(table)
    findings += _label_findings(plan, table)
    findings += checks.duplicates(table) + checks.clipped(table)
    waivers, warnings = checks.settle(name, findings, options.waived())
    for row in waivers:
        # what is finished lies elsewhere
        row["words"] = row["words"].replace(str(work), str(out / name))
    blocks.join(work / "blocks", planned, stored, _by_block(good, stored), work / AUDIO)
    lengths = np.array([row.length for row in flat if not row.problem], np.int64)
    with disk_errors(work / OFFSETS):
        np.save(work / OFFSETS, np.concatenate([[0], np.cumsum(lengths)]))
        prints = blocks.fingerprints(work / "blocks", planned)
        np.save(work / FINGERPRINTS, prints[good[decoded]])
    pairs = recordings.across_partitions(
        work, list(zip(table["utterance"], table["audio_hash"])),
        table["partition"] + " " + table["fold"].astype(str))
    waivers += checks.settle(
        name, checks.recordings_across_partitions(pairs), options.waived())[0]
    manifest.write(work / MANIFEST, table.drop(columns=["silent", "clipped", "overrun"]))
    n_ratings = ratings.write(work, name, ratings.of_corpus(plan.spec), table["utterance"])
    build = card.describe(plan, table, rejected, waivers, warnings, inputs, work / MANIFEST,
                          n_ratings)
    build["counts"]["past_end"] = n_cut
    card.write(work / "card.md", build)
    write_json(work / BUILD, build)
    swap.swap(out, name)
    return build


def _problems(plan, flat: Sequence) -> tuple[list[tuple[str, str]], str]:
    """Give path and reason of what could not be read, and what is counted, files or utterances.

    A stretch of a long file is named by its utterance, because the path alone does not tell it.
    """
    problems, parts = [], False
    for name, (path, start, end), row in zip(plan.table["utterance"], plan.stretches, flat):
        if start is not None or end is not None:
            parts = True
            if row.problem:
                problems.append((path, f"{source_id(name)}: {row.problem}"))
        elif row.problem:
            problems.append((path, row.problem))
    return problems, "utterances" if parts else "files"


def _by_block(good: Sequence[bool], stored: Sequence[Sequence]) -> list[list[bool]]:
    flags, position = [], 0
    for rows in stored:
        flags.append(list(good[position:position + len(rows)]))
        position += len(rows)
    return flags


def _rejected(rows: Sequence[tuple[str, str]]):
    import pandas as pd

    return pd.DataFrame(list(rows), columns=["file", "reason"])
