"""SmartKom Public: German users of a telephone booth played by a wizard, seven user states."""

from __future__ import annotations

import collections
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from emokit.corpora.parsers import counts, names, partitur
from emokit.corpora.parsers.tables import check_labels
from emokit.corpora.utterance import Misfit, StandIn, Utterance

SOURCE = (
    "Steininger, Schiel, Dioubina & Raubold, Development of User-State Conventions for the "
    "Multimodal Corpus in SmartKom, LREC 2002. "
    "https://www.bas.uni-muenchen.de/Bas/BasSmartKomPubliceng.html"
)
EMOTIONS = {
    "arger": "anger", "ratlosigkeit": "helplessness", "freude": "happiness",
    "uberraschung": "surprise", "neutral": "neutral", "uberlegen": "pondering",
    "restklasse": "unidentifiable",
}
"""First word of the German user state, without umlauts, to the English one."""

LANGUAGE = "de"
NOTES = (
    "Each session is one long recording; its turns and user states are cut by the annotation "
    "(.par) beside it. A turn takes the state that covers most of it. Neutral is more than half of "
    "the turns."
)

_SESSION = re.compile(r"(w\d{3}_[a-z]{2})([a-z])", re.IGNORECASE)
_ANNOTATION = re.compile(r"(w\d{3}_[a-z]{2})_([a-z]{3})\.par", re.IGNORECASE)
# the directed microphone is the channel that the annotation was made for
_CHANNEL = "d"
_RATE, _SECONDS = 16_000, 2.0
# class sizes: Schuller, Vlasenko, Eyben, Rigoll & Wendemuth 2009, table I
_TOTALS = {"arger": 220, "ratlosigkeit": 161, "freude": 284, "uberraschung": 70, "neutral": 2179,
           "uberlegen": 643, "restklasse": 266}
_GERMAN = dict(zip(EMOTIONS, ("Arger/Miserfolg", "Ratlosigkeit", "Freude/Erfolg",
                              "Uberraschung/Verwunderung", "Neutral", "Uberlegen/Nachdenken",
                              "Restklasse")))


def recognises(root: Path) -> bool:
    """Tell by recordings such as `w001_pkd` in `SK-Public/w001_pk/`, or in `w001_pk/` here."""
    tops = ["", *(name for name in names.folders_in(root) if name.lower() == "sk-public")]
    return any(names.matches(root, folder, _SESSION.fullmatch)
               for top in tops for folder in names.folders_in(root, top)[:20])


def parse(root: Path) -> Iterator[Utterance | Misfit]:
    """Read the turns of each session; a turn outside all user states is a misfit.

    So is a session whose annotation has no turns.

    Ids are session, user and number of the turn: `w001_pk_AAA_003`.

    Raises:
        CorpusError: an annotation cannot be read, or has an unknown user state.
    """
    heard: dict[str, list[names.AudioFile]] = collections.defaultdict(list)
    files = names.audio_files(root)
    for file in files:
        match = _SESSION.fullmatch(file.stem)
        if match:
            heard[match[1].lower()].append(file)
    chosen = {session: min(copies, key=_preference) for session, copies in heard.items()}
    for file in files:
        match = _SESSION.fullmatch(file.stem)
        if not match:
            yield Misfit(file.path, "the name is not of the form w001_pkd")
            continue
        best = chosen[match[1].lower()]
        if best is not file:
            same = best.stem.lower() == file.stem.lower()
            yield Misfit(file.path, f"a copy of {best.path} by its name" if same else
                         f"another channel of {best.path}")
            continue
        yield from _turns(root, file, match[1])


def _preference(file: names.AudioFile) -> tuple:
    return (file.stem[-1:].lower() != _CHANNEL, *names._preference(file))


def _turns(root: Path, file: names.AudioFile, session: str) -> Iterator[Utterance | Misfit]:
    """Give the turns of one session."""
    folder = (Path(root) / file.path).parent
    found = [(path, match) for path in sorted(folder.iterdir())
             if (match := _ANNOTATION.fullmatch(path.name))
             and match[1].lower() == session.lower() and match[2].upper() != "SMA"]
    if not found:
        yield Misfit(file.path, f"there is no annotation {session}_….par of a user beside it")
        return
    path, match = found[0]
    user = match[2].upper()
    annotation = partitur.read(path)
    if not annotation.turns:
        yield Misfit(file.path, f"its annotation {path.name} has no turns (tier TRN)")
    for number, turn in enumerate(annotation.turns):
        state = annotation.state_of(turn)
        name = f"{session.lower()}_{user}_{number:03d}"
        if not state:
            yield Misfit(file.path, f"turn {name} has no user state")
            continue
        code = partitur.plain(state).split("/")[0].split("_")[0]
        check_labels([(code, f"{path}: turn {name} ('{state}')")], EMOTIONS)
        word = EMOTIONS[code]
        extra = {"language": LANGUAGE, "session": session.lower()}
        if turn.text:
            extra["text"] = turn.text
        yield Utterance(name, file.path, word, user, turn.start, turn.end, extra=extra)


def stand_ins() -> Iterator[StandIn]:
    """Give 3823 turns in 158 sessions with the published classes, shared out over 79 users.

    Names of sessions and users, and that each user has two sessions, are made up.
    """
    users = [f"{chr(65 + number // 26)}{chr(65 + number % 26)}A" for number in range(79)]
    turns: dict[str, list[StandIn]] = {user: [] for user in users}
    for code, user, _ in counts.shared_out(_TOTALS, users):
        number, second = divmod(len(turns[user]), 2)
        session = f"w{2 * users.index(user) + second + 1:03d}_pk"
        folder = f"SK-Public/{session}"
        turns[user].append(StandIn(
            f"{folder}/{session}_{user}_{number:03d}", EMOTIONS[code], user,
            text=f"turn {number}", within=f"{folder}/{session}{_CHANNEL}.wav"))
    for items in turns.values():
        yield from items[::2] + items[1::2]


def stand_in_tables(stand_ins: Iterable[StandIn]) -> dict[str, str]:
    """Give the annotation of each session: its turns follow one another, each in one state."""
    codes = {word: code for code, word in EMOTIONS.items()}
    lines: dict[str, list[str]] = collections.defaultdict(list)
    ends: dict[str, float] = collections.defaultdict(float)
    n_words: collections.Counter = collections.Counter()
    for item in stand_ins:
        folder, _, name = item.path.rpartition("/")
        table = f"{folder}/{name.rpartition('_')[0]}.par"
        start, stop = ends[table], ends[table] + (item.seconds or _SECONDS)
        ends[table] = stop
        first, length = round(start * _RATE), int(stop * _RATE) - round(start * _RATE) - 1
        words = range(n_words[table], n_words[table] + 2)
        n_words[table] += 2
        lines[table] += [f"ORT:\t{word}\t{text}" for word, text in zip(words, item.text.split())]
        lines[table] += [f"TRN:\t{first}\t{length}\t{words[0]},{words[1]}\t{name}",
                         f'USH:\t{first}\t{length}\t"{_GERMAN[codes[item.emotion]]}"']
    head = ["LHD:\tPartitur 1.3", f"SAM:\t{_RATE}", "LBD:"]
    return {table: "\n".join([*head, *tiers]) + "\n" for table, tiers in lines.items()}
