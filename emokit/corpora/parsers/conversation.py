"""What corpora with labels in lists share: missing files, votes of raters, stand-ins dealt out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from emokit.core.errors import CorpusError
from emokit.corpora.parsers import names
from emokit.corpora.parsers.tables import refuse_wide
from emokit.corpora.utterance import Misfit, Utterance


def parse_listed(
    files: list[names.AudioFile],
    read: Callable[[names.AudioFile], Utterance | str],
    listed: Mapping[str, str],
    where: str,
    id_of: Callable[[names.AudioFile], str] = lambda file: file.stem,
) -> Iterator[Utterance | Misfit]:
    """Read files as `names.parse_files` does; a listed file that is missing is a misfit, too.

    Args:
        files: sorted by path.
        read: gives the utterance, or in words why the file is none.
        listed: name of each file in the corpus's own list, and the path it should have.
        where: name of the list.
        id_of: the name under which a list would have a file, for any file that is there.
    """
    results = list(names.parse_files(files, read))
    there = {id_of(file) for file in files}
    results += [Misfit(path, f"listed in {where}, but there is no such file", len(listed))
                for name, path in listed.items() if name not in there]
    yield from sorted(results, key=lambda item: item.path)


def votes(
    judgements: Iterable[Sequence[str]], label: str, words: Collection[str], other: str = ""
) -> dict[str, str | float]:
    """Give the soft label of an utterance from its raters, as manifest columns.

    p_w = (1/R) Σ_r [w in words of r] / |words of r|, over the R raters who named a word.

    Args:
        judgements: the words of each rater; none if the rater did not answer.
        label: the published label.
        words: the corpus's own words.
        other: what words outside `words` count as; left out if empty.

    Returns:
        `n_ratings` = R, `p_<word>`, and `agreement`, the share of raters whose words hold the
        label (left out for a label that is none of `words`, as `no agreement`); nothing without
        raters.

    Example:
        >>> votes([["sad"], ["sad", "calm"], []], "sad", ["sad", "calm"])
        {'n_ratings': 2, 'p_sad': 0.75, 'p_calm': 0.25, 'agreement': 1.0}
    """
    shares = dict.fromkeys(words, 0.0)
    n_ratings = n_agreeing = 0
    for named in judgements:
        named = [word if word in shares else other for word in named if word]
        named = [word for word in dict.fromkeys(named) if word]
        if not named:
            continue
        n_ratings += 1
        n_agreeing += label in named
        for word in named:
            shares[word] += 1 / len(named)
    if not n_ratings:
        return {}
    result: dict[str, str | float] = {"n_ratings": n_ratings}
    result |= {f"p_{word}": share / n_ratings for word, share in shares.items() if share}
    return result | ({"agreement": n_agreeing / n_ratings} if label in shares else {})


def read_text(path: Path, *encodings: str) -> str:
    """Read one of a corpus's own tables as text, in the first encoding that fits.

    Args:
        encodings: UTF-8 with or without mark if none is given.

    Raises:
        CorpusError: it cannot be read, or is in no such encoding; UTF-16 never is.
    """
    encodings = encodings or ("utf-8-sig",)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CorpusError(f"Cannot read '{path}': {error.strerror or error}.") from None
    refuse_wide(path, data)
    for encoding in encodings:
        try:
            return data.decode(encoding)
        except UnicodeDecodeError as error:
            why = f"byte {error.start} does not fit"
    # the mark before a text is no encoding of its own to whoever reads this
    spelt = " or ".join(name.replace("utf-8-sig", "UTF-8") for name in encodings)
    raise CorpusError(f"'{path}' is not in {spelt} ({why}). Put the published file there, or save "
                      "it in that encoding.")


def fitting(path: Path, *encodings: str) -> str:
    """Name the first encoding that a table can be read in.

    Raises:
        CorpusError: as `read_text`.
    """
    for encoding in encodings[:-1]:
        try:
            read_text(path, encoding)
            return encoding
        except CorpusError:
            continue
    read_text(path, *encodings)
    return encodings[-1]


def number(text: str, what: str) -> float:
    """Read a number of a table.

    Args:
        what: file and place, for the message.

    Raises:
        CorpusError: it is none.
    """
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if value != value or value in (float("inf"), float("-inf")):
        raise CorpusError(f"{what}: '{text}' is not a number. Put the published table there.")
    return value


def below_first(root: Path, folder: str, test: Callable[[str], object], depth: int) -> bool:
    """Tell as `names.matches` for the first few folders `depth` levels below a folder."""
    if depth == 0:
        return names.matches(root, folder, test)
    return any(below_first(root, inner, test, depth - 1)
               for inner in names.folders_in(root, folder)[:3])


def spread(counts: Mapping[str, int]) -> list[str]:
    """Lay words out in a row so that every stretch has its share of each, for stand-ins.

    Example:
        >>> spread({"a": 4, "b": 2})
        ['a', 'b', 'a', 'a', 'b', 'a']
    """
    places = [((index + 0.5) / count, word) for word, count in counts.items()
              for index in range(count)]
    return [word for _, word in sorted(places)]
