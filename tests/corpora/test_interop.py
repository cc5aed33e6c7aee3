"""Other tools' data sets: read, written, and compared with what these tools read themselves."""

import dataclasses
import json

import numpy as np
import pytest
from build_tools import noise
from click.testing import CliRunner

from emokit.cli import group
from emokit.core.errors import CorpusError, ManifestError
from emokit.corpora.build import BuildOptions, build_corpora
from emokit.corpora.export import EXPORTERS, export
from emokit.corpora.export.contents import wav
from emokit.corpora.parsers.emobox import corpus_folder
from emokit.corpora.parsing import parse
from emokit.corpora.spec import read_specs
from emokit.corpora.store import open_corpus
from emokit.corpora.utterance import Misfit
from emokit.testing import write_wav

CLASSES = ("anger", "happiness", "sadness", "neutral")
WORDS = ("Wut", "Freude", "Trauer", "neutral")
SPEAKERS = {"NA": "train", "03": "train", "08": "dev", "null": "dev", "ü 7": "test", "11": "test"}


def need(name):
    return pytest.importorskip(name, reason=f"needs {name}: pip install 'emokit[interop]'")


def spec_of(tmp_path, name="x", **settings):
    path = tmp_path / f"{name}.yaml"
    path.write_text(json.dumps({name: settings}))
    return read_specs(path)[0]


def build(tmp_path, out, name="x", options=None, **settings):
    spec = spec_of(tmp_path, name, **settings)
    build_corpora([spec], tmp_path / out, options or BuildOptions(jobs=1, report=False))
    return open_corpus(tmp_path / out / name)


def read(tmp_path, **settings):
    return list(parse(spec_of(tmp_path, **settings)))


@pytest.fixture
def source(tmp_path):
    """A corpus with everything that could be lost: order of classes, odd ids, stretches, votes."""
    lines = ["file,label,speaker,partition,start,end,utterance,gender,age,text,agreement,p_anger"]
    seed = 0
    for speaker, partition in SPEAKERS.items():
        for word in WORDS:
            seed += 1
            file = f"{speaker}/{word}.wav"
            write_wav(tmp_path / "raw" / file, noise(seed, 4000 + seed), 24_000 if seed % 2
                      else 16_000)
            times = "0.05,0.12345" if seed % 5 == 0 else ","
            gender = "female" if seed % 2 else ""
            share = 0.1 * (seed % 10)
            lines.append(f"{file},{word},{speaker},{partition},{times},{speaker}/{word} no. {seed},"
                         f"{gender},{20 + len(speaker)},\"nan, {seed}\",{share:g},{share:g}")
    (tmp_path / "raw" / "all.csv").write_text("\n".join(lines) + "\n")
    return build(tmp_path, "emoset", format="csv", root=str(tmp_path / "raw"),
                 classes=list(CLASSES))


@pytest.mark.parametrize("to", list(EXPORTERS))
def test_what_was_exported_is_built_again_as_it_was(tmp_path, source, to):
    need("pyarrow")
    if to == "audformat":
        need("audformat")
    export(source, tmp_path / "out", to)
    again = build(tmp_path, "again", format=to, root=str(tmp_path / "out"))
    assert again.classes == source.classes == CLASSES
    assert np.array_equal(again.audio.offsets, np.concatenate(
        [[0], np.cumsum(again.audio.lengths)]))
    before, after = (corpus.manifest.set_index("utterance").sort_index()
                     for corpus in (source, again))
    same = ["speaker", "emotion", "partition", "duration", "audio_hash", "gender", "text"]
    assert after[same].to_dict() == before[same].to_dict()
    for name in ("age", "agreement", "p_anger"):
        np.testing.assert_array_equal(after[name], before[name])
    assert set(after["listed_emotion_original"]) == set(WORDS)
    # the store holds the very samples, whatever the order of rows
    rows = {name: index for index, name in enumerate(again.manifest["utterance"])}
    for index, name in enumerate(source.manifest["utterance"]):
        assert np.array_equal(source.audio.read(index), again.audio.read(rows[name])), name


