import dataclasses
import json
import math

import numpy as np
import pandas as pd
import pytest

from emokit.core.errors import ConfigError, EmokitError, ManifestError
from emokit.evaluation.comparison import compare, compare_all
from emokit.evaluation.comparison_files import overall_text, write_comparison
from emokit.evaluation.predictions import Predictions
from emokit.evaluation.systems import collect

CORPORA = {"crema_d": (24, 0.8), "emodb": (5, 0.9), "iemocap": (12, 0.6)}
LOWER = {"crema_d": (24, 0.5), "emodb": (5, 0.5), "iemocap": (12, 0.6)}


@pytest.fixture
def pair(system):
    return system("A", CORPORA), system("B", LOWER, start=1)


def test_one_seed_is_decided_by_the_swap_test_and_says_what_it_means(pair):
    found = compare(*pair)
    assert found.primary == "swap" and "these trained models" in found.notes[0]
    rows = {row["corpus"]: row for row in found.rows}
    assert rows["crema_d"]["marks"] == "+" and rows["iemocap"]["marks"] == ""
    assert rows["crema_d"]["p"] == rows["crema_d"]["swap_p"]


def test_three_seeds_are_decided_by_the_combined_test(system):
    found = compare(system("A", CORPORA, 3), system("B", LOWER, 4, start=1))
    assert found.primary == "combined" and "combined speakers and seeds" in found.sentence
    row = found.rows[0]
    assert row["p"] == row["combined_p"] and row["marks"].startswith("+")
    assert row["seeds_a"] == 3 and row["seeds_b"] == 4 and 0 <= row["aso"] <= 1


def test_corpus_with_five_speakers_cannot_carry_a_mark(system, pair):
    for found in (compare(*pair), compare(system("A", CORPORA, 3), system("B", LOWER, 3, start=1))):
        row = found.rows[1]
        assert row["clusters"] == 5 and not row["marks"].startswith(("+", "-"))
        assert "s" in row["marks"].split() and "too few speakers (5" in row["notes"]


def test_sentence_agrees_with_the_csv(tmp_path, pair):
    found = compare(*pair)
    write_comparison(tmp_path, found)
    table = pd.read_csv(tmp_path / "comparison.csv", keep_default_na=False)
    marks = [str(cell).split() for cell in table["marks"]]
    better, worse = (sum(mark in each for each in marks) for mark in "+-")
    assert found.sentence.startswith(
        f"A is better than B on {better} of 3 corpora (Holm, swap test by speaker), worse on "
        f"{worse}")
    held = json.loads((tmp_path / "comparison.json").read_text())
    assert held["sentence"] == found.sentence and held["settings"]["seed"] == 0
    assert found.sentence in (tmp_path / "comparison.md").read_text()


def test_swapping_the_systems_mirrors_everything(system):
    a, b = system("A", CORPORA, 3), system("B", LOWER, 3, start=1)
    for one, other in zip(compare(a, b).rows, compare(b, a).rows):
        assert one["delta"] == pytest.approx(-other["delta"])
        assert one["delta_low"] == pytest.approx(-other["delta_high"])
        assert (one["b"], one["c"]) == (other["c"], other["b"])
        for name in ("swap_p", "combined_p", "mcnemar_p", "obuchowski_p", "permutation_p"):
            assert one[name] == pytest.approx(other[name])
        assert one["aso"] == pytest.approx(other["aso_reverse"])
        assert one["marks"].replace("+", "-")[:1] == other["marks"].replace("+", "-")[:1]


def test_equal_systems_differ_nowhere(system):
    a = system("A", CORPORA)
    found = compare(a, dataclasses.replace(a, name="B"))
    for row in found.rows:
        assert row["swap_p"] == row["mcnemar_p"] == 1 and row["delta"] == 0
        assert row["marks"] in ("", "s") and "agree on every utterance" in row["notes"]
    assert math.isnan(found.overall["sign_p"]) and found.overall["ties"] == 3


def test_row_order_does_not_matter(pair):
    def shuffled(one):
        return dataclasses.replace(one, table=one.table.sample(frac=1, random_state=1))

    a, b = pair
    other = dataclasses.replace(b, cells={
        corpus: {seed: shuffled(one) for seed, one in cells.items()}
        for corpus, cells in reversed(b.cells.items())})
    assert repr(compare(a, b).rows) == repr(compare(a, other).rows)


