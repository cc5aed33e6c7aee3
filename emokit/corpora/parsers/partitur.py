"""BAS Partitur files (.par) as far as SmartKom needs them: turns, words and user states."""

from __future__ import annotations

import collections
import dataclasses
import unicodedata
from pathlib import Path

from emokit.core.errors import CorpusError
from emokit.corpora.parsers.tables import refuse_wide


@dataclasses.dataclass(frozen=True)
class Turn:
    """One turn of a session, in seconds; `text` without markup such as `<A>`."""

    start: float
    end: float
    text: str


@dataclasses.dataclass(frozen=True)
class Annotation:
    """The turns of a session, and its user states as (start, end, state) in seconds."""

    turns: tuple[Turn, ...]
    states: tuple[tuple[float, float, str], ...]

    def state_of(self, turn: Turn) -> str:
        """Give the state that covers most of a turn, empty if none does; the first of equals."""
        cover: collections.Counter = collections.Counter()
        for start, end, state in self.states:
            overlap = min(end, turn.end) - max(start, turn.start)
            if overlap > 0:
                cover[state] += overlap
        return max(cover, key=cover.get, default="")


def read(path: Path) -> Annotation:
    """Read an annotation; a part starts at its first sample and ends after `duration + 1` samples.

    Tiers: `SAM: rate` in the header, `ORT: number word`, `TRN: start duration words turn` with
    the numbers of the words by commas, `USH: start duration state …`; start and duration in
    samples. Files are UTF-8 or Latin-1.

    Raises:
        CorpusError: a line is not of its tier's form, with its number; or the file is UTF-16.

    Source:
        Schiel et al., The Partitur Format at BAS, LREC 1998.
    """
    content = path.read_bytes()
    # as Latin-1 it would be an annotation without a single tier
    refuse_wide(path, content)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    rate = 16_000.0
    words: dict[str, str] = {}
    turns: list[tuple[int, int, list[str]]] = []
    states: list[tuple[int, int, str]] = []
    for number, line in enumerate(text.splitlines(), 1):
        tier, *cells = line.split()[:5] or [""]
        try:
            if tier == "SAM:":
                rate = float(cells[0])
            elif tier == "ORT:":
                words[cells[0]] = cells[1]
            elif tier == "TRN:":
                start, duration = int(cells[0]), int(cells[1])
                turns.append((start, start + duration + 1, cells[2].split(",")))
            elif tier == "USH:":
                start, duration = int(cells[0]), int(cells[1])
                states.append((start, start + duration + 1, cells[2].strip('"')))
        except (IndexError, ValueError):
            raise CorpusError(
                f"{path}:{number}: '{line.strip()}' is no line of tier {tier.rstrip(':')}. Put the "
                "published annotation there."
            ) from None
    if rate <= 0:
        raise CorpusError(f"{path}: the sample rate (SAM) is {rate:g}. Put the published "
                          "annotation there.")
    return Annotation(
        tuple(Turn(start / rate, end / rate, _spoken(numbers, words))
              for start, end, numbers in turns),
        tuple((start / rate, end / rate, state) for start, end, state in states))


def _spoken(numbers: list[str], words: dict[str, str]) -> str:
    spoken = (words.get(number, "") for number in numbers)
    return " ".join(word for word in spoken if word and "<" not in word and ">" not in word)


def plain(state: str) -> str:
    """Spell a German word in small letters without umlauts, however it writes them.

    Example:
        >>> plain("Überlegen/Nachdenken"), plain("Aerger/Misserfolg"), plain("Arger_Miserfolg")
        ('uberlegen/nachdenken', 'arger/misserfolg', 'arger_miserfolg')
    """
    letters = unicodedata.normalize("NFKD", state.casefold())
    bare = "".join(letter for letter in letters if not unicodedata.combining(letter))
    for spelt, meant in (("aerger", "arger"), ("ueber", "uber")):
        bare = bare.replace(spelt, meant)
    return bare
