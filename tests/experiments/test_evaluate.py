"""Groups and tables as systems: found, completed, joined over folds, compared."""

import shutil

import numpy as np
import pandas as pd
import pytest

from emokit.core.errors import EmokitError
from emokit.experiments.evaluate import evaluate
from emokit.training.run import Group


@pytest.fixture(scope="module")
def two_seeds(trained):
    return trained(adapters="residual(rank=full)", seeds=[0, 1])


@pytest.fixture(scope="module")
def folded(trained):
    return trained(regime="single", corpora=["emodb"], folds="all", learning_rate=0.004)


@pytest.fixture
def own(tmp_path):
    """Copy groups to a folder of the test's own and give it."""
    def copy(*groups):
        for group in groups:
            shutil.copytree(group.folder, tmp_path / "runs" / group.name)
        return tmp_path / "runs"

    return copy


@pytest.fixture
def found(emoset, tmp_path):
    """Evaluate below tmp_path with few draws."""
    def run(*names, runs, **settings):
        return evaluate(names, emoset=emoset, runs=runs, reports=tmp_path / "reports",
                        device="cpu", draws=200, **settings)

    return run


def row_of(evaluation, **wanted):
    row, = [row for row in evaluation.summary.rows
            if all(row[key] == value for key, value in wanted.items())]
    return row


def test_scores_are_those_of_the_predictions(found, joint, own):
    runs = own(joint)
    seen = found(joint.name, runs=runs)
    for corpus in ("emodb", "ravdess"):
        table = pd.read_csv(runs / joint.name / "joint-s0" / "predictions" / f"{corpus}.test.csv")
        recalls = table.assign(hit=table["truth"] == table["prediction"]).groupby("truth")["hit"]
        row = row_of(seen, corpus=corpus)
        assert row["uar"] == pytest.approx(recalls.mean().mean()) and row["n"] == len(table)
        assert row["wa"] == pytest.approx((table["truth"] == table["prediction"]).mean())


def test_dev_scores_equal_those_of_training(found, joint, own):
    seen = found(joint.name, runs=own(joint), partition="dev")
    metrics = joint.cell("joint-s0").metrics()
    for corpus, figures in metrics["dev"].items():
        assert row_of(seen, corpus=corpus)["uar"] == figures["uar"]


def test_present_predictions_are_read_and_missing_ones_made(found, joint, own):
    runs = own(joint)
    found(joint.name, runs=runs)
    path = runs / joint.name / "joint-s0" / "predictions" / "emodb.test.csv"
    first, time = path.read_bytes(), path.stat().st_mtime_ns
    found(joint.name, runs=runs)
    assert path.stat().st_mtime_ns == time
    path.unlink()
    found(joint.name, runs=runs)
    assert path.read_bytes() == first


def test_a_table_of_a_groups_predictions_says_the_same(found, joint, own, tmp_path):
    runs = own(joint)
    group = found(joint.name, runs=runs)
    folder = runs / joint.name / "joint-s0" / "predictions"
    shutil.copy(folder / "emodb.test.csv", tmp_path / "made-elsewhere.csv")
    table = found(str(tmp_path / "made-elsewhere.csv"), runs=runs)
    one, other = row_of(group, corpus="emodb"), row_of(table, corpus="emodb")
    assert other["system"] == "made-elsewhere"
    for name in ("uar", "wa", "macro_f1", "n", "k"):
        assert one[name] == other[name]


def test_folds_are_joined_so_that_each_utterance_is_tested_once(found, folded, own):
    row = row_of(found(folded.name, runs=own(folded)), corpus="emodb")
    assert row["n"] == 15 and row["speakers"] == 5


def test_seeds_are_averaged(found, two_seeds, own):
    runs = own(two_seeds)
    seen = found(two_seeds.name, runs=runs)
    uars = []
    for seed in (0, 1):
        table = pd.read_csv(runs / two_seeds.name / f"joint-s{seed}/predictions/ravdess.test.csv")
        hits = table["truth"] == table["prediction"]
        uars.append(hits.groupby(table["truth"]).mean().mean())
    row = row_of(seen, corpus="ravdess")
    assert row["seeds"] == 2 and row["uar"] == pytest.approx(np.mean(uars))


