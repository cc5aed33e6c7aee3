import numpy as np
import pytest
import soundfile
from build_tools import build, contents, make_corpus, noise

from emokit.core.errors import CorpusError
from emokit.core.files import read_csv, read_json
from emokit.corpora import checks
from emokit.corpora.build import BuildOptions, build_corpora
from emokit.corpora.spec import read_specs
from emokit.corpora.store import open_corpus
from emokit.testing import write_wav


@pytest.fixture
def raw(tmp_path):
    return make_corpus(tmp_path / "raw")


def speakers_by_partition(tmp_path, raw):
    """Build once and say who is where, for tests that plant a fault across partitions."""
    build(tmp_path, "probe", mine=raw)
    table = open_corpus(tmp_path / "probe" / "mine").manifest
    return {name: sorted(set(rows["speaker"].str.partition("/")[2]))
            for name, rows in table.groupby("partition")}


def refuses_then_waives(tmp_path, raw, words, flag, **settings):
    """Hold a build to its error, its waiver, and both in the files."""
    value = (raw, settings.pop("settings", ""))
    with pytest.raises(CorpusError, match=words) as caught:
        build(tmp_path, mine=value)
    assert f"--{flag.replace('_', '-')}" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "emoset" / "mine").exists()
    build(tmp_path, mine=value, options=BuildOptions(jobs=1, report=False, **{flag: True}))
    built = read_json(tmp_path / "emoset" / "mine" / "build.json")
    waiver = built["waivers"][0]
    assert waiver["flag"] == f"--{flag.replace('_', '-')}" and waiver["count"] >= 1
    assert waiver["check"] in (tmp_path / "emoset" / "mine" / "card.md").read_text()
    assert waiver["check"] in read_csv(tmp_path / "emoset" / "index.csv")["waivers"].iloc[0]
    return built


def test_identical_audio_across_partitions_stops(tmp_path, raw):
    who = speakers_by_partition(tmp_path, raw)
    write_wav(raw / who["train"][0] / "anger_7.wav", noise(77))
    write_wav(raw / who["test"][0] / "anger_7.wav", noise(77))
    refuses_then_waives(tmp_path, raw, r"more than one partition \(1\)", "allow_duplicates")


def test_identical_audio_under_two_labels_stops(tmp_path, raw):
    write_wav(raw / "s0" / "anger_7.wav", noise(77))
    write_wav(raw / "s0" / "sadness_7.wav", noise(77))
    refuses_then_waives(tmp_path, raw, "more than one label.*anger, sadness", "allow_duplicates")


def test_identical_audio_in_one_partition_under_one_label_is_a_warning(tmp_path, raw):
    write_wav(raw / "s0" / "anger_7.wav", noise(77))
    write_wav(raw / "s0" / "anger_8.wav", noise(77))
    build(tmp_path, mine=raw)
    built = read_json(tmp_path / "emoset" / "mine" / "build.json")
    assert [row["check"] for row in built["warnings"]] == ["duplicates-within-partition"]
    assert not built["waivers"]


def test_a_speaker_in_two_partitions_stops_before_decoding(tmp_path, raw):
    lines = ["file,partition"] + [
        f"{path.relative_to(raw)},{('train', 'dev', 'test')[index % 3]}"
        for index, path in enumerate(sorted(raw.rglob("*.wav")))]
    (tmp_path / "split.csv").write_text("\n".join(lines) + "\n")
    settings = f"partitions: {{rule: csv, file: {tmp_path / 'split.csv'}}}"
    calls = []
    with pytest.raises(CorpusError, match="--allow-shared-speakers"):
        build(tmp_path, mine=(raw, settings), progress=lambda *args: calls.append(args))
    assert not calls


