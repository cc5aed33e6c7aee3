"""Readers of corpora: one module a corpus, or a format that a corpus of one's own is described in.

A module of `PARSERS` has `SOURCE` (citation and where to obtain it), `EMOTIONS` (code to the
corpus's own word, in class order), `recognises(root) -> bool`, `parse(root) -> Iterator` of
`Utterance` and `Misfit` sorted by path, `stand_ins() -> Iterator[StandIn]`, and where the corpus
has them `DAMAGED` (stem to reason), `stand_in_tables(stand_ins) -> {path: text}`, `ratings(root)
-> Iterator` of `Rating`, `SCALES` (dimension to its lowest and highest value), `PARTITIONS` (what
its official partitions are, in words), `NOTES` (known defects, in words) and `EXACT` (true where
`stand_ins` has the very names that were published).
A module of `FORMATS` has a frozen `Config` and `parse(root, settings)`.
"""

from emokit.core.registry import Registry

LISTED = ("abc", "ad", "bes", "cve", "des", "ea_act", "ea_bmw", "ea_wsj", "emotiw_2014", "eu_emoss",
          "gemep", "gvess", "mes", "ppmmk_emo", "simis", "turkish_emobuee")
"""Private corpora of EmoSet: read from the lists of whoever has them, see `listed`."""

PARSERS = Registry("corpus", {
    "aesdd": "emokit.corpora.parsers.aesdd",
    "ased": "emokit.corpora.parsers.ased",
    "asvp_esd": "emokit.corpora.parsers.asvp_esd",
    "baved": "emokit.corpora.parsers.baved",
    "cafe": "emokit.corpora.parsers.cafe",
    "casia": "emokit.corpora.parsers.casia",
    "castro_lima": "emokit.corpora.parsers.castro_lima",
    "crema_d": "emokit.corpora.parsers.crema_d",
    "demos": "emokit.corpora.parsers.demos",
    "eesc": "emokit.corpora.parsers.eesc",
    "emns": "emokit.corpora.parsers.emns",
    "emodb": "emokit.corpora.parsers.emodb",
    "emofilm": "emokit.corpora.parsers.emofilm",
    "emogator": "emokit.corpora.parsers.emogator",
    "emorynlp": "emokit.corpora.parsers.emorynlp",
    "emota": "emokit.corpora.parsers.emota",
    "emouerj": "emokit.corpora.parsers.emouerj",
    "emov_db": "emokit.corpora.parsers.emov_db",
    "emovo": "emokit.corpora.parsers.emovo",
    "emozionalmente": "emokit.corpora.parsers.emozionalmente",
    "enterface": "emokit.corpora.parsers.enterface",
    "esd": "emokit.corpora.parsers.esd",
    "fau_aibo": "emokit.corpora.parsers.fau_aibo",
    "iemocap": "emokit.corpora.parsers.iemocap",
    "jl_corpus": "emokit.corpora.parsers.jl_corpus",
    "m3ed": "emokit.corpora.parsers.m3ed",
    "mead": "emokit.corpora.parsers.mead",
    "meld": "emokit.corpora.parsers.meld",
    "mer2023": "emokit.corpora.parsers.mer2023",
    "mesd": "emokit.corpora.parsers.mesd",
    "mess": "emokit.corpora.parsers.mess",
    "msp_improv": "emokit.corpora.parsers.msp_improv",
    "msp_podcast": "emokit.corpora.parsers.msp_podcast",
    "nemo": "emokit.corpora.parsers.nemo",
    "oreau": "emokit.corpora.parsers.oreau",
    "pavoque": "emokit.corpora.parsers.pavoque",
    "polish_emotions": "emokit.corpora.parsers.polish_emotions",
    "ravdess": "emokit.corpora.parsers.ravdess",
    "resd": "emokit.corpora.parsers.resd",
    "savee": "emokit.corpora.parsers.savee",
    "shemo": "emokit.corpora.parsers.shemo",
    "smartkom": "emokit.corpora.parsers.smartkom",
    "subesco": "emokit.corpora.parsers.subesco",
    "susas": "emokit.corpora.parsers.susas",
    "tess": "emokit.corpora.parsers.tess",
    "thorsten": "emokit.corpora.parsers.thorsten",
    "turev_db": "emokit.corpora.parsers.turev_db",
    "urdu": "emokit.corpora.parsers.urdu",
    "vivae": "emokit.corpora.parsers.vivae",
    **{name: f"emokit.corpora.parsers.listed:{name}" for name in LISTED},
})
"""Corpora that emokit reads by itself: by their published layout, or from lists (`LISTED`)."""

FORMATS = Registry("format", {
    "audformat": "emokit.corpora.parsers.audformat",
    "csv": "emokit.corpora.parsers.csv_list",
    "emobox": "emokit.corpora.parsers.emobox",
    "huggingface": "emokit.corpora.parsers.huggingface",
    "pattern": "emokit.corpora.parsers.pattern",
})
"""Ways to describe a corpus that nobody wrote a parser for, in YAML alone."""