@pytest.mark.parametrize("to", list(EXPORTERS))
def test_scales_of_dimensions_travel_along(tmp_path, source, to):
    need("audformat")
    table = source.manifest.assign(arousal=np.linspace(1, 5, len(source.manifest)))
    rated = dataclasses.replace(source, manifest=table, build={
        **source.build, "scales": {"arousal": [1.0, 5.0]}})
    export(rated, tmp_path / "out", to)
    again = build(tmp_path, "again", format=to, root=str(tmp_path / "out"))
    assert again.build["scales"] == {"arousal": [1.0, 5.0]}
    before, after = (corpus.set_index("utterance")["arousal"].sort_index()
                     for corpus in (table, again.manifest))
    assert after.to_dict() == before.to_dict()


def test_audformat_itself_reads_the_database(tmp_path, source):
    audformat = need("audformat")
    export(source, tmp_path / "out", "audformat")
    database = audformat.Database.load(str(tmp_path / "out"), load_data=True)
    assert database.schemes["emotion"].labels == list(CLASSES)
    assert set(database.splits) == {"train", "dev", "test"}
    labels = database.get("emotion")
    assert len(labels) == len(source.manifest)
    assert database.files_duration(database.files).dt.total_seconds().sum() == pytest.approx(
        source.manifest["duration"].sum())
    table = database["emotion.test"]["emotion"].get()
    assert set(table) == set(CLASSES) and table.index[0].startswith("audio/")
    ages = database["files"]["speaker"].get(map="age")
    assert ages["audio/03/Wut no. 5.wav"] == 22


def test_a_parquet_export_says_what_it_holds(tmp_path, source):
    pyarrow_parquet = pytest.importorskip("pyarrow.parquet")
    import yaml

    export(source, tmp_path / "out", "huggingface")
    text = (tmp_path / "out" / "README.md").read_text()
    head = yaml.safe_load(text.split("---")[1])
    files = {row["split"]: row["path"] for row in head["configs"][0]["data_files"]}
    assert files == {split: f"data/{split}-*" for split in ("train", "validation", "test")}
    (path,) = (tmp_path / "out" / "data").glob("validation-*")
    table = pyarrow_parquet.read_table(path)
    features = json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]
    assert features["emotion"] == {"names": list(CLASSES), "_type": "ClassLabel"}
    assert set(table["speaker"].to_pylist()) == {"08", "null"}
    index = source.manifest["utterance"].tolist().index("x/" + table["utterance"][0].as_py())
    assert table["audio"][0].as_py()["bytes"] == wav(source.audio.read(index))
    assert {row["name"]: row["num_examples"] for row in head["dataset_info"]["splits"]} == {
        "train": 8, "validation": 8, "test": 8}


def test_an_export_overwrites_nothing(tmp_path, source):
    need("pyarrow")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("")
    with pytest.raises(CorpusError, match="is not empty"):
        export(source, tmp_path / "mine", "huggingface")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def test_the_command_exports_what_is_built(tmp_path, source):
    need("pyarrow")
    done = CliRunner().invoke(group, ["corpora", "export", "x", str(tmp_path / "o"), "--to",
                                      "huggingface", "--emoset", str(tmp_path / "emoset")])
    assert done.exit_code == 0, done.output
    assert "24 utterances" in done.output and (tmp_path / "o" / "README.md").is_file()


# audformat


def database_of(root, tables, speakers=None, version=""):
    """Write a database and its files: {table: (split, {file or (file, start, end): label})}."""
    audformat = need("audformat")
    database = audformat.Database("mine")
    database.schemes["emotion"] = audformat.Scheme("str", labels=["sad", "happy", "never"])
    files = set()
    for name, (split, rows) in tables.items():
        if split:
            database.splits.setdefault(split, audformat.Split(split))
        keys = list(rows)
        files |= {key if isinstance(key, str) else key[0] for key in keys}
        index = audformat.filewise_index(keys) if isinstance(keys[0], str) else (
            audformat.segmented_index(*map(list, zip(*keys))))
        database[name] = audformat.Table(index, split_id=split or None)
        database[name]["emotion"] = audformat.Column(scheme_id="emotion")
        database[name]["emotion"].set(list(rows.values()))
    if speakers:
        database.schemes["speaker"] = audformat.Scheme("int", labels={
            1: {"gender": "female", "age": 30}, 2: {"gender": "male"}})
        database.schemes["transcription"] = audformat.Scheme(labels={"a01": "Der Lappen"})
        table = database["files"] = audformat.Table(audformat.filewise_index(list(speakers)))
        table["speaker"] = audformat.Column(scheme_id="speaker")
        table["speaker"].set(list(speakers.values()))
        table["transcription"] = audformat.Column(scheme_id="transcription")
        table["transcription"].set("a01")
    for seed, file in enumerate(sorted(files)):
        write_wav(root / file, noise(seed))
    database.save(str(root), storage_format="csv" if version == "csv" else "parquet")
    return database


