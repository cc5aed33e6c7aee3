"""A corpus of one's own by lists or by a pattern."""

import pytest

from emokit.core.errors import ConfigError, CorpusError, ManifestError
from emokit.corpora.parsers import csv_list, names, pattern, records
from emokit.corpora.utterance import Misfit


def write(root, files, **lists):
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).touch()
    for name, text in lists.items():
        (root / f"{name}.csv").write_text(text, encoding="utf-8")
    return root


def read(root, **settings):
    return list(csv_list.parse(root, csv_list.Config(**settings)))


def test_one_list_keeps_further_columns(tmp_path):
    write(tmp_path, ["a/x.wav", "b.wav"], labels=(
        "file,label,speaker,gender,age,mood,p_joy,duration\n"
        "b.wav,joy,s1,female,30,sunny,0.5,9\na/x.wav,03,,,,,,\n"))
    first, second = read(tmp_path)
    assert (first.id, first.path, first.emotion, first.speaker) == ("a/x", "a/x.wav", "03", "")
    assert first.extra == {} and first.partition == ""
    assert second.extra == {"gender": "female", "age": 30.0, "mood": "sunny", "p_joy": 0.5,
                            "listed_duration": "9"}


def test_folder_as_emonet_has_them_gives_official_partitions(tmp_path):
    write(tmp_path, ["1.wav", "2.wav", "3.wav"], train="file,label\n1.wav,a\n",
          devel="file,label\n2.wav,a\n", test="file,label\n3.wav,a\n", notes="anything\n")
    assert [(u.id, u.partition) for u in read(tmp_path)] == [
        ("1", "train"), ("2", "dev"), ("3", "test")]


@pytest.mark.parametrize("dev", ["dev", "val"])
def test_dev_list_may_be_called_otherwise(tmp_path, dev):
    write(tmp_path, ["1.wav"], **{dev: "file,label\n1.wav,a\n"})
    assert read(tmp_path)[0].partition == "dev"


def test_two_dev_lists_are_an_error(tmp_path):
    write(tmp_path, [], dev="file,label\n", val="file,label\n")
    with pytest.raises(CorpusError, match="several lists of dev: dev.csv, val.csv"):
        read(tmp_path)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_separators_are_told_by_the_header(tmp_path, separator):
    rows = [["file", "label", "text"], ["x.wav", "joy", "well"]]
    write(tmp_path, ["x.wav"], all="\n".join(separator.join(row) for row in rows) + "\n")
    assert read(tmp_path)[0].extra["text"] == "well"


def test_quoted_cells_and_byte_order_mark(tmp_path):
    write(tmp_path, ["x.wav"], all='\ufefffile,label,text\nx.wav,joy,"well, yes"\n')
    assert read(tmp_path)[0].extra["text"] == "well, yes"


def test_missing_label_column_is_an_error(tmp_path):
    write(tmp_path, ["x.wav"], all="file,emotion\nx.wav,joy\n")
    with pytest.raises(ManifestError, match="no column label; its columns are file, emotion"):
        read(tmp_path)
    assert read(tmp_path, columns={"emotion": "label"})[0].emotion == "joy"


def test_a_column_named_in_settings_but_absent_is_an_error(tmp_path):
    write(tmp_path, ["x.wav"], all="file,label\nx.wav,joy\n")
    with pytest.raises(ManifestError, match="no column emo;"):
        read(tmp_path, columns={"emo": "label"})


@pytest.mark.parametrize("text, message", [
    ("file,label\nx.wav,joy\nx.wav,joy\n", r"all.csv:3: 'x.wav' is listed twice, first in .*:2"),
    ("file,label\nx.wav,\n", r"all.csv:2: 'label' is empty"),
    ("file,label\nx.wav\n", r"all.csv:2: this row has more or fewer cells"),
    ("file,label\nx.wav,joy,sad\n", r"all.csv:2: this row has more or fewer cells"),
    ("file,label,start\nx.wav,joy,soon\n", r"all.csv:2: 'start' is 'soon', not a number"),
    ("file,label,start,end\nx.wav,joy,2,1\n", r"all.csv:2: 'end' must come after 'start'"),
    ("file,label,age\nx.wav,joy,nan\n", r"all.csv:2: 'age' is 'nan', not a number"),
    ("file,label,partition\nx.wav,joy,later\n", r"all.csv:2: partition is 'later'. Choices"),
    ("file,label\n../x.wav,joy\n", r"all.csv:2: Path '../x.wav' leaves its folder"),
    ("file,label,label\nx.wav,joy,joy\n", r"column label twice"),
])
def test_each_broken_line_is_named(tmp_path, text, message):
    write(tmp_path, ["x.wav"], all=text)
    with pytest.raises(ManifestError, match=message):
        read(tmp_path)


