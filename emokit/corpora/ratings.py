"""Single judgements of single raters, beside the manifest: `ratings.csv`."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

from emokit.core.errors import ConfigError, choices
from emokit.core.files import write_csv
from emokit.corpora.spec import CorpusSpec
from emokit.corpora.utterance import DIMENSIONS, Rating

RATINGS = "ratings.csv"


def of_corpus(spec: CorpusSpec) -> Iterable[Rating]:
    """Give what the parser of a corpus knows of single raters; nothing if it publishes none."""
    from emokit.corpora.parsers import PARSERS

    read = None if spec.format else getattr(PARSERS[spec.parser], "ratings", None)
    return read(Path(spec.root)) if read else ()


def scales_of(spec: CorpusSpec) -> dict[str, list[float]]:
    """Give the lowest and highest value of each dimension that a corpus was rated on.

    What `scales` of its entry says beats what the parser or the format knows.

    Raises:
        ConfigError: an entry that is no dimension, or no pair of rising numbers.
    """
    from emokit.corpora.parsers import FORMATS, PARSERS

    if spec.format:
        told = getattr(FORMATS[spec.format], "scales", None)
        scales = told(Path(spec.root), spec.settings) if told else {}
    else:
        scales = getattr(PARSERS[spec.parser], "SCALES", {})
    _check_scales(spec)
    return {name: [float(low), float(high)] for name, (low, high) in
            {**scales, **spec.scales}.items()}


def _check_scales(spec: CorpusSpec) -> None:
    for name, ends in spec.scales.items():
        if name not in DIMENSIONS:
            raise ConfigError(f"{spec.at('scales', name)}: 'scales' names '{name}'. "
                              f"{choices(name, DIMENSIONS)}")
        if len(ends) != 2 or not -math.inf < ends[0] < ends[1] < math.inf:
            raise ConfigError(f"{spec.at('scales', name)}: the scale of {name} is {ends}; expected "
                              "its lowest and highest value, e.g. [1, 5].")


def write(folder: Path, corpus: str, ratings: Iterable[Rating], utterances: Iterable[str]) -> int:
    """Write the ratings of the utterances in a manifest.

    Args:
        folder: of the corpus; nothing is written there without a rating.
        corpus: its id.
        utterances: ids of the manifest, with the corpus.

    Returns:
        How many ratings were kept.
    """
    import pandas as pd

    known = set(utterances)
    rows = []
    for rating in ratings:
        name = f"{corpus}/{rating.utterance}"
        if name in known:
            rows.append({"utterance": name, "rater": rating.rater, "emotion": rating.emotion,
                         **rating.values})
    if rows:
        table = pd.DataFrame(rows).sort_values(["utterance", "rater"], kind="stable")
        fixed = ["utterance", "rater", "emotion"]
        write_csv(folder / RATINGS, table[fixed + sorted(set(table) - set(fixed))])
    return len(rows)
