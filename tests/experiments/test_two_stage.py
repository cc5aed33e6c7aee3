"""The protocol two-stage: columns, recipes, tables stage by stage, and what is refused."""

import csv
import json

import pytest

from emokit.core.errors import ConfigError
from emokit.core.files import file_digest
from emokit.experiments.two_stage import recipes
from emokit.training import checkpoint
from emokit.training.config import TrainConfig

PAIR = {"source": "ravdess", "onto": "emodb"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the experiment below leaves its files."""
    return tmp_path_factory.mktemp("two_stage")


@pytest.fixture(scope="module")
def report(run, folder):
    """From a tiny RAVDESS to a tiny EmoDB, two seeds on the default partitions."""
    return run("two-stage", folder, PAIR, seeds=[0, 1], folds="none", adapters="residual")


def read(report, name):
    with open(report.folder / name, newline="") as file:
        return list(csv.DictReader(file))


def test_sixteen_recipes_freeze_every_combination_of_the_four_parts():
    config = TrainConfig(adapters=["bottleneck", "lora", "weighted_sum", "gate"])
    found = recipes(config, "all")
    assert len(found) == 16 == len({frozenset(parts) for parts in found.values()})
    assert list(recipes(config, "none").items()) == [("two stages", [])]
    assert next(iter(found.values())) == []


def test_tables_compare_with_the_target_alone(report):
    assert not report.failures
    row, = read(report, "table.csv")
    assert row["corpus"] == "emodb"
    assert {row["way"] for row in read(report, "methods.csv")} == {"alone", "two stages"}
    summary = json.loads((report.folder / "summary.json").read_text())
    assert (summary["reference"], summary["headline"]) == ("alone", "two stages")
    assert "Stage by stage" in (report.folder / "report.html").read_text()
    assert "Forgetting" in report.text("table")


def test_both_corpora_stand_there_before_and_after_the_second_stage(report):
    rows = {(row["stage"], row["corpus"]): row for row in read(report, "stages.csv")}
    assert set(rows) == {(stage, corpus) for stage in ("source", "target")
                         for corpus in ("ravdess", "emodb")}
    assert {row["seeds"] for row in rows.values()} == {"2"}
    assert float(rows["target", "ravdess"]["forgetting"]) == pytest.approx(
        float(rows["source", "ravdess"]["uar"]) - float(rows["target", "ravdess"]["uar"]))
    table, = read(report, "table.csv")
    assert float(rows["target", "emodb"]["uar"]) == pytest.approx(float(table["two stages"]))


def test_each_seed_starts_from_the_source_model_of_that_seed(report, folder):
    groups = {row["variant"]: row["group"] for row in read(report, "cells.csv")}
    for seed in (0, 1):
        facts = checkpoint.inspect(
            folder / "runs" / groups["two stages"] / f"emodb-s{seed}" / "best.safetensors").facts
        assert facts["init"] == file_digest(
            folder / "runs" / groups["source"] / f"ravdess-s{seed}" / "best.safetensors")


@pytest.mark.parametrize("options, flags, words", [
    ({"source": "ravdess"}, {}, "Name both: --source NAME --onto NAME"),
    ({"source": "emodb", "onto": "emodb"}, {}, "from one corpus to another"),
    (PAIR, {"corpora": ["emodb"]}, "leave out --corpora"),
    ({**PAIR, "recipes": "all"}, {"adapters": "residual"}, "--recipes all freezes lora.a"),
    (PAIR, {"adapters": "residual", "target": "emotion"}, "'ravdess', which it starts .*calm"),
    ({**PAIR, "guard": True}, {}, "has no --guard"),
    ({**PAIR, "against": "scratch"}, {"adapters": "residual"}, "--against is 'scratch'"),
])
def test_what_cannot_be_is_refused_before_anything_is_fitted(run, tmp_path, options, flags, words):
    with pytest.raises(ConfigError, match=words):
        run("two-stage", tmp_path, options, seeds=[0], folds="none", **flags)
    assert not (tmp_path / "runs").exists()


def test_other_experiments_have_no_source(run, tmp_path):
    with pytest.raises(ConfigError, match="Experiment 'cross' has no --source"):
        run("cross", tmp_path, {"source": "emodb"})