def test_without_names_the_newest_joint_group_is_scored(found, joint, single, trained, own):
    import os

    pooled = trained(regime="pooled", target="arousal-valence")
    runs = own(single)
    assert found(runs=runs).folder.name == single.name
    own(joint, pooled)
    for age, group in enumerate((single, joint, pooled)):
        for path in (runs / group.name).glob("*/metrics.json"):
            os.utime(path, (9000 - age, 9000 - age))
    assert found(runs=runs).folder.name == joint.name


def test_mcnemar_takes_the_newest_single_models_as_reference(found, joint, single, own):
    seen = found(runs=own(joint, single), find_reference=True)
    assert seen.hints[0] == f"compared with {single.name}"
    assert seen.folder.name == f"{joint.name}-vs-{single.name}"
    assert {row["corpus"] for row in seen.comparisons[0].rows} == {"emodb", "ravdess"}


def test_mcnemar_fits_the_baseline_where_there_is_no_reference(found, joint, own):
    runs = own(joint)
    seen = found(joint.name, runs=runs, find_reference=True)
    assert "the linear log-mel baseline was fitted" in seen.hints[0]
    baseline, = (Group(path) for path in runs.glob("baseline-*"))
    assert [cell.name for cell in baseline.cells()] == ["emodb-s0", "ravdess-s0"]


def test_a_method_without_randomness_stands_for_every_seed(found, two_seeds, own):
    seen = found(two_seeds.name, runs=own(two_seeds), find_reference=True)
    assert all(row["seeds_a"] == row["seeds_b"] == 2 for row in seen.comparisons[0].rows)


def test_a_group_compared_with_itself_differs_in_nothing(found, joint, own):
    seen = found(joint.name, runs=own(joint), against=joint.name)
    assert all(row["delta_uar"] == 0 and row["b"] == row["c"] == 0
               for row in seen.comparisons[0].rows)


def test_incomplete_cells_are_left_out_with_a_warning(found, two_seeds, joint, own, caplog):
    import logging

    runs = own(two_seeds)
    (runs / two_seeds.name / "joint-s1" / "metrics.json").unlink()
    logging.getLogger("emokit").propagate = True
    with caplog.at_level(logging.WARNING, "emokit"):
        assert row_of(found(two_seeds.name, runs=runs), corpus="emodb")["seeds"] == 1
    assert "1 cells are not complete and left out: joint-s1" in caplog.text
    (runs / two_seeds.name / "joint-s0" / "metrics.json").unlink()
    with pytest.raises(EmokitError, match="has no complete cell yet. Train it first"):
        found(two_seeds.name, runs=runs)
    with pytest.raises(EmokitError, match="Nothing is trained in"):
        found(runs=runs)


def test_tables_beside_the_report_count_every_utterance(found, joint, own):
    seen = found(joint.name, runs=own(joint))
    confusion = pd.read_csv(seen.folder / "confusion.csv")
    assert confusion.groupby("corpus")["count"].sum().to_dict() == {"emodb": 3, "ravdess": 8}
    assert (seen.folder / "report.html").stat().st_size > 10_000
    assert not list(seen.folder.rglob("*.tmp*"))


def test_a_partition_that_is_empty_is_refused(found, joint, own, tmp_path):
    runs = own(joint)
    path = runs / joint.name / "joint-s0" / "predictions" / "emodb.dev.csv"
    shutil.copy(path, tmp_path / "dev.csv")
    with pytest.raises(EmokitError, match="has no row of partition 'test'. Use --partition"):
        found(str(tmp_path / "dev.csv"), runs=runs)
    assert len(found(str(tmp_path / "dev.csv"), runs=runs, partition="dev").summary.rows) == 1


def test_evaluate_one_utterance(found, joint, own, tmp_path):
    runs = own(joint)
    table = pd.read_csv(runs / joint.name / "joint-s0" / "predictions" / "emodb.dev.csv")
    table.head(1).to_csv(tmp_path / "one.csv", index=False)
    row = row_of(found(str(tmp_path / "one.csv"), runs=runs, partition="dev"), corpus="emodb")
    assert row["n"] == 1 and np.isnan(row["uar"])


