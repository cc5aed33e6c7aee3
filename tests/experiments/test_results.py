"""Marks, counts and the mean row against statsmodels and scipy, where something is to be found."""

import numpy as np
import pandas as pd
import pytest

from emokit.evaluation.predictions import Predictions
from emokit.evaluation.systems import collect
from emokit.experiments.results import make_results

CORPORA = {"plenty": 40, "equal": 40, "few": 4, "worse": 30}
SHARES = {"scratch": dict.fromkeys(CORPORA, 0.5),
          "joint": {"plenty": 0.75, "equal": 0.5, "few": 0.9, "worse": 0.25},
          "other": {"plenty": 0.58, "equal": 0.5, "few": 0.5, "worse": 0.5}}
FACTS = {"partitions": {name: {"kind": "text" if name == "few" else "auto",
                               "words": "By sentence." if name == "few" else "By speaker.",
                               "speaker_disjoint": name != "few"} for name in CORPORA}}
LABELS = ("anger", "neutral", "sadness")


def predictions(rng, corpus, share, seed, each=12):
    n = CORPORA[corpus] * each
    truth = np.arange(n) % 3
    answer = np.where(rng.random(n) < share, truth, (truth + rng.integers(1, 3, n)) % 3)
    names = np.array(LABELS, object)
    return Predictions(corpus, "test", LABELS, pd.DataFrame({
        "utterance": [f"{corpus}/{index}" for index in range(n)],
        "speaker": [f"{corpus}/{index // each}" for index in range(n)],
        "truth": names[truth], "prediction": names[answer]}), seed)


@pytest.fixture(scope="module")
def results():
    rng = np.random.default_rng(7)
    systems = {name: collect(name, [predictions(rng, corpus, shares[corpus], seed)
                                    for corpus in CORPORA for seed in range(3)], FACTS)
               for name, shares in SHARES.items()}
    return make_results(systems, "scratch", "joint", {name: {} for name in systems}, {
        "joint": {"stored": 120, "ratio": 1.5, "per_further_corpus": 0.5 / 3}}, draws=200)


def families(results):
    """The headline is corrected over corpora, the other columns together."""
    return [[row for name, one in results.comparisons.items() for row in one.rows
             if (name == results.headline) == is_headline] for is_headline in (True, False)]


def test_marks_after_holm_are_those_of_statsmodels(results):
    from statsmodels.stats.multitest import multipletests

    seen = set()
    for rows in families(results):
        adjusted = multipletests([row["p"] for row in rows], method="holm")[1]
        for row, p in zip(rows, adjusted):
            marks = set(row["marks"].split())
            seen |= marks
            expected = "" if p >= .05 or row["too_few"] else "+" if row["delta"] > 0 else "-"
            assert marks & {"+", "-"} == ({expected} if expected else set())
            alone = not expected and row["mcnemar_p"] < .05
            assert marks & {"(+)", "(-)"} == (
                {"(+)" if row["b"] > row["c"] else "(-)"} if alone else set())
    assert seen >= {"+", "-", "(+)", "s", "o"}  # there was something to find


def test_counts_before_and_after_holm_are_those_of_statsmodels(results):
    from statsmodels.stats.contingency_tables import mcnemar
    from statsmodels.stats.multitest import multipletests

    lines = {line["method"]: line for line in results.lines}
    for rows, name in zip(families(results), ("joint", "other")):
        plain = [mcnemar([[0, row["b"]], [row["c"], 0]], exact=row["b"] + row["c"] < 25,
                         correction=True).pvalue for row in rows]
        assert [row["mcnemar_p"] for row in rows] == pytest.approx(plain)
        able = np.array([not row["too_few"] for row in rows])
        gains, nets = (np.array([row[one] - (row[other] if other else 0) for row in rows])
                       for one, other in (("delta", ""), ("b", "c")))

        def count(p, gain, able=True):
            found = (np.asarray(p) < .05) & able
            return f"{(found & (gain > 0)).sum()}/{(found & (gain < 0)).sum()}"

        p, line = [row["p"] for row in rows], lines[name]
        assert line["uncorrected"] == count(p, gains, able)
        assert line["holm"] == count(multipletests(p, method="holm")[1], gains, able)
        assert line["mcnemar"] == count(plain, nets)
        assert line["mcnemar_holm"] == count(multipletests(plain, method="holm")[1], nets)
    assert lines["joint"]["holm"] == "1/1" and lines["joint"]["mcnemar"] == "2/1"