def test_a_database_in_audbs_cache_is_read_with_its_speakers(tmp_path):
    root = tmp_path / "audb" / "mine" / "1.4.1" / "d3b62a9b"
    database_of(root, {"emotion": ("", {"wav/a.wav": "sad", "wav/b.wav": "happy"})},
                {"wav/a.wav": 1, "wav/b.wav": 2})
    first, second = read(tmp_path, format="audformat", root=str(tmp_path / "audb"))
    assert (first.id, first.emotion, first.speaker) == ("wav/a", "sad", "1")
    assert first.path == "mine/1.4.1/d3b62a9b/wav/a.wav"
    assert first.extra == {"gender": "female", "age": 30.0, "text": "Der Lappen"}
    assert second.extra == {"gender": "male", "text": "Der Lappen"}
    assert (first.partition, first.start, first.end) == ("", None, None)


def test_segments_and_splits_become_times_and_partitions(tmp_path):
    database_of(tmp_path / "db", {
        "emotion.train": ("train", {("a.wav", "0.5s", "1.25s"): "sad",
                                    ("a.wav", "2s", None): "happy"}),
        "emotion.dev": ("dev", {("b.wav", "0s", "1s"): "sad"})}, version="csv")
    rows = read(tmp_path, format="audformat", root=str(tmp_path / "db"))
    assert [(row.id, row.start, row.end, row.partition) for row in rows] == [
        ("a@0.5-1.25", 0.5, 1.25, "train"), ("a@2-", 2.0, None, "train"),
        ("b@0-1", None, 1.0, "dev")]


def test_a_pickled_table_is_never_opened(tmp_path):
    root = tmp_path / "db"
    database_of(root, {"emotion": ("", {"a.wav": "sad", "b.wav": "happy"})})
    (root / "db.emotion.pkl").write_bytes(b"cos\nsystem\n(S'touch %s/owned'\ntR." % bytes(root))
    assert len(read(tmp_path, format="audformat", root=str(root))) == 2
    assert not (root / "owned").exists()


def test_two_labels_for_one_file_ask_which_tables_are_meant(tmp_path):
    database_of(tmp_path / "db", {
        "emotion.desired": ("", {"a.wav": "sad", "b.wav": "happy"}),
        "emotion.gold": ("", {"a.wav": "happy", "b.wav": "happy"})})
    with pytest.raises(ManifestError, match="'emotion.desired' and 'emotion.gold'.*a.wav: 'sad' "
                       "and 'happy'. Set 'tables'"):
        read(tmp_path, format="audformat", root=str(tmp_path / "db"))
    rows = read(tmp_path, format="audformat", root=str(tmp_path / "db"), tables="*.gold")
    assert [row.emotion for row in rows] == ["happy", "happy"]


@pytest.mark.parametrize("settings, message", [
    ({"emotion": "emotions"}, "No table of the database 'mine' has a column 'emotions'.*Did you"),
    ({"tables": "gold"}, "No table 'gold' with a column 'emotion'"),
    ({"speaker": "actor"}, "no column 'actor' for 'speaker'"),
])
def test_what_a_database_lacks_is_named(tmp_path, settings, message):
    database_of(tmp_path / "db", {"emotion": ("", {"a.wav": "sad", "b.wav": "happy"})})
    with pytest.raises(ManifestError, match=message):
        read(tmp_path, format="audformat", root=str(tmp_path / "db"), **settings)


def test_a_database_without_header_table_or_files_is_an_error(tmp_path):
    root = tmp_path / "db"
    database_of(root, {"emotion": ("", {"a.wav": "sad", "b.wav": "happy"})})
    (root / "b.wav").unlink()
    with pytest.raises(CorpusError, match="1 of 2 listed files .* b.wav"):
        read(tmp_path, format="audformat", root=str(root))
    (root / "db.emotion.parquet").write_bytes(b"PAR1")
    with pytest.raises(CorpusError, match=r"db.yaml' or one of its tables cannot be read"):
        read(tmp_path, format="audformat", root=str(root))
    (root / "db.yaml").unlink()
    with pytest.raises(CorpusError, match="There is no db.yaml"):
        read(tmp_path, format="audformat", root=str(root))


