"""Export as a HuggingFace data set: Parquet files with the sound in them, and a README.md."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from emokit.audio.cells import parquet
from emokit.core.files import write_text
from emokit.corpora.card import card
from emokit.corpora.export import contents
from emokit.corpora.manifest import PARTITIONS
from emokit.corpora.store import RATE

SPLITS = {"train": "train", "dev": "validation", "test": "test"}
"""Our partition to the hub's split."""

ROW_GROUP = 100
"""Rows that are written, and held in memory, at a time; datasets does the same for audio."""

PAGE_ROWS = 8
"""Rows after which a page may end: who reads one recording reads a page."""

SHARD_BYTES = 500 * 2**20


def write(corpus, folder: Path) -> None:
    """Write `data/<split>-NNNNN-of-NNNNN.parquet` and the card with its metadata.

    Columns: audio (16 kHz WAV), emotion (ClassLabel in the corpus's order), utterance, speaker,
    emotion_original and whatever else the manifest has.
    """
    table = contents.columns(corpus)
    features = _features(corpus, table)
    (folder / "data").mkdir()
    sizes = {}
    for partition in PARTITIONS:
        rows = np.flatnonzero((table["partition"] == partition).to_numpy())
        if not len(rows):
            continue
        shards = list(_shards(rows, corpus.audio.lengths))
        for number, shard in enumerate(shards):
            name = f"{SPLITS[partition]}-{number:05d}-of-{len(shards):05d}.parquet"
            _write_shard(folder / "data" / name, corpus, table, shard, features)
        sizes[partition] = len(rows), int(2 * corpus.audio.lengths[rows].sum() + 44 * len(rows))
    write_text(folder / "README.md", _readme(corpus, features, sizes))


def _features(corpus, table) -> dict[str, dict[str, Any]]:
    """Give the columns and their kinds as datasets describes them."""
    features: dict[str, dict[str, Any]] = {
        "audio": {"sampling_rate": RATE, "_type": "Audio"},
        "emotion": {"names": list(corpus.classes), "_type": "ClassLabel"}}
    for name in table.columns.difference(["emotion", "partition"], sort=False):
        kind = "float64" if contents.is_number(table[name]) else "string"
        features[name] = {"dtype": kind, "_type": "Value"}
    return features


def _schema(features: dict[str, dict[str, Any]]):
    import pyarrow

    kinds = {"Audio": pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())]),
             "ClassLabel": pyarrow.int64()}
    values = {"float64": pyarrow.float64(), "string": pyarrow.string()}
    fields = [(name, kinds.get(feature["_type"]) or values[feature["dtype"]])
              for name, feature in features.items()]
    return pyarrow.schema(fields, metadata={
        "huggingface": json.dumps({"info": {"features": features}})})


def _shards(rows: np.ndarray, lengths: np.ndarray) -> Iterator[list[int]]:
    shard, size = [], 0
    for row in rows:
        if shard and size > SHARD_BYTES:
            yield shard
            shard, size = [], 0
        shard.append(int(row))
        size += 2 * int(lengths[row]) + 44
    yield shard


def _write_shard(path: Path, corpus, table, rows: list[int], features) -> None:
    import pyarrow

    names = [name for name in features if name not in ("audio", "emotion")]
    schema = _schema(features)
    # WAV does not shrink; uncompressed pages are read without a copy
    with parquet().ParquetWriter(path, schema, compression={
            **dict.fromkeys(names, "snappy"), "emotion": "snappy", "audio.bytes": "none",
            "audio.path": "snappy"}, use_dictionary=False,
            write_batch_size=PAGE_ROWS) as writer:
        for start in range(0, len(rows), ROW_GROUP):
            here = rows[start:start + ROW_GROUP]
            part = table.iloc[here]
            columns = {
                "audio": [{"bytes": contents.wav(corpus.audio.read(row)), "path": f"{name}.wav"}
                          for row, name in zip(here, part["utterance"])],
                "emotion": [corpus.classes.index(word) for word in part["emotion"]],
                **{name: [None if value != value or value == "" else value
                          for value in part[name].tolist()] for name in names}}
            writer.write_table(pyarrow.table(columns, schema=schema))


def _readme(corpus, features, sizes: dict[str, tuple[int, int]]) -> str:
    import yaml

    facts = corpus.build["facts"]
    known = [code for code in contents.languages(corpus) if len(code) in (2, 3)]
    total = sum(size for _, size in sizes.values())
    head = {
        "pretty_name": facts.get("title", corpus.name),
        # the hub wants an id of its own list here; the words stand in the text below
        "license": "other",
        **({"language": known} if known else {}),
        "task_categories": ["audio-classification"],
        "tags": ["emotion", "speech-emotion-recognition", "emokit"],
        "dataset_info": {
            "features": [{"name": name, "dtype": _dtype(feature)}
                         for name, feature in features.items()],
            "splits": [{"name": SPLITS[name], "num_bytes": size, "num_examples": count}
                       for name, (count, size) in sizes.items()],
            "download_size": total, "dataset_size": total},
        "configs": [{"config_name": "default", "data_files": [
            {"split": SPLITS[name], "path": f"data/{SPLITS[name]}-*"} for name in sizes]}],
        "emokit": {"signature": corpus.signature, "scales": corpus.build.get("scales", {})},
    }
    text = yaml.safe_dump(head, sort_keys=False, allow_unicode=True, width=100)
    return (f"---\n{text}---\n\n{card(corpus.build)}\nExported by emokit "
            f"{corpus.build['versions']['emokit']} from its build `{corpus.signature}`: 16 kHz "
            "mono, 16 bits.\n")


def _dtype(feature: dict[str, Any]) -> Any:
    if feature["_type"] == "Audio":
        return {"audio": {"sampling_rate": feature["sampling_rate"]}}
    if feature["_type"] == "ClassLabel":
        return {"class_label": {"names": {
            str(index): name for index, name in enumerate(feature["names"])}}}
    return feature["dtype"]