def test_better_worse_and_the_sign_test_are_those_of_scipy(results):
    from scipy.stats import binomtest

    for line in results.lines[1:]:
        deltas = [row[line["method"]] - row["scratch"] for row in results.rows]
        better, worse = sum(d > 1e-12 for d in deltas), sum(d < -1e-12 for d in deltas)
        assert (line["better"], line["worse"]) == (f"{better}/4", f"{worse}/4")
        assert line["sign_p"] == pytest.approx(binomtest(better, better + worse).pvalue)
        assert line["mean_delta"] == pytest.approx(np.mean(deltas))


def test_the_last_row_for_people_is_the_mean_over_corpora(results):
    shown, best = results.shown()
    assert shown[-1]["corpus"] == "mean of 4" and len(shown) == len(results.rows) + 1
    for name in results.methods:
        seeds = pd.DataFrame(results.runs).query("method == @name").groupby("seed")["uar"].mean()
        assert shown[-1][name] == f"{100 * seeds.mean():.1f} ± {100 * seeds.std(ddof=1):.1f}"
    uars = {name: np.mean([row[name] for row in results.rows]) for name in results.methods}
    assert (len(results.rows), max(uars, key=uars.get)) in best
    assert shown[-1]["delta"] == pytest.approx(uars["joint"] - uars["scratch"])
    # programs get corpora alone
    assert len(results.table("csv").splitlines()) == 1 + 4


def test_a_method_that_lacks_a_corpus_shortens_the_mean_and_says_so():
    rng = np.random.default_rng(0)
    systems = {name: collect(name, [predictions(rng, corpus, .6, seed) for corpus in corpora
                                    for seed in range(2)], FACTS)
               for name, corpora in {"scratch": CORPORA, "joint": ["few", "worse"]}.items()}
    found = make_results(systems, "scratch", "joint", {name: {} for name in systems}, {}, draws=200)
    rows = {row["corpus"]: row for row in found.shown()[0]}
    last = found.shown()[0][-1]
    assert last["corpus"] == "mean of 2 that all regimes have"
    assert rows["plenty"]["joint"] == "–" != rows["few"]["joint"]
    kept = [row["scratch"] for row in found.rows if row["corpus"] in ("few", "worse")]
    assert last["scratch"].startswith(f"{100 * np.mean(kept):.1f}")


def test_every_table_names_the_partition(results):
    assert [row["partition_kind"] for row in results.rows] == ["auto", "text", "auto", "auto"]
    for format in ("table", "markdown", "latex"):
        text = results.table(format)
        assert "Partition" in text and "text, shares speakers" in text
    assert {row["corpus"]: row["partition_kind"] for row in results.runs}["few"] == "text"
    assert results.lines[0]["partitions"] == "auto: 3; text, shares speakers: 1"
    assert "Partition auto (equal, plenty, worse): by speaker." in results.notes()
    assert "Partition text, shares speakers (few): by sentence." in results.notes()


def test_every_mark_in_a_cell_is_explained_and_no_other(results):
    shown, _ = results.shown()
    used = {mark for row in shown[:-1] for name in (*results.methods, "marks")
            for mark in row[name].split() if mark.strip("+-()aosu") == "" and mark}
    explained = {note.split(" ")[0] for note in results.notes()
                 if note.split(" ")[0].strip("+-()aosu") == ""}
    assert explained == used >= {"+", "-", "(+)", "s", "o"}
    assert "+ better than scratch by the primary test, Holm-adjusted" in results.notes()


def test_the_level_of_intervals_stands_in_the_head():
    rng = np.random.default_rng(1)
    systems = {name: collect(name, [predictions(rng, "plenty", .6, seed) for seed in range(3)])
               for name in ("scratch", "joint")}
    found = make_results(systems, "scratch", "joint", {name: {} for name in systems}, {},
                         draws=200, alpha=0.1)
    assert "joint − scratch [90 %]" in found.table()
    assert any("90 % interval" in note for note in found.notes())
    assert "$-$ scratch [90 \\%]" in found.table("latex")
