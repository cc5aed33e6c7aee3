import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from build_tools import CLASSES, build, contents, make_corpus, noise, specs_of

import emokit
from emokit.core.errors import CorpusError, EmokitError
from emokit.core.files import read_csv, read_json
from emokit.corpora.build import BuildOptions, build_corpora, remove_corpus
from emokit.corpora.code import LAYS_DOWN_ONLY, deciding
from emokit.corpora.store import open_corpus, open_emoset
from emokit.testing import write_wav

QUICK = BuildOptions(jobs=1, report=False)


@pytest.fixture
def raw(tmp_path):
    return make_corpus(tmp_path / "raw")


def test_store_holds_every_utterance_of_the_manifest(tmp_path, raw):
    build(tmp_path, mine=raw)
    corpus = open_corpus(tmp_path / "emoset" / "mine")
    assert corpus.classes == CLASSES
    assert len(corpus.manifest) == len(corpus.audio) == 30
    for index, row in enumerate(corpus.manifest.itertuples()):
        samples, _ = soundfile.read(raw / row.path, dtype="int16")
        assert np.array_equal(corpus.audio.read(index), samples)
        assert row.duration == len(samples) / 16000
        assert row.utterance.startswith("mine/") and row.speaker.startswith("mine/s")
        assert row.emotion in row.path


def test_partitions_share_no_speaker_and_no_class_is_missing(tmp_path, raw):
    build(tmp_path, mine=raw)
    table = open_corpus(tmp_path / "emoset" / "mine").manifest
    assert (table.groupby("speaker")["partition"].nunique() == 1).all()
    assert (table.groupby("partition")["emotion"].nunique() == 3).all()
    assert set(table["partition"]) == {"train", "dev", "test"}


def test_bytes_do_not_depend_on_the_number_of_processes(tmp_path):
    raw = make_corpus(tmp_path / "raw", per_class=4)
    build(tmp_path, "one", mine=raw)
    build(tmp_path, "two", mine=raw, options=BuildOptions(jobs=2, report=False))
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_second_build_is_skipped_and_touches_nothing(tmp_path, raw):
    build(tmp_path, mine=raw)
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "emoset").rglob("*.*")
             if not path.name.endswith(".lock")}
    calls = []
    results = build(tmp_path, mine=raw, progress=lambda *args: calls.append(args))
    assert [result.state for result in results] == ["unchanged"]
    assert not calls
    assert times == {path: path.stat().st_mtime_ns for path in times}


@pytest.mark.parametrize("change", ["file", "added", "removed", "settings", "seed", "rebuild"])
def test_whatever_changes_is_built_again(tmp_path, raw, change):
    build(tmp_path, mine=raw)
    options, settings = BuildOptions(jobs=1, report=False), ""
    if change == "file":
        write_wav(raw / "s0" / "anger_0.wav", noise(99))
    elif change == "added":
        write_wav(raw / "s0" / "anger_9.wav", noise(99))
    elif change == "removed":
        (raw / "s0" / "anger_0.wav").unlink()
    elif change == "settings":
        settings = "drop: [sadness]"
    elif change == "seed":
        options = BuildOptions(jobs=1, report=False, seed=1)
    else:
        options = BuildOptions(jobs=1, report=False, rebuild=True)
    before = open_corpus(tmp_path / "emoset" / "mine").signature
    results = build(tmp_path, mine=(raw, settings), options=options)
    assert results[0].state == "built"
    after = open_corpus(tmp_path / "emoset" / "mine").signature
    assert (before == after) == (change == "rebuild") or change == "seed"


def test_signature_tells_content_not_times(tmp_path, raw):
    build(tmp_path, mine=raw)
    before = open_corpus(tmp_path / "emoset" / "mine").signature
    (raw / "s0" / "anger_0.wav").touch()
    assert build(tmp_path, mine=raw)[0].state == "built"
    assert open_corpus(tmp_path / "emoset" / "mine").signature == before


