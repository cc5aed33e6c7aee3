import dataclasses
import json
import math

import numpy as np
import pandas as pd
import pytest

from emokit.core.errors import EmokitError, ManifestError
from emokit.evaluation import metrics
from emokit.evaluation.predictions import Predictions
from emokit.evaluation.summary import summarise, write_summary
from emokit.evaluation.systems import collect


def test_row_holds_the_metrics_of_each_seed_averaged(system):
    one = system("m", {"emodb": (8, 0.7)}, seeds=3)
    row, = summarise(one).rows
    for name, metric in (("uar", metrics.uar), ("wa", metrics.wa), ("macro_f1", metrics.macro_f1)):
        values = [metric(p.table["truth"], p.table["prediction"], labels=p.labels)
                  for p in one.cells["emodb"].values()]
        assert row[name] == pytest.approx(np.mean(values))
        assert row[f"{name}_sd"] == pytest.approx(np.std(values, ddof=1))
    assert (row["n"], row["k"], row["speakers"], row["chance"]) == (160, 4, 8, 0.25)
    assert row["uar_low"] < row["uar"] < row["uar_high"]


def test_one_seed_equals_the_metric_to_the_last_digit(system):
    one = system("m", {"emodb": (8, 0.7)})
    table = one.cells["emodb"][0].table
    row, = summarise(one).rows
    assert row["uar"] == metrics.uar(table["truth"], table["prediction"],
                                     labels=one.cells["emodb"][0].labels)


def test_interval_of_one_system_covers_by_bootstrap_too(system):
    one = system("m", {"emodb": (50, 0.7)})
    jack, boot = (summarise(one, interval=name).rows[0] for name in ("jackknife", "bootstrap"))
    assert boot["uar_low"] == pytest.approx(jack["uar_low"], abs=0.01)


def test_missing_class_is_undefined_with_a_note_and_so_is_the_mean(predicted, rng):
    whole = predicted(rng, "tess")
    part = dataclasses.replace(whole, table=whole.table[whole.table["truth"] != "anger"])
    other = predicted(rng, "emodb")
    summary = summarise(collect("m", [part, other]))
    row = summary.rows[1]
    assert math.isnan(row["uar"]) and math.isnan(row["macro_f1"]) and math.isnan(row["uar_low"])
    assert "no utterance of anger" in row["notes"] and row["k_present"] == 3
    assert 0 < row["uar_present"] < 1 and 0 < row["wa"] < 1
    assert math.isnan(summary.overall[0]["uar"])
    assert "–" in summary.text()
    kept = summarise(collect("m", [part, other]), skip_undefined=True).overall[0]
    assert kept["uar"] == summary.rows[0]["uar"] and "1 undefined left out" in kept["corpus"]


@pytest.mark.parametrize("speakers", [1, 2])
def test_few_speakers_have_no_interval_but_a_note(system, speakers):
    row, = summarise(system("m", {"tess": (speakers, 0.7)})).rows
    assert math.isnan(row["uar_low"]) and "no interval" in row["notes"]
    assert not math.isnan(row["uar"])


def test_empty_partition_constant_prediction_and_unknown_speakers_end_without_exceptions(
        predicted, rng):
    one = predicted(rng)
    empty = dataclasses.replace(one, corpus="empty", table=one.table[:0])
    constant = dataclasses.replace(one, corpus="constant",
                                   table=one.table.assign(prediction="anger"))
    anonymous = dataclasses.replace(one, corpus="anonymous",
                                    table=one.table.drop(columns="speaker"))
    summary = summarise(collect("m", [empty, constant, anonymous]))
    rows = {row["corpus"]: row for row in summary.rows}
    assert math.isnan(rows["empty"]["uar"]) and "no utterances" in rows["empty"]["notes"]
    assert rows["constant"]["uar"] == 0.25
    assert rows["anonymous"]["cluster"] == "utterance"
    assert "no speaker known" in rows["anonymous"]["notes"]
    for format in ("table", "csv", "json", "latex", "markdown"):
        assert summary.text(format)


def test_worst_and_best_speaker(predicted, rng):
    one = predicted(rng, speakers=6, accuracy=0.5)
    table = one.table.copy()
    right = table["speaker"] == "emodb/02"
    table.loc[right, "prediction"] = table.loc[right, "truth"]
    row, = summarise(collect("m", [dataclasses.replace(one, table=table)])).rows
    assert (row["best_speaker"], row["best_speaker_uar"]) == ("emodb/02", 1.0)
    assert row["worst_speaker_uar"] < 0.7


def test_dimensions_have_ccc_with_interval(rng):
    n = 60
    truth = rng.normal(3, 1, n)
    table = pd.DataFrame({"utterance": [f"m/{i:02d}" for i in range(n)],
                          "speaker": [f"m/{i % 6}" for i in range(n)],
                          "truth_valence": truth, "valence": truth + rng.normal(0, 0.5, n)})
    summary = summarise(collect("m", [Predictions("m", "test", (), table)]))
    row, = summary.rows
    assert row["ccc_valence"] == pytest.approx(metrics.ccc(truth, table["valence"]))
    assert row["ccc_valence_low"] < row["ccc_valence"] < row["ccc_valence_high"]
    assert "CCC valence" in summary.text()


def test_seeds_over_different_utterances_are_an_error(predicted, rng):
    one, two = predicted(rng, seed=0), predicted(rng, seed=1)
    with pytest.raises(ManifestError, match=r"different utterances; 2 only in m, seed 0: emodb/0"):
        summarise(collect("m", [one, dataclasses.replace(two, table=two.table[2:])]))


def test_two_systems_of_one_name_are_an_error(system):
    one = system("m", {"emodb": (6, 0.5)})
    with pytest.raises(EmokitError, match="different names"):
        summarise(one, one)


def test_files_hold_rows_at_full_precision(tmp_path, system):
    summary = summarise(system("m", {"emodb": (8, 0.7), "tess": (2, 0.5)}))
    write_summary(tmp_path, summary)
    table = pd.read_csv(tmp_path / "summary.csv")
    assert table["uar"].tolist() == [row["uar"] for row in summary.rows]
    held = json.loads((tmp_path / "summary.json").read_text())
    assert held["rows"][1]["uar_low"] is None and held["versions"]["emokit"]
    assert "| emodb |" in (tmp_path / "summary.md").read_text()
