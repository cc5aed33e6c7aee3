"""Reading `corpora.yaml`: what is right is resolved, what is wrong is named with its line."""

import contextlib
import dataclasses
import logging
from pathlib import Path

import pytest
from click.testing import CliRunner

from emokit.cli import group
from emokit.core.config import signature
from emokit.core.errors import ConfigError, CorpusError
from emokit.corpora.discovery import discover, lowered
from emokit.corpora.parsers import PARSERS
from emokit.corpora.parsers.names import find_table
from emokit.corpora.parsing import parse
from emokit.corpora.spec import CorpusSpec, PartitionRule, packaged, read_specs, survey
from emokit.testing import tiny_corpus


@pytest.fixture
def folder(tmp_path):
    """A folder with EmoDB, RAVDESS and the tables of CREMA-D, and no `corpora.yaml`."""
    root = tmp_path / "corpora"
    for path in ("EmoDB/wav/03a01Fa.wav", "EmoDB/wav/08a01Na.wav",
                 "RAVDESS/Actor_01/03-01-05-02-01-02-01.wav", "mine/anna/ang_a.wav",
                 "CREMA/VideoDemographics.csv", "CREMA/SentenceFilenames.csv"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    return root


@contextlib.contextmanager
def heard(caplog):
    """Let pytest see emokit's log, which the command line keeps to itself."""
    caplog.clear()
    logging.getLogger("emokit").propagate = True
    with caplog.at_level(logging.INFO, "emokit"):
        yield


def yaml(tmp_path, text):
    path = tmp_path / "corpora.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_packaged_file_and_no_environment_is_an_error_that_helps():
    with pytest.raises(CorpusError, match="EMOKIT_CORPORA is not set.*--synthetic"):
        read_specs()


def test_packaged_entries_are_parsers():
    from emokit.core.files import read_yaml

    assert set(read_yaml(packaged())[0]) <= set(PARSERS)


def test_top_level_file_is_a_link_to_the_packaged_one():
    link = Path(__file__).parents[2] / "corpora.yaml"
    assert link.is_symlink() and link.resolve() == packaged().resolve()


def test_folders_are_found_and_those_without_audio_skipped_with_a_line(folder):
    specs, skipped = survey(environment={"EMOKIT_CORPORA": str(folder)})
    assert [(spec.name, spec.root) for spec in specs] == [
        ("emodb", str(folder / "EmoDB")), ("ravdess", str(folder / "RAVDESS"))]
    assert skipped == [f"crema_d: skipped, '{folder / 'CREMA'}' holds no audio, only tables"]


def test_default_root_beats_the_environment(folder, tmp_path):
    specs = read_specs(root_default=folder, environment={"EMOKIT_CORPORA": str(tmp_path / "x")})
    assert [spec.name for spec in specs] == ["emodb", "ravdess"]


def test_names_choose(folder):
    assert [spec.name for spec in read_specs(None, ["ravdess"], folder)] == ["ravdess"]


def test_named_corpora_that_are_not_there_are_errors(folder):
    with pytest.raises(CorpusError, match="Corpus 'tess': no folder below .*corpora show tess"):
        read_specs(None, ["tess"], folder)
    with pytest.raises(CorpusError, match="Corpus 'crema_d': .* holds no audio, only tables"):
        read_specs(None, ["crema_d"], folder)
    with pytest.raises(ConfigError, match="Unknown corpus 'emobd'. Did you mean 'emodb'"):
        read_specs(None, ["emobd"], folder)


def test_two_folders_of_one_corpus_ask_for_the_root_if_it_is_named(folder):
    (folder / "copy/wav").mkdir(parents=True)
    (folder / "copy/wav/03a01Fa.wav").touch()
    with pytest.raises(CorpusError, match="2 folders look like 'emodb'.*Set 'root' of emodb"):
        read_specs(None, ["emodb"], folder)


def test_two_folders_of_one_corpus_do_not_keep_the_others_from_being_built(folder):
    (folder / "copy/wav").mkdir(parents=True)
    (folder / "copy/wav/03a01Fa.wav").touch()
    specs, skipped = survey(None, (), folder)
    assert [spec.name for spec in specs] == ["ravdess"]
    assert skipped[1] == (
        f"emodb: skipped, 2 folders look like 'emodb': {folder / 'EmoDB'}, {folder / 'copy'}. "
        "Set 'root' of emodb in corpora.yaml to the one you mean")


def test_where_every_corpus_is_skipped_the_reasons_are_the_error(tmp_path):
    for copy in ("a", "b"):
        (tmp_path / copy / "wav").mkdir(parents=True)
        (tmp_path / copy / "wav/03a01Fa.wav").touch()
    with pytest.raises(CorpusError, match="no corpus to build: emodb: skipped, 2 folders"):
        read_specs(None, (), tmp_path)


def test_an_absent_corpus_names_its_page_and_tables_alone_the_missing_audio(folder):
    with pytest.raises(CorpusError, match="corpora show tess.*docs/corpora/tess.md"):
        read_specs(None, ["tess"], folder)
    with pytest.raises(CorpusError, match="The audio is missing. Run: emokit corpora fetch crema_d"
                                          ".*docs/corpora/crema_d.md"):
        read_specs(None, ["crema_d"], folder)


@pytest.fixture
def iemocap(tmp_path):
    """The folder of IEMOCAP, one recording in it."""
    path = tmp_path / "IEMOCAP/Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav"
    path.parent.mkdir(parents=True)
    path.touch()
    (tmp_path / "IEMOCAP/Session1/dialog/EmoEvaluation").mkdir(parents=True)
    (tmp_path / "IEMOCAP/Session1/dialog/EmoEvaluation/Ses01F_impro01.txt").touch()
    return tmp_path / "IEMOCAP"


FOUR = ["anger", "happiness", "neutral", "sadness"]
BY_SESSION = PartitionRule("folds", by="session")


@pytest.mark.parametrize("text", [
    "iemocap: {root: ROOT}", "iemocap:", "mine: {format: csv, root: ROOT}", "",
    "second: {parser: iemocap, root: ROOT}"])
def test_a_file_of_ones_own_keeps_the_packaged_choices_that_it_does_not_make(
        iemocap, tmp_path, text):
    path = yaml(tmp_path, text.replace("ROOT", str(iemocap)) + "\n")
    for spec in read_specs(path, root_default=tmp_path):
        if spec.parser == "iemocap":
            assert (spec.classes, spec.merge, spec.partitions) == (
                FOUR, {"excited": "happiness"}, BY_SESSION)
            assert spec.packaged == (
                "classes: [anger, happiness, neutral, sadness]; merge: {excited: happiness}; "
                "partitions: {rule: folds, by: session}")
            assert spec.at("classes").startswith(str(packaged()))
            break
    else:
        pytest.fail("IEMOCAP is not there")


def test_own_keys_go_before_packaged_ones_and_null_takes_them_back(iemocap, tmp_path):
    spec, = read_specs(yaml(tmp_path, "iemocap:\n  classes: null\n  partitions: auto\n"),
                       root_default=tmp_path)
    assert spec.classes is None and spec.partitions == PartitionRule("auto")
    assert spec.packaged == "merge: {excited: happiness}"
    assert spec.at("partitions") == f"{tmp_path / 'corpora.yaml'}:3"
    spec, = read_specs(yaml(tmp_path, "iemocap: {classes: , merge: , partitions: }\n"),
                       root_default=tmp_path)
    assert (spec.classes, spec.merge, spec.partitions) == (None, {}, PartitionRule())
    assert not spec.packaged


def test_words_dropped_or_merged_by_oneself_leave_the_packaged_choices(iemocap, tmp_path):
    from emokit.corpora.labels import assign_classes

    words = PARSERS["iemocap"].EMOTIONS.values()
    spec, = read_specs(yaml(tmp_path, "iemocap: {drop: [excited, sadness]}\n"),
                       root_default=tmp_path)
    classes, mapping = assign_classes(spec, words)
    assert classes == ("anger", "happiness", "neutral") and mapping["excited"] is None
    improv = tmp_path / "improv.yaml"
    improv.write_text("msp_improv: {root: /x, merge: {other: neutral}}\n")
    spec, = read_specs(improv)
    assert spec.drop == ["no agreement"]


def test_labels_of_a_format_have_no_packaged_choices(tmp_path):
    spec, = read_specs(yaml(tmp_path, "iemocap: {format: csv, root: /x}\n"))
    assert spec.classes is None and not spec.packaged and spec.partitions == PartitionRule()


def test_msp_improv_is_divided_by_session(tmp_path):
    spec, = read_specs(yaml(tmp_path, "msp_improv: {root: /x}\n"))
    assert spec.partitions == BY_SESSION


@pytest.mark.parametrize("above", ["", "outer", "outer/inner"])
def test_a_root_one_or_two_folders_too_high_is_lowered_and_that_is_said(
        tmp_path, above, caplog):
    root = tmp_path / "root"
    tiny_corpus(root / above, "crema_d", n_speakers=3, per_class=1)
    with heard(caplog):
        spec, = read_specs(yaml(tmp_path, f"crema_d: {{root: {root}}}\n"))
    assert spec.root == str(root / above)
    assert ("its root is taken to be" in caplog.text) == bool(above)
    assert all(item.extra["gender"] and "p_anger" in item.extra for item in parse(spec))


def test_a_root_is_left_where_it_is_if_there_are_several_or_audio_beside(tmp_path):
    for copy in ("a", "b"):
        tiny_corpus(tmp_path / "two" / copy, "crema_d", n_speakers=2, per_class=1)
    tiny_corpus(tmp_path / "more" / "a", "crema_d", n_speakers=2, per_class=1)
    (tmp_path / "more/1001_DFA_ANG_XX.wav.mp3").touch()
    for root in ("two", "more"):
        spec, = read_specs(yaml(tmp_path, f"crema_d: {{root: {root}}}\n"))
        assert spec.root == str(tmp_path / root)


@pytest.mark.parametrize("name", [name for name in PARSERS if name != "emogator"])
def test_a_parser_reads_the_same_from_one_folder_above(name, tmp_path):
    inner = tmp_path / "outer" / name
    tiny_corpus(inner, name, n_speakers=2, per_class=1)
    root = lowered(name, tmp_path / "outer")
    assert [item.path for item in PARSERS[name].parse(inner)]
    assert [dataclasses.replace(item, path="") for item in PARSERS[name].parse(root)] == [
        dataclasses.replace(item, path="") for item in PARSERS[name].parse(inner)]


def test_a_folder_that_links_lead_to_is_one_corpus(folder):
    (folder / "again").symlink_to(folder / "EmoDB")
    (folder / "EmoDB/loop").symlink_to(folder)
    (folder / "nested").mkdir()
    (folder / "nested/third").symlink_to(folder / "EmoDB")
    found = [item for item in discover(folder) if item.name == "emodb"]
    assert [item.folder for item in found] == [folder / "EmoDB"]


def test_tables_that_are_not_there_are_told_with_what_they_would_say(tmp_path, caplog):
    tiny_corpus(tmp_path / "c", "crema_d", n_speakers=2, per_class=1)
    spec, = read_specs(yaml(tmp_path, "crema_d: {root: c}\n"))
    with heard(caplog):
        list(parse(spec))
    assert not caplog.text
    (tmp_path / "c/VideoDemographics.csv").unlink()
    with heard(caplog):
        list(parse(spec))
    assert caplog.text.count("crema_d: no VideoDemographics.csv") == 1
    assert "gender and age are unknown" in caplog.text


@pytest.mark.parametrize("name, places", [
    (name, places) for name in PARSERS for places in getattr(PARSERS[name], "OPTIONAL", {})
    if hasattr(PARSERS[name], "stand_in_tables") and places[0] != "Transcripts/Transcripts"])
def test_tables_that_may_be_missing_are_those_of_the_published_layout(name, places, tmp_path):
    tiny_corpus(tmp_path, name, n_speakers=2, per_class=1)
    assert find_table(tmp_path, *places)


@pytest.mark.parametrize("name", ["iemocap", "castro_lima", "thorsten"])
def test_tables_in_a_folder_of_the_archive_are_not_called_missing(name, tmp_path, caplog):
    if name == "iemocap":
        tiny_corpus(tmp_path / "IEMOCAP_full_release", name, n_speakers=2, per_class=1)
    else:
        tiny_corpus(tmp_path, name, n_speakers=2, per_class=1)
    if name == "castro_lima":
        inner = tmp_path / "Castro-BRM-2010_Sents"
        inner.mkdir()
        for path in list(tmp_path.glob("*.*")):
            # one table is published with a blank before its name
            path.rename(inner / (" " * path.name.startswith("Castro") + path.name))
    spec = CorpusSpec(name=name, parser=name, root=str(tmp_path))
    with heard(caplog):
        list(parse(spec))
    assert not caplog.text
    for path in [*tmp_path.rglob("*.txt"), *tmp_path.rglob("*metadata.csv")]:
        if "EmoEvaluation" not in path.parts:
            path.unlink()
    for folder in tmp_path.rglob("transcriptions"):
        folder.rmdir()
    with heard(caplog):
        list(parse(spec))
    assert "texts" in caplog.text and caplog.text.count("unknown.") == 1 + (name == "castro_lima")


def test_empty_and_missing_default_roots_are_told_apart(tmp_path):
    with pytest.raises(CorpusError, match="no folder below .* holds audio of a known corpus"):
        read_specs(root_default=tmp_path)
    with pytest.raises(CorpusError, match="there is no folder '.*nowhere'"):
        read_specs(root_default=tmp_path / "nowhere")


def test_an_entry_without_root_holds_choices_for_what_is_found(folder, tmp_path):
    path = yaml(tmp_path, "emodb:\n  classes: [anger, neutral]\ntess: {drop: [sad]}\n")
    emodb, ravdess = read_specs(path, (), folder)
    assert emodb.classes == ["anger", "neutral"] and emodb.root == str(folder / "EmoDB")
    assert ravdess.name == "ravdess" and emodb.at("classes") == f"{path}:2"
    assert emodb.at("merge", "x") == f"{path}:1"


def test_variables_defaults_home_and_relative_roots(folder, tmp_path):
    path = yaml(tmp_path, "emodb: {root: '${DATA}/EmoDB'}\n"
                "ravdess: {root: '${NONE:-corpora}/RAVDESS'}\nsecond: {parser: emodb, root: ~/x}\n")
    roots = {spec.name: spec.root for spec in read_specs(path, environment={"DATA": str(folder)})}
    assert roots["emodb"] == str(folder / "EmoDB")
    assert roots["ravdess"] == str(folder / "RAVDESS")
    assert not roots["second"].startswith("~")


def test_unset_variable_is_an_error_only_for_corpora_that_are_asked_for(folder, tmp_path):
    path = yaml(tmp_path, "emodb:\n  root: ${DATA}/EmoDB\nravdess: {root: /data}\n")
    with pytest.raises(ConfigError, match=r"corpora.yaml:2: 'root' needs .* DATA"):
        read_specs(path)
    assert [spec.name for spec in read_specs(path, ["ravdess"])] == ["ravdess"]


def test_a_corpus_of_ones_own_by_pattern(folder, tmp_path):
    path = yaml(tmp_path, "mine:\n  format: pattern\n  root: corpora/mine\n"
                "  pattern: '(?P<speaker>[^/]+)/(?P<emotion>[a-z]+)_'\n"
                "  emotions: {ang: anger, 1: joy}\n  language: en\n")
    spec, = read_specs(path)
    assert spec.emotions == {"ang": "anger", "1": "joy"}
    utterance, = parse(spec)
    assert (utterance.speaker, utterance.emotion) == ("anna", "ang")
    assert utterance.extra == {"language": "en"}


def test_a_corpus_of_ones_own_by_list(folder, tmp_path):
    (tmp_path / "my.csv").write_text("path,label\nanna/ang_a.wav,angry\n")
    path = yaml(tmp_path, "mine:\n  format: csv\n  root: corpora/mine\n"
                "  lists: '${HERE}/my.csv'\n  columns: {path: file}\n")
    spec, = read_specs(path, environment={"HERE": str(tmp_path)})
    assert [utterance.emotion for utterance in parse(spec)] == ["angry"]


@pytest.mark.parametrize("text, message", [
    ("emodb:\n  clases: [anger]\n", r"corpora.yaml:2: unknown setting 'clases' .*mean 'classes'"),
    ("emodb:\n  root: /x\n  classes: anger\n", r"corpora.yaml:3: 'classes' is 'anger'; expected"),
    ("emodb:\n  root: 3\n", r"corpora.yaml:2: 'root' is 3; expected text"),
    ("emodb: [1]\n", r"corpora.yaml:1: expected settings of 'emodb'"),
    ("EmoDB: {root: /x}\n", r"corpora.yaml:1: 'EmoDB' is no id of a corpus"),
    ("mine: {root: /x}\n", r"corpora.yaml:1: nobody wrote a parser for 'mine'. Describe it"),
    ("mine: {root: /x, format: cvs}\n", r"corpora.yaml:1: unknown format 'cvs'. .*mean 'csv'"),
    ("a: {root: /x, parser: emobd}\n", r"corpora.yaml:1: unknown parser 'emobd'. .*mean 'emodb'"),
    ("a: {root: /x, parser: emodb, format: csv}\n", r"has both 'parser' and 'format'"),
    ("mine:\n  format: csv\n", r"corpora.yaml:1: corpus 'mine' has no 'root'"),
    ("mine:\n  format: pattern\n  root: /x\n", r"corpora.yaml:1: setting 'pattern' is missing"),
    ("mine:\n  format: pattern\n  root: /x\n  pattern: '(?P<emotion>['\n",
     r"corpora.yaml:4: pattern '.*' is no regular expression"),
    ("mine:\n  format: csv\n  root: /x\n  columns: [a]\n", r"corpora.yaml:4: 'columns' is"),
    ("mine:\n  format: csv\n  root: /x\n  pattern: a\n", r"corpora.yaml:4: unknown setting"),
    ("emodb: {root: /x, emotions: {A: anger}}\n", r"'emotions' is for formats"),
    ("emodb:\n  root: /x\n  partitions: {rule: atuo}\n",
     r"corpora.yaml:3: 'rule' is 'atuo'. Did you mean 'auto'"),
    ("emodb:\n  root: /x\n  partitions:\n    rule: speakers\n    tset: ['03']\n",
     r"corpora.yaml:5: unknown setting 'tset'. Did you mean 'test'"),
    ("emodb:\n  root: /x\n  partitions: {rule: speakers, test: ['03']}\n",
     r"corpora.yaml:3: the rule 'speakers' of 'emodb' needs 'dev'"),
    ("emodb: {root: /x, partitions: {rule: folds, k: 2}}\n", r"'k' is 2; it must be at least 3"),
    ("emodb: {root: /x, partitions: {test: ['03']}}\n", r"'test' belongs to the rule 'speakers'"),
    ("emodb: {root: /x, partitions: {rule: csv}}\n", r"the rule 'csv' of 'emodb' needs 'file'"),
    ("emodb: {root: ''}\n", r"'root' is empty"),
    ("emodb: {root: /x}\nemodb: {root: /y}\n", r"corpora.yaml:2: 'emodb' is given twice"),
    ("emodb:\n  merge: {calm: a, calm: b}\n", r"corpora.yaml:2: 'calm' is given twice"),
    ("emodb:\n  merge: {calm: [a, b]}\n  root: /x\n", r"corpora.yaml:2: 'merge'.*expected text"),
    ("emodb: {root: /x\n", r"corpora.yaml:2: not valid YAML"),
    ("- emodb\n", r"expected 'corpus: \{settings\}'"),
])
def test_what_is_wrong_is_named_with_its_line(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message):
        read_specs(yaml(tmp_path, text))


def test_partition_rules_are_read(tmp_path):
    path = yaml(tmp_path, "emodb: {root: /x, partitions: auto}\n"
                "tess: {root: /x, partitions: {rule: csv, file: my.csv}}\n"
                "ravdess:\n  root: /x\n  partitions: {rule: speakers, test: [03, 11], dev: [09]}\n")
    emodb, ravdess, tess = read_specs(path)
    assert emodb.partitions == PartitionRule("auto")
    assert ravdess.partitions == PartitionRule("speakers", ["03", "11"], ["09"])
    assert tess.partitions.file == str(tmp_path / "my.csv")


def test_signature_ignores_where_the_corpus_and_its_entry_lie(tmp_path):
    one, = read_specs(yaml(tmp_path, "emodb: {root: /x, drop: [fear]}\n"))
    two, = read_specs(yaml(tmp_path, "# moved\nemodb: {root: /y, drop: [fear]}\n"))
    three, = read_specs(yaml(tmp_path, "emodb: {root: /x, drop: [anger]}\n"))
    assert signature(one) == signature(two) != signature(three)


def test_missing_and_empty_roots_are_errors(tmp_path):
    spec, = read_specs(yaml(tmp_path, "emodb: {root: nowhere}\n"))
    with pytest.raises(CorpusError, match="Corpus 'emodb': its root '.*nowhere' does not exist"):
        list(parse(spec))
    (tmp_path / "nowhere").mkdir()
    with pytest.raises(CorpusError, match="is empty. Unpack the download there"):
        list(parse(spec))


def test_a_root_without_utterances_is_an_error(tmp_path):
    spec, = read_specs(yaml(tmp_path, "emodb: {root: songs}\n"))
    (tmp_path / "songs").mkdir()
    (tmp_path / "songs/a.wav").touch()
    with pytest.raises(CorpusError, match=r"no utterance below .* among 1 audio files, such as"):
        list(parse(spec))


def test_an_empty_file_holds_no_choices(folder, tmp_path):
    assert len(read_specs(yaml(tmp_path, "# nothing\n"), (), folder)) == 2


def test_a_misspelt_format_is_told_as_such(tmp_path):
    (tmp_path / "corpora.yaml").write_text("mine:\n  fromat: pattern\n  root: /tmp\n")
    with pytest.raises(ConfigError, match="corpora.yaml:2: unknown setting 'fromat' of 'mine'. "
                                          "Did you mean 'format'"):
        survey(tmp_path / "corpora.yaml")


# the commands

def command(*words, root=None):
    done = CliRunner().invoke(group, list(words), env={"EMOKIT_CORPORA": str(root or "")})
    return done.exit_code, done.output


def test_a_build_says_which_packaged_choices_it_took(iemocap, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yaml(tmp_path, "iemocap: {partitions: auto}\n")
    status, text = command("build-corpus", "--dry-run", root=tmp_path)
    assert status == 0 and (
        "iemocap: built with choices that come with emokit (classes: [anger, happiness, neutral, "
        "sadness]; merge: {excited: happiness})") in text
    assert "come with emokit" not in command(
        "build-corpus", "--dry-run", "--quiet", root=tmp_path)[1]


def test_the_group_emoset_tells_of_copies(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (folder / "copy/wav").mkdir(parents=True)
    (folder / "copy/wav/03a01Fa.wav").touch()
    (folder / "DES").mkdir()
    for file in ("train.csv", "a.wav"):
        (folder / "DES" / file).touch()
    status, text = command("build-corpus", "emoset", "--dry-run", root=folder)
    assert status == 0 and "emodb: skipped, 2 folders look like 'emodb'" in text
    assert f"des: {folder / 'DES'}" in text


@pytest.mark.parametrize("name, step", [
    ("iemocap", "1. IEMOCAP is given out on request"), ("crema_d", "emokit corpora fetch crema_d"),
    ("des", "train.csv, devel.csv and test.csv"), ("kannada", "emokit has no parser for it")])
def test_show_prints_the_steps_to_obtain_a_corpus(folder, name, step):
    status, text = command("corpora", "show", name, root=folder)
    assert status == 0 and step in text
    if name == "crema_d":
        assert "Here are its tables, but no audio" in text and "Next:" not in text
    else:
        assert f"Not found here: see the steps above, and docs/corpora/{name}.md." in text


def test_show_and_list_tell_of_a_copy_or_two(folder):
    assert "Next: emokit build-corpus emodb" in command("corpora", "show", "emodb", root=folder)[1]
    (folder / "copy/wav").mkdir(parents=True)
    (folder / "copy/wav/03a01Fa.wav").touch()
    assert "2 copies: set 'root'" in command("corpora", "show", "emodb", root=folder)[1]
    assert "2 copies" in command("corpora", "list", "--found", root=folder)[1]


def test_a_page_names_folds_that_others_use_and_packaged_choices():
    from emokit.cli.corpus_pages import _choices, _folds, _partitions

    assert "partitions: {rule: folds, by: emo_superb}" in _folds(PARSERS["crema_d"], "crema_d")[0]
    assert "EMO-SUPERB" in _folds(PARSERS["crema_d"], "crema_d")[0]
    text = "".join(_choices("msp_improv"))
    assert "rule: folds, by: session" in text and "key by key" in text
    assert "auto" not in _partitions(PARSERS["msp_improv"], "msp_improv")


def test_everything_that_the_catalogue_counts_of_pavoque_is_downloaded():
    from emokit.corpora.audit_list import of_parser
    from emokit.corpora.fetch import downloads

    assert {item.path for item in of_parser(PARSERS["pavoque"])} <= {
        item.name for item in downloads()["pavoque"]}
