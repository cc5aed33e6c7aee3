"""Reading `corpora.yaml`: what is right is resolved, what is wrong is named with its line."""

from pathlib import Path

import pytest

from emokit.core.config import signature
from emokit.core.errors import ConfigError, CorpusError
from emokit.corpora.parsers import PARSERS
from emokit.corpora.parsing import parse
from emokit.corpora.spec import PartitionRule, packaged, read_specs, survey


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


def test_two_folders_of_one_corpus_ask_for_the_root(folder):
    (folder / "copy/wav").mkdir(parents=True)
    (folder / "copy/wav/03a01Fa.wav").touch()
    with pytest.raises(CorpusError, match="2 folders look like 'emodb'.*Set 'root' of emodb"):
        read_specs(None, (), folder)


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