def test_unlabelled_files_of_a_database_are_misfits(tmp_path):
    database_of(tmp_path / "db", {"emotion": ("", {"a.wav": "sad", "b.wav": None})})
    rows = read(tmp_path, format="audformat", root=str(tmp_path / "db"))
    assert [type(row) is Misfit for row in rows] == [False, True]


# HuggingFace


def parquet_file(path, labels, names=None, split_group=None, **columns):
    """Write a Parquet file as datasets does; labels are words, or numbers with their names."""
    pyarrow = need("pyarrow")
    import pyarrow.parquet as pyarrow_parquet

    features = {"audio": {"_type": "Audio"}}
    if names:
        features["label"] = {"names": names, "_type": "ClassLabel"}
    sounds = columns.pop("sounds", [wav((noise(seed) * 32767).astype(np.int16))
                                    for seed in range(len(labels))])
    table = pyarrow.table({
        "audio": [{"bytes": sound, "path": None} for sound in sounds], "label": labels, **columns})
    table = table.replace_schema_metadata({
        "huggingface": json.dumps({"info": {"features": features}})})
    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow_parquet.write_table(table, path, row_group_size=split_group)


def test_class_labels_of_parquet_become_words_in_their_order(tmp_path):
    root = tmp_path / "hub"
    parquet_file(root / "data" / "train-00000-of-00001.parquet", [1, 0, -1], ["sad", "happy"],
                 speaker_id=[4, 5, 6], transcript=["x", None, "y"])
    parquet_file(root / "data" / "validation-00000-of-00001.parquet", [1], ["sad", "happy"],
                 sounds=[wav(np.arange(-400, 400, dtype=np.int16))])
    rows = read(tmp_path, format="huggingface", root=str(root))
    assert [row.path for row in rows] == [
        f"data/train-00000-of-00001.parquet::audio/{row}" for row in range(3)] + [
        "data/validation-00000-of-00001.parquet::audio/0"]
    assert [row.emotion for row in rows if not isinstance(row, Misfit)] == ["happy", "sad", "happy"]
    assert [row.partition for row in rows if not isinstance(row, Misfit)] == [
        "train", "train", "dev"]
    assert (rows[0].speaker, rows[0].extra) == ("4", {"text": "x"})
    assert rows[2] == Misfit(rows[2].path, "no label in column 'label'")
    from emokit.corpora.parsers import huggingface
    assert huggingface.words(root, huggingface.Config()) == ["sad", "happy"]


def test_sound_in_parquet_is_decoded_from_any_row_group(tmp_path):
    root = tmp_path / "hub"
    sounds = [(noise(seed, 900 + seed) * 32767).astype(np.int16) for seed in range(45)]
    for split, first in (("train", 0), ("valid", 15), ("test", 30)):
        parquet_file(root / f"{split}.parquet", ["joy", "anger", "calm"] * 5, split_group=4,
                     sounds=[wav(sound) for sound in sounds[first:first + 15]],
                     name=[f"u{row}" for row in range(first, first + 15)])
    corpus = build(tmp_path, "emoset", format="huggingface", root=str(root),
                   columns={"name": "talk"})
    assert len(corpus.manifest) == 45
    for index, name in enumerate(corpus.manifest["talk"]):
        assert np.array_equal(corpus.audio.read(index), sounds[int(name[1:])]), name
    assert corpus.build["partitions"]["kind"] == "official"


def test_a_cell_that_holds_no_audio_is_one_unreadable_file(tmp_path):
    good = [wav((noise(seed) * 32767).astype(np.int16)) for seed in range(6)]
    parquet_file(tmp_path / "hub" / "a.parquet", ["joy", "anger"] * 4, speaker=list("aabbccdd"),
                 sounds=[*good, None, b"version https://git-lfs.github.com"])
    with pytest.raises(CorpusError, match="2 of 8 files cannot be read; first: a.parquet::audio/6 "
                       r"\(its cell holds no audio\)"):
        build(tmp_path, "emoset", format="huggingface", root=str(tmp_path / "hub"))


def test_rows_of_parquet_are_given_in_any_order(tmp_path):
    need("pyarrow")
    from emokit.audio.cells import Sources, cell
    from emokit.audio.read import Unreadable

    sounds = [b"%d" % number for number in range(20)]
    parquet_file(tmp_path / "a.parquet", ["x"] * 20, sounds=sounds, split_group=7)
    sources, path = Sources(), str(tmp_path / "a.parquet")
    for row in [0, 1, 2, 9, 8, 19, 0, 6, 7, 13, 14, 14]:
        assert sources.get(cell(path, "audio", row)) == sounds[row]
    with pytest.raises(Unreadable, match="no row 20"):
        sources.get(cell(path, "audio", 20))
    with pytest.raises(Unreadable, match="cannot be read"):
        sources.get(cell(path, "sound", 1))
    assert sources.get(cell(path, "audio", 3)) == b"3"


