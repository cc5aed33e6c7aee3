"""Private corpora of EmoSet, read under their own names from lists of files as EmoNet keeps them.

Nobody can download these, so no layout is published. Who has one keeps it in a folder of the
corpus's name with `train.csv`, `devel.csv` (or `dev.csv`, `val.csv`) and `test.csv`, header
`file,label` and any of `speaker`, `start`, `end`, …; see `csv_list`.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from emokit.core.errors import ManifestError, culprits
from emokit.corpora import catalogue
from emokit.corpora.parsers import csv_list, names
from emokit.corpora.utterance import StandIn, Utterance
from emokit.corpora.words import class_word, normalise

log = logging.getLogger("emokit")

PLACEHOLDERS = ("anger", "happiness", "neutral", "sadness")
"""Classes of the stand-ins of a corpus whose classes are not known."""


@dataclasses.dataclass(frozen=True)
class Listed:
    """One such corpus, with the parts of a parser module; its facts stand in the catalogue.

    Args:
        name: id in the catalogue.
        women, men: speakers of its stand-ins; the real numbers where they are known.
        also: words of its literature for a class that is called otherwise here.
        unclear: words that could mean several of its classes, and are refused.
    """

    name: str
    women: int
    men: int
    also: Mapping[str, str] = dataclasses.field(default_factory=dict)
    unclear: Sequence[str] = ()

    __file__ = __file__

    @property
    def facts(self) -> catalogue.Entry:
        """What the catalogue knows."""
        return catalogue.entry(self.name)

    @property
    def SOURCE(self) -> str:
        """Citation and where to obtain it."""
        return f"{self.facts.citation}. {self.facts.where}"

    @property
    def EMOTIONS(self) -> dict[str, str]:
        """Its known classes; empty if nobody outside knows them."""
        words = self.facts.classes
        return {word: word for word in words} if isinstance(words, list) else {}

    @property
    def PARTITIONS(self) -> str:
        """What its official partition is."""
        return "the lists train.csv, devel.csv and test.csv of whoever keeps the corpus"

    @property
    def NOTES(self) -> str:
        """What to know of it."""
        return ("No layout is published: emokit reads lists of files. Its stand-ins have invented "
                "names, and speakers and classes in equal shares.")

    def recognises(self, root: Path) -> bool:
        """Tell by the folder's name, the id here or EmoNet's task name, and `train.csv` in it."""
        folder = os.path.basename(os.path.abspath(root))
        return _key(folder) in (_key(self.name), _key(self.facts.emoset)) and (
            names.find_table(root, "train.csv", "train.tsv") is not None)

    def parse(self, root: Path) -> Iterator[Utterance]:
        """Read the lists; labels are checked against the known classes, in any usual form.

        Where the classes are not known every label is taken and a line in the log says so.

        Raises:
            CorpusError, ManifestError: see `csv_list.parse`.
            ManifestError: labels that the corpus does not have.
        """
        rows = list(csv_list.parse(root, csv_list.Config()))
        known = {class_word(word): word for word in self.EMOTIONS}
        known |= {class_word(word): means for word, means in self.also.items()}
        if not known:
            found = sorted({row.emotion for row in rows})
            log.warning(f"{self.name}: its classes are not known to emokit, so the {len(found)} "
                        f"labels of the lists are taken as they are: {culprits(found, 8)}.")
        unknown = [row for row in rows if class_word(row.emotion) not in known
                   or normalise(row.emotion) in self.unclear]
        if known and unknown:
            words = sorted({row.emotion for row in unknown})
            raise ManifestError(
                f"The lists in '{root}' give {len(unknown)} files labels that '{self.name}' does "
                f"not have: {culprits(map(repr, words), 8)}; first: {unknown[0].path}. Its classes "
                f"are {', '.join(self.EMOTIONS)}. Mend the lists, or describe your copy in "
                "corpora.yaml with 'format: csv' and 'emotions'."
            )
        language = self.facts.language if re.fullmatch("[a-z]{2,3}", self.facts.language) else ""
        for row in rows:
            extra = {"language": language, **row.extra} if language else row.extra
            yield dataclasses.replace(
                row, extra=extra, emotion=known.get(class_word(row.emotion), row.emotion))

    def stand_ins(self) -> Iterator[StandIn]:
        """Give as many files as the corpus is said to have, under invented names.

        Numbers that could not be confirmed are marked so in the catalogue. AD and EU-EmoSS are
        guesses, chosen so that the 26 corpora of EmoSet (IEMOCAP with its 5531 turns of four
        classes) have the 84 181 recordings of Gerczuk et al. 2021.
        """
        words = [class_word(word) for word in self.EMOTIONS or PLACEHOLDERS]
        speakers = [f"f{number:02d}" for number in range(1, self.women + 1)]
        speakers += [f"m{number:02d}" for number in range(1, self.men + 1)]
        for index in range(self.facts.utterances):
            turn, kind = divmod(index, len(words))
            speaker = speakers[turn % len(speakers)]
            yield StandIn(
                f"wav/{speaker}_{words[kind]}_{index:05d}.wav", words[kind], speaker,
                "female" if speaker[0] == "f" else "male",
                f"sentence {turn // len(speakers) % 10 + 1}")

    def stand_in_tables(self, stand_ins: Sequence[StandIn]) -> dict[str, str]:
        """Give the three lists; of the speakers, a fifth stands in each of devel and test."""
        speakers = sorted({item.speaker for item in stand_ins})
        # genders in turn, so that each list has both
        speakers.sort(key=lambda speaker: (speaker[1:], speaker))
        share = max(1, len(speakers) // 5)
        lists = {speaker: "devel" if index < share else "test" if index < 2 * share else "train"
                 for index, speaker in enumerate(speakers)}
        tables = {name: ["file,label,speaker,gender"] for name in ("train", "devel", "test")}
        for item in sorted(stand_ins, key=lambda item: item.path):
            tables[lists[item.speaker]].append(
                f"{item.path},{item.emotion},{item.speaker},{item.gender}")
        return {f"{name}.csv": "\n".join(lines) + "\n" for name, lines in tables.items()}


def _key(name: str) -> str:
    """Compare names of folders without case and signs: `EA-ACT` is `ea_act`."""
    return re.sub(r"[\W_]", "", name).casefold()


abc = Listed("abc", 4, 4)
ad = Listed("ad", 30, 30, {"other": "neutral"})
bes = Listed("bes", 3, 3)
cve = Listed("cve", 2, 2)
des = Listed("des", 2, 2)
ea_act = Listed("ea_act", 19, 20)
ea_bmw = Listed("ea_bmw", 5, 5)
ea_wsj = Listed("ea_wsj", 5, 5)
emotiw_2014 = Listed("emotiw_2014", 60, 60)
eu_emoss = Listed("eu_emoss", 10, 10)
gemep = Listed("gemep", 5, 5, {
    "joy": "elation", "hot anger": "rage", "cold anger": "irritation", "panic fear": "panic"})
# joy might be its elation or its happiness: who has it says which
gvess = Listed("gvess", 6, 6, {"panic fear": "panic"}, ("joy",))
mes = Listed("mes", 3, 3)
ppmmk_emo = Listed("ppmmk_emo", 20, 20)
simis = Listed("simis", 4, 6)
turkish_emobuee = Listed("turkish_emobuee", 7, 4)