def test_shared_speakers_can_be_waived(tmp_path, raw):
    lines = ["file,partition"] + [
        f"{path.relative_to(raw)},{('train', 'dev', 'test')[index // 2 % 3]}"
        for index, path in enumerate(sorted(raw.rglob("anger*.wav")) + sorted(
            raw.rglob("neutral*.wav")) + sorted(raw.rglob("sadness*.wav")))]
    (tmp_path / "split.csv").write_text("\n".join(lines) + "\n")
    refuses_then_waives(
        tmp_path, raw, r"speakers stand in more than one partition \(\d\): mine/s\d",
        "allow_shared_speakers", settings=f"partitions: {{rule: csv, file: {tmp_path}/split.csv}}")


def test_a_partition_without_a_class_of_train_stops(tmp_path, raw):
    for path in (raw / "s4").glob("sadness*"):
        path.unlink()
    refuses_then_waives(
        tmp_path, raw, "test has no sadness", "allow_missing_classes",
        settings='partitions: {rule: speakers, test: ["s4"], dev: ["s3"]}')


def test_train_without_a_class_of_test_stops(tmp_path):
    table = pytest.importorskip("pandas").DataFrame({
        "emotion": ["a", "a", "b", "a"], "partition": ["train", "dev", "test", "test"]})
    (found,) = checks.missing_classes(table, ["a", "b"])
    assert "train has no b" in found.words


