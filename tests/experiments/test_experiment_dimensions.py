"""Experiments whose target has dimensions end in tables of CCC, recomputed from predictions."""

import csv
import json

import numpy as np
import pandas as pd
import pytest

from emokit.core.errors import ConfigError
from emokit.evaluation.metrics import ccc
from emokit.evaluation.predictions import Predictions
from emokit.evaluation.systems import collect
from emokit.experiments.config import ExperimentConfig
from emokit.experiments.results import make_results
from emokit.experiments.run import run_experiment

TINY = ("backbone.width=4", "backbone.blocks=1", "backbone.stem_stride=2", "frontend.bands=16")
FEW = {"epochs": 1, "batch_size": 8, "device": "cpu"}
FACTS = {"partitions": {"one": {"kind": "text", "words": "By sentence.",
                                "speaker_disjoint": False}}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("dimensions")


@pytest.fixture(scope="module")
def run(rated, folder):
    def call(what, options=None, **flags):
        own = str(what).endswith(".yaml")
        return run_experiment(str(what), rated, folder / "runs", folder / "reports",
                              ExperimentConfig(**(options or {})), draws=200,
                              flags={**({} if own else FEW), "seeds": [0], "device": "cpu",
                                     "folds": "none", **flags}, sets=() if own else TINY)

    return call


def read(report, name):
    with open(report.folder / name, newline="") as file:
        return list(csv.DictReader(file))


def check_table(report, folder, variant, corpus, table="table.csv"):
    """Hold the CCC of one column to the predictions of its cell."""
    cell = next(row for row in read(report, "cells.csv")
                if row["variant"] == variant and row["cell"].startswith((corpus, "joint")))
    held = pd.read_csv(folder / "runs" / cell["group"] / cell["cell"] / "predictions"
                       / f"{corpus}.test.csv")
    rows = [row for row in read(report, table) if row["corpus"] == corpus]
    assert [row["dimension"] for row in rows] == ["arousal", "valence"]
    for row in rows:
        known = held[held[f"truth_{row['dimension']}"].notna()]
        assert int(row["n"]) == len(known)
        assert float(row[variant]) == pytest.approx(
            ccc(known[f"truth_{row['dimension']}"], known[row["dimension"]]))


def test_emonet_ends_in_the_ccc_of_every_way_with_chosen_bases(run, folder):
    report = run("emonet", {"regimes": ["scratch", "single-head", "joint"]}, target="dimensions",
                 corpora=["rated", "mixed"], adapters="residual")
    assert not report.failures
    for variant in ("scratch", "single-head", "joint", "logmel"):
        for corpus in ("rated", "mixed"):
            check_table(report, folder, variant, corpus)
    summary = json.loads((report.folder / "summary.json").read_text())
    assert summary["metric"] == "ccc" and summary["corpora"] == ["mixed", "rated"]
    assert "4 dimensions of 2 corpora by CCC" in summary["sentence"]
    assert {row["candidate"] for row in read(report, "bases.csv")} == {"rated", "mixed"}
    text = report.text("table")
    assert "Dimension" in text and "Test CCC" in text and "UAR" not in text
    assert "mean of 4" in text and not any("UAR" in note for note in report.notes)
    assert "CCC on test" in (report.folder / "report.html").read_text()


def test_two_stage_learns_dimensions_and_says_what_ccc_is_forgotten(run, folder):
    report = run("two-stage", {"source": "rated", "onto": "mixed"}, target="dimensions",
                 adapters="residual")
    assert not report.failures
    check_table(report, folder, "alone", "mixed")
    rows = {(row["stage"], row["corpus"]): row for row in read(report, "stages.csv")}
    lost = [np.mean([float(rows[stage, "rated"][f"ccc_{name}"])
                     for name in ("arousal", "valence")]) for stage in ("source", "target")]
    assert float(rows["target", "rated"]["forgetting"]) == pytest.approx(lost[0] - lost[1])
    text = report.text("table")
    assert "CCC arousal" in text and "UAR" not in text and f"{lost[0] - lost[1]:+.3f}" in text


def test_a_grid_of_ones_own_with_both_has_a_table_of_each(run, folder, tmp_path):
    path = tmp_path / "both.yaml"
    path.write_text(
        "base: {regime: joint, target: canonical4+dimensions, epochs: 1, batch_size: 8,\n"
        "       backbone: {name: resnet, width: 4, blocks: 1, stem_stride: 2},\n"
        "       frontend.bands: 16}\nvary: {dimensions_loss: [ccc, rmse]}\n"
        "corpora: [rated, mixed]\n")
    report = run(path)
    assert not report.failures
    check_table(report, folder, "dimensions_loss=ccc", "mixed", "table-ccc.csv")
    assert [row["corpus"] for row in read(report, "table.csv")] == ["mixed", "rated"]
    assert {row["dimension"] for row in read(report, "tests-ccc.csv")} == {"arousal", "valence"}
    text = report.text("table")
    assert "Test UAR" in text and "Test CCC" in text
    summary = json.loads((report.folder / "summary.json").read_text())
    assert summary["metric"] == "uar" and summary["dimensions"]["metric"] == "ccc"
    page = (report.folder / "report.html").read_text()
    assert "<h2>Dimensions</h2>" in page and "<h2>Corpora</h2>" in page


@pytest.mark.parametrize("what", ["within", "cross", "leave-one-corpus-out"])
def test_protocols_of_classes_refuse_dimensions(run, what):
    with pytest.raises(ConfigError, match=f"Experiment '{what}' compares UAR, and target"):
        run(what, target="dimensions", corpora=["rated", "mixed"])


def test_the_guard_refuses_dimensions(run):
    with pytest.raises(ConfigError, match="--guard decides by dev UAR"):
        run("emonet", {"guard": True, "regimes": ["scratch", "joint"]}, target="dimensions",
            corpora=["rated", "mixed"], adapters="residual")


def system(seed, noise, corpora=("one", "two")):
    def one(corpus, run):
        draws, own = np.random.default_rng(3), np.random.default_rng([seed, run])
        truth = draws.normal(0.5, 0.2, 160)
        return Predictions(corpus, "test", (), pd.DataFrame({
            "utterance": [f"{corpus}/{i:03d}" for i in range(160)],
            "speaker": [f"{corpus}/{i // 20}" for i in range(160)], "truth_valence": truth,
            "valence": truth + own.normal(0, noise, 160)}), run)

    return collect("", [one(corpus, run) for corpus in corpora for run in range(3)], FACTS)


def test_marks_means_and_partitions_of_dimensions():
    systems = {"scratch": system(0, 0.4), "joint": system(1, 0.1), "half": system(2, 0.4, ["one"])}
    dev = {"joint": {"one": {0: {"ccc_valence": 0.25}}}}
    found = make_results(systems, "scratch", "joint", dev, {}, draws=200)
    assert found.metric == "ccc" and found.further is None
    rows = {row["corpus"]: row for row in found.rows}
    assert "+" in rows["one"]["joint_marks"] and "o" in rows["one"]["marks"].split()
    assert "o the partition shares speakers with training" in found.notes()
    lines = {line["method"]: line for line in found.lines}
    assert lines["joint"]["holm"] == "2/0" and lines["joint"]["better"] == "2/2"
    assert lines["joint"]["ccc"] == pytest.approx(rows["one"]["joint"])  # "half" lacks "two"
    assert lines["joint"]["dev_ccc"] == 0.25 and "mcnemar" not in lines["joint"]
    assert "text, shares speakers" in found.table() and "K" not in found.table().split()
    assert all(run["partition_name"] == "text, shares speakers"
               for run in found.runs if run["corpus"] == "one")
