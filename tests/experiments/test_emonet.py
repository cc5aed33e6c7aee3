"""The paper's table says what scikit-learn and statsmodels compute from the predictions."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, f1_score, recall_score

from emokit.core.errors import ConfigError, EmokitError
from emokit.core.files import read_json

REGIMES = ["scratch", "single-adapters", "joint", "joint+adapters"]


@pytest.fixture
def cells(emonet):
    return pd.read_csv(emonet.folder / "cells.csv")


@pytest.fixture
def predictions(cells, experiments):
    """Give the test predictions of a regime, corpus and seed from the run folders alone."""
    def read(regime, corpus, seed):
        some = cells[(cells["variant"] == regime) & cells["cell"].str.endswith(f"-s{seed}")]
        paths = [experiments / "runs" / row["group"] / row["cell"] / "predictions"
                 / f"{corpus}.test.csv" for _, row in some.iterrows()]
        path, = [path for path in paths if path.is_file()
                 and path.parents[1].name.split("-")[0] in (corpus, "joint")]
        return pd.read_csv(path).sort_values("utterance")

    return read


def test_runs_are_what_scikit_learn_computes(emonet, predictions):
    runs = pd.read_csv(emonet.folder / "runs.csv")
    trained = runs[runs["regime"].isin(REGIMES)]
    assert len(trained) == 4 * 2 * 2
    for _, row in trained.iterrows():
        table = predictions(row["regime"], row["corpus"], row["seed"])
        truth, said = table["truth"], table["prediction"]
        assert row["uar"] == pytest.approx(recall_score(truth, said, average="macro",
                                                        labels=sorted(set(truth)),
                                                        zero_division=0))
        assert row["wa"] == pytest.approx(accuracy_score(truth, said))
        assert row["macro_f1"] == pytest.approx(f1_score(
            truth, said, average="macro", labels=sorted(set(truth)), zero_division=0))
        assert row["n"] == len(table) and row["speakers"] == table["speaker"].nunique()


def test_table_is_mean_and_deviation_over_the_seeds_of_runs(emonet):
    runs = pd.read_csv(emonet.folder / "runs.csv").groupby(["corpus", "regime"])["uar"]
    for _, row in pd.read_csv(emonet.folder / "table.csv").iterrows():
        for regime in REGIMES:
            values = runs.get_group((row["corpus"], regime))
            assert row[regime] == pytest.approx(values.mean())
            assert row[f"{regime}_sd"] == pytest.approx(values.std(ddof=1))
        assert row["delta"] == pytest.approx(row["joint+adapters"] - row["scratch"])
        assert row["chance"] == pytest.approx(1 / row["k"])


def test_mcnemar_and_holm_are_what_statsmodels_computes(emonet, predictions):
    from statsmodels.stats.contingency_tables import mcnemar
    from statsmodels.stats.multitest import multipletests

    tests = pd.read_csv(emonet.folder / "tests.csv")
    for _, row in tests[tests["regime"].isin(REGIMES)].iterrows():
        one, other = (predictions(regime, row["corpus"], 0)
                      for regime in (row["regime"], "scratch"))
        right = (one["truth"].values == one["prediction"].values,
                 other["truth"].values == other["prediction"].values)
        counts = [[np.sum(right[0] & right[1]), np.sum(right[0] & ~right[1])],
                  [np.sum(~right[0] & right[1]), np.sum(~right[0] & ~right[1])]]
        assert (row["b"], row["c"]) == (counts[0][1], counts[1][0])
        if counts[0][1] + counts[1][0]:
            assert row["mcnemar_exact"] == pytest.approx(mcnemar(counts, exact=True).pvalue)
    # the headline is corrected over corpora, the other columns together
    headline = tests[tests["regime"] == "joint+adapters"]
    others = tests[tests["regime"] != "joint+adapters"]
    for some in (headline, others):
        for p in ("p", "mcnemar_p"):
            expected = multipletests(some[p].fillna(1.0), method="holm")[1]
            known = some[p].notna().to_numpy()
            assert some[f"{p}_adjusted"].to_numpy()[known] == pytest.approx(expected[known])


def test_counts_of_the_methods_are_those_of_the_tests(emonet):
    tests = pd.read_csv(emonet.folder / "tests.csv").groupby("regime")
    methods = pd.read_csv(emonet.folder / "methods.csv").set_index("regime")
    for regime, rows in tests:
        gain, net = np.sign(rows["delta"]), np.sign(rows["b"] - rows["c"])
        able, line = ~rows["too_few"], methods.loc[regime]
        for name, found, sign in (("uncorrected", (rows["p"] < .05) & able, gain),
                                  ("holm", (rows["p_adjusted"] < .05) & able, gain),
                                  ("mcnemar", rows["mcnemar_p"] < .05, net),
                                  ("mcnemar_holm", rows["mcnemar_p_adjusted"] < .05, net)):
            assert line[name] == f"{(found & (sign > 0)).sum()}/{(found & (sign < 0)).sum()}"
        assert line["better"] == f"{(gain > 0).sum()}/{len(rows)}"
        assert line["worse"] == f"{(gain < 0).sum()}/{len(rows)}"


def test_every_table_names_the_partition_of_every_corpus(emonet):
    for name in ("table.csv", "runs.csv", "tests.csv"):
        assert set(pd.read_csv(emonet.folder / name)["partition_kind"]) == {"auto"}, name
    assert set(pd.read_csv(emonet.folder / "methods.csv")["partitions"]) == {"auto: 2"}
    assert emonet.text("table").splitlines()[0].split()[:2] == ["Corpus", "Partition"]
    for name in ("table.md", "table.tex", "report.html"):
        text = (emonet.folder / name).read_text()
        assert "Partition auto (emodb, ravdess): made by emokit by speaker" in text, name
    assert "mean of 2" in (emonet.folder / "table.md").read_text()


def test_the_notes_say_what_columns_tests_and_marks_are(emonet):
    notes = "\n".join(emonet.notes)
    for words in ("mean ± standard deviation over 2 seeds", "chance is 1/K", "Primary test: swap",
                  "Holm: over 2 corpora for joint+adapters, the headline; over the 8 tests of all "
                  "other columns together", "× single", "before and after Holm's correction"):
        assert words in notes, words


def test_better_and_worse_are_counted_in_the_summary(emonet):
    table = pd.read_csv(emonet.folder / "table.csv")
    found = read_json(emonet.folder / "summary.json")
    better = int((table["joint+adapters"] - table["scratch"] > 1e-12).sum())
    assert found["methods"]["joint+adapters"]["better"] == f"{better}/2"
    assert found["overall"]["joint+adapters"]["better"] == better
    assert found["headline"] == "joint+adapters" and found["reference"] == "scratch"
    assert found["failures"] == [] and found["settings"]["seeds"] == [0, 1]


def test_parameters_are_those_of_the_run_folders(emonet, cells, experiments):
    found = read_json(emonet.folder / "parameters.json")

    def counted(regime, cell):
        row, = [row for _, row in cells[cells["variant"] == regime].iterrows()
                if row["cell"] == cell]
        return read_json(experiments / "runs" / row["group"] / cell / "parameters.json")

    singles = [counted("scratch", f"{corpus}-s0") for corpus in ("emodb", "ravdess")]
    mean = np.mean([one["stored"] for one in singles])
    assert found["scratch"]["stored"] == sum(one["stored"] for one in singles)
    assert found["scratch"]["ratio"] == pytest.approx(2.0)
    joint = counted("joint", "joint-s0")
    assert found["joint"]["stored"] == joint["stored"]
    assert found["joint"]["ratio"] == pytest.approx(joint["stored"] / mean)
    # adapters on the frozen joint model replace its own: nothing is stored besides
    assert found["joint+adapters"]["stored"] == joint["stored"]
    assert found["joint"]["per_further_corpus"] == pytest.approx(found["joint"]["ratio"] - 1)
    # two bases, each with the other corpus on it
    assert found["single-adapters"]["stored"] > found["scratch"]["stored"]


def test_the_base_of_another_corpus_is_the_best_probe_on_dev(emonet):
    bases = pd.read_csv(emonet.folder / "bases.csv")
    # of two corpora there is one candidate each
    assert (bases["chosen"] == 1).all() and len(bases) == 4
    assert set(zip(bases["corpus"], bases["candidate"])) == {("emodb", "ravdess"),
                                                             ("ravdess", "emodb")}
    assert bases["dev_score"].between(0, 1).all()


def test_every_file_is_there_and_the_page_is_whole(emonet):
    for name in ("runs.csv", "table.csv", "table.md", "table.tex", "methods.csv", "tests.csv",
                 "cells.csv", "parameters.json", "summary.json", "report.html", "guard.csv"):
        assert (emonet.folder / name).stat().st_size > 0, name
    text = (emonet.folder / "report.html").read_text()
    assert "joint+adapters" in text and "</html>" in text and "Guard" in text
    latex = (emonet.folder / "table.tex").read_text()
    assert latex.count(r"\begin{tabular}") == 2 and r"\textbf{" in latex
    assert "**" in (emonet.folder / "table.md").read_text()


def test_stdout_has_the_table_in_every_format(emonet):
    assert emonet.text("table").splitlines()[0].startswith("Corpus")
    assert {row["corpus"] for row in json.loads(emonet.text("json"))} == {"emodb", "ravdess"}
    assert emonet.text("csv").splitlines()[0].startswith(
        "corpus,partition,partition_kind,partition_words,speaker_disjoint,n,speakers,k,chance,log")


def test_running_again_fits_nothing_and_gives_the_same_bytes(emonet, run, experiments):
    before = {path: path.stat().st_mtime_ns for path in (experiments / "runs").rglob("*.json")
              if path.name == "metrics.json"}
    table = (emonet.folder / "table.csv").read_bytes()
    again = run("emonet", options={"regimes": REGIMES, "guard": True}, seeds=[0, 1], folds="none")
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert (again.folder / "table.csv").read_bytes() == table


def test_a_guard_without_scratch_models_costs_its_column_not_the_table(emonet, run, cells,
                                                                       experiments, tmp_path):
    shutil.copytree(experiments / "runs", tmp_path / "runs")
    for _, row in cells[cells["variant"] == "scratch"].iterrows():
        (tmp_path / "runs" / row["group"] / row["cell"] / "best.safetensors").write_bytes(b"cut")
    report = run("emonet", tmp_path, seeds=[0, 1], folds="none", options={
        "regimes": ["scratch", "joint", "joint+adapters"], "guard": True})
    table, before = (pd.read_csv(one.folder / "table.csv") for one in (report, emonet))
    assert table["joint"].tolist() == before["joint"].tolist() and "guarded" not in table
    assert table["scratch"].isna().all()
    with pytest.raises(EmokitError, match="4 cells failed .* The column 'guarded' is missing: The "
                                          "guard finds no complete cells"):
        report.raise_failures()


def test_models_of_an_experiment_are_those_of_train(emonet, cells, emoset, configure, experiments):
    from emokit.training.train import train

    group, tasks = train(*configure(adapters="residual", seeds=[0, 1]), emoset,
                         experiments / "runs")
    assert set(cells[cells["variant"] == "joint"]["group"]) == {group.name}
    assert all(task.cell.is_complete for task in tasks)


@pytest.mark.parametrize("options, flags, message", [
    ({"regimes": ["joint+adapters"]}, {}, "'joint\\+adapters' starts from 'joint', which"),
    ({"regimes": ["scratch", "scratch"]}, {}, "names one twice"),
    ({"regimes": ["scratch", "single-head"]}, {"corpora": ["emodb"]}, "there is only one"),
    ({"regimes": ["scratch"], "guard": True}, {}, "needs scratch and joint\\+adapters"),
    ({"headline": "jont"}, {}, "Did you mean 'joint'"),
    ({"against": "scrath"}, {}, "Did you mean 'scratch'"),
    ({"baselines": ["embedding"]}, {}, "needs the encoder's file"),
    ({"baselines": ["logml"]}, {}, "Did you mean 'logmel'"),
    ({}, {"seeds": [0, 0]}, "name each seed once"),
    ({}, {"adapters": "none"}, "needs adapters"),
    ({}, {"regime": "single", "mode": "head", "init": "somewhere"}, "decides itself"),
    ({}, {"corpora": ["emodbb"]}, "Did you mean 'emodb'"),
    ({}, {"folds": "9"}, "--folds is 9"),
])
def test_what_cannot_be_is_refused_before_anything_is_fitted(run, tmp_path, options, flags,
                                                             message):
    with pytest.raises(EmokitError, match=message):
        run("emonet", tmp_path, options, **flags)
    assert not (tmp_path / "runs").exists() and not (tmp_path / "reports").exists()


def test_an_unknown_regime_or_experiment_is_named_with_the_nearest(run, tmp_path):
    from emokit.core.config import from_mapping
    from emokit.experiments.config import ExperimentConfig

    with pytest.raises(ConfigError, match="Did you mean 'scratch'"):
        from_mapping(ExperimentConfig, {"regimes": ["scrach"]})
    with pytest.raises(ConfigError, match="Did you mean 'emonet'"):
        run("emonett", tmp_path)
