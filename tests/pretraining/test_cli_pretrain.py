"""`emokit pretrain` as people call it."""

import csv
import io
import subprocess
import sys

import pytest

from emokit.cli import COMMANDS

FAST = ("--steps", 4, "--every", 2, "--batch-seconds", 3, "--clusters", 6, "--held-out", 0.34,
        "--device", "cpu")


@pytest.fixture
def places(emoset, tmp_path):
    return ("--emoset", emoset, "--runs", tmp_path / "runs")


def rows(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_kinds_are_told_by_the_group(cli):
    assert "pretrain" in COMMANDS
    text = cli("pretrain", "--help").stdout
    for kind in ("tapt", "ptapt", "scratch"):
        assert kind in text
        assert "Example:  emokit pretrain" in cli("pretrain", kind, "--help").stdout


def test_defaults_in_the_help_are_those_of_the_recipe(cli):
    text = " ".join(cli("pretrain", "ptapt", "--help").stdout.split())
    assert "are predicted. [default: 64,512,4096]" in text
    assert "Expected share of hidden frames. [default: 0.06]" in text


def test_tapt_prints_a_table_and_the_next_line(cli, places, folders):
    words = ("pretrain", "tapt", "--backbone", f"hf:{folders(quantiser=True)}", *FAST, *places)
    done = cli(*words, "--format", "csv")
    assert done.exit_code == 0, done.output
    found = rows(done.stdout)
    assert [row["of"] for row in found] == ["codebook 1", "codebook 2"]
    assert all(0 < float(row["chance"]) < 1 for row in found)
    line = done.stderr.splitlines()[-1]
    assert line.startswith("Next: emokit train --regime single --backbone hf:")
    trained = cli(*line.split()[2:], "--corpora", "emodb", "--epochs", 1, "--device", "cpu",
                  "--batch-size", 8, *places)
    assert trained.exit_code == 0, trained.output
    # once more: nothing is done twice
    again = cli(*words, "--format", "csv")
    assert again.stdout == done.stdout and "encoder-s0 is complete" in again.stderr


def test_ptapt_has_a_row_for_each_clustering(cli, places, folders):
    done = cli("pretrain", "ptapt", "--backbone", f"hf:{folders('hubert')}", *FAST, "--clusters",
               "4,7", "--teacher", "self(layer=1)", *places, "--format", "csv")
    assert [row["of"] for row in rows(done.stdout)] == ["4 clusters", "7 clusters"]


def test_dry_run_tells_cells_and_writes_nothing(cli, places, folders, tmp_path):
    words = ("pretrain", "scratch", "--seeds", "0,1", *places, "--dry-run", "--format", "csv")
    found = rows(cli(*words).stdout)
    assert [row["cell"] for row in found] == ["encoder-s0", "encoder-s1"]
    assert {row["state"] for row in found} == {"empty"} and not (tmp_path / "runs").exists()


@pytest.mark.parametrize("words, message", [
    ((), "Name the encoder to adapt: --backbone hf:FOLDER"),
    (("--backbone", "resnet"), "'resnet' has no convolutions whose frames could be hidden"),
    (("--backbone", "hf:{whisper}"), "Whisper"),
    (("--backbone", "hf:{hubert}", "--objective", "contrastive"), "comes without the quantiser"),
    (("--backbone", "hf:{hubert}", "--mask-span", 90), "mask_span is 90 frames"),
    (("--backbone", "hf:{hubert}", "--clusters", "90000", "--teacher", "mfcc"),
     "frames of train for 90000 clusters"),
    (("--backbone", "hf:{hubert}", "--teacher", "nobody/joint-s0"), "nobody"),
    (("--backbone", "hf:{hubert}", "--teacher", "mfc"), "Did you mean 'mfcc'"),
    (("--backbone", "hf:nowhere/at/all"), "nowhere/at/all"),
    (("--backbone", "hf:{hubert}", "--corpora", "emobd"), "Did you mean 'emodb'"),
    (("--backbone", "hf:{hubert}", "--utterances", "nowhere.txt"), "cannot be read"),
    (("--backbone", "hf:{hubert}", "--set", "contrastive.negativs=3"),
     "Did you mean 'negatives'"),
    (("--backbone", "hf:{hubert}", "--mask-share", 1.5), "less than 1"),
    (("--backbone", "hf:{hubert}", "--fold", 9), "have 5 folds"),
    (("--backbone", "hf:{hubert}", "--name", "a/b"), "Leave out the '/'")])
def test_bad_input_is_refused_in_one_line(refused, places, folders, words, message, tmp_path):
    words = [str(word).format(whisper=folders("whisper"), hubert=folders("hubert"))
             for word in words]
    assert message in refused("pretrain", "tapt", *words, *places)
    assert not list(tmp_path.glob("runs/*/*/metrics.json"))


def test_utterances_of_test_are_refused_in_one_line(refused, places, folders, emoset, tmp_path):
    from emokit.corpora.store import open_corpus

    table = open_corpus(emoset / "emodb").manifest
    name = table.loc[table["partition"] == "test", "utterance"].iloc[0]
    (tmp_path / "ids.txt").write_text(name)
    text = refused("pretrain", "tapt", "--backbone", f"hf:{folders()}", "--utterances",
                   tmp_path / "ids.txt", *places)
    assert f"are of test, not of train: {name}" in text


def test_unknown_choice_is_wrong_usage(refused, places):
    assert "'contrast' is not one of" in refused("pretrain", "tapt", "--objective", "contrast",
                                                 *places, code=2)


@pytest.mark.parametrize("kind", [(), ("tapt",), ("scratch",)])
def test_help_imports_nothing_heavy(kind):
    code = ("import sys\nfrom emokit.cli import group\n"
            f"group.main(['pretrain', *{kind!r}, '--help'], standalone_mode=False)\n"
            "heavy = {'torch', 'pandas', 'librosa', 'scipy', 'sklearn', 'matplotlib'}\n"
            "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
