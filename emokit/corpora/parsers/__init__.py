"""Readers of corpora: one module a corpus, or a format that a corpus of one's own is described in.

A module of `PARSERS` has `SOURCE` (citation and where to obtain it), `EMOTIONS` (code to the
corpus's own word, in class order), `recognises(root) -> bool`, `parse(root) -> Iterator` of
`Utterance` and `Misfit` sorted by path, `stand_ins() -> Iterator[StandIn]`, and where the corpus
has them `DAMAGED` (stem to reason) and `stand_in_tables(stand_ins) -> {path: text}`.
A module of `FORMATS` has a frozen `Config` and `parse(root, settings)`.
"""

from emokit.core.registry import Registry

PARSERS = Registry("corpus", {
    "crema_d": "emokit.corpora.parsers.crema_d",
    "emodb": "emokit.corpora.parsers.emodb",
    "emogator": "emokit.corpora.parsers.emogator",
    "nemo": "emokit.corpora.parsers.nemo",
    "ravdess": "emokit.corpora.parsers.ravdess",
    "tess": "emokit.corpora.parsers.tess",
})
"""Corpora whose published layout emokit reads by itself."""

FORMATS = Registry("format", {
    "csv": "emokit.corpora.parsers.csv_list",
    "pattern": "emokit.corpora.parsers.pattern",
})
"""Ways to describe a corpus that nobody wrote a parser for, in YAML alone."""