def test_utterance_that_both_get_right_changes_no_mcnemar(predicted, rng):
    one, two = predicted(rng), predicted(rng)

    def longer(predictions):
        extra = predictions.table.iloc[[0]].assign(utterance="emodb/zz", truth="anger",
                                                   prediction="anger")
        return dataclasses.replace(predictions, table=pd.concat([predictions.table, extra]))

    before, after = (compare(collect("A", [a]), collect("B", [b])).rows[0]
                     for a, b in ((one, two), (longer(one), longer(two))))
    for name in ("b", "c", "mcnemar_exact", "mcnemar_chi2", "mcnemar_mid_p"):
        assert before[name] == after[name]


def test_holm_covers_all_corpora_and_all_systems(system, pair):
    a, b = pair
    both = compare_all([a, system("C", CORPORA, start=2)], b)
    alone = compare(a, b)
    assert both[0].rows[0]["p"] == alone.rows[0]["p"]
    assert both[0].rows[0]["p_adjusted"] >= alone.rows[0]["p_adjusted"] >= alone.rows[0]["p"]
    assert compare(a, b, correction="none").rows[0]["p_adjusted"] == alone.rows[0]["p"]


def test_corpora_of_one_side_are_listed_and_left_out(system):
    found = compare(system("A", CORPORA), system("B", {"emodb": (5, 0.5), "nemo": (9, 0.5)}))
    assert [row["corpus"] for row in found.rows] == ["emodb"]
    assert found.left_out == {"A": ["crema_d", "iemocap"], "B": ["nemo"]}
    assert "Only 'B' has nemo: left out." in found.notes


def test_no_common_corpus_is_an_error(system):
    with pytest.raises(EmokitError, match="no corpus in common: emodb against nemo"):
        compare(system("A", {"emodb": (6, 0.5)}), system("B", {"nemo": (6, 0.5)}))


def test_corpora_with_dimensions_only_are_named_and_left_out(predicted, rng):
    table = pd.DataFrame({"utterance": ["m/1", "m/2"], "truth_valence": [1.0, 2.0],
                          "valence": [1.5, 1.0]})
    sides = [collect(name, [predicted(rng), Predictions("msp", "test", (), table)])
             for name in "AB"]
    found = compare(*sides)
    assert [row["corpus"] for row in found.rows] == ["emodb"]
    assert "Dimensions only, no classes to compare: msp." in found.notes


def test_differing_utterances_name_three_culprits(predicted, rng):
    one, two = predicted(rng), predicted(rng)
    two = dataclasses.replace(two, table=two.table[5:])
    with pytest.raises(ManifestError, match=r"5 only in A, seed 0: .*00000, .*00002 and 2 more"):
        compare(collect("A", [one]), collect("B", [two]))


@pytest.mark.parametrize("change, words", [
    ({"truth": "anger"}, "Truths of 'emodb' differ.*and 177 more"),
    ({"speaker": "emodb/x"}, "Column 'speaker' of 'emodb' differs"),
])
def test_differing_truths_and_speakers_are_errors(predicted, rng, change, words):
    one, two = predicted(rng), predicted(rng)
    two = dataclasses.replace(two, table=two.table.assign(**change))
    with pytest.raises(ManifestError, match=words):
        compare(collect("A", [one]), collect("B", [two]))


def test_differing_label_order_is_an_error(predicted, rng):
    one = predicted(rng)
    two = dataclasses.replace(one, labels=tuple(reversed(one.labels)))
    with pytest.raises(ManifestError, match="Label lists of 'emodb' differ"):
        compare(collect("A", [one]), collect("B", [two]))


def test_missing_class_is_undefined_with_a_note_and_mcnemar_stays(predicted, rng):
    one, two = (predicted(rng) for _ in range(2))
    one, two = (dataclasses.replace(side, table=side.table[side.table["truth"] != "anger"])
                for side in (one, two))
    found = compare(collect("A", [one]), collect("B", [two]))
    row, = found.rows
    assert math.isnan(row["p"]) and math.isnan(row["delta_low"]) and 0 < row["mcnemar_p"] <= 1
    assert "no utterance of anger" in row["notes"]
    assert "1 cannot be decided" in found.sentence and "–" in found.text()
    assert "**–**" not in found.text("markdown")
    assert "mean difference –" in overall_text(found)
    accuracy, = compare(collect("A", [one]), collect("B", [two]), metric="wa").rows
    assert 0 < accuracy["p"] <= 1