def test_the_only_split_is_no_partition(tmp_path):
    parquet_file(tmp_path / "hub" / "train.parquet", ["joy", "anger"])
    rows = read(tmp_path, format="huggingface", root=str(tmp_path / "hub"))
    assert [row.partition for row in rows] == ["", ""]


@pytest.mark.parametrize("name", ["metadata.csv", "metadata.jsonl"])
def test_an_audio_folder_is_read_by_its_metadata(tmp_path, name):
    root = tmp_path / "hub"
    for seed, file in enumerate(["train/a/test_1.wav", "test/b.wav"]):
        write_wav(root / file, noise(seed))
    (root / "README.md").write_text(
        "---\ndataset_info:\n  features:\n  - name: label\n    dtype:\n      class_label:\n"
        "        names:\n          '0': sad\n          '1': happy\n---\n# Mine\n")
    (root / name).write_text("file_name,label,speaker\ntrain/a/test_1.wav,1,03\ntest/b.wav,0,04\n"
                             if name.endswith("csv") else
                             '{"file_name": "train/a/test_1.wav", "label": 1, "speaker": "03"}\n'
                             '{"file_name": "test/b.wav", "label": 0, "speaker": "04"}\n')
    second, first = read(tmp_path, format="huggingface", root=str(root))
    assert (first.id, first.emotion, first.speaker, first.partition) == (
        "train/a/test_1", "happy", "03", "train")
    assert (second.id, second.emotion, second.partition) == ("test/b", "sad", "test")


def test_an_audio_folder_may_tell_labels_by_folders(tmp_path):
    for seed, file in enumerate(["train/joy/1.wav", "dev/joy/2.wav", "test/anger/1.wav"]):
        write_wav(tmp_path / "hub" / file, noise(seed))
    rows = read(tmp_path, format="huggingface", root=str(tmp_path / "hub"))
    assert [(row.emotion, row.partition) for row in rows] == [
        ("joy", "dev"), ("anger", "test"), ("joy", "train")]


def test_the_card_says_which_files_are_a_configuration(tmp_path):
    root = tmp_path / "hub"
    parquet_file(root / "de" / "1.parquet", ["Freude"])
    parquet_file(root / "de" / "2.parquet", ["Wut"])
    parquet_file(root / "en" / "1.parquet", ["joy"])
    (root / "README.md").write_text(
        "---\nconfigs:\n- config_name: de\n  data_files:\n  - split: train\n"
        "    path: de/1.parquet\n  - split: test\n    path: de/2.*\n"
        "- config_name: en\n  data_files: en/*\n---\n")
    with pytest.raises(Exception, match="configurations de, en. Set 'config'"):
        read(tmp_path, format="huggingface", root=str(root))
    rows = read(tmp_path, format="huggingface", root=str(root), config="de")
    assert [(row.emotion, row.partition) for row in rows] == [("Freude", "train"), ("Wut", "test")]


def test_columns_of_a_data_set_are_not_guessed(tmp_path):
    parquet_file(tmp_path / "hub" / "a.parquet", ["joy"])
    with pytest.raises(ManifestError, match="has no column 'emo'"):
        read(tmp_path, format="huggingface", root=str(tmp_path / "hub"), emotion="emo")
    parquet_file(tmp_path / "other" / "a.parquet", [7], ["joy"])
    with pytest.raises(ManifestError, match="row 0: 'label' is 7, but has only 1 names: joy"):
        read(tmp_path, format="huggingface", root=str(tmp_path / "other"))


def test_a_pointer_instead_of_parquet_is_an_error_in_words(tmp_path):
    need("pyarrow")
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub" / "train.parquet").write_text("version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(CorpusError, match="Cannot read .*train.parquet.*git-lfs pointer"):
        read(tmp_path, format="huggingface", root=str(tmp_path / "hub"))


# EmoBox


