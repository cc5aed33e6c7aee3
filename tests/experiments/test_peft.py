"""The protocol peft: its rows, rates chosen on dev, its table recomputed, and what is refused."""

import csv
import json

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file
from sklearn.metrics import recall_score

from emokit.core.errors import ConfigError
from emokit.core.files import read_json
from emokit.corpora.store import open_emoset
from emokit.evaluation import predictions as tables
from emokit.evaluation.contrast import Config
from emokit.evaluation.systems import System
from emokit.experiments.config import ExperimentConfig
from emokit.experiments.peft_table import mean_difference
from emokit.experiments.run import run_experiment
from emokit.models.backbones.hf import HuggingFace, HuggingFaceConfig
from emokit.testing import TINY_TRANSFORMERS
from emokit.training.settings import resolve
from emokit.training.train import effective, plan

RATES = [0.0005, 0.01]
ROWS = ["states", "head", "weighted_sum", "lora(rank=2)+gate", "finetune", "joint weighted_sum",
        "joint lora(rank=2)+gate", "joint finetune"]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    """A folder of the transformers library with a tiny Whisper encoder of random weights."""
    path = tmp_path_factory.mktemp("hf")
    torch.manual_seed(0)
    backbone = HuggingFace(HuggingFaceConfig(architecture=TINY_TRANSFORMERS["whisper"]))
    (path / "config.json").write_text(json.dumps(TINY_TRANSFORMERS["whisper"]))
    save_file(backbone.state_dict(), path / "model.safetensors")
    return path


