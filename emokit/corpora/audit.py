"""A copy of a corpus against what was published: whole, or what is wrong with it."""

from __future__ import annotations

import collections
import dataclasses
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from emokit.core.errors import ConfigError, CorpusError, EmokitError, choices, culprits
from emokit.corpora import audit_headers, audit_list, audit_names, catalogue
from emokit.corpora.parsers import LISTED, PARSERS, names
from emokit.corpora.utterance import Misfit, Utterance

SHORTER, LONGER = 0.05, 0.2
"""Seconds by which a file may differ from its list: rounding there, padding by MP3 here."""

SHOWN = 10

_AGAIN = "Obtain the original release; scores on such copies do not compare."


@dataclasses.dataclass(frozen=True)
class Deviation:
    """Something in which a copy is not as published.

    Args:
        check: short name.
        words: one sentence with the count and a few culprits.
        count: how many culprits.
        culprits: the first of them.
        mend: what to do.
        harmless: whether emokit reads the copy all the same, without loss.
    """

    check: str
    words: str
    count: int
    culprits: tuple[str, ...]
    mend: str
    harmless: bool = False


@dataclasses.dataclass(frozen=True)
class Audit:
    """What came of a comparison.

    Args:
        corpus, folder: what was compared.
        basis: with what.
        n_published, n_here: files published, and how many of them are here.
        deviations: the worst first.
    """

    corpus: str
    folder: Path
    basis: str
    n_published: int
    n_here: int
    deviations: tuple[Deviation, ...]

    @property
    def as_published(self) -> bool:
        """Whether nothing is wrong but what is harmless."""
        return all(item.harmless for item in self.deviations)

    def rows(self) -> list[dict]:
        """Give the deviations as a table."""
        return [{"corpus": self.corpus, **dataclasses.asdict(item),
                 "culprits": "; ".join(item.culprits)} for item in self.deviations]

    @property
    def words(self) -> str:
        """Say it in one line."""
        end = "as published" if self.as_published else "not as published"
        return (f"{self.corpus}: {self.n_here:,} of {self.n_published:,} in '{self.folder}', "
                f"{end} (compared with {self.basis})")


def audit(
    name: str,
    folder: str | os.PathLike,
    listing: str | os.PathLike | None = None,
    jobs: int = 1,
    progress: Callable[[str, int, int], None] | None = None,
) -> Audit:
    """Compare a folder with the published corpus: names, formats, rates and lengths.

    Names are compared one by one where they follow a rule that the parser knows (its `EXACT`), a
    list is given, or the corpus is read from lists of its own; otherwise the utterances that the
    parser reads are counted. Only headers are read.

    Args:
        name: of the corpus in the catalogue.
        folder: the copy.
        listing: list of files, see `emokit.corpora.audit_list.read_list`.
        jobs: processes for many files.
        progress: called with the corpus, files done and files in all.

    Raises:
        EmokitError: no such corpus or folder, no audio in it, or nothing to compare with.
    """
    facts, folder = catalogue.entry(name), Path(folder)
    module = PARSERS[facts.parser] if facts.parser and facts.parser not in LISTED else None
    own_lists = facts.parser in LISTED and listing is None
    files = names.audio_files(folder)
    if not folder.is_dir() or not files:
        what = "is no folder" if not folder.is_dir() else "holds no audio file"
        raise CorpusError(f"'{folder}' {what}. Name the folder of your copy of '{name}': emokit "
                          f"corpora check {name} FOLDER")
    published, basis, exact = _published(name, module, listing, folder)
    matched = audit_names.match(published, files, guess=exact)
    looks = audit_headers.look_at_all(
        folder, [file.path for file in files], jobs,
        progress and (lambda done: progress(name, done, len(files))))
    if own_lists and not matched.missing:
        # its labels are checked, too
        module = PARSERS[facts.parser]
    utterances, misfits, trouble = _parsed(module, folder)
    deviations = [*trouble, *_broken(looks, getattr(module, "DAMAGED", {}))]
    if own_lists:
        deviations += _by_lists(matched)
        n_published, n_here = len(published), len(matched.files)
    elif exact:
        deviations += _by_name(matched, misfits)
        n_published, n_here = len(published), len(matched.files)
    else:
        n_published, n_here = facts.utterances or len(published), utterances
        deviations += _by_count(n_here, n_published, misfits)
    deviations += _unpacked(matched, exact)
    deviations += _headers(looks, published, matched, facts if not listing else None)
    deviations += _recoded(looks, published)
    order = sorted(deviations, key=lambda item: item.harmless)
    return Audit(name, folder, basis, n_published, n_here, tuple(order))


def _published(name: str, module, listing, folder: Path) -> tuple[list, str, bool]:
    if listing is not None:
        return audit_list.read_list(Path(listing)), f"the list '{listing}'", True
    if catalogue.entry(name).parser in LISTED:
        from emokit.corpora.parsers import csv_list

        paths = csv_list.listed(folder, csv_list.Config())
        return [audit_list.Published(path) for path in sorted(paths)], "its own lists", True
    if module is None:
        raise ConfigError(f"emokit knows no file names of '{name}'. Give a list of them with "
                          "--list, a table with the column path.")
    exact = getattr(module, "EXACT", False)
    basis = "the published names" if exact else (
        "the published number of utterances; the names are not known one by one, see --list")
    return audit_list.of_parser(module), basis, exact