def emobox_of(data, name="mine", shared=False, valid=False, extra=()):
    """Write two folds over the recordings `rec/<speaker>/<emotion>_<n>.wav` below data's parent."""
    emotions = {"a": "Angry", "h": "Happy"}
    rows = [(speaker, emotion, number) for speaker in "12345" for emotion in emotions
            for number in range(2)]
    for seed, (speaker, emotion, number) in enumerate(rows):
        write_wav(data.parent / "rec" / speaker / f"{emotion}_{number}.wav", noise(seed))
    folder = data / name
    for fold in (1, 2):
        parts = {"train": [], "valid": [], "test": []}
        for speaker, emotion, number in [*rows, *extra]:
            test = number == fold - 1 if shared else int(speaker) <= 1 if fold == 1 else (
                int(speaker) == 2)
            part = "test" if test else "valid" if valid and speaker == "5" else "train"
            parts[part].append(json.dumps({
                "key": f"{name}-{speaker}-{emotion}-{number}", "dataset": name, "type": "raw",
                "wav": f"downloads/{name}/rec/{speaker}/{emotion}_{number}.wav", "emo": emotion,
                "sample_rate": 16000, "task": "category", "channel": 1}))
        (folder / f"fold_{fold}").mkdir(parents=True)
        for part, lines in parts.items():
            if lines:
                (folder / f"fold_{fold}" / f"{name}_{part}_fold_{fold}.jsonl").write_text(
                    "\n".join(lines) + "\n")
    (folder / "label_map.json").write_text(json.dumps(emotions))
    return folder


def test_records_of_emobox_are_found_below_the_root(tmp_path):
    emobox_of(tmp_path / "data")
    rows = read(tmp_path, format="emobox", root=str(tmp_path), folder="data/mine",
                speaker=r"mine-(\d)-")
    assert len(rows) == 20 and rows[0].path == "rec/1/a_0.wav"
    assert (rows[0].id, rows[0].emotion, rows[0].speaker) == ("mine-1-a-0", "Angry", "1")
    assert {row.partition for row in rows} == {""}


def test_emobox_without_its_recordings_is_an_error(tmp_path):
    emobox_of(tmp_path / "data")
    (tmp_path / "rec" / "2" / "a_1.wav").unlink()
    with pytest.raises(CorpusError, match="1 of 20 listed files .*rec/2/a_1.wav"):
        read(tmp_path, format="emobox", root=str(tmp_path), folder="data/mine")
    with pytest.raises(CorpusError, match="None of EmoBox's files.*downloads/mine/rec/.*'root'"):
        read(tmp_path, format="emobox", root=str(tmp_path / "data"), folder="mine")
    with pytest.raises(CorpusError, match="has no folder fold_1"):
        read(tmp_path, format="emobox", root=str(tmp_path), folder="data")


def test_recordings_of_emobox_may_be_flac_or_in_capitals(tmp_path):
    emobox_of(tmp_path / "data")
    (tmp_path / "rec/1/a_0.wav").rename(tmp_path / "rec/1/a_0.FLAC")
    (tmp_path / "rec/1/a_1.wav").rename(tmp_path / "rec/1/A_1.WAV")
    rows = read(tmp_path, format="emobox", root=str(tmp_path), folder="data/mine")
    assert {row.id: row.path for row in rows}["mine-1-a-0"] == "rec/1/a_0.FLAC"
    assert {row.id: row.path for row in rows}["mine-1-a-1"] == "rec/1/A_1.WAV"


def test_lists_of_emobox_with_absolute_paths_are_read(tmp_path):
    folder = emobox_of(tmp_path / "data")
    for path in (folder / "fold_1").iterdir():
        path.write_text(path.read_text().replace("downloads/mine", "/home/someone/mine"))
    assert len(read(tmp_path, format="emobox", root=str(tmp_path), folder="data/mine")) == 20


def test_codes_of_emobox_are_read_by_either_map_in_any_case(tmp_path):
    folder = emobox_of(tmp_path / "data")
    (folder / "label_map.json").rename(folder / "label_dict.json")
    (folder / "label_dict.json").write_text('{"A": "Angry", "h": "Happy"}')
    rows = read(tmp_path, format="emobox", root=str(tmp_path), folder="data/mine")
    assert {row.emotion for row in rows} == {"Angry", "Happy"}