def test_unknown_speakers_are_unclustered_and_flagged(predicted, rng):
    one, two = predicted(rng, accuracy=0.9), predicted(rng, accuracy=0.5)
    one, two = (dataclasses.replace(side, table=side.table.drop(columns="speaker"))
                for side in (one, two))
    row, = compare(collect("A", [one]), collect("B", [two])).rows
    assert row["cluster"] == "utterance" and row["clusters"] == row["n"]
    assert row["marks"] == "+ u"


def test_session_falls_back_to_speaker_with_a_note(pair):
    row = compare(*pair, cluster="session").rows[0]
    assert row["cluster"] == "speaker" and "no session known" in row["notes"]


def test_five_sessions_reach_nothing(predicted, rng):
    one, two = (predicted(rng, "iemocap", speakers=10, accuracy=share) for share in (0.9, 0.4))
    one, two = (dataclasses.replace(side, table=side.table.assign(
        session=[str(int(name[-2:]) // 2) for name in side.table["speaker"]]))
        for side in (one, two))
    row, = compare(collect("A", [one]), collect("B", [two]), cluster="session").rows
    assert row["clusters"] == 5 and row["swap_p"] == 2 / 32
    assert row["marks"] == "(+) s" and "too few sessions" in row["notes"]


def test_shared_speakers_are_flagged(predicted, rng):
    facts = {"partitions": {"emodb": {"kind": "official", "speaker_disjoint": False}}}
    one = collect("A", [predicted(rng)], facts)
    row, = compare(one, collect("B", [predicted(rng)])).rows
    assert row["marks"].split()[-1] == "o" and row["partition_kind"] == "official"


def test_empty_partition_one_speaker_and_constant_prediction_end_without_exceptions(
        predicted, rng):
    one = predicted(rng)
    cases = [one.table[:0], one.table.assign(speaker="emodb/0"),
             one.table.assign(prediction="anger")]
    for table in cases:
        side = dataclasses.replace(one, table=table)
        for metric in ("uar", "wa", "macro_f1"):
            found = compare(collect("A", [side]), collect("B", [side]), metric=metric)
            assert not set(found.rows[0]["marks"].split()) & {"+", "-", "(+)", "(-)"}
            for format in ("table", "csv", "json", "latex", "markdown"):
                assert found.text(format)


def test_misses_of_a_union_head_count_as_wrong(predicted, rng):
    one, two = predicted(rng), predicted(rng)
    table = two.table.copy()
    table.loc[:9, "prediction"] = "boredom"
    two = dataclasses.replace(two, table=table, outside="miss")
    row, = compare(collect("A", [one]), collect("B", [two])).rows
    assert row["wa_b"] == pytest.approx((table["truth"] == table["prediction"]).mean())


def test_settings_are_checked(pair):
    with pytest.raises(ConfigError, match="Did you mean 'holm'"):
        compare(*pair, correction="hol")
    with pytest.raises(ConfigError, match="unknown setting 'clusters'"):
        compare(*pair, clusters="speaker")
    with pytest.raises(EmokitError, match="both|Both"):
        compare(pair[0], pair[0])


def test_without_mcnemar_there_are_no_bracketed_marks(system):
    few = {"emodb": (4, 0.9)}
    a, b = system("A", few), system("B", {"emodb": (4, 0.4)}, start=1)
    assert compare(a, b).rows[0]["marks"] == "(+) s"
    silent = compare(a, b, mcnemar=False)
    assert silent.rows[0]["marks"] == "s" and "McNemar" not in silent.text()


def test_bootstrap_interval_is_near_the_jackknife(system):
    a, b = system("A", {"c": (60, 0.7)}), system("B", {"c": (60, 0.6)}, start=1)
    one, other = (compare(a, b, interval=name).rows[0] for name in ("jackknife", "bootstrap"))
    assert one["delta_low"] == pytest.approx(other["delta_low"], abs=0.02)
    assert compare(a, b, interval="bootstrap").rows[0] == other


def test_difference_of_rows_equals_the_plain_difference_of_accuracies(pair):
    a, b = pair
    for row in compare(a, b).rows:
        shares = [np.mean(one.cells[row["corpus"]][0].truth == one.cells[row["corpus"]][0].answers)
                  for one in (a, b)]
        assert row["delta_wa"] == pytest.approx(shares[0] - shares[1])
        assert (row["b"] - row["c"]) / row["n"] == pytest.approx(row["delta_wa"])