def test_a_quote_that_is_not_closed_swallows_no_lines(tmp_path):
    write(tmp_path, ["a.wav", "b.wav"],
          labels='file,label,text\na.wav,joy,"Ciao\nb.wav,joy,Ciao\n')
    with pytest.raises(ManifestError, match=r"els\.csv:2: this is no row .*Is a quote not closed"):
        read(tmp_path)
    write(tmp_path, [], labels='file,label,text\na.wav,joy,"a ""b"", c"\nb.wav,joy,a "b"\n')
    assert [item.extra["text"] for item in read(tmp_path)] == ['a "b", c', 'a "b"']


def test_one_file_in_two_lists_is_an_error(tmp_path):
    write(tmp_path, ["x.wav"], train="file,label\nx.wav,a\n", test="file,label\nx.wav,a\n")
    with pytest.raises(ManifestError, match=r"test.csv:2: 'x.wav' is listed twice.*train.csv:2"):
        read(tmp_path)


def test_segments_of_one_file_are_utterances(tmp_path):
    write(tmp_path, ["x.wav"], all="file,label,start,end\nx.wav,joy,0,1.5\nx.wav,sad,1.5,\n")
    first, second = read(tmp_path)
    assert (first.id, first.start, first.end) == ("x@0-1.5", 0.0, 1.5)
    assert (second.id, second.start, second.end) == ("x@1.5-", 1.5, None)


def test_missing_files_are_counted_and_named(tmp_path):
    write(tmp_path, ["1.wav"], all="file,label\n1.wav,a\n2.wav,a\n3.wav,a\n")
    with pytest.raises(CorpusError, match=r"2 of 3 listed files .*: 2.wav \(all.csv:3\), 3.wav"):
        read(tmp_path)


def test_a_listed_wav_may_lie_there_as_flac(tmp_path):
    write(tmp_path, ["d/1.flac"], all="file,label\nd\\1.wav,a\n")
    assert read(tmp_path)[0].path == "d/1.flac"


def test_lists_may_lie_elsewhere(tmp_path):
    audio, lists = tmp_path / "audio", tmp_path / "lists"
    write(audio, ["1.wav", "sub/2.wav"])
    lists.mkdir()
    write(lists, [], train=f"file,label\n1.wav,a\n{audio}/sub/2.wav,b\n")
    found = read(audio, lists="../lists/train.csv")
    assert [(u.path, u.partition) for u in found] == [("1.wav", "train"), ("sub/2.wav", "train")]
    assert csv_list.inputs(audio, csv_list.Config(lists="../lists/train.csv")) == [
        audio / "../lists/train.csv"]


def test_files_may_be_relative_to_their_list(tmp_path):
    write(tmp_path, ["sub/1.wav", "sub/all.csv"])
    (tmp_path / "sub/all.csv").write_text("file,label\n1.wav,a\n")
    assert read(tmp_path, lists=["sub/all.csv"])[0].path == "sub/1.wav"


@pytest.mark.parametrize("lists", [{}, {"one": "", "two": ""}])
def test_no_list_or_unclear_lists_are_an_error(tmp_path, lists):
    write(tmp_path, ["1.wav"], **lists)
    with pytest.raises(CorpusError, match="Set 'lists' to the file"):
        read(tmp_path)


def test_empty_list_file_is_an_error(tmp_path):
    write(tmp_path, [], all="")
    with pytest.raises(ManifestError, match="is empty. List the files"):
        read(tmp_path)


def test_latin_1_list_is_an_error(tmp_path):
    (tmp_path / "all.csv").write_bytes("file,label\nä.wav,a\n".encode("latin-1"))
    with pytest.raises(ManifestError, match="not UTF-8"):
        read(tmp_path)


PATTERN = r"(?P<speaker>[^/]+)/(?P<emotion>[a-z]+)_(?P<text>.+)\.wav"