def test_a_code_of_emobox_that_means_nothing_is_an_error(tmp_path):
    folder = emobox_of(tmp_path / "data")
    (folder / "label_map.json").write_text('{"a": "Angry"}')
    with pytest.raises(ManifestError, match="label_map.json in .* 1 labels mean: 'h'. Add"):
        read(tmp_path, format="emobox", root=str(tmp_path), folder="data/mine")
    (folder / "label_map.json").unlink()
    with pytest.raises(ManifestError, match="label_map.json or label_dict.json in .* 'a', 'h'"):
        read(tmp_path, format="emobox", root=str(tmp_path), folder="data/mine")
    for path in (folder / "fold_1").iterdir():
        path.write_text(path.read_text().replace('"emo": "h"', '"emo": "joy"')
                        .replace('"emo": "a"', '"emo": "Angry"'))
    rows = read(tmp_path, format="emobox", root=str(tmp_path), folder="data/mine")
    assert {row.emotion for row in rows} == {"Angry", "joy"}


@pytest.mark.parametrize("name, own", [
    ("polish_emotions", "polish"), ("crema_d", "cremad"), ("jl_corpus", "jlcorpus"),
    ("emodb", "emodb"), ("mine", "mine")])
def test_the_catalogue_tells_emoboxs_name_of_a_corpus(tmp_path, name, own):
    (tmp_path / own / "fold_1").mkdir(parents=True)
    (tmp_path / "other").mkdir()
    assert corpus_folder(tmp_path, name) == tmp_path / own
    (tmp_path / own).rename(tmp_path / "gone")
    with pytest.raises(CorpusError, match=f"has no folder '{own}', which '{name}' would be"):
        corpus_folder(tmp_path, name)


def test_a_line_that_is_no_record_is_named(tmp_path):
    folder = emobox_of(tmp_path / "data")
    path = folder / "fold_1" / "mine_test_fold_1.jsonl"
    path.write_text(path.read_text() + '{"key": "x"}\n')
    with pytest.raises(ManifestError, match=r"mine_test_fold_1.jsonl:5: no record of EmoBox"):
        read(tmp_path, format="emobox", root=str(tmp_path), folder="data/mine")


PATTERN = r"rec/(?P<speaker>\d)/(?P<emotion>[a-z])_"


def by_emobox(tmp_path, out="emoset", **rule):
    return build(tmp_path, out, "mine", format="pattern", root=str(tmp_path), pattern=PATTERN,
                 emotions={"a": "anger", "h": "happiness"},
                 partitions={"rule": "emobox", "folder": "data", **rule})


def test_folds_of_emobox_divide_a_corpus_that_emokit_reads(tmp_path):
    emobox_of(tmp_path / "data", extra=[("9", "a", 0)])
    corpus = by_emobox(tmp_path)
    parts = {speaker: set(rows["partition"]) for speaker, rows in
             corpus.manifest.groupby("speaker")}
    assert parts["mine/1"] == {"test"}
    assert {"train"} in parts.values() and {"dev"} in parts.values()
    assert corpus.build["partitions"]["kind"] == "emobox"
    assert "comparison only, fold 1 of 2 of EmoBox (1 of its records are not in this copy)" in \
        corpus.build["partitions"]["words"]
    assert not corpus.build["waivers"]
    again = by_emobox(tmp_path, "second", fold=2)
    assert set(again.manifest.query("partition == 'test'")["speaker"]) == {"mine/2"}


def test_emobox_with_its_own_dev_keeps_it(tmp_path):
    emobox_of(tmp_path / "data", valid=True)
    corpus = by_emobox(tmp_path)
    assert set(corpus.manifest.query("partition == 'dev'")["speaker"]) == {"mine/5"}


def test_speakers_shared_by_emobox_are_a_waiver_in_every_report(tmp_path):
    emobox_of(tmp_path / "data", shared=True)
    corpus = by_emobox(tmp_path)
    (waiver,) = corpus.build["waivers"]
    assert (waiver["check"], waiver["count"], waiver["flag"]) == (
        "emobox-speakers", 5, "--partitions emobox")
    assert not corpus.build["partitions"]["speaker_disjoint"]
    assert "emobox-speakers" in (tmp_path / "emoset" / "mine" / "card.md").read_text()


def test_a_changed_fold_of_emobox_builds_again(tmp_path):
    folder = emobox_of(tmp_path / "data")
    spec = spec_of(tmp_path, "mine", format="pattern", root=str(tmp_path / "rec"),
                   pattern=PATTERN[4:], partitions={"rule": "emobox", "folder": "data"})
    options = BuildOptions(jobs=1, report=False)
    states = [build_corpora([spec], tmp_path / "emoset", options)[0].state for _ in range(2)]
    path = folder / "fold_1" / "mine_train_fold_1.jsonl"
    path.write_text(path.read_text() + "\n")
    states.append(build_corpora([spec], tmp_path / "emoset", options)[0].state)
    assert states == ["built", "unchanged", "built"]


