"""JL-Corpus: four New Zealand English speakers, five primary and five secondary emotions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from emokit.core.errors import CorpusError
from emokit.corpora.parsers import names
from emokit.corpora.utterance import Misfit, StandIn, Utterance

SOURCE = (
    "James, Tian & Watson, An Open Source Emotional Speech Corpus for Human Robot Interaction "
    "Applications, Interspeech 2018, pp. 2768-2772. "
    "https://www.kaggle.com/datasets/tli725/jl-corpus"
)
EXACT = True
EMOTIONS = {
    "angry": "angry", "sad": "sad", "neutral": "neutral", "happy": "happy", "excited": "excited",
    "anxious": "anxious", "apologetic": "apologetic", "assertive": "assertive",
    "concerned": "concerned", "encouraging": "encouraging",
}
"""Five primary emotions, then five secondary ones."""

LANGUAGE = "en"
SPEAKERS = {"female1": "female", "female2": "female", "male1": "male", "male2": "male"}
FOLDER = "Raw JL corpus (unchecked and unannotated)/JL(wav+txt)"
"""Where the recordings lie; its sister folders hold copies of some for a perception test."""

NOTES = (
    "Only the folder JL(wav+txt) is read: its sister folder holds copies made for the perception "
    "test. Three stray files there do not follow the naming. The release is unchecked."
)

_STEM = re.compile(r"(female[12]|male[12])_([a-z]+)_(\d+)([ab])_(\d+)", re.IGNORECASE)
_INNER = FOLDER.rpartition("/")[2].lower()


def recognises(root: Path) -> bool:
    """Tell by names such as `female1_angry_10a_1` in `JL(wav+txt)`, or in the folder itself."""
    def test(stem):
        match = _STEM.fullmatch(stem)
        return match and match[2].lower() in EMOTIONS

    tops = names.folders_in(root)
    raw = [inner for top in tops if top.lower().startswith("raw jl")
           for inner in names.folders_in(root, top)]
    folders = [name for name in tops + raw if name.rpartition("/")[2].lower() == _INNER]
    return any(names.matches(root, folder, test) for folder in ["", *folders])


def parse(root: Path) -> Iterator[Utterance | Misfit]:
    """Read the recordings by name; the text is the file beside each, if it is there.

    Raises:
        CorpusError: a text is not UTF-8.
    """
    files = names.audio_files(root)
    proper = any(_INNER in map(str.lower, file.folders) for file in files)

    def read(file: names.AudioFile) -> Utterance | str:
        match = _STEM.fullmatch(file.stem)
        if not match:
            return "the name is not of the form female1_angry_10a_1"
        if proper and _INNER not in map(str.lower, file.folders):
            return "not in JL(wav+txt): a copy for the perception test"
        speaker, emotion, sentence, variant, repetition = (part.lower() for part in match.groups())
        if emotion not in EMOTIONS:
            return f"unknown emotion '{emotion}' in the name"
        sentence += variant
        text = _text(Path(root) / file.path) or f"sentence {sentence}"
        return Utterance(
            id=file.stem.lower(), path=file.path, emotion=EMOTIONS[emotion], speaker=speaker,
            extra={"text": text, "gender": SPEAKERS[speaker], "language": LANGUAGE,
                   "sentence": sentence, "repetition": repetition},
        )

    yield from names.parse_files(files, read)


def _text(recording: Path) -> str:
    path = recording.with_suffix(".txt")
    try:
        return " ".join(path.read_text(encoding="utf-8-sig").split())
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise CorpusError(
            f"Cannot read '{path}' ({error}). Put the published transcript there or remove it."
        ) from None


def stand_ins() -> Iterator[StandIn]:
    """Give the 2400 files of the release: 15 sentences, variants a and b, two repetitions."""
    canonical = dict(zip(EMOTIONS, (
        "anger", "sadness", "neutral", "happiness", "excitement", "anxiety", "apology",
        "assertive", "concern", "encouragement")))
    for speaker, gender in SPEAKERS.items():
        for emotion in EMOTIONS:
            for sentence in (f"{number}{variant}" for number in range(1, 16) for variant in "ab"):
                for repetition in (1, 2):
                    yield StandIn(f"{FOLDER}/{speaker}_{emotion}_{sentence}_{repetition}.wav",
                                  canonical[emotion], speaker, gender, f"sentence {sentence}")


def stand_in_tables(stand_ins: Iterable[StandIn]) -> dict[str, str]:
    """Give the transcript beside each stand-in."""
    return {item.path.rpartition(".")[0] + ".txt": item.text + "\n" for item in stand_ins}