def test_pattern_reads_paths_and_its_groups_become_columns(tmp_path):
    write(tmp_path, ["anna/ang_hello.wav", "bob/hap_bye.wav", "bob/notes.wav"])
    first, second, third = pattern.parse(tmp_path, pattern.Config(PATTERN))
    assert (first.id, first.speaker, first.emotion) == ("anna/ang_hello", "anna", "ang")
    assert second.extra == {"text": "bye"}
    assert isinstance(third, Misfit) and third.path == "bob/notes.wav"


def test_pattern_that_matches_nothing_shows_itself_and_a_path(tmp_path):
    write(tmp_path, ["anna/ang_hello.flac"])
    with pytest.raises(CorpusError) as error:
        list(pattern.parse(tmp_path, pattern.Config(PATTERN)))
    assert "'anna/ang_hello.flac'" in str(error.value) and PATTERN in str(error.value)


def test_pattern_may_tell_the_partition_and_numbers(tmp_path):
    write(tmp_path, ["devel/hap_30.wav"])
    expression = r"(?P<partition>\w+)/(?P<emotion>[a-z]+)_(?P<age>\d+)"
    utterance, = pattern.parse(tmp_path, pattern.Config(expression))
    assert utterance.partition == "dev" and utterance.extra == {"age": 30.0}


@pytest.mark.parametrize("expression, message", [
    ("(?P<emotion", "is no regular expression"),
    (r"(?P<speaker>\w+)", r"has no group \(\?P<emotion>"),
    (r"(?P<emotion>\w+)(?P<fold>\d)", "group 'fold', a column that emokit fills"),
])
def test_broken_patterns_are_errors_in_words(expression, message):
    with pytest.raises(ConfigError, match=message):
        pattern.Config(expression)


DISK = {"a.WAV": "a.wav", "Sub/B.flac": "sub/b.wav", "u\u0308.wav": "\u00fc.wav",
        "\u00e9.MP3": "e\u0301.wav"}
"""File on disk to how a list spells it: case, extension, accents as one sign or two."""


def test_listed_files_are_found_whatever_the_case_and_accents(tmp_path):
    write(tmp_path, DISK, all="file,label\n" + "".join(f"{file},x\n" for file in DISK.values()))
    found = read(tmp_path)
    assert {utterance.path for utterance in found} == set(DISK)
    assert len({utterance.id for utterance in found}) == len(DISK)


def test_files_of_other_tools_tables_are_found_the_same_way(tmp_path):
    write(tmp_path, DISK)
    assert records.require(tmp_path, DISK.values(), "") == {
        listed: disk for disk, listed in DISK.items()}
    with pytest.raises(CorpusError, match="1 of 2 listed files are not below .*: b.wav. Mend."):
        records.require(tmp_path, ["a.wav", "b.wav"], "Mend.")
    with pytest.raises(ManifestError, match="leaves its folder"):
        records.require(tmp_path, ["../a.wav"], "")


def test_a_name_that_fits_two_files_is_an_error_and_an_exact_one_is_not(tmp_path):
    write(tmp_path, ["a.WAV", "A.wav", "b.wav", "B.wav", "c.flac", "c.mp3"])
    (tmp_path / "x").mkdir()
    write(tmp_path / "x", ["Q.wav", "Q.WAV"])
    with pytest.raises(CorpusError, match="names 'x/q.wav'.* any of x/Q.WAV, x/Q.wav. Spell it"):
        names.Index(tmp_path).find("x/q.wav")
    index = names.Index(tmp_path)
    assert [index.find(name) for name in ("b.wav", "B.wav", "B.flac", "c.wav", "d.wav")] == [
        "b.wav", "B.wav", "B.wav", "c.flac", None]


@pytest.mark.parametrize("extension", [r"\.wav", r"\.WAV", r"\."])
def test_the_case_of_an_extension_does_not_keep_a_pattern_from_being_found(tmp_path, extension):
    write(tmp_path, ["anna/ang_1.WAV", "anna/hap_1.wav", "anna/Hap_2.wav"])
    found = list(pattern.parse(tmp_path, pattern.Config(
        "(?P<speaker>[^/]+)/(?P<emotion>[a-z]+)_(?P<text>.+)" + extension)))
    assert [item.emotion for item in found if not isinstance(item, Misfit)] == (
        ["ang", "hap"])
