"""The linear baselines against scikit-learn's own answers, and as groups of runs."""

import dataclasses
import json
import shutil
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import recall_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from emokit.baselines.config import BaselineConfig
from emokit.baselines.linear import PENALTIES, fit, refit
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
    both = refit(chosen, np.concatenate([train, dev]), np.concatenate([truth, dev_truth]), 3)
    assert both.penalty == chosen.penalty
    reference = theirs("svm", both.penalty).fit(np.concatenate([train, dev]),
                                                np.concatenate([truth, dev_truth]))
    np.testing.assert_array_equal(both.probabilities(dev).argmax(axis=1), reference.predict(dev))
    assert not np.allclose(both.weight, chosen.weight)


def test_dev_is_scored_by_the_model_that_had_not_seen_it(group, emoset, tmp_path):
    config = BaselineConfig(corpora=["emodb"], refit_on="train+dev")
    _, (cell,) = run_baseline(config, emoset, tmp_path)
    plain = group.cell("emodb-s0")
    for partition, same in (("dev", True), ("test", False)):
        one, other = (each.predictions("emodb", partition) for each in (cell, plain))
        assert (one.read_bytes() == other.read_bytes()) is same
    assert cell.metrics()["dev_uar"] == plain.metrics()["dev_uar"]
    with pytest.raises(EmokitError, match="fitted on dev too, so it has nothing to say of dev"):
        score_cell(cell, emoset, "dev")


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


# what is undefined

def test_what_is_undefined_when_scoring_is_the_median_of_train(rng):
    train, truth = blobs(rng, 60, 3)
    train[4, 1] = np.nan
    model = fit(train, truth, train, truth, 3)
    dev, _ = blobs(rng, 4, 3)
    dev[0, 1], dev[1, 2] = np.nan, np.inf
    filled = dev.copy()
    filled[0, 1], filled[1, 2] = np.nanmedian(train[:, 1]), np.median(train[:, 2])
    np.testing.assert_array_equal(model.probabilities(dev), model.probabilities(filled))


def test_a_column_that_is_never_defined_does_no_harm(rng, recwarn):
    train, truth = blobs(rng, 60, 3)
    train[:, 2] = np.nan
    found = fit(train, truth, train, truth, 3).probabilities(train)
    assert np.isfinite(found).all() and not list(recwarn)


class Gaps:
    """Two numbers, the first undefined for every utterance that is longer than 0.31 s."""

    dim = 2

    @dataclasses.dataclass(frozen=True)
    class Config:
        """No settings."""

    def __init__(self, config=None):
        self.config = config or self.Config()

    def __call__(self, waveform):
        return np.array([np.nan if len(waveform) > 4960 else np.abs(waveform).mean(),
                         waveform.std()])


@pytest.fixture
def gaps(monkeypatch):
    from emokit.baselines import BASELINES

    monkeypatch.setitem(BASELINES._table, "gaps", f"{__name__}:Gaps")
    monkeypatch.setitem(sys.modules, __name__, sys.modules[Gaps.__module__])


def test_undefined_features_are_counted_and_scored_again_alike(gaps, emoset, tmp_path, caplog):
    from emokit.corpora.store import open_corpus

    caplog.set_level("WARNING", "emokit")
    _, (cell,) = run_baseline(BaselineConfig(name="gaps", corpora=["emodb"]), emoset, tmp_path)
    long = int((open_corpus(emoset / "emodb").audio.lengths > 4960).sum())
    assert 0 < long < 15
    assert cell.metrics()["missing"] == {"utterances": long, "values": long}
    assert f"{long} of 15 utterances have features that are undefined" in caplog.text
    path = cell.predictions("emodb", "test")
    before = path.read_bytes()
    path.unlink()
    score_cell(cell, emoset, "test")
    assert path.read_bytes() == before


# frozen encoders

@pytest.fixture
def weights(tmp_path):
    import torch

    from emokit.models.backbones.byols import Byols, ByolsConfig

    def save(seed, name="tiny.pth"):
        torch.manual_seed(seed)
        torch.save(Byols(ByolsConfig(width=3, bands=16, size=6)).state_dict(), tmp_path / name)
        return str(tmp_path / name)

    return save


@pytest.fixture
def own(emoset, tmp_path):
    """Give a copy of the built corpora, in which features may be kept."""
    shutil.copytree(emoset, tmp_path / "emoset", ignore=shutil.ignore_patterns("features"))
    return tmp_path / "emoset"


def test_an_embedding_is_fitted_by_logistic_regression_and_named_by_its_weights(
        weights, own, tmp_path):
    def group_of(path, **settings):
        return run_baseline(BaselineConfig(name="embedding", path=path, corpora=["emodb"], jobs=1,
                                           **settings), own, tmp_path / "runs")[0]

    group = group_of(weights(0))
    assert group.name.startswith("baseline-embedding-")
    assert group.config()["classifier"] == "logistic"
    moved = shutil.copy(weights(0), tmp_path / "moved.pth")
    assert group_of(str(moved)).name == group.name
    assert group_of(weights(1, "other.pth")).name != group.name
    assert group_of(weights(0), classifier="svm").name != group.name


def test_an_embedding_is_scored_again_by_the_same_weights_only(weights, own, tmp_path):
    path = weights(0)
    config = BaselineConfig(name="embedding", path=path, corpora=["emodb"], jobs=1)
    _, (cell,) = run_baseline(config, own, tmp_path / "runs")
    table = cell.predictions("emodb", "test")
    before = table.read_bytes()
    table.unlink()
    score_cell(cell, own, "test")
    assert table.read_bytes() == before
    weights(1)
    with pytest.raises(EmokitError, match="fitted to other weights than .*tiny.pth.* Run: emokit "
                                          "baseline embedding:"):
        score_cell(cell, own, "test")


@pytest.mark.real
@pytest.mark.slow
def test_real_recordings_are_told_apart_as_well_as_others_found(real_corpora, tmp_path):
    # multi_corpus, section 9: logistic regression, 5 speaker folds, log-mel .76 on these excerpts
    from emokit.corpora.build import BuildOptions, build_corpora
    from emokit.corpora.spec import read_specs
    from emokit.experiments.evaluate import evaluate

    build_corpora(read_specs(None, ["emodb"], real_corpora), tmp_path / "emoset",
                  BuildOptions(jobs=1, report=False))
    for name in ("logmel", "functionals"):
        group, _ = run_baseline(BaselineConfig(name=name, folds="all", jobs=1),
                                tmp_path / "emoset", tmp_path / "runs")
        found = evaluate([group.name], emoset=tmp_path / "emoset", runs=tmp_path / "runs",
                         reports=tmp_path / "reports")
        row, = found.summary.rows
        assert row["n"] == 339 and row["uar"] > 0.7, name
