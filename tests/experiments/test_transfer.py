"""Models on corpora that they never saw: which utterances, which classes, which model."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import recall_score

from emokit.core.files import read_json
from emokit.corpora.store import open_emoset
from emokit.experiments.transfer import foreign_predictions, foreign_source


@pytest.fixture(scope="module")
def cross(run):
    return run("cross", seeds=[0], folds="none")


@pytest.fixture(scope="module")
def left_out(run):
    return run("leave-one-corpus-out", seeds=[0], folds="all")


def test_only_classes_of_both_corpora_are_scored(emoset):
    corpora = {corpus.name: corpus for corpus in open_emoset(emoset)}
    source = foreign_source(corpora["ravdess"], "emotion", None, "emodb",
                            corpora["emodb"].classes)
    assert set(source.labels) == {"anger", "neutral", "sadness"}  # ravdess has calm besides
    assert source.head_labels == tuple(corpora["emodb"].classes) and source.head == "emodb"
    words = corpora["ravdess"].manifest["emotion"].to_numpy()
    assert "calm" not in set(words[np.concatenate(list(source.rows.values()))])
    for row in source.rows["test"]:
        assert source.head_labels[source.classes[row]] == words[row]
    assert foreign_source(corpora["ravdess"], "emotion", None, "x", ["joy", "anger"]) is None


def test_the_diagonal_of_the_matrix_is_what_train_and_evaluate_give(cross, emoset, experiments):
    from emokit.experiments.evaluate import evaluate

    cells = pd.read_csv(cross.folder / "cells.csv")
    group, = set(cells["group"])
    found = evaluate([group], emoset=emoset, runs=experiments / "runs", draws=200, device="cpu",
                     reports=experiments / "other")
    runs = pd.read_csv(cross.folder / "runs.csv").set_index(["train", "test"])
    for row in found.summary.rows:
        assert runs.loc[(row["corpus"], row["corpus"]), "uar"] == pytest.approx(row["uar"])
        assert runs.loc[(row["corpus"], row["corpus"]), "n"] == row["n"]


def test_scores_across_corpora_are_what_scikit_learn_computes(cross, emoset, experiments):
    from emokit.training.run import find_group

    cells = pd.read_csv(cross.folder / "cells.csv")
    cell = find_group(experiments / "runs", cells["group"][0]).cell("emodb-s0")
    other, = open_emoset(emoset, ["ravdess"])
    table = foreign_predictions(cell, other, None, device="cpu").table
    assert set(table["partition"]) == {"test"} and set(table["truth"]) == {
        "anger", "neutral", "sadness"}
    columns = [name for name in table if name.startswith("p_")]
    np.testing.assert_allclose(table[columns].sum(axis=1), 1)
    runs = pd.read_csv(cross.folder / "runs.csv").set_index(["train", "test"])
    row = runs.loc[("emodb", "ravdess")]
    uar = recall_score(table["truth"], table["prediction"], average="macro")
    assert row["uar"] == pytest.approx(uar) and row["k"] == 3 and row["n"] == len(table)
    assert row["above_chance"] == pytest.approx((uar - 1 / 3) / (2 / 3))


def test_cross_says_which_classes_are_common_and_has_a_picture(cross):
    assert "emodb on ravdess: K 3, anger neutral sadness" in cross.notes[1]
    assert "data:image/png;base64," in (cross.folder / "report.html").read_text()
    assert read_json(cross.folder / "summary.json")["target"] == "canonical4"
    matrix = pd.read_csv(cross.folder / "matrix.csv", index_col="train")
    assert matrix.shape == (2, 2)


def test_cross_names_partition_and_classes_in_every_table(cross):
    runs = pd.read_csv(cross.folder / "runs.csv")
    assert set(runs["partition"]) == set(pd.read_csv(cross.folder / "table.csv")["partition"]) == {
        "auto"}
    one = runs.set_index(["train", "test"]).loc[("emodb", "ravdess")]
    cell = f"{100 * one['uar']:.1f} ({one['k']})"
    text = (cross.folder / "table.md").read_text()
    assert f" {cell} " in text and f"  {cell}" in cross.text("table")
    own = runs.set_index(["train", "test"]).loc[("ravdess", "ravdess")]
    assert f"| ravdess | auto | {own['n']} | {own['speakers']} | {own['k']} |" in text
    for name in ("table.md", "table.tex", "report.html"):
        assert "Partition auto (emodb, ravdess): " in (cross.folder / name).read_text(), name


def test_leaving_out_names_the_folds_that_each_column_was_tested_by(left_out):
    for name in ("table.csv", "runs.csv", "tests.csv"):
        assert set(pd.read_csv(left_out.folder / name)["partition_kind"]) == {"folds"}, name


def test_leaving_a_corpus_out_trains_on_the_others_alone(left_out, experiments):
    from emokit.training.checkpoint import inspect

    cells = pd.read_csv(left_out.folder / "cells.csv")
    for name, others in (("emodb", {"ravdess"}), ("ravdess", {"emodb"})):
        row, = [row for _, row in cells.iterrows() if row["variant"] == f"without-{name}"]
        facts = inspect(experiments / "runs" / row["group"] / row["cell"]
                        / "best.safetensors").facts
        assert set(facts["manifests"]) == others and facts["regime"] == "pooled"
        on_top = [row for _, row in cells.iterrows() if row["variant"] == f"adapters-{name}"]
        assert len(on_top) == 5  # its folds
        facts = inspect(experiments / "runs" / on_top[0]["group"] / on_top[0]["cell"]
                        / "best.safetensors").facts
        assert set(facts["ancestors"][0]["manifests"]) == others


def test_each_utterance_is_tested_once_by_every_column(left_out):
    runs = pd.read_csv(left_out.folder / "runs.csv")
    assert set(runs["regime"]) == {"logmel", "zero-shot", "adapters", "scratch"}
    assert set(zip(runs["corpus"], runs["n"])) == {("emodb", 15), ("ravdess", 30)}
    assert set(runs["k"]) == {3}
    assert "data:image/png;base64," in (left_out.folder / "report.html").read_text()


def test_within_has_recall_by_class(run):
    report = run("within", seeds=[0], folds="none", options={"baselines": []})
    matrix = pd.read_csv(report.folder / "matrix.csv")
    runs = pd.read_csv(report.folder / "runs.csv")
    mean = matrix.groupby("corpus")["recall"].mean()
    for _, row in runs.iterrows():
        assert row["uar"] == pytest.approx(mean[row["corpus"]])


@pytest.mark.parametrize("what, flags, message", [
    ("leave-one-corpus-out", {"corpora": ["emodb"]}, "needs two at least"),
    ("leave-one-corpus-out", {"target": "emotion"}, "choose a --target"),
    ("cross", {"regime": "joint"}, "'regime' is what experiment 'cross' decides"),
])
def test_what_cannot_be_is_refused(run, tmp_path, what, flags, message):
    from emokit.core.errors import EmokitError

    with pytest.raises(EmokitError, match=message):
        run(what, tmp_path, **flags)
    assert not (tmp_path / "runs").exists()
