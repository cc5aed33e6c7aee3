"""The linear baselines against scikit-learn's own answers, and as groups of runs."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import recall_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from emokit.baselines.config import BaselineConfig
from emokit.baselines.linear import PENALTIES, fit
from emokit.baselines.logmel import LogMelStatistics
from emokit.baselines.run import run_baseline, score_cell
from emokit.core.errors import CorpusError, EmokitError
from emokit.evaluation.metrics import uar


def blobs(rng, n, classes, dim=6):
    truth = np.arange(n) % classes
    centres = np.random.default_rng(5).normal(size=(classes, dim))
    return centres[truth] + rng.normal(size=(n, dim)) * 1.2 + 7, truth


def theirs(classifier, penalty):
    if classifier == "svm":
        model = LinearSVC(C=penalty, class_weight="balanced", random_state=0, max_iter=2000)
    else:
        model = LogisticRegression(C=penalty, class_weight="balanced", max_iter=1000)
    return make_pipeline(StandardScaler(), model)


@pytest.mark.parametrize("classifier", ["svm", "logistic"])
@pytest.mark.parametrize("classes", [2, 4])
def test_answers_are_those_of_scikit_learn(rng, classifier, classes):
    train, truth = blobs(rng, 80, classes)
    dev, dev_truth = blobs(rng, 40, classes)
    model = fit(train, truth, dev, dev_truth, classes, classifier)
    reference = theirs(classifier, model.penalty).fit(train, truth)
    found = model.probabilities(dev)
    assert found.sum(axis=1) == pytest.approx(1)
    np.testing.assert_array_equal(found.argmax(axis=1), reference.predict(dev))
    if classifier == "logistic":
        np.testing.assert_allclose(found, reference.predict_proba(dev), atol=1e-8)
    scores = {penalty: recall_score(dev_truth, theirs(classifier, penalty).fit(
        train, truth).predict(dev), average="macro") for penalty in PENALTIES}
    # the best on dev, the smallest of equals
    assert model.penalty == max(scores, key=lambda penalty: (scores[penalty], -penalty))


def test_refit_on_both_uses_both(rng):
    train, truth = blobs(rng, 40, 3)
    dev, dev_truth = blobs(rng, 30, 3)
    chosen = fit(train, truth, dev, dev_truth, 3)
    both = fit(train, truth, dev, dev_truth, 3, refit_on="train+dev")
    assert both.penalty == chosen.penalty
    reference = theirs("svm", both.penalty).fit(np.concatenate([train, dev]),
                                                np.concatenate([truth, dev_truth]))
    np.testing.assert_array_equal(both.probabilities(dev).argmax(axis=1), reference.predict(dev))
    assert not np.allclose(both.weight, chosen.weight)


@pytest.mark.parametrize("classifier", ["svm", "logistic"])
@pytest.mark.parametrize("present", [[0, 2], [0, 1, 3]])
def test_a_class_that_train_lacks_has_probability_zero(rng, classifier, present):
    train, truth = blobs(rng, 60, len(present))
    truth = np.array(present)[truth]
    found = fit(train, truth, train, truth, 4, classifier).probabilities(train)
    absent = [index for index in range(4) if index not in present]
    assert (found[:, absent] == 0).all() and found.sum(axis=1) == pytest.approx(1)
    assert (found.argmax(axis=1) == truth).mean() > 0.5


def test_missing_numbers_become_the_median_and_constants_do_no_harm(rng):
    train, truth = blobs(rng, 60, 2)
    train[:, 3] = 4.0
    filled = train.copy()
    train[5, 0] = np.nan
    filled[5, 0] = np.nanmedian(train[:, 0])
    dev, dev_truth = blobs(rng, 20, 2)
    one, other = (fit(table, truth, dev, dev_truth, 2) for table in (train, filled))
    np.testing.assert_allclose(one.weight, other.weight)
    assert np.isfinite(one.probabilities(dev)).all()


def test_one_class_is_refused_in_words(rng):
    with pytest.raises(CorpusError, match="needs two classes in train; there is one"):
        fit(rng.normal(size=(5, 2)), np.zeros(5, int), rng.normal(size=(2, 2)), np.zeros(2, int), 2)


def test_logmel_statistics_equal_their_definition(rng):
    import torch

    extract = LogMelStatistics()
    waveform = rng.uniform(-0.3, 0.3, 8000).astype(np.float32)
    found = extract(waveform)
    assert found.shape == (extract.dim,) == (384,)
    frames = extract.frontend(torch.from_numpy(waveform)[None],
                              torch.tensor([8000]))[0][0].double().numpy()
    for index, statistic in enumerate([
            frames.mean(0), frames.std(0), *(np.quantile(frames, q, 0) for q in (.1, .5, .9)),
            np.abs(frames[1:] - frames[:-1]).mean(0)]):
        np.testing.assert_allclose(found[64 * index:64 * (index + 1)], statistic, atol=1e-9)


@pytest.mark.parametrize("n", [1, 100, 1000])
def test_the_shortest_utterance_has_finite_statistics(n):
    assert np.isfinite(LogMelStatistics()(np.zeros(n, np.float32))).all()


@pytest.fixture(scope="module")
def group(emoset, tmp_path_factory):
    config = BaselineConfig(folds="none")
    return run_baseline(config, emoset, tmp_path_factory.mktemp("baseline"))[0]


def test_a_baseline_is_a_group_with_the_usual_tables(group, emoset):
    assert [cell.name for cell in group.cells()] == ["emodb-s0", "ravdess-s0"]
    for cell in group.cells():
        for partition in ("dev", "test"):
            table = pd.read_csv(cell.predictions(cell.who, partition))
            columns = [name for name in table if name.startswith("p_")]
            assert table[columns].sum(axis=1).to_numpy() == pytest.approx(1)
            assert (table[columns].idxmax(axis=1).str[2:] == table["prediction"]).all()
            assert table["partition"].unique().tolist() == [partition]
        dev = pd.read_csv(cell.predictions(cell.who, "dev"))
        assert cell.metrics()["dev_uar"] == uar(dev["truth"], dev["prediction"],
                                                labels=[name[2:] for name in columns])


def test_scoring_again_gives_the_same_file(group, emoset):
    for cell in group.cells():
        path = cell.predictions(cell.who, "test")
        before = path.read_bytes()
        path.unlink()
        score_cell(cell, emoset, "test")
        assert path.read_bytes() == before


def test_running_again_fits_nothing(group, emoset):
    before = {path: path.stat().st_mtime_ns for path in group.folder.rglob("*")}
    run_baseline(BaselineConfig(folds="none"), emoset, group.folder.parent)
    assert {path: path.stat().st_mtime_ns for path in group.folder.rglob("*")} == before


def test_another_build_is_fitted_anew_and_not_scored(group, emoset, tmp_path):
    shutil.copytree(emoset, tmp_path / "emoset")
    path = tmp_path / "emoset" / "emodb" / "build.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "signature": "another"}))
    shutil.copytree(group.folder, tmp_path / "runs" / group.name)
    config = BaselineConfig(corpora=["emodb"])
    cell = type(group)(tmp_path / "runs" / group.name).cell("emodb-s0")
    with pytest.raises(EmokitError, match="another build of 'emodb'. Run: emokit baseline logmel"):
        score_cell(cell, tmp_path / "emoset", "test")
    score_cell(cell, emoset, "train")
    again, _ = run_baseline(config, tmp_path / "emoset", tmp_path / "runs")
    assert again.name == group.name
    assert not cell.predictions("emodb", "train").exists()
    score_cell(cell, tmp_path / "emoset", "test")


@pytest.mark.parametrize("settings", [dict(classifier="logistic"), dict(refit_on="train+dev"),
                                      dict(target="arousal")])
def test_every_setting_of_a_baseline_has_its_group_and_effect(group, emoset, tmp_path, settings):
    other, cells = run_baseline(BaselineConfig(corpora=["emodb"], **settings), emoset, tmp_path)
    assert other.name != group.name
    here = pd.read_csv(group.cell("emodb-s0").predictions("emodb", "test"))
    there = pd.read_csv(cells[0].predictions("emodb", "test"))
    numbers = [name for name in here if name.startswith("p_")]
    assert list(here) != list(there) or not np.allclose(here[numbers], there[numbers])