@pytest.fixture(scope="module")
def peft(emoset, encoder):
    """Run the experiment in a folder and give its report."""
    def run(folder, options=None, sets=(), **flags):
        flags = {"backbone": f"hf:{encoder}", "epochs": 1, "batch_size": 8, "device": "cpu",
                 "folds": "none", "seeds": [0, 1], **flags}
        return run_experiment("peft", emoset, folder / "runs", folder / "reports",
                              ExperimentConfig(**(options or {})), draws=200, sets=sets,
                              flags={key: value for key, value in flags.items()
                                     if value is not None})

    return run


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the experiment below leaves its files."""
    return tmp_path_factory.mktemp("peft")


@pytest.fixture(scope="module")
def report(peft, folder):
    """Two seeds, two rates, both regimes, over the two tiny corpora."""
    found = peft(folder, {"methods": ["lora(rank=2)+gate"], "regimes": ["single", "joint"],
                          "learning_rates": RATES})
    assert not found.failures
    return found


@pytest.fixture(scope="module")
def table(report):
    return pd.read_csv(report.folder / "peft.csv").set_index("method")


@pytest.fixture(scope="module")
def cells(report, folder):
    """{method: folders of its cells}, of the linear probe one a corpus."""
    rows = pd.read_csv(report.folder / "cells.csv")
    return {name: [folder / "runs" / row.group / row.cell for row in some.itertuples()]
            for name, some in rows.groupby("variant")}


def uars(folders, corpus):
    """UAR on test of each cell that tested a corpus, by scikit-learn."""
    tables = [pd.read_csv(one / "predictions" / f"{corpus}.test.csv") for one in folders
              if (one / "predictions" / f"{corpus}.test.csv").is_file()]
    return [recall_score(one["truth"], one["prediction"], average="macro") for one in tables]


def test_references_stand_around_the_methods_in_each_regime(table):
    assert list(table.index) == ROWS
    assert pd.isna(table.loc["finetune", "delta"])


def test_uar_of_each_corpus_and_their_mean_are_those_of_the_predictions(table, cells):
    for name in ROWS:
        means = []
        for corpus in ("emodb", "ravdess"):
            values = uars(cells[name], corpus)
            assert len(values) == (1 if name == "states" else 2)
            assert table.loc[name, corpus] == pytest.approx(np.mean(values))
            means.append(np.mean(values))
        assert table.loc[name, "uar"] == pytest.approx(np.mean(means))
    differences = table["uar"] - table.loc["finetune", "uar"]
    others = [name for name in ROWS if name != "finetune"]
    assert table.loc[others, "delta"].to_numpy() == pytest.approx(differences[others].to_numpy())


def test_dev_of_the_first_seed_chooses_the_rate_of_each_method(report, table, cells):
    with open(report.folder / "rates.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["method"] for row in rows} == set(ROWS) - {"states"}
    for name in ROWS[1:]:
        mine = [row for row in rows if row["method"] == name]
        assert [float(row["learning_rate"]) for row in mine] == RATES
        for row in mine:
            dev = [value["uar"] for one in cells[f"{name} @ {row['learning_rate']}"]
                   for value in read_json(one / "metrics.json")["dev"].values()]
            assert float(row["dev_uar"]) == pytest.approx(np.mean(dev))
            assert all(one.name.endswith("-s0")
                       for one in cells[f"{name} @ {row['learning_rate']}"])
        taken, = [row for row in mine if row["chosen"]]
        assert float(taken["dev_uar"]) == max(float(row["dev_uar"]) for row in mine)
        assert table.loc[name, "learning_rate"] == float(taken["learning_rate"])


def test_cells_are_those_that_train_makes(peft, emoset, encoder, cells, table, tmp_path):
    config, _ = resolve({
        "backbone": f"hf:{encoder}", "epochs": 1, "batch_size": 8, "device": "cpu", "regime":
        "single", "mode": "adapters", "adapters": "lora(rank=2)+gate", "seeds": [0, 1],
        "learning_rate": float(table.loc["lora(rank=2)+gate", "learning_rate"])})
    group, _ = plan(effective(config), open_emoset(emoset, []), tmp_path)
    assert {one.parent.name for one in cells["lora(rank=2)+gate"]} == {group.name}


def test_what_learns_and_what_is_stored_are_counted_from_the_models(table):
    d, layers, rank, wide = 24, 3, 2, 256
    lora = layers * 2 * rank * 2 * d + layers * d  # LoRA on query and value, and the gates
    heads = {k: d * wide + wide + wide * k + k for k in (3, 4)}
    assert table.loc["head", "learns"] == round(np.mean(list(heads.values())))
    assert table.loc["lora(rank=2)+gate", "adapted"] == lora
    encoder = table.loc["head", "stored"] - sum(heads.values())
    assert table.loc["lora(rank=2)+gate", "share"] == pytest.approx(lora / encoder)
    assert table.loc["lora(rank=2)+gate", "stored"] == encoder + 2 * lora + sum(heads.values())
    # a joint model shares its adapters, and learns all heads
    joint = table.loc["joint lora(rank=2)+gate"]
    assert joint["stored"] == encoder + lora + sum(heads.values())
    assert joint["learns"] == lora + sum(heads.values())
    assert table.loc["finetune", "stored"] == 2 * encoder + sum(heads.values())


def test_time_is_that_of_training_over_full_finetuning(table, cells):
    def seconds(name):
        found = {}
        for one in cells[name]:
            records = [json.loads(line) for line in open(one / "history.jsonl")]
            found.setdefault(one.name[:-3], []).append(
                1 / np.median([record["utterances_per_second"] for record in records]))
        return np.mean([np.mean(values) for values in found.values()])

    for name in ("head", "lora(rank=2)+gate", "joint finetune"):
        assert table.loc[name, "time_ratio"] == pytest.approx(
            seconds(name) / seconds("finetune"))


def test_the_page_begins_with_the_table_of_methods(report):
    page = (report.folder / "report.html").read_text()
    assert page.index("What each method costs and gives") < page.index("<h2>Methods</h2>")
    assert "Learning rates, chosen on dev" in page
    assert "finetune" in report.text("table") and "Δ to finetune" in report.text("markdown")
    assert any("of those named each method has" in note for note in report.notes)


def test_a_second_run_fits_nothing(peft, folder, report, cells):
    files = [one / "best.safetensors" for some in cells.values() for one in some]
    times = [file.stat().st_mtime_ns for file in files]
    peft(folder, {"methods": ["lora(rank=2)+gate"], "regimes": ["single", "joint"],
                  "learning_rates": RATES})
    assert [file.stat().st_mtime_ns for file in files] == times


def test_a_dry_run_shows_what_waits_for_the_choice(peft, tmp_path, emoset, encoder):
    found = run_experiment(
        "peft", emoset, tmp_path / "runs", tmp_path / "reports",
        ExperimentConfig(methods=["norm"], learning_rates=RATES), dry_run=True,
        flags={"backbone": f"hf:{encoder}", "folds": "none", "seeds": [0, 1], "device": "cpu"})
    rows = json.loads(found.text("json"))
    assert {row["state"] for row in rows if row["variant"] == "norm"} == {"undecided"}
    assert sum(row["variant"] == "norm @ 0.01" for row in rows) == 2
    assert not (tmp_path / "runs").exists()


def test_without_names_all_that_the_encoder_takes_stand_there_with_rates_by_kind(
        emoset, encoder, tmp_path):
    from emokit.models.adapters import ADAPTERS

    found = run_experiment(
        "peft", emoset, tmp_path / "runs", tmp_path / "reports", ExperimentConfig(), dry_run=True,
        flags={"backbone": f"hf:{encoder}", "folds": "none", "seeds": [0], "device": "cpu"})
    names = {row["variant"] for row in json.loads(found.text("json"))}
    assert names == {"states", "head", "finetune", "lora-all", "combination-qv", "combination",
                     *ADAPTERS} - {"wap"}


def test_set_reaches_into_the_methods_that_have_the_adapter(peft, emoset, encoder, tmp_path):
    found = run_experiment(
        "peft", emoset, tmp_path / "runs", tmp_path / "reports",
        ExperimentConfig(methods=["lora", "gate"]), dry_run=True, sets=["adapters.lora.rank=4"],
        flags={"backbone": f"hf:{encoder}", "folds": "none", "seeds": [0], "device": "cpu"})
    groups = {row["variant"]: row["group"] for row in json.loads(found.text("json"))}
    plain = run_experiment(
        "peft", emoset, tmp_path / "runs", tmp_path / "reports",
        ExperimentConfig(methods=["lora", "gate"]), dry_run=True,
        flags={"backbone": f"hf:{encoder}", "folds": "none", "seeds": [0], "device": "cpu"})
    others = {row["variant"]: row["group"] for row in json.loads(plain.text("json"))}
    assert {name for name in groups if groups[name] != others[name]} == {"lora"}


@pytest.mark.parametrize("options, flags, sets, words", [
    ({"methods": ["lorra"]}, {}, (), "names 'lorra', which is no method.*lora"),
    ({"methods": ["lora(rank=-1)"]}, {}, (), "rank"),
    ({"methods": ["residual(where=conv)"]}, {}, (), "Method 'residual.*cannot be on this backbone"),
    ({"methods": ["lora", "lora(rank=8)"]}, {}, (), "'lora' and 'lora.rank=8.' are the same"),
    ({}, {"backbone": "resnet"}, (), "adapts a pretrained encoder.*--backbone hf:PATH_OR_ID"),
    ({}, {"backbone": None}, (), "'resnet' has no weights of its own"),
    ({}, {"backbone": "hf:/no/such/folder"}, (), "There is no folder ./no/such/folder"),
    ({"learning_rates": [0.001, -1]}, {}, (), "--learning-rates has -1"),
    ({"learning_rates": [0.001, 0.001]}, {}, (), "names one twice: 0.001, 0.001"),
    ({"learning_rates": [0.001]}, {"learning_rate": 0.1}, (), "Leave out one of them"),
    ({"regimes": ["scratch"]}, {}, (), "--regimes is 'scratch', but experiment 'peft'.*joint"),
    ({"headline": "lorra", "methods": ["lora"]}, {}, (), "--headline is 'lorra'.*lora"),
    ({"guard": True}, {}, (), "has no --guard"),
    ({}, {"adapters": "lora"}, (), "leave out --adapters"),
    ({}, {"target": "dimensions"}, (), "'peft' compares UAR, and target 'dimensions'"),
    ({}, {"mode": "head"}, (), "'mode' is what experiment 'peft' decides itself"),
    ({"methods": ["gate"]}, {}, ["adapters.lora.rank=4"], "no method has that adapter.*gate"),
])
def test_what_cannot_be_is_refused_before_anything_is_fitted(
        peft, tmp_path, options, flags, sets, words):
    with pytest.raises(ConfigError, match=words):
        peft(tmp_path, options, sets, **flags)
    assert not (tmp_path / "runs").exists()


def test_on_another_kind_of_encoder_adapters_sit_where_they_can(emoset, tmp_path):
    from emokit.models.backbones.byols import Byols, ByolsConfig

    torch.save(Byols(ByolsConfig(width=3, bands=16, size=6)).state_dict(), tmp_path / "tiny.pth")
    found = run_experiment(
        "peft", emoset, tmp_path / "runs", tmp_path / "reports", ExperimentConfig(), dry_run=True,
        flags={"backbone": f"byols(path={tmp_path / 'tiny.pth'},width=3,bands=16,size=6)",
               "folds": "none", "seeds": [0], "device": "cpu"})
    groups = {row["variant"]: row["group"] for row in json.loads(found.text("json"))}
    assert {"embedding", "head", "finetune", "norm", "bias", "residual", "lora"} <= set(groups)
    # nothing to mix, no attention, and LoRA everywhere is LoRA at the linear layers
    assert not {"states", "weighted_sum", "prefix", "combination", "lora-all"} & set(groups)
    config, _ = resolve({
        "backbone": f"byols(path={tmp_path / 'tiny.pth'},width=3,bands=16,size=6)",
        "regime": "single", "mode": "adapters", "adapters": "lora(where=ffn)"})
    assert groups["lora"] == plan(effective(config), open_emoset(emoset, []), tmp_path)[0].name


def test_the_command_takes_settings_with_commas_and_refuses_what_is_no_number(
        cli, refused, emoset, encoder, tmp_path):
    words = ("experiment", "peft", "--backbone", f"hf:{encoder}", "--emoset", emoset, "--runs",
             tmp_path / "runs", "--seeds", "0", "--folds", "none")
    result = cli(*words, "--methods", "lora(rank=2,where=query|value),gate", "--learning-rates",
                 "5e-4,3e-3", "--dry-run", "--format", "json")
    assert result.exit_code == 0, result.stderr
    names = {row["variant"] for row in json.loads(result.stdout)}
    assert {"lora(rank=2,where=query|value) @ 0.003", "gate @ 0.0005", "head @ 0.003"} <= names
    assert "'fast' in 'fast,0.1' is no number" in refused(
        *words, "--learning-rates", "fast,0.1", code=2)
    assert "names 'lorra', which is no method" in refused(*words, "--methods", "lorra")


@pytest.mark.parametrize("options, words", [
    ({"methods": ["lora"]}, "Experiment 'emonet' has no --methods"),
    ({"learning_rates": [0.1]}, "Experiment 'emonet' has no --learning-rates"),
    ({"regimes": ["single"]}, "--regimes is 'single', but experiment 'emonet' has others"),
])
def test_other_experiments_refuse_what_is_of_peft(run, tmp_path, options, words):
    with pytest.raises(ConfigError, match=words):
        run("emonet", tmp_path, options, seeds=[0])


# the test of the mean over corpora

def system_of(name, draws, tmp_path):
    """Write and read a system of {corpus: {seed: (truth, prediction, speakers)}}."""
    cells = {}
    for corpus, seeds in draws.items():
        for seed, (truth, prediction, speakers) in seeds.items():
            path = tmp_path / f"{name}-{corpus}-{seed}.csv"
            pd.DataFrame({
                "utterance": [f"{corpus}/{i}" for i in range(len(truth))], "corpus": corpus,
                "speaker": speakers, "session": "", "fold": "", "partition": "test",
                "truth": truth, "prediction": prediction,
                **{f"p_{label}": (prediction == label).astype(float) for label in ("a", "b")},
            }).to_csv(path, index=False)
            one, = tables.read(path)
            cells.setdefault(corpus, {})[seed] = one
    return System(name, cells)


@pytest.mark.parametrize("n_seeds", [2, 3])
def test_the_mean_over_corpora_has_the_error_of_speakers_and_seeds(rng, tmp_path, n_seeds):
    from scipy import stats

    sides = []
    for name, right in (("one", 0.8), ("two", 0.6)):
        draws = {}
        for corpus, n_speakers in (("x", 6), ("y", 8)):
            who = np.repeat([f"{corpus}/{i}" for i in range(n_speakers)], 20)
            truth = np.tile(["a", "b"], 10 * n_speakers)
            draws[corpus] = {}
            for seed in range(n_seeds):
                hit = rng.random(len(truth)) < right
                other = np.where(truth == "a", "b", "a")
                draws[corpus][seed] = truth, np.where(hit, truth, other), who
        sides.append(draws)
    systems = [system_of(name, draws, tmp_path) for name, draws in zip(("one", "two"), sides)]
    found = mean_difference(*systems, ["x", "y"], Config())

    def uar(cell, keep=None):
        truth, prediction, _ = cell
        keep = np.ones(len(truth), bool) if keep is None else keep
        return recall_score(truth[keep], prediction[keep], average="macro")

    by_seed = np.array([[np.mean([uar(side[corpus][seed]) for corpus in ("x", "y")])
                         for seed in range(n_seeds)] for side in sides])
    assert found["delta"] == pytest.approx(by_seed[0].mean() - by_seed[1].mean())
    variances, degrees = [], []
    for corpus in ("x", "y"):
        who = sides[0][corpus][0][2]
        names = sorted(set(who))
        left = [np.mean([uar(sides[0][corpus][seed], who != name) for seed in range(n_seeds)])
                - np.mean([uar(sides[1][corpus][seed], who != name) for seed in range(n_seeds)])
                for name in names]
        n = len(names)
        variances.append((n - 1) / n * np.sum((np.array(left) - np.mean(left)) ** 2))
        degrees.append(n - 1)
    speakers = sum(variances) / 4
    freedom = sum(variances) ** 2 / sum(v**2 / m for v, m in zip(variances, degrees))
    if n_seeds < 3:
        half = stats.t.ppf(0.975, freedom) * np.sqrt(speakers)
        assert np.isnan(found["p"])
    else:
        seeds = sum(side.var(ddof=1) for side in by_seed) / n_seeds
        freedom = (speakers + seeds) ** 2 / (
            speakers**2 / freedom + seeds**2 / (2 * n_seeds - 2))
        error = np.sqrt(speakers + seeds)
        half = stats.t.ppf(0.975, freedom) * error
        assert found["p"] == pytest.approx(2 * stats.t.sf(abs(found["delta"]) / error, freedom))
    assert found["high"] - found["delta"] == pytest.approx(half)
    assert found["delta"] - found["low"] == pytest.approx(half)