def _parsed(module, folder: Path) -> tuple[int, dict[str, str], list[Deviation]]:
    """Give the number of utterances that the parser reads, and why it leaves out other files."""
    if module is None:
        return 0, {}, []
    found: collections.Counter = collections.Counter()
    misfits: dict[str, str] = {}
    try:
        for item in module.parse(folder):
            found[isinstance(item, Utterance)] += 1
            if isinstance(item, Misfit):
                misfits[item.path] = item.reason
    except EmokitError as error:
        return found[True], misfits, [Deviation(
            "tables", str(error), 1, (), "Mend it as it says; until then nothing can be built.")]
    return found[True], misfits, []


def _deviation(check: str, words: str, culprit: Sequence[str], mend: str, harmless=False):
    """Make one or none; in `words`, `{n}` is the count and `{first}` the first culprits."""
    if culprit:
        text = words.format(n=f"{len(culprit):,}", first=culprits(culprit))
        yield Deviation(check, text, len(culprit), tuple(culprit[:SHOWN]), mend, harmless)


def _broken(looks: dict[str, audit_headers.Look], damaged) -> Iterator[Deviation]:
    groups: dict[str, list[str]] = collections.defaultdict(list)
    for path, look in looks.items():
        if look.problem:
            stem = names.nfc(os.path.splitext(os.path.basename(path))[0])
            kind = "damaged" if stem in damaged else next(
                (kind for kind, sign in (("lfs-pointer", "git-lfs"), ("empty", "0 bytes"),
                                         ("empty", "0 samples"), ("truncated", "truncated"))
                 if sign in look.problem), "unreadable")
            groups[kind].append(path if kind == "lfs-pointer" else f"{path} ({look.problem})")
    again = "Obtain them again."
    for kind, words, mend in (
        ("lfs-pointer", "{n} files are git-lfs pointers instead of recordings: {first}.",
         "Run 'git lfs pull' in the repository; a ZIP from its web page has none of them."),
        ("empty", "{n} files are empty: {first}.", again),
        ("truncated", "{n} files are truncated: {first}.", again),
        ("unreadable", "{n} files cannot be read: {first}.", again),
        ("damaged", "{n} files are damaged in the official release too: {first}.",
         "Nothing; they are left out."),
    ):
        yield from _deviation(kind, words, groups[kind], mend, kind == "damaged")


def _by_name(matched: audit_names.Matched, misfits: dict[str, str]) -> Iterator[Deviation]:
    yield from _deviation("missing", "{n} published files are missing: {first}.", matched.missing,
                          "Download or unpack again; an archive may be incomplete.")
    yield from _deviation("misnamed", "{n} files are spelt otherwise than published: {first}.",
                          [f"{path} (published: {own})" for path, own in matched.misnamed],
                          "Rename them.")
    more = [f"{path} ({misfits[path]})" if path in misfits else path for path in matched.more]
    yield from _deviation("extra", "{n} files are not among the published ones: {first}.", more,
                          "Move them elsewhere; a file that the parser can read is built too.")
    yield from _deviation(
        "mixed-releases", "{n} files lie in other folders than published, the rest as published: "
        "{first}.", matched.otherwise, "Two releases may be mixed. Keep one of them whole.")


def _by_lists(matched: audit_names.Matched) -> Iterator[Deviation]:
    yield from _deviation("missing", "{n} files that its lists name are missing: {first}.",
                          matched.missing, "Obtain them, or take them out of the lists.")
    yield from _deviation("misnamed", "{n} files are spelt otherwise than in its lists: {first}.",
                          [f"{path} (listed: {own})" for path, own in matched.misnamed],
                          "Rename them, or mend the lists.")
    yield from _deviation("extra", "{n} files stand in none of its lists: {first}.", matched.more,
                          "List them if they belong to the corpus; they are not built.",
                          harmless=True)


def _by_count(n_here: int, n_published: int, misfits: dict[str, str]) -> Iterator[Deviation]:
    if n_here < n_published:
        yield Deviation("missing", f"{n_published - n_here:,} of {n_published:,} published "
                        "utterances are missing.", n_published - n_here, (),
                        "Download or unpack again; which are missing, a list would tell (--list).")
    if n_here > n_published:
        yield Deviation("extra", f"{n_here - n_published:,} utterances more than published.",
                        n_here - n_published, (), "Is it another release? Keep one of them.")
    yield from _deviation("extra", "{n} files are no utterances: {first}.",
                          [f"{path} ({reason})" for path, reason in misfits.items()
                           if "a copy of" not in reason], "Move them elsewhere.", harmless=True)


