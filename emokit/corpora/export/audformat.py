"""Export as an audformat database: a table of labels per partition, a table of files, speakers."""

from __future__ import annotations

from pathlib import Path

from emokit.core.files import beneath, write_bytes
from emokit.corpora.card import card
from emokit.corpora.export import contents
from emokit.corpora.manifest import PARTITIONS
from emokit.corpora.parsers.audformat import package
from emokit.corpora.store import RATE

OF_SPEAKERS = ("gender", "age", "language")


def write(corpus, folder: Path) -> None:
    """Write `db.yaml`, its tables as Parquet, `audio/…wav` and `card.md`.

    The database has the schemes `emotion` (labels in the corpus's order) and `speaker`, a misc
    table `speaker` with what is one and the same in all rows of a speaker, a table `files` with
    the other facts, and for each partition a table `emotion.<partition>` with its split.
    """
    audformat = package()
    table = contents.columns(corpus)
    files = [f"audio/{name}.wav" for name in table["utterance"]]
    database = _header(audformat, corpus)
    database.schemes["emotion"] = audformat.Scheme("str", labels=list(corpus.classes))
    database.raters["gold"] = audformat.Rater(description="The label that the corpus is built on.")
    speakers = _speakers(audformat, database, table)
    database["files"] = audformat.Table(audformat.filewise_index(files), media_id="microphone")
    for name in table.columns.difference(["emotion", "partition", *speakers], sort=False):
        scheme = name if name == "speaker" and name in database.schemes else _scheme(
            audformat, database, name, table[name], corpus.build.get("scales", {}).get(name))
        _fill(audformat, database["files"], name, scheme, table[name])
    for partition in PARTITIONS:
        here = (table["partition"] == partition).to_numpy()
        if not here.any():
            continue
        database.splits[partition] = audformat.Split(partition)
        index = audformat.filewise_index([file for file, keep in zip(files, here) if keep])
        labels = audformat.Table(index, split_id=partition)
        database[f"emotion.{partition}"] = labels
        labels["emotion"] = audformat.Column(scheme_id="emotion", rater_id="gold")
        labels["emotion"].set(table.loc[here, "emotion"].tolist())
    for index, file in enumerate(files):
        write_bytes(beneath(folder, file), contents.wav(corpus.audio.read(index)))
    database.save(str(folder), storage_format="parquet")
    (folder / "card.md").write_text(card(corpus.build), encoding="utf-8")


def _header(audformat, corpus):
    facts, build = corpus.build["facts"], corpus.build
    known = []
    for code in contents.languages(corpus):
        try:
            known.append(audformat.utils.map_language(code))
        except ValueError:
            # a word that is no ISO 639 code stays in the table alone
            pass
    database = audformat.Database(
        corpus.name, source=facts.get("where", ""), usage="other", languages=known or None,
        license=facts.get("licence"), author=facts.get("citation"),
        description=f"{facts.get('title', corpus.name)}, exported by emokit "
        f"{build['versions']['emokit']} from its build {corpus.signature}. "
        f"{build['partitions']['words']}"
        + (" Synthetic stand-in, no recordings." if build["synthetic"] else ""),
        meta={"emokit": {"signature": corpus.signature, "waivers": [
            row["check"] for row in build["waivers"]]}})
    database.media["microphone"] = audformat.Media(
        "audio", format="wav", sampling_rate=RATE, channels=1, bit_depth=16)
    return database


def _speakers(audformat, database, table) -> list[str]:
    """Make the misc table of speakers; give the columns that went into it."""
    known = table[table["speaker"] != ""]
    if len(known) < len(table):
        # facts of unknown speakers could stand nowhere
        return []
    names = sorted(set(known["speaker"]))
    rows = known.groupby("speaker")
    own = [name for name in OF_SPEAKERS
           if name in table and (rows[name].nunique(dropna=False) == 1).all()]
    import pandas as pd

    speakers = audformat.MiscTable(pd.Index(names, name="speaker", dtype="string"))
    database.misc_tables["speaker"] = speakers
    for name in own:
        first = rows[name].first(skipna=False).reindex(names)
        _fill(audformat, speakers, name, _scheme(audformat, database, name, first), first)
    database.schemes["speaker"] = audformat.Scheme("str", labels="speaker")
    return own


def _scheme(audformat, database, name: str, column, scale=None) -> str:
    low, high = scale or (None, None)
    database.schemes[name] = audformat.Scheme("float", minimum=low, maximum=high) if (
        contents.is_number(column)) else audformat.Scheme("str")
    return name


def _fill(audformat, table, name: str, scheme: str, column) -> None:
    table[name] = audformat.Column(scheme_id=scheme)
    table[name].set([None if value != value or value == "" else value
                     for value in column.tolist()])