def test_a_rebuilt_corpus_is_not_scored(joint, own, emoset, tmp_path):
    import json

    runs = own(joint)
    shutil.rmtree(runs / joint.name / "joint-s0" / "predictions")
    shutil.copytree(emoset, tmp_path / "emoset")
    path = tmp_path / "emoset" / "emodb" / "build.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "signature": "another"}))
    with pytest.raises(EmokitError, match="another build of 'emodb'. Train it again"):
        evaluate([joint.name], emoset=tmp_path / "emoset", runs=runs, device="cpu",
                 reports=tmp_path / "reports")


@pytest.fixture
def partly_folded(emoset, tmp_path):
    """Give a folder of corpora of which emodb has no folds, as with official partitions."""
    from emokit.core.files import read_csv, write_csv

    shutil.copytree(emoset, tmp_path / "emoset")
    path = tmp_path / "emoset" / "emodb" / "manifest.csv"
    write_csv(path, read_csv(path).assign(fold=""))
    return tmp_path / "emoset"


def test_corpora_without_folds_are_tested_once_beside_folded_ones(partly_folded, configure,
                                                                  tmp_path):
    from emokit.training.train import train

    runs, words = tmp_path / "runs", dict(folds="all", backbone="resnet(width=2,blocks=1)")
    group, _ = train(*configure(adapters="residual", **words), partly_folded, runs)
    single, _ = train(*configure(regime="single", **words), partly_folded, runs)
    seen = evaluate([group.name], emoset=partly_folded, runs=runs, device="cpu", draws=100,
                    reports=tmp_path / "reports", find_reference=True)
    # although emodb's single model has no fold
    assert seen.hints[0] == f"compared with {single.name}"
    assert row_of(seen, corpus="emodb", system="joint-residual-small-folds")["n"] == 3
    assert row_of(seen, corpus="ravdess", system="joint-residual-small-folds")["n"] == 40


def test_the_reference_has_the_target_of_the_subject(found, single, own, trained):
    pooled = trained(regime="pooled", target="arousal")
    seen = found(pooled.name, runs=own(pooled, single), find_reference=True)
    assert "the linear log-mel baseline was fitted" in seen.hints[0]
    assert {row["corpus"] for row in seen.comparisons[0].rows} == {"emodb", "ravdess"}


def test_the_baseline_covers_every_corpus_of_single_models(found, single, own):
    seen = found(single.name, runs=own(single), find_reference=True)
    assert {row["corpus"] for row in seen.comparisons[0].rows} == {"emodb", "ravdess"}


def test_a_subject_without_a_complete_cell_is_refused_before_a_baseline_is_fitted(found, joint,
                                                                                  own):
    runs = own(joint)
    (runs / joint.name / "joint-s0" / "metrics.json").unlink()
    with pytest.raises(EmokitError, match="has no complete cell yet. Train it first"):
        found(joint.name, runs=runs, find_reference=True)
    assert not list(runs.glob("baseline-*"))


def test_facts_of_another_build_are_not_reported(found, joint, own, emoset, tmp_path, caplog):
    import json
    import logging

    runs = own(joint)
    first = found(joint.name, runs=runs)
    shutil.copytree(emoset, tmp_path / "emoset")
    path = tmp_path / "emoset" / "emodb" / "build.json"
    build = json.loads(path.read_text())
    path.write_text(json.dumps({**build, "signature": "another"}))
    logging.getLogger("emokit").propagate = True
    with caplog.at_level(logging.WARNING, "emokit"):
        again = evaluate([joint.name], emoset=tmp_path / "emoset", runs=runs, device="cpu",
                         reports=tmp_path / "reports", draws=200)
    assert "'emodb' was built anew since" in caplog.text and "ravdess" not in caplog.text
    assert row_of(again, corpus="emodb")["uar"] == row_of(first, corpus="emodb")["uar"]


def test_cells_of_different_builds_are_not_mixed(found, two_seeds, own):
    from emokit.training import checkpoint

    runs = own(two_seeds)
    path = runs / two_seeds.name / "joint-s1" / "best.safetensors"
    model, seen = checkpoint.load(path)
    facts = {**seen.facts, "manifests": {**seen.facts["manifests"], "emodb": "another"}}
    checkpoint.save(path, model, facts)
    with pytest.raises(EmokitError, match="different builds of 'emodb', joint-s1 on another"):
        found(two_seeds.name, runs=runs)