def _unpacked(matched: audit_names.Matched, exact: bool) -> Iterator[Deviation]:
    trees = collections.Counter(
        (_tree(first, path), _tree(path, first)) for path, first in matched.copies) if exact else {}
    yield from _deviation(
        "duplicate-trees", "files lie twice, in {n} pairs of folders: {first}.",
        [f"'{one}' and '{other}' ({count:,} files)" for (one, other), count in sorted(
            trees.items(), key=lambda item: -item[1])], "Keep one copy.")
    if exact:
        yield from _deviation(
            "two-formats", "{n} recordings lie in two formats: {first}.",
            [f"{path} beside {better}" for path, better in matched.formats],
            "Nothing; the better one is read.", harmless=True)
    yield from _deviation(
        "lost-accents", "the accents of {n} names were lost in unpacking: {first}.",
        [f"'{here}' (published: '{own}')" for here, own in matched.undecoded],
        "Unpack again with a tool that knows the archive's encoding, such as 7z or unzip -O.")
    yield from _deviation(
        "decomposed-accents", "{n} names have accents as separate signs, as macOS writes them: "
        "{first}.", matched.decomposed, "Nothing for emokit; lists of other tools may not find "
        "them: convmv --nfc.", harmless=True)


def _tree(path: str, other: str) -> str:
    """Give the folder in which `path` lies, up to where it no longer differs from `other`."""
    parts, others = path.split("/"), other.split("/")
    while len(parts) > 1 and len(others) > 1 and parts[-1] == others[-1]:
        parts, others = parts[:-1], others[:-1]
    return "/".join(parts) if parts != path.split("/") else os.path.dirname(path) or "."


def _headers(looks, published, matched, facts) -> Iterator[Deviation]:
    """Compare rates and lengths with a list, or all of them with the usual rate of the corpus."""
    sound = {path: look for path, look in looks.items() if look.rate}
    by_path = {item.path: item for item in published}
    pairs = [(file.path, sound[file.path], by_path[path])
             for path, file in matched.files.items() if file.path in sound]
    if facts is None:
        yield from _deviation(
            "resampled", "{n} files have another sample rate than published: {first}.",
            [f"{path} ({look.rate} Hz, published {own.rate})" for path, look, own in pairs
             if own.rate and look.rate != own.rate], _AGAIN)
        yield from _deviation(
            "cut", "{n} files are shorter than published: {first}.",
            [f"{path} ({look.seconds:.2f} s, published {own.seconds:.2f})"
             for path, look, own in pairs
             if own.seconds is not None and look.seconds < own.seconds - SHORTER], _AGAIN)
        yield from _deviation(
            "longer", "{n} files are longer than published: {first}.",
            [f"{path} ({look.seconds:.2f} s, published {own.seconds:.2f})"
             for path, look, own in pairs
             if own.seconds is not None and look.seconds > own.seconds + LONGER], _AGAIN)
    elif facts.rate and "rate" not in facts.unconfirmed:
        usual = audit_headers.usual_rate(list(sound.values()))
        if usual and usual != facts.rate:
            yield from _deviation(
                "resampled", "{n} files have " + f"{usual} Hz where most were published at "
                f"{facts.rate} Hz: " + "{first}.",
                [path for path, look in sound.items() if look.rate == usual], _AGAIN)
    length = audit_headers.one_length([look.seconds for look in sound.values()])
    if length is not None and audit_headers.one_length(
            [own.seconds or 0.0 for _, _, own in pairs]) is None:
        yield from _deviation("cut", "{n} files have one and the same length, "
                              f"{length:.2f} s; they were cut or padded: " + "{first}.",
                              [path for path, look in sound.items()
                               if round(look.seconds, 2) == length], _AGAIN)


def _recoded(looks, published) -> Iterator[Deviation]:
    if all(item.path.lower().endswith((".wav", ".flac", ".aiff", ".aif")) for item in published):
        yield from _deviation(
            "recoded", "{n} files are MP3 or Ogg, which lose sound, and were published without "
            "loss: {first}.", [path for path, look in looks.items()
                               if look.format.startswith(("MP3", "MPEG", "OGG"))], _AGAIN)


def own_folder(name: str, root: str | None) -> Path:
    """Find the folder of a corpus below the folder of all corpora.

    Raises:
        EmokitError: no such folder, or several.
    """
    from emokit.corpora.discovery import discover
    from emokit.corpora.fetch import obtaining

    if name not in catalogue.entries():
        raise ConfigError(f"The catalogue has no corpus '{name}'. "
                          f"{choices(name, catalogue.entries())}")
    found = [item.folder for item in (discover(root) if root else []) if item.name == name]
    if len(found) > 1:
        raise CorpusError(f"{len(found)} folders look like '{name}': "
                          f"{culprits([str(path) for path in found], 6)}. Keep one, or name the "
                          f"one to compare: emokit corpora check {name} FOLDER")
    if not found:
        where = f"No folder below '{root}' looks like '{name}'" if root else (
            "EMOKIT_CORPORA is not set")
        raise CorpusError(f"{where}. Name the folder of your copy: emokit corpora check {name} "
                          f"FOLDER. {obtaining(name)}")
    return found[0]
