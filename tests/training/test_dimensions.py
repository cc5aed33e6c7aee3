"""Arousal, valence, dominance: rescaled once, learnt with masks, selected and scored by CCC."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from emokit.core.errors import ConfigError, CorpusError
from emokit.core.files import read_csv
from emokit.corpora.dimensions import rescaled
from emokit.corpora.store import open_corpus, open_emoset
from emokit.evaluation.metrics import ccc, uar
from emokit.loading.source import make_source
from emokit.training import checkpoint
from emokit.training.config import TARGETS, TrainConfig
from emokit.training.losses import dimension_loss
from emokit.training.selection import figures
from emokit.training.train import score_cell, train


@pytest.fixture
def learn(rated, tmp_path, configure):
    def run(*sets, **flags):
        return train(*configure(*sets, **flags), rated, tmp_path / "runs")[0]

    return run


# losses

def test_ccc_loss_equals_one_minus_ccc_over_what_is_known(rng):
    values, truth = rng.normal(size=(40, 3)), rng.normal(size=(40, 3))
    truth[rng.random((40, 3)) < 0.3] = np.nan
    expected = []
    for index in range(3):
        known = np.isfinite(truth[:, index])
        expected.append(1 - ccc(truth[known, index], values[known, index]))
    loss = dimension_loss(torch.tensor(values), torch.tensor(truth), "ccc")
    assert float(loss) == pytest.approx(np.mean(expected), abs=1e-6)


def test_rmse_loss_equals_its_formula_over_what_is_known(rng):
    values, truth = rng.normal(size=(9, 2)), rng.normal(size=(9, 2))
    truth[3:, 1] = np.nan
    expected = [np.sqrt(np.mean((values[:, 0] - truth[:, 0])**2)),
                np.sqrt(np.mean((values[:3, 1] - truth[:3, 1])**2))]
    loss = dimension_loss(torch.tensor(values), torch.tensor(truth), "rmse")
    assert float(loss) == pytest.approx(np.mean(expected), abs=1e-6)


@pytest.mark.parametrize("kind", ["ccc", "rmse"])
def test_what_is_unknown_gets_no_gradient_and_nothing_known_gives_zero(kind):
    values = torch.randn(6, 2, requires_grad=True)
    truth = torch.randn(6, 2)
    truth[4:, 0], truth[:, 1] = torch.nan, torch.nan
    dimension_loss(values, truth, kind).backward()
    assert torch.isfinite(values.grad).all() and values.grad[:4, 0].abs().sum() > 0
    assert not values.grad[4:, 0].any() and not values.grad[:, 1].any()
    nothing = dimension_loss(values, torch.full((6, 2), torch.nan), kind)
    assert float(nothing.detach()) == 0 and nothing.requires_grad


def test_a_dimension_known_of_one_utterance_has_no_ccc():
    truth = torch.full((4, 2), torch.nan)
    truth[0, 0], truth[:, 1] = 0.5, torch.tensor([0.0, 0.2, 0.4, 0.9])
    values = torch.rand(4, 2)
    alone = dimension_loss(values[:, 1:], truth[:, 1:], "ccc")
    assert float(dimension_loss(values, truth, "ccc")) == float(alone)


# from the corpus's scale to [0, 1]

def test_values_are_rescaled_by_the_stated_scale_and_nothing_else(rated):
    corpus = open_corpus(rated / "rated")
    names, values = rescaled(corpus)
    assert names == ("arousal", "valence")
    np.testing.assert_allclose(values[:, 0], (corpus.manifest["arousal"] - 1) / 4, atol=1e-6)
    np.testing.assert_allclose(values[:, 1], (corpus.manifest["valence"] + 1) / 2, atol=1e-6)
    assert np.isnan(values[:, 1]).any() and not np.isnan(values[:, 0]).any()


def test_a_value_a_little_outside_stays_and_is_told(rated, caplog):
    corpus = open_corpus(rated / "rated")
    corpus.manifest.loc[0, "arousal"] = 5.4
    assert rescaled(corpus)[1][0, 0] == pytest.approx(1.1)
    assert "1 utterances of 'rated' have arousal outside its scale 1 to 5" in caplog.text


def test_a_wrong_scale_is_refused(rated):
    corpus = open_corpus(rated / "rated")
    corpus.manifest["arousal"] *= 2
    with pytest.raises(CorpusError, match=r"outside its scale 1 to 5.*: \[LOWEST, HIGHEST\]"):
        rescaled(corpus)


def test_an_unstated_scale_is_refused(rated):
    corpus = open_corpus(rated / "rated")
    corpus.build["scales"].pop("valence")
    with pytest.raises(CorpusError, match="has valence, but nobody says on which scale"):
        rescaled(corpus)


def test_a_corpus_without_dimensions_is_refused_alone_and_learns_classes_beside(rated):
    emodb = open_corpus(rated / "emodb")
    with pytest.raises(CorpusError, match="'emodb' has no arousal, valence or dominance"):
        make_source(emodb, "dimensions")
    source = make_source(emodb, "emotion+dimensions")
    assert source.labels and not source.dimensions and source.values is None


def test_rows_count_for_whatever_is_known_of_them(rated):
    mixed = open_corpus(rated / "mixed")
    both = make_source(mixed, "canonical4+dimensions")
    calm = (mixed.manifest["emotion"] == "calm").to_numpy()
    assert (both.classes[calm] == -1).all() and both.dropped == {"calm": 15}
    assert sum(map(len, both.rows.values())) == len(mixed.manifest)
    assert sum(map(len, make_source(mixed, "canonical4").rows.values())) == (~calm).sum()
    alone = make_source(mixed, "dimensions")
    assert alone.labels == () and alone.head_dimensions == ("arousal", "valence")
    pooled = make_source(mixed, "dimensions", pooled=True)
    assert pooled.head_dimensions == ("arousal", "valence", "dominance")
    assert np.isnan(pooled.values[:, 2]).all()
    assert pooled.own_values(np.arange(3)).shape == (3, 2)


# training and scoring

TARGET = {
    "dimensions": dict(regime="single", corpora="rated", target="dimensions"),
    "joint": dict(adapters="residual", corpora="rated,mixed", target="dimensions"),
    "both": dict(adapters="residual", target="canonical4+dimensions"),
    "pooled": dict(regime="pooled", corpora="rated,mixed", target="canonical4+dimensions"),
    "dense": dict(corpora="mixed", head="dense", target="canonical4+dimensions", mixup=0.5),
}


@pytest.mark.parametrize("name", TARGET)
def test_dev_figures_are_those_of_the_predictions_table(name, learn, rated):
    group = learn(**{**TARGET[name], "corpora": TARGET[name].get("corpora", "").split(",")}
                  if "corpora" in TARGET[name] else TARGET[name])
    cell, = group.cells()
    metrics, history = cell.metrics(), cell.history()
    best = history[metrics["epoch"] - 1]
    for corpus, found in metrics["dev"].items():
        path = cell.predictions(corpus, "dev")
        first = path.read_bytes()
        path.unlink()
        score_cell(cell, rated, "dev", "cpu")
        assert path.read_bytes() == first
        table = pd.read_csv(path)
        labels = [name[2:] for name in table if name.startswith("p_")]
        scores = []
        if labels:
            there = table[table["truth"].notna()]
            assert uar(there["truth"], there["prediction"], labels=labels) == found["uar"]
            np.testing.assert_allclose(table[[f"p_{one}" for one in labels]].sum(axis=1), 1)
            scores.append(found["uar"])
        names = [name[6:] for name in table if name.startswith("truth_")]
        assert (corpus == "emodb") == (not names)
        for one in names:
            there = table[table[f"truth_{one}"].notna()]
            assert found[f"ccc_{one}"] == pytest.approx(ccc(there[f"truth_{one}"], there[one]))
        if names:
            assert found["ccc"] == pytest.approx(np.mean([found[f"ccc_{one}"] for one in names]))
            scores.append(found["ccc"])
        assert found["score"] == pytest.approx(np.mean(scores))
        assert best["corpora"][corpus]["dev_score"] == found["score"]
    assert max(record["dev_score"] for record in history) == best["dev_score"]
    assert json.loads(json.dumps(metrics))["dev_score"] == best["dev_score"]


def test_dimensions_are_learnt(learn, rated):
    cell, = learn(regime="single", corpora=["mixed"], target="dimensions", epochs=25,
                  batch_size=16, learning_rate=0.01).cells()
    assert cell.metrics()["dev"]["mixed"]["ccc_arousal"] > 0.5


def test_a_checkpoint_knows_its_dimensions(learn, rated):
    cell, = learn(adapters="residual", target="canonical4+dimensions").cells()
    model, found = checkpoint.load(cell.folder / "best.safetensors")
    assert found.dimensions == {"emodb": (), "mixed": ("arousal", "valence"),
                                "rated": ("arousal", "valence")}
    assert model.dimensions == found.dimensions and model.labels == found.labels
    one = checkpoint.save_corpus(cell.folder / "mixed.safetensors", model, "mixed", {})
    model.remove_corpus("mixed")
    assert checkpoint.load_corpus(one, model) == "mixed"
    assert model.dimensions["mixed"] == ("arousal", "valence")


def test_predict_gives_dimensions(learn, rated, rng):
    from emokit.deploy.predict import Predictor

    cell, = learn(adapters="residual", target="canonical4+dimensions").cells()
    answer = Predictor(cell.folder / "best.safetensors")(rng.normal(size=8000).astype(np.float32))
    own = [head["dimensions"]["arousal"] for head in answer["heads"].values()
           if "dimensions" in head]
    assert len(own) == 2 and "dimensions" not in answer["heads"]["emodb"]
    assert answer["dimensions"]["arousal"] == pytest.approx(np.mean(own), abs=1e-5)
    assert answer["prediction"] in answer["probabilities"]
    alone, = learn(regime="single", corpora=["rated"], target="dimensions").cells()
    answer = Predictor(alone.folder / "best.safetensors")(rng.normal(size=8000).astype(np.float32))
    assert "prediction" not in answer and set(answer["dimensions"]) == {"arousal", "valence"}


def test_a_head_for_dimensions_learns_from_frozen_states_as_through_the_model(learn, rated):
    base = learn(adapters="residual", corpora=["rated", "mixed"], target="canonical4+dimensions")
    cell, _ = sorted(learn(regime="single", init=base.name, mode="head", target="dimensions",
                           corpora=["rated", "mixed"]).cells(), key=lambda cell: cell.name)
    model, _ = checkpoint.load(cell.folder / "best.safetensors")
    corpus, = open_emoset(rated, [cell.who])
    source = make_source(corpus, "dimensions")
    from emokit.training.predict import score

    again = figures(source, score(model, source, "dev", 3.0))
    assert cell.metrics()["dev"][cell.who] == again


def test_an_adapter_learns_dimensions_on_a_frozen_base(learn):
    base = learn(adapters="residual", corpora=["rated", "mixed"], target="dimensions")
    cell, = learn(regime="single", init=base.name, mode="adapters", corpora=["mixed"],
                  target="dimensions").cells()
    before, _ = checkpoint.load(base.cells()[0].folder / "best.safetensors")
    after, _ = checkpoint.load(cell.folder / "best.safetensors")
    norms = set(after.replaced_sites())
    for name, tensor in before.backbone.state_dict().items():
        assert name.rpartition(".")[0] in norms or torch.equal(
            tensor, after.backbone.state_dict()[name])
    assert not torch.equal(before.part("mixed").head.weight, after.part("mixed").head.weight)


# settings

@pytest.mark.parametrize("flags, words", [
    (dict(target="dimensions", label_smoothing=0.1), "'label_smoothing' means nothing"),
    (dict(target="dimensions", dimensions_weight=2.0), "'dimensions_weight' means nothing"),
    (dict(target="emotion", dimensions_loss="rmse"), "'dimensions_loss' means nothing"),
    (dict(target="emotion+dimensions", regime="pooled"), "needs one label list"),
])
def test_settings_without_effect_are_refused(flags, words, configure):
    with pytest.raises(ConfigError, match=words):
        configure(**flags)


def test_a_run_without_any_dimension_is_refused(learn):
    with pytest.raises(CorpusError, match="None of the corpora emodb has arousal"):
        learn(corpora=["emodb"], target="emotion+dimensions")
    with pytest.raises(CorpusError, match="'emodb' has no arousal"):
        learn(corpora=["emodb", "rated"], target="dimensions")


def test_recipes_do_not_balance_or_smooth_what_has_no_classes(configure):
    config, _ = configure(target="dimensions", preset="small")
    assert config.balance == "none" and config.label_smoothing == 0


def test_every_target_is_a_view_or_dimensions_or_both():
    assert len(TARGETS) == 13 and TrainConfig().target in TARGETS


def test_batches_that_know_too_little_for_ccc_are_told(learn, caplog):
    flags = dict(regime="single", corpora=["mixed"], target="dimensions")
    learn(**flags, batch_size=8)
    # every third valence is unknown
    assert "a batch of mixed knows arousal of 8.0 utterances" in caplog.text
    assert "knows valence of 5.3 utterances: the CCC of so few is a noisy loss" in caplog.text
    assert "Take --batch-size 24 or more" in caplog.text
    caplog.clear()
    learn(**flags, batch_size=16)
    assert "valence of 10.7" in caplog.text and "arousal" not in caplog.text
    caplog.clear()
    learn(**flags, batch_size=8, dimensions_loss="rmse")
    learn(**flags, batch_size=24)
    assert "noisy" not in caplog.text


def test_batches_of_several_corpora_know_what_these_know_together(rated, configure):
    from emokit.training.objective import noisy_batches

    sources = [make_source(open_corpus(rated / name), "canonical4+dimensions", pooled=True)
               for name in ("emodb", "mixed")]
    config, _ = configure("mixed_batches=true", regime="pooled", batch_size=16,
                          target="canonical4+dimensions")
    n = sum(len(source.rows["train"]) for source in sources)
    share = len(sources[1].rows["train"]) / n
    line = next(line for line in noisy_batches(sources, config) if "arousal" in line)
    assert f"of {16 * share:.1f} utterances" in line


# what dev does not know

def forget(corpus, partitions, *columns):
    """Empty columns of some partitions."""
    rows = corpus.manifest["partition"].isin(partitions)
    for column in columns:
        corpus.manifest.loc[rows, column] = np.nan
    return corpus


def scores_of(source, values):
    from emokit.training.predict import Scores

    truth = source.own_values(source.rows["dev"]).astype(float)
    return Scores(np.zeros((len(truth), 0)), np.full(len(truth), -1), values + truth, truth)


def test_an_undefined_ccc_of_dev_is_left_out_and_never_0(rated, rng):
    corpus = forget(open_corpus(rated / "rated"), ["dev"], "valence")
    source = make_source(corpus, "dimensions")
    found = figures(source, scores_of(source, rng.normal(0, 0.2, (9, 2))))
    assert "ccc_valence" not in found and found["score"] == found["ccc"] == found["ccc_arousal"]
    assert found["loss"] == 1 - found["ccc"]


def test_a_dev_that_knows_nothing_is_refused_before_anything_is_fitted(rated):
    from emokit.training.selection import means, refuse_undecidable

    known = make_source(open_corpus(rated / "mixed"), "dimensions")
    silent = forget(open_corpus(rated / "rated"), ["dev"], "valence")
    silent.manifest.loc[silent.manifest.index[silent.manifest["partition"] == "dev"][1:],
                        "arousal"] = np.nan
    silent = make_source(silent, "dimensions")
    with pytest.raises(CorpusError, match="Dev of rated knows no class, and no dimension of two"):
        refuse_undecidable([silent])
    line, = refuse_undecidable([known, silent])
    assert "'rated'" in line and "chosen by the other corpora" in line
    found = figures(silent, scores_of(silent, np.zeros((1, 2))))
    assert found == {"n": 1}
    other = figures(known, scores_of(known, np.full((len(known.rows["dev"]), 2), 0.1)))
    assert means({"rated": found, "mixed": other})["score"] == other["score"]
    with pytest.raises(CorpusError, match="undefined on dev of rated"):
        means({"rated": found})


def test_balanced_sampling_draws_no_class_that_is_unknown():
    from emokit.loading.sampler import EpochSampler

    classes = np.array([0] * 12 + [1] * 4 + [-1] * 8)
    sampler = EpochSampler([("mixed", classes, np.arange(24))], 24, balanced=True)
    for epoch in range(3):
        plan, = sampler.plans(epoch)
        drawn = np.bincount(classes[plan.rows] + 1, minlength=3)
        assert drawn.tolist() == [8, 8, 8]
        assert sorted(plan.rows[classes[plan.rows] < 0]) == list(range(16, 24))
    alone = EpochSampler([("rated", np.full(6, -1), np.arange(6))], 6, balanced=True)
    assert sorted(alone.plans(0)[0].rows) == list(range(6))


# baselines

def test_ridge_baseline_equals_scikit_learn(rated, tmp_path):
    from sklearn.linear_model import Ridge

    from emokit.baselines.config import BaselineConfig
    from emokit.baselines.features import describe, extractor
    from emokit.baselines.run import run_baseline
    from emokit.baselines.run import score_cell as score_baseline

    _, (cell,) = run_baseline(BaselineConfig(corpora=["mixed"], target="canonical4+dimensions"),
                              rated, tmp_path / "runs")
    corpus = open_corpus(rated / "mixed")
    source = make_source(corpus, "dimensions")
    describe_rows = describe(corpus, "logmel", extractor("logmel", None), None)
    x = {name: describe_rows(rows) for name, rows in source.rows.items()}
    mean, scale = x["train"].mean(0), x["train"].std(0)
    z = {name: (value - mean) / np.where(scale > 0, scale, 1) for name, value in x.items()}
    test = read_csv(cell.predictions("mixed", "test"))
    for index, name in enumerate(source.dimensions):
        y = {part: source.values[rows, index] for part, rows in source.rows.items()}
        known = {part: np.isfinite(value) for part, value in y.items()}
        tried = [Ridge(alpha=10.0**power).fit(z["train"][known["train"]],
                                              y["train"][known["train"]])
                 for power in range(5, -3, -1)]
        scores = [ccc(y["dev"][known["dev"]], model.predict(z["dev"])[known["dev"]])
                  for model in tried]
        expected = tried[int(np.argmax(scores))].predict(z["test"])
        np.testing.assert_allclose(test[name].astype(float), expected, atol=1e-5)
        assert cell.metrics()["dev"]["mixed"][f"ccc_{name}"] == pytest.approx(max(scores))
    path = cell.predictions("mixed", "test")
    first = path.read_text()
    path.unlink()
    score_baseline(cell, rated, "test")
    assert path.read_text() == first


def test_what_dev_does_not_know_is_refused_by_the_baselines(rated):
    from emokit.baselines import fitting
    from emokit.baselines.config import BaselineConfig

    def fit(corpus, target):
        source = make_source(corpus, target)
        parts = {name: np.arange(2.0 * len(rows)).reshape(len(rows), 2) % 7
                 for name, rows in source.rows.items()}
        return fitting.fit(source, parts, BaselineConfig(target=target, classifier="svm"))

    corpus = forget(open_corpus(rated / "rated"), ["dev"], "valence")
    with pytest.raises(CorpusError, match="needs valence of two utterances in dev; there is 0"):
        fit(corpus, "dimensions")
    corpus = open_corpus(rated / "mixed")
    corpus.manifest.loc[corpus.manifest["partition"] == "dev", "emotion"] = "calm"
    with pytest.raises(CorpusError, match="Dev of 'mixed' knows no class, so no penalty"):
        fit(corpus, "canonical4+dimensions")


def test_a_classifier_of_no_classes_is_refused(rated, tmp_path):
    from emokit.baselines.config import BaselineConfig
    from emokit.baselines.run import run_baseline

    with pytest.raises(ConfigError, match="classifier is 'svm', but --target dimensions has no"):
        run_baseline(BaselineConfig(target="dimensions", classifier="svm", corpora=["rated"]),
                     rated, tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


# evaluation

def test_evaluate_counts_classes_and_dimensions_each_over_what_is_known(learn, rated, tmp_path):
    from emokit.evaluation.predictions import read
    from emokit.evaluation.summary import summarise
    from emokit.evaluation.systems import collect

    cell, = learn(regime="single", corpora=["mixed"], target="canonical4+dimensions").cells()
    score_cell(cell, rated, "test", "cpu")
    summary = summarise(collect("mine", read(cell.predictions("mixed", "test"))))
    row, = summary.rows
    table = pd.read_csv(cell.predictions("mixed", "test"))
    assert row["n"] == table["truth"].notna().sum() == 9
    assert row["n_arousal"] == len(table) == 12
    assert row["n_valence"] == table["truth_valence"].notna().sum() == 8
    assert row["ccc_arousal"] == pytest.approx(ccc(table["truth_arousal"], table["arousal"]))
    assert row["rmse_arousal"] == pytest.approx(
        np.sqrt(np.mean((table["truth_arousal"] - table["arousal"])**2)))
    assert "CCC arousal" in summary.text()