def test_corpora_are_added_and_removed_alone(tmp_path, raw):
    other = make_corpus(tmp_path / "other", first_seed=1000)
    build(tmp_path, mine=raw)
    before = contents(tmp_path / "emoset" / "mine")
    build(tmp_path, yours=other)
    assert contents(tmp_path / "emoset" / "mine") == before
    assert list(read_csv(tmp_path / "emoset" / "index.csv")["corpus"]) == ["mine", "yours"]
    remove_corpus(tmp_path / "emoset", "mine")
    assert list(read_csv(tmp_path / "emoset" / "index.csv")["corpus"]) == ["yours"]
    with pytest.raises(CorpusError, match="Corpus 'mine' is not built"):
        remove_corpus(tmp_path / "emoset", "mine")


def test_a_corpus_removed_by_hand_leaves_the_index(tmp_path, raw):
    other = make_corpus(tmp_path / "other", first_seed=1000)
    build(tmp_path, mine=raw, yours=other)
    shutil.rmtree(tmp_path / "emoset" / "mine")
    build(tmp_path, yours=other, options=BuildOptions(jobs=1))
    assert list(read_csv(tmp_path / "emoset" / "index.csv")["corpus"]) == ["yours"]
    assert "mine" not in (tmp_path / "emoset" / "report.html").read_text()


def test_progress_counts_up_to_the_number_of_utterances(tmp_path, raw):
    calls = []
    build(tmp_path, mine=raw, progress=lambda *args: calls.append(args))
    assert calls[-1] == ("mine", 30, 30)
    assert all(one[1] < two[1] for one, two in zip(calls, calls[1:]))


def test_segments_of_one_file_are_utterances_of_their_own(tmp_path):
    samples = noise(1, 60 * 1600)
    write_wav(tmp_path / "raw" / "long.wav", samples)
    lines = ["file,label,speaker,start,end"]
    for index in range(30):
        lines.append(f"long.wav,{CLASSES[index % 3]},s{index // 6},{index * 0.2:.1f},"
                     f"{index * 0.2 + 0.1:.1f}")
    (tmp_path / "raw" / "list.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "corpora.yaml").write_text(
        f"mine:\n  format: csv\n  root: {tmp_path / 'raw'}\n  lists: [list.csv]\n")
    from emokit.corpora.spec import read_specs

    build_corpora(read_specs(tmp_path / "corpora.yaml"), tmp_path / "emoset", QUICK)
    corpus = open_corpus(tmp_path / "emoset" / "mine")
    stored, _ = soundfile.read(tmp_path / "raw" / "long.wav", dtype="int16")
    assert len(corpus.manifest) == 30
    for index, start in enumerate(corpus.manifest["start"]):
        first = round(start * 16000)
        assert np.array_equal(corpus.audio.read(index), stored[first:first + 1600])


def test_labels_are_checked_before_the_first_file_is_decoded(tmp_path, raw):
    write_wav(raw / "s0" / "anger_broken.wav", noise(1))
    (raw / "s0" / "anger_broken.wav").write_text("no audio")
    calls = []
    with pytest.raises(EmokitError, match="sadnes"):
        build(tmp_path, mine=(raw, "drop: [sadnes]"), progress=lambda *args: calls.append(args))
    assert not calls
    assert not (tmp_path / "emoset" / "mine").exists()