@pytest.mark.parametrize("plant,words", [
    (lambda path: path.write_bytes(b""), "0 bytes"),
    (lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\n"), "git-lfs"),
    (lambda path: path.write_text("<html>not found</html>"), "web page"),
    (lambda path: path.write_bytes(path.read_bytes()[:3000]), "truncated"),
    (lambda path: soundfile.write(path, np.zeros(0), 16000), "0 samples"),
    (lambda path: soundfile.write(path, np.full(800, np.nan), 16000, subtype="FLOAT"), "NaN"),
], ids=["empty", "lfs", "html", "truncated", "zero samples", "nan"])
def test_a_file_that_cannot_be_read_stops(tmp_path, raw, plant, words):
    plant(raw / "s1" / "anger_0.wav")
    built = refuses_then_waives(
        tmp_path, raw, rf"1 of 30 files cannot be read; first: s1/anger_0.wav \(.*{words}",
        "skip_unreadable")
    rejected = read_csv(tmp_path / "emoset" / "mine" / "rejected.csv")
    assert list(rejected["file"]) == ["s1/anger_0.wav"] and words in rejected["reason"].iloc[0]
    corpus = open_corpus(tmp_path / "emoset" / "mine")
    assert len(corpus.manifest) == len(corpus.audio) == built["counts"]["utterances"] == 29
    for index, path in enumerate(corpus.manifest["path"]):
        samples, _ = soundfile.read(raw / path, dtype="int16")
        assert np.array_equal(corpus.audio.read(index), samples)


@pytest.fixture
def stretches(tmp_path):
    """A corpus cut by times from one file a speaker, and the lines of its list."""
    rng = np.random.default_rng(0)
    lines = ["file,label,speaker,start,end"]
    for speaker in "abcde":
        write_wav(tmp_path / f"raw/{speaker}.wav", rng.uniform(-0.3, 0.3, 32_000))
        lines += [f"{speaker}.wav,{word},{speaker},{start},{start + 0.5}"
                  for start, word in ((0.0, "anger"), (0.5, "sadness"), (1.0, "anger"),
                                      (1.5, "sadness"))]
    return tmp_path / "raw", lines


def build_list(tmp_path, root, lines, **flags):
    if not (root / "list.csv").exists():
        (root / "list.csv").write_text("\n".join(lines))
    (tmp_path / "corpora.yaml").write_text(f"mine: {{format: csv, root: {root}}}\n")
    result, = build_corpora(read_specs(tmp_path / "corpora.yaml"), tmp_path / "emoset",
                            BuildOptions(jobs=1, report=False, **flags))
    return result


def test_stretches_past_the_end_are_left_out_or_cut_as_a_flag_says(tmp_path, stretches):
    root, lines = stretches
    lines[4] = "a.wav,sadness,a,1.5,2.05"
    lines[8] = "b.wav,sadness,b,1.5,9"
    with pytest.raises(CorpusError, match=r"2 of 20 utterances cannot be read; first: a\.wav \("
                       r"a@1\.5-2\.05: a stretch from 1\.5 s to 2\.05 s in a file of 2\.000 s.*keep"
                       r" what the files hold of them, pass --allow-cut-.*--skip-unreadable"):
        build_list(tmp_path, root, lines)
    without = build_list(tmp_path, root, lines, skip_unreadable=True)
    assert without.build["counts"]["utterances"] == 18
    assert str(tmp_path / "emoset/mine/rejected.csv") in without.build["waivers"][0]["words"]
    # what the flag would give is not what is there
    cut = build_list(tmp_path, root, lines, allow_cut_stretches=True)
    assert cut.state == "built" and cut.build["counts"]["utterances"] == 20
    waiver, = cut.build["waivers"]
    assert (waiver["check"], waiver["count"], waiver["flag"]) == (
        "cut-stretches", 2, "--allow-cut-stretches")
    assert waiver["culprits"][0].startswith("a@1.5-2.05 (a stretch from 1.5 s to 2.05 s")
    corpus = open_corpus(tmp_path / "emoset/mine")
    rows = corpus.manifest.set_index("utterance")["duration"]
    assert rows["mine/a@1.5-2.05"] == rows["mine/b@1.5-9"] == 0.5
    assert len(np.load(tmp_path / "emoset/mine/fingerprints.npy")) == 20
    again = build_list(tmp_path, root, lines, allow_cut_stretches=True)
    assert again.state == "unchanged"


def test_a_stretch_that_begins_past_the_end_is_not_cut(tmp_path, stretches):
    root, lines = stretches
    lines[4] = "a.wav,sadness,a,2.5,3"
    with pytest.raises(CorpusError, match="1 of 20 utterances cannot be read") as caught:
        build_list(tmp_path, root, lines, allow_cut_stretches=True)
    assert "cut-stretches" not in str(caught.value)


def test_all_unreadable_files_are_listed_where_the_error_says(tmp_path, raw):
    for path in raw.rglob("anger*.wav"):
        path.write_bytes(b"")
    with pytest.raises(CorpusError, match="10 of 30 files") as caught:
        build(tmp_path, mine=raw)
    listed = str(caught.value).split("all of them in '")[1].split("'")[0]
    assert len(read_csv(listed)) == 10


def test_nothing_readable_stops_whatever_is_waived(tmp_path, raw):
    for path in raw.rglob("*.wav"):
        path.write_bytes(b"")
    with pytest.raises(CorpusError, match="30 of 30 files"):
        build(tmp_path, mine=raw, options=BuildOptions(jobs=1, report=False, skip_unreadable=True))


def test_silence_stops(tmp_path, raw):
    write_wav(raw / "s1" / "anger_0.wav", np.zeros(3200))
    refuses_then_waives(tmp_path, raw, r"silence \(1\): s1/anger_0.wav", "allow_silence")


def test_two_silent_files_are_no_duplicates(tmp_path, raw):
    for speaker in range(5):
        write_wav(raw / f"s{speaker}" / "anger_0.wav", np.zeros(3200))
    build(tmp_path, mine=raw, options=BuildOptions(jobs=1, report=False, allow_silence=True))
    built = read_json(tmp_path / "emoset" / "mine" / "build.json")
    assert [row["check"] for row in built["waivers"]] == ["silent"]


def test_many_clipped_samples_are_a_warning(tmp_path, raw):
    write_wav(raw / "s1" / "anger_0.wav", 6 * noise(50), subtype="FLOAT")
    build(tmp_path, mine=raw)
    built = read_json(tmp_path / "emoset" / "mine" / "build.json")
    assert [row["check"] for row in built["warnings"]] == ["clipped"]


def test_an_error_names_further_findings(tmp_path, raw):
    (raw / "s1" / "anger_0.wav").write_bytes(b"")
    write_wav(raw / "s2" / "anger_0.wav", np.zeros(3200))
    with pytest.raises(CorpusError, match=r"--skip-unreadable.* Also: silent \(1; --allow-silence"):
        build(tmp_path, mine=raw)


def test_a_waiver_stands_until_something_changes(tmp_path, raw):
    write_wav(raw / "s1" / "anger_0.wav", np.zeros(3200))
    build(tmp_path, mine=raw, options=BuildOptions(jobs=1, report=False, allow_silence=True))
    assert build(tmp_path, mine=raw)[0].state == "unchanged"
    write_wav(raw / "s1" / "anger_1.wav", noise(99))
    with pytest.raises(CorpusError, match="silence"):
        build(tmp_path, mine=raw)


def test_a_build_that_fails_leaves_the_former_one(tmp_path, raw):
    build(tmp_path, mine=raw)
    before = contents(tmp_path / "emoset" / "mine")
    (raw / "s1" / "anger_0.wav").write_bytes(b"")
    with pytest.raises(CorpusError):
        build(tmp_path, mine=raw)
    assert contents(tmp_path / "emoset" / "mine") == before


def test_identical_audio_across_corpora_stops_the_index(tmp_path, raw):
    other = make_corpus(tmp_path / "other", first_seed=1000)
    write_wav(other / "s0" / "anger_0.wav", noise(1))
    with pytest.raises(CorpusError, match="mine and yours.*mine/.* = yours/.*--allow-shared"):
        build(tmp_path, mine=raw, yours=other)
    assert not (tmp_path / "emoset" / "index.csv").exists()
    # not forgotten by running the command again
    with pytest.raises(CorpusError, match="more than one corpus"):
        build(tmp_path, mine=raw, yours=other)
    build(tmp_path, mine=raw, yours=other,
          options=BuildOptions(jobs=1, allow_shared_audio=True))
    index = read_csv(tmp_path / "emoset" / "index.csv")
    assert list(index["waivers"]) == ["duplicates-across-corpora"] * 2
    assert "duplicates-across-corpora" in (tmp_path / "emoset" / "report.html").read_text()


def test_too_few_speakers_are_a_recorded_waiver(tmp_path):
    raw = make_corpus(tmp_path / "raw", n_speakers=2, per_class=5)
    build(tmp_path, mine=raw)
    built = read_json(tmp_path / "emoset" / "mine" / "build.json")
    assert not built["partitions"]["speaker_disjoint"]
    assert len(built["waivers"]) == 1 and built["waivers"][0]["words"]


def test_paths_that_leave_the_root_are_refused(tmp_path, raw):
    write_wav(tmp_path / "secret.wav", noise(1))
    (raw / "list.csv").write_text("file,label\n../secret.wav,anger\n")
    (tmp_path / "corpora.yaml").write_text(
        f"mine:\n  format: csv\n  root: {raw}\n  lists: [list.csv]\n")
    from emokit.core.errors import EmokitError
    from emokit.corpora.build import build_corpora
    from emokit.corpora.spec import read_specs

    with pytest.raises(EmokitError, match="secret.wav"):
        build_corpora(read_specs(tmp_path / "corpora.yaml"), tmp_path / "emoset")


def test_a_corpus_of_one_class_is_a_warning_in_words(tmp_path, raw):
    result, = build(tmp_path, mine=(raw, "classes: [anger]"))
    assert "warning: one-class (1)" in result.words
    assert "every utterance has the class anger: nothing can be told apart" in (
        tmp_path / "emoset" / "mine" / "card.md").read_text()
    result, = build(tmp_path, "second", mine=(raw, "classes: [anger, neutral]"))
    assert "one-class" not in result.words
