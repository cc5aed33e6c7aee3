"""`emokit experiment` as people type it."""

import io

import pandas as pd
import pytest
from sklearn.metrics import recall_score


@pytest.fixture
def words(emoset, tmp_path, tiny_sets):
    """Give the options that every call below shares."""
    return ["--emoset", emoset, "--runs", tmp_path / "runs", "--reports", tmp_path / "reports",
            "--device", "cpu", "--epochs", 1, "--batch-size", 8, "--quiet", *tiny_sets]


def test_experiment_prints_its_table_and_names_its_report(cli, words, tmp_path):
    result = cli("experiment", "emonet", *words, "--regimes", "scratch,joint", "--seeds", "0",
                 "--folds", "none", "--baselines", "none", "--format", "csv", "--name", "mine")
    assert result.exit_code == 0, result.output
    table = pd.read_csv(io.StringIO(result.stdout))
    assert table["corpus"].tolist() == ["emodb", "ravdess"]
    assert str(tmp_path / "reports" / "mine" / "report.html") in result.stderr
    dry = cli("experiment", "emonet", *words, "--regimes", "scratch,joint", "--seeds", "0",
              "--folds", "none", "--baselines", "none", "--dry-run", "--format", "csv")
    cells = pd.read_csv(io.StringIO(dry.stdout))
    assert set(cells["state"]) == {"complete"} and len(cells) == 3


def test_a_failed_cell_ends_with_one_line_and_exit_1(cli, words):
    result = cli("experiment", "within", *words, "--seeds", "0", "--folds", "none",
                 "--learning-rate", "1e30", "--set", "clip_norm=none")
    assert result.exit_code == 1
    assert result.stdout.splitlines()[0].startswith("Corpus")
    line = result.stderr.strip().splitlines()[-1]
    assert line.startswith("Error: 2 cells failed") and "Lower learning_rate" in line


@pytest.mark.parametrize("call, code, message", [
    (["emonett"], 1, "Unknown experiment 'emonett'. Did you mean 'emonet'?"),
    (["none.yaml"], 1, "There is no file 'none.yaml'"),
    (["emonet", "--regimes", "joint+adapters"], 1, "starts from 'joint'"),
    (["emonet", "--regimes", "jont"], 1, "Did you mean 'joint'"),
    (["emonet", "--seeds", "0,0"], 1, "name each seed once"),
    (["emonet", "--set", "init=nothing"], 1, "'init' is what experiment 'emonet' decides"),
    (["emonet", "--name", "a/b"], 1, "Leave out the '/'"),
    (["emonet", "--scale", "0.1"], 2, "go with --synthetic"),
    (["emonet", "--synthetic", "--scale", "0"], 2, "0"),
    (["cross", "--corpora", "emodbb"], 1, "Did you mean 'emodb'"),
    (["cross", "--guard"], 1, "Experiment 'cross' has no --guard"),
])
def test_wrong_calls_are_refused_in_one_line(refused, words, call, code, message):
    assert message in refused("experiment", *call, *words, code=code)


@pytest.mark.slow
def test_emonet_on_stand_ins_says_what_scikit_learn_computes(cli, tmp_path, tiny_sets):
    result = cli("experiment", "emonet", "--synthetic", "--scale", "0.02", "--corpora",
                 "emodb,ravdess,nemo", "--raw", tmp_path / "raw", "--emoset", tmp_path / "emoset",
                 "--runs", tmp_path / "runs", "--reports", tmp_path / "reports", "--epochs", 2,
                 "--seeds", "0,1", "--folds", "none", "--device", "cpu", "--guard",
                 "--format", "csv", *tiny_sets)
    assert result.exit_code == 0, result.output
    table = pd.read_csv(io.StringIO(result.stdout)).set_index("corpus")
    assert list(table.index) == ["emodb", "nemo", "ravdess"]
    folder = tmp_path / "reports" / "emonet"
    cells = pd.read_csv(folder / "cells.csv")
    for regime in ("scratch", "joint+adapters", "joint-finetune"):
        for corpus in table.index:
            uars = []
            for seed in (0, 1):
                some = cells[(cells["variant"] == regime)
                             & cells["cell"].str.match(rf"{corpus}(-f\d)?-s{seed}$")]
                parts = [pd.read_csv(tmp_path / "runs" / row["group"] / row["cell"]
                                     / "predictions" / f"{corpus}.test.csv")
                         for _, row in some.iterrows()]
                whole = pd.concat(parts)
                assert whole["utterance"].is_unique
                uars.append(recall_score(whole["truth"], whole["prediction"], average="macro",
                                         labels=sorted(set(whole["truth"]))))
            assert table.loc[corpus, regime] == pytest.approx(sum(uars) / 2)