def test_what_emokit_did_not_build_is_never_replaced(tmp_path, raw):
    (tmp_path / "emoset" / "mine").mkdir(parents=True)
    (tmp_path / "emoset" / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(CorpusError, match="in the way"):
        build(tmp_path, mine=raw)
    assert (tmp_path / "emoset" / "mine" / "thesis.txt").read_text() == "years of work"


def test_a_corpus_is_never_built_over_its_own_recordings(tmp_path):
    raw = make_corpus(tmp_path / "emoset" / "mine")
    before = contents(raw)
    with pytest.raises(CorpusError, match="over its own recordings"):
        build(tmp_path, mine=raw)
    assert contents(raw) == before


def test_output_below_the_root_does_not_change_the_inputs(tmp_path, raw):
    specs = specs_of(tmp_path, mine=raw)
    build_corpora(specs, raw / "emoset", QUICK)
    assert build_corpora(specs, raw / "emoset", QUICK)[0].state == "unchanged"


def test_a_corpus_given_twice_is_an_error(tmp_path, raw):
    specs = specs_of(tmp_path, mine=raw)
    with pytest.raises(CorpusError, match="mine is given twice"):
        build_corpora([*specs, *specs], tmp_path / "emoset", QUICK)


def test_one_faulty_corpus_does_not_keep_others_from_being_built(tmp_path, raw):
    other = make_corpus(tmp_path / "other", first_seed=1000)
    (raw / "s0" / "anger_0.wav").write_bytes(b"")
    with pytest.raises(CorpusError, match="Corpus 'mine'.*cannot be read"):
        build(tmp_path, mine=raw, yours=other)
    assert [corpus.name for corpus in open_emoset(tmp_path / "emoset")] == ["yours"]
    assert list(read_csv(tmp_path / "emoset" / "index.csv")["corpus"]) == ["yours"]


def test_results_are_told_as_they_come_and_all_errors_together(tmp_path, raw):
    other = make_corpus(tmp_path / "other", first_seed=1000)
    third = make_corpus(tmp_path / "third", first_seed=2000)
    told = []
    (raw / "s0" / "anger_0.wav").write_bytes(b"")
    specs = specs_of(tmp_path, mine=raw, yours=other)
    with pytest.raises(CorpusError):
        build_corpora(specs, tmp_path / "emoset", QUICK, tell=told.append)
    assert [(result.name, result.state) for result in told] == [("yours", "built")]
    # what can be told before decoding is told of every corpus, and nothing is decoded
    told.clear()
    specs = specs_of(tmp_path, mine=(raw, "drop: [sadnes]"), yours=other,
                     zebra=(third, "classes: [angr]"))
    with pytest.raises(EmokitError, match=r"sadnes.*\(and 1 more failed: .*angr"):
        build_corpora(specs, tmp_path / "emoset", QUICK, tell=told.append)
    assert [(result.name, result.state) for result in told] == [("yours", "unchanged")]


def test_build_json_counts_what_is_there(tmp_path, raw):
    build(tmp_path, mine=raw)
    counts = read_json(tmp_path / "emoset" / "mine" / "build.json")["counts"]
    assert counts["utterances"] == 30 and counts["speakers"] == 5
    assert counts["samples"] == 30 * 3200 and counts["seconds"] == 6.0
    sums = {word: sum(parts.values()) for word, parts in counts["classes"].items()}
    assert sums == dict.fromkeys(CLASSES, 10)
    assert sum(len(part["speakers"]) for part in counts["partitions"].values()) == 5


def test_equal_inputs_elsewhere_give_equal_manifests_and_audio(tmp_path):
    for place in ("a", "b"):
        make_corpus(tmp_path / place / "raw")
        build(tmp_path / place, mine=tmp_path / place / "raw")
    one, two = (contents(tmp_path / place / "emoset" / "mine") for place in ("a", "b"))
    for name in ("manifest.csv", "audio.i16", "offsets.npy", "rejected.csv", "card.md"):
        assert one[name] == two[name]


def test_all_code_that_decides_what_is_built_is_signed(tmp_path, raw):
    specs_of(tmp_path, mine=raw)
    code = (
        "import sys\nfrom pathlib import Path\nimport emokit\n"
        "from emokit.corpora.build import BuildOptions, build_corpora\n"
        "from emokit.corpora.spec import read_specs\n"
        f"build_corpora(read_specs({str(tmp_path / 'corpora.yaml')!r}), "
        f"{str(tmp_path / 'emoset')!r}, BuildOptions(jobs=1, report=False))\n"
        "root = Path(emokit.__file__).parent\n"
        "print(*(Path(module.__file__).relative_to(root) for name, module in "
        "list(sys.modules.items()) if name.startswith(('emokit.audio.', 'emokit.corpora.'))))\n")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    used = {name for name in done.stdout.split() if not name.endswith("__init__.py")}
    root = Path(emokit.__file__).parent
    signed = {str(path.relative_to(root)) for path in deciding(
        root / "corpora/build.py", root / "corpora/parsers/pattern.py")}
    assert used - signed <= {f"corpora/{name}.py" for name in LAYS_DOWN_ONLY}
    assert {"audio/read.py", "corpora/labels.py", "corpora/facts/emotion_words.csv",
            "corpora/parsers/names.py", "corpora/parsers/pattern.py"} <= signed
    assert "corpora/parsers/ravdess.py" not in signed
