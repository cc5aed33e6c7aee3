"""Bad input gets one line that says what, where and how to mend; nothing half-written."""

import io

import pandas as pd
import pytest

from emokit.testing import toy_predictions, write_wav


@pytest.fixture
def place(emoset, tmp_path):
    """Options of commands that would write below an empty folder."""
    return ["--emoset", emoset, "--runs", tmp_path / "out" / "runs"]


def below(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("words, message", [
    (["--corpora", "emdb"], "Corpus 'emdb' is not built in .*Did you mean 'emodb'"),
    (["--backbone", "resnt"], "Unknown backbone 'resnt'. Did you mean 'resnet'"),
    (["--adapters", "residul"], "Unknown adapter 'residul'. Did you mean 'residual'"),
    (["--adapters", "residual(rnk=2)"], "unknown setting 'rnk'. Did you mean 'rank'"),
    (["--adapters", "residual("], "not of the form"),
    (["--adapters", "residual(rank=many)"], "'rank' is 'many'; expected full, C/4"),
    (["--augment", "nois"], "Unknown augmentation 'nois'. Did you mean 'noise'"),
    (["--augment", "noise(low=loud)"], "'low' is 'loud'; expected a number"),
    (["--pooling", "max"], "Unknown pooling 'max'. Choices: "),
    (["--head", "denser"], "Unknown head 'denser'. Did you mean 'dense'"),
    (["--preset", "smal"], "Unknown preset 'smal'. Did you mean 'small'"),
    (["--epochs", "0"], "'epochs' is 0; it must be at least 1"),
    (["--learning-rate", "-1"], "'learning_rate' is -1.0; it must be more than 0"),
    (["--set", "epocs=3"], "unknown setting 'epocs'. Did you mean 'epochs'"),
    (["--set", "epochs"], "--set 'epochs' is not of the form path.to.key=value"),
    (["--loss", "ordinal"], "needs ordinal_order to rank every class of 'emodb'"),
    (["--device", "potato"], "--device potato is not usable here"),
    (["--folds", "9"], "--folds is 9, but the corpora emodb, ravdess have 5 folds"),
    (["--init", "nothing"], "There is no group 'nothing' below"),
    (["--init", "there/is/none.safetensors"], "There is no "),
    (["--mode", "head"], "--mode head needs --init"),
    (["--config", "no.yaml"], "no.yaml"),
    (["--regime", "pooled"], "needs one label list"),
    (["--name", "a/b"], "--name is 'a/b', but a group is one folder"),
])
def test_train_refuses_in_one_line_and_writes_nothing(refused, place, tmp_path, words, message):
    import re

    assert re.search(message, refused("train", "--device", "cpu", *words, *place))
    assert below(tmp_path) == []


@pytest.mark.parametrize("words, message", [
    (["--regime", "joined"], "'joined' is not one of"),
    (["--epochs", "many"], "'many' is no whole number"),
    (["--seeds", "0,one"], "'one' in '0,one' is no whole number"),
    (["--suppose", "26x6"], "--suppose goes with --print-parameters"),
    (["--print-parameters", "--suppose", "26x1"], "'26x1' is not of the form NxK"),
    (["--lr", "3"], "No such option"),
])
def test_impossible_options_are_usage_errors(refused, place, tmp_path, words, message):
    assert message in refused("train", *words, *place, code=2)
    assert below(tmp_path) == []


def test_yaml_with_an_unknown_key_names_line_and_nearest(refused, place, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("# mine\nepochs: 1\nbatch_sise: 8\n")
    line = refused("train", "--config", path, *place)
    assert f"{path}:3: unknown setting 'batch_sise'. Did you mean 'batch_size'" in line
    path.write_text("epochs: [1\n")
    assert str(path) in refused("train", "--config", path, *place)
    assert below(tmp_path) == ["mine.yaml"]


def test_nothing_built_says_what_to_run(refused, tmp_path):
    for command in (["train"], ["baseline", "logmel"]):
        line = refused(*command, "--emoset", tmp_path / "none", "--runs", tmp_path / "runs")
        assert "No corpus is built in" in line and "emokit build-corpus --synthetic" in line
    assert below(tmp_path) == []


def test_unknown_commands_and_baselines_are_usage_errors(refused):
    assert "No such command 'trian'. Did you mean 'train'" in refused("trian", code=2)
    assert "'logmell' is not" in refused("baseline", "logmell", code=2)
    assert "--scale goes with --synthetic" in refused("build-corpus", "--scale", "0.1", code=2)
    refused("build-corpus", "--synthetic", "--scale", "2", code=2)


# corpora

@pytest.fixture
def yaml(tmp_path, monkeypatch):
    """Write corpora.yaml where the command is called."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    def write(text):
        (tmp_path / "here" / "corpora.yaml").write_text(text)
        return tmp_path / "here"

    return write


@pytest.mark.parametrize("text, words, message", [
    ("emodb:\n  root: /no/such/folder\n", ["emodb"], "/no/such/folder"),
    ("emodb:\n  root: empty\n", ["emodb"], "emodb"),
    ("emodb:\n  root: empty\n  parsr: emodb\n", ["emodb"], "corpora.yaml:3: .*'parsr'"),
    ("emodb:\n  root: empty\n", ["emdb"], "'emdb'.*Did you mean 'emodb'"),
    ("emodb: [\n", [], "corpora.yaml"),
])
def test_build_refuses_in_one_line_and_writes_nothing(refused, yaml, text, words, message):
    import re

    folder = yaml(text)
    (folder / "empty").mkdir()
    line = refused("build-corpus", *words)
    assert re.search(message, line), line
    # a lock may stay, a corpus may not
    assert not [path for path in folder.rglob("*") if path.is_file()
                and path.name != "corpora.yaml" and path.suffix != ".lock"]


def test_build_without_any_corpus_says_how_to_begin(refused, yaml):
    folder = yaml("")
    line = refused("build-corpus")
    assert "EMOKIT_CORPORA" in line or "--synthetic" in line
    assert below(folder) == ["corpora.yaml"]


def test_unknown_corpora_are_named_with_the_nearest(refused):
    assert "'ravdes'. Did you mean 'ravdess'" in refused("corpora", "show", "ravdes")
    line = refused("build-corpus", "--synthetic", "emdb")
    assert "'emdb'" in line and "emodb" in line


# evaluate

@pytest.fixture
def table(tmp_path):
    """Write a table of predictions, changed as wished, and give its path."""
    def write(name, change=lambda frame: frame, **toy):
        path = tmp_path / name
        change(toy_predictions(**toy)).to_csv(path, index=False)
        return path

    return write


@pytest.fixture
def scored(cli, tmp_path):
    def call(*words):
        result = cli("evaluate", *words, "--reports", tmp_path / "reports", "--format", "csv")
        assert result.exit_code == 0, result.output
        return pd.read_csv(io.StringIO(result.stdout))

    return call


def test_no_runs_yet_says_what_to_run(refused, tmp_path):
    runs = ("--runs", tmp_path / "runs")
    for words in (["evaluate"], ["evaluate", "--mcnemar"]):
        line = refused(*words, *runs, "--reports", tmp_path / "reports")
        assert "Nothing is trained in" in line and "emokit train --adapters residual" in line
    assert "There is no run 'joint' below" in refused("predict", "joint", "a.wav", *runs)
    assert below(tmp_path) == []


def test_unknown_groups_are_named_with_the_nearest(refused, joint, runs, tmp_path):
    near = joint.name[:-1] + "x"
    for words in (["evaluate", near], ["runs", near], ["evaluate", joint.name, "--against", near],
                  ["predict", near, "a.wav"]):
        assert f"Did you mean '{joint.name}'" in refused(*words, "--runs", runs)
    assert "There is no table 'no.csv'" in refused("evaluate", "no.csv", "--runs", runs)
    assert below(tmp_path) == []


def test_predictions_over_different_utterances_are_refused(refused, table, tmp_path):
    one = table("one.csv")
    other = table("other.csv", lambda frame: frame.iloc[3:])
    renamed = table("renamed.csv", lambda frame: frame.assign(
        utterance=frame["utterance"] + "x"))
    for second in (other, renamed):
        line = refused("evaluate", one, "--against", second, "--reports", tmp_path / "reports")
        assert "utterance" in line and "toy" in line
    assert not (tmp_path / "reports").exists()


def without_columns(frame):
    return frame[[name for name in frame if not name.startswith("p_")]]


def test_a_table_without_probabilities_needs_labels(refused, scored, table, tmp_path):
    path = table("bare.csv", without_columns)
    line = refused("evaluate", path, "--reports", tmp_path / "reports")
    assert "--labels" in line and "never inferred" in line
    full = scored(table("full.csv"))
    bare = scored(path, "--labels", "anger,neutral,sadness")
    assert bare["uar"][0] == full["uar"][0] and bare["system"][0] == "bare"
    line = refused("evaluate", path, "--labels", "anger,neutral")
    assert "'sadness'" in line


@pytest.mark.parametrize("change, message", [
    (lambda frame: frame.drop(columns="truth"), "lacks column truth"),
    (lambda frame: pd.concat([frame, frame.head(2)]), "hold 2 utterances twice"),
    (lambda frame: frame.assign(prediction="joy"), "'joy'"),
    (lambda frame: frame.head(0), "no"),
])
def test_broken_tables_are_refused(refused, table, tmp_path, change, message):
    line = refused("evaluate", table("bad.csv", change), "--reports", tmp_path / "reports")
    assert message in line
    assert not (tmp_path / "reports").exists()


def test_what_is_undefined_is_a_dash_and_no_error(cli, scored, table, tmp_path):
    one_class = table("class.csv", lambda frame: frame[frame["truth"] == "anger"])
    found = scored(one_class)
    assert pd.isna(found["uar"][0]) and found["wa"][0] >= 0
    text = cli("evaluate", one_class, "--reports", tmp_path / "reports").stdout
    assert "–" in text
    one_speaker = table("speaker.csv", n_speakers=1)
    found = scored(one_speaker)
    assert 0 <= found["uar"][0] <= 1 and pd.isna(found["uar_low"][0])
    same = scored(one_speaker, "--against", table("same.csv", n_speakers=1))
    assert same["b"][0] == same["c"][0] == 0  # no discordant pair
    assert scored(table("single.csv", lambda frame: frame.head(1)))["n"][0] == 1


def test_two_tables_of_one_name_are_told_apart(cli, table, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one, other = table("a/mine.csv"), table("b/mine.csv", seed=1)
    result = cli("evaluate", one, "--against", other, "--reports", tmp_path / "reports")
    assert result.exit_code == 0
    assert "UAR mine" in result.stdout and "UAR mine (2)" in result.stdout


# predict

@pytest.mark.parametrize("damage, message", [
    (lambda data: data[:len(data) // 2], "is truncated"),
    (lambda data: b"", "is truncated"),
    (lambda data: b"RIFF" + data, "truncated or no safetensors"),
])
def test_a_broken_checkpoint_is_refused_before_any_audio(refused, joint, tmp_path, damage,
                                                         message):
    path = tmp_path / "broken.safetensors"
    path.write_bytes(damage((joint.folder / "joint-s0" / "best.safetensors").read_bytes()))
    assert message in refused("predict", path, "nothing.wav")


def test_predict_refuses_unknown_corpora_and_empty_folders(refused, joint, runs, tmp_path, rng):
    write_wav(tmp_path / "a.wav", rng.uniform(-0.1, 0.1, 800))
    line = refused("predict", joint.name, tmp_path / "a.wav", "--corpus", "emdb", "--runs", runs,
                   "--device", "cpu")
    assert "no corpus 'emdb'. Did you mean 'emodb'" in line
    (tmp_path / "empty").mkdir()
    assert "There is no audio file below" in refused("predict", joint.name, tmp_path / "empty",
                                                     "--runs", runs)
    assert "Missing argument" in refused("predict", joint.name, code=2)