def test_an_utterance_that_emobox_lacks_is_left_out_by_name(tmp_path):
    emobox_of(tmp_path / "data")
    write_wav(tmp_path / "rec" / "1" / "a_7.wav", noise(99))
    corpus = by_emobox(tmp_path)
    assert len(corpus.manifest) == 20
    assert "which leaves 1 utterances out" in corpus.build["partitions"]["words"]
    assert "rec/1/a_7.wav,left out by the rule 'emobox'" in (
        tmp_path / "emoset" / "mine" / "rejected.csv").read_text()


def test_another_release_than_emoboxs_stops_the_build(tmp_path):
    emobox_of(tmp_path / "data")
    for number in (7, 8):
        write_wav(tmp_path / "rec" / "1" / f"a_{number}.wav", noise(99 + number))
    with pytest.raises(ManifestError, match="says nothing of 2 of 22 utterances of 'mine'.*a_7"):
        by_emobox(tmp_path)


def test_the_command_divides_by_emobox_as_an_option(tmp_path, monkeypatch):
    emobox_of(tmp_path / "data", shared=True)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "corpora.yaml").write_text(
        f"mine:\n  format: pattern\n  root: rec\n  pattern: '{PATTERN[4:]}'\n")
    run = ["build-corpus", "mine", "--jobs", "1", "--no-report"]
    done = CliRunner().invoke(group, [*run, "--partitions", "emobox", "--emobox", "data"])
    assert done.exit_code == 0, done.output
    assert "partitions emobox" in done.output and "emobox-speakers" in done.output
    done = CliRunner().invoke(group, [*run, "--partitions", "emobox"])
    assert done.exit_code == 2 and "go together" in done.output


def test_corpora_that_emobox_lacks_are_left_out_unless_they_are_named(tmp_path, monkeypatch):
    emobox_of(tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "corpora.yaml").write_text("".join(
        f"{name}:\n  format: pattern\n  root: rec\n  pattern: '{PATTERN[4:]}'\n"
        for name in ("lacking", "mine")))
    how = ["--jobs", "1", "--no-report", "--partitions", "emobox", "--emobox", "data"]
    done = CliRunner().invoke(group, ["build-corpus", *how])
    assert done.exit_code == 0, done.output
    assert "lacking: left out, EmoBox has no lists of it" in done.output
    assert (tmp_path / "emoset/mine").is_dir() and not (tmp_path / "emoset/lacking").exists()
    done = CliRunner().invoke(group, ["build-corpus", "mine", "lacking", *how])
    assert done.exit_code == 1 and "no folder 'lacking'" in done.output
    (tmp_path / "corpora.yaml").write_text((tmp_path / "corpora.yaml").read_text().replace(
        "mine:", "lacking_too:"))
    done = CliRunner().invoke(group, ["build-corpus", *how])
    assert done.exit_code == 1 and "no lists of any of the 2 corpora" in done.output


# the page

def test_the_examples_of_the_page_are_read(tmp_path):
    import re
    from pathlib import Path

    page = Path(__file__).parents[2] / "docs" / "interop.md"
    examples = re.findall(r"```yaml\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    assert len(examples) == 4
    path = tmp_path / "corpora.yaml"
    path.write_text("\n".join(examples).replace("/data/", f"{tmp_path}/"), encoding="utf-8")
    specs = {spec.name: spec for spec in read_specs(path)}
    assert specs["cafe_of_emobox"].settings.speaker == r"-(\d\d)-"
    assert specs["cafe"].partitions.fold == 1
    assert specs["emotions_of_the_hub"].format == "huggingface"


@pytest.mark.parametrize("code, extra", [("import audformat", "audformat"),
                                         ("import pyarrow", "huggingface")])
def test_a_missing_package_names_the_extra_to_install(tmp_path, monkeypatch, code, extra):
    import sys

    monkeypatch.setitem(sys.modules, code.split()[1], None)
    monkeypatch.setitem(sys.modules, code.split()[1] + ".parquet", None)
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    (tmp_path / "db.yaml").write_text("name: x\n")
    with pytest.raises(CorpusError, match=r"pip install 'emokit\[interop\]'"):
        read(tmp_path, format=extra, root=str(tmp_path))
