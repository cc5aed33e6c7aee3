import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from emokit.core.errors import EmokitError
from emokit.evaluation import metrics

TRUTH, PREDICTION, ABC = list("AAAABBC"), list("AAABBCC"), ("A", "B", "C")


def plain_recalls(truth, prediction, labels):
    return [
        sum(t == p == label for t, p in zip(truth, prediction)) / truth.count(label)
        for label in labels
    ]


def test_golden_three_classes():
    assert metrics.recall(TRUTH, PREDICTION, labels=ABC).tolist() == [0.75, 0.5, 1.0]
    assert metrics.uar(TRUTH, PREDICTION, labels=ABC) == 0.75
    assert metrics.wa(TRUTH, PREDICTION, labels=ABC) == 5 / 7
    assert metrics.macro_f1(TRUTH, PREDICTION, labels=ABC) == pytest.approx(
        (6 / 7 + 1 / 2 + 2 / 3) / 3, abs=1e-15)
    assert metrics.confusion(TRUTH, PREDICTION, labels=ABC).tolist() == [
        [3, 1, 0], [0, 1, 1], [0, 0, 1]]
    assert metrics.precision(TRUTH, PREDICTION, labels=ABC).tolist() == [1.0, 0.5, 0.5]


def test_prediction_outside_the_labels_is_an_error_that_names_the_row():
    with pytest.raises(EmokitError, match=r"prediction of row 3 is 'c'.*outside='miss'"):
        metrics.uar(list("aabb"), list("aabc"), labels=("a", "b"))


def test_truth_outside_the_labels_is_an_error_even_with_miss():
    with pytest.raises(EmokitError, match="truth of row 0 is 'x'"):
        metrics.uar(list("xabb"), list("aabb"), labels=("a", "b"), outside="miss")


def test_miss_is_a_wrong_answer_and_no_false_positive():
    answers = dict(labels=("a", "b"), outside="miss")
    assert metrics.uar(list("aabb"), list("aabc"), **answers) == 0.75
    assert metrics.precision(list("aabb"), list("aabc"), **answers).tolist() == [1.0, 1.0]
    assert metrics.confusion(list("aabb"), list("aabc"), **answers).tolist() == [
        [2, 0, 0], [0, 1, 1]]


def test_class_without_utterances_makes_uar_and_f1_undefined():
    sides = (list("aabb"), list("aabc"))
    assert np.isnan(metrics.uar(*sides, labels=("a", "b", "c")))
    assert np.isnan(metrics.macro_f1(*sides, labels=("a", "b", "c")))
    assert metrics.uar_present(*sides, labels=("a", "b", "c")) == 0.75


def test_class_never_predicted_has_f1_zero_and_undefined_precision():
    sides = (list("aabb"), list("aaaa"))
    assert metrics.macro_f1(*sides, labels=("a", "b")) == pytest.approx((2 / 3) / 2)
    assert np.isnan(metrics.precision(*sides, labels=("a", "b"))[1])


def test_empty_input_is_undefined_everywhere():
    for metric in (metrics.uar, metrics.wa, metrics.macro_f1, metrics.uar_present):
        assert np.isnan(metric([], [], labels=("a", "b")))
    for metric in (metrics.ccc, metrics.rmse, metrics.pearson):
        assert np.isnan(metric([], []))
    assert np.isnan(metrics.ece([], np.zeros((0, 2)), labels=("a", "b")))


@pytest.mark.parametrize("labels", [(), ("a",), ("a", "a"), "ab"])
def test_bad_label_lists_are_errors(labels):
    with pytest.raises(EmokitError, match="labels"):
        metrics.wa(["a"], ["a"], labels=labels)


def test_differing_lengths_are_an_error():
    with pytest.raises(EmokitError, match="2 truths but 1 predictions"):
        metrics.wa(["a", "b"], ["a"], labels=("a", "b"))


@pytest.mark.parametrize("truth, prediction, expected", [
    ([0, 1, 2], [0, 1, 1], 2 / 3), ([1, 2, 3, 4], [2, 3, 4, 5], 5 / 7),
    ([1, 2, 3, 4], [4, 3, 2, 1], -1), ([1, 2, 3], [2, 2, 2], 0), ([1, 2, 3], [2, 4, 6], 4 / 11),
])
def test_ccc_goldens(truth, prediction, expected):
    assert metrics.ccc(truth, prediction) == pytest.approx(expected, abs=1e-12)


def test_ccc_uses_population_moments():
    # the form with N − 1 gives 9/13 here
    assert metrics.ccc([0, 1, 2], [0, 1, 1]) != pytest.approx(9 / 13, abs=1e-3)


def test_ccc_of_equal_constants_is_undefined():
    assert np.isnan(metrics.ccc([2, 2], [2, 2]))
    assert np.isnan(metrics.ccc([1], [1]))


def test_pearson_of_a_constant_is_undefined_and_rmse_is_not():
    assert np.isnan(metrics.pearson([1, 2], [3, 3]))
    assert metrics.rmse([1, 2], [3, 3]) == pytest.approx(np.sqrt((4 + 1) / 2))
    assert metrics.pearson([1, 2, 3], [2, 4, 6]) == pytest.approx(1)


def test_ece_by_hand():
    # two answers at .8, one right: |.5 − .8|; one at .6 and right: |1 − .6|
    probabilities = np.array([[0.8, 0.2], [0.8, 0.2], [0.4, 0.6]])
    value = metrics.ece(list("abb"), probabilities, labels=("a", "b"))
    assert value == pytest.approx((2 * 0.3 + 1 * 0.4) / 3)


def test_ece_refuses_another_shape():
    with pytest.raises(EmokitError, match="shape"):
        metrics.ece(["a"], np.ones((1, 3)), labels=("a", "b"))


pairs = st.lists(st.tuples(st.sampled_from(ABC), st.sampled_from(ABC)), min_size=1, max_size=40)


@given(pairs, st.randoms())
@settings(max_examples=60, deadline=None)
def test_metrics_ignore_row_order_class_names_and_duplication(rows, random):
    truth, prediction = map(list, zip(*rows))
    shuffled = random.sample(rows, len(rows))
    names = {"A": "calm", "B": "joy", "C": "fear"}
    order = random.sample(ABC, 3)
    for metric in (metrics.uar, metrics.macro_f1, metrics.wa):
        value = metric(truth, prediction, labels=ABC)
        others = [
            metric(*map(list, zip(*shuffled)), labels=ABC),
            metric([names[word] for word in truth], [names[word] for word in prediction],
                   labels=[names[word] for word in order]),
            metric(truth * 2, prediction * 2, labels=ABC),
        ]
        np.testing.assert_allclose(others, value, atol=1e-12)


@given(st.integers(1, 6), st.lists(st.sampled_from(ABC), min_size=18, max_size=18))
@settings(max_examples=40, deadline=None)
def test_uar_equals_wa_on_balanced_classes(each, answers):
    truth = [label for label in ABC for _ in range(each)]
    sides = (truth, answers[: len(truth)])
    assert metrics.uar(*sides, labels=ABC) == pytest.approx(metrics.wa(*sides, labels=ABC))


numbers = st.lists(st.tuples(st.integers(-50, 50), st.integers(-50, 50)), min_size=2, max_size=30)


@given(numbers, st.integers(1, 9), st.integers(-9, 9))
@settings(max_examples=60, deadline=None)
def test_ccc_is_symmetric_and_ignores_a_common_affine_map(rows, scale, shift):
    x, y = map(np.array, zip(*rows))
    value = metrics.ccc(x, y)
    np.testing.assert_allclose(
        [metrics.ccc(y, x), metrics.ccc(scale * x + shift, scale * y + shift)], value, atol=1e-9)


def test_recalls_equal_a_plain_count_and_scikit_learn(rng):
    from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score

    truth = list(rng.choice(ABC, 200)) + list(ABC)
    prediction = list(rng.choice(ABC, 203))
    assert metrics.recall(truth, prediction, labels=ABC) == pytest.approx(
        plain_recalls(truth, prediction, ABC))
    assert metrics.uar(truth, prediction, labels=ABC) == pytest.approx(
        balanced_accuracy_score(truth, prediction))
    assert metrics.wa(truth, prediction, labels=ABC) == accuracy_score(truth, prediction)
    assert metrics.macro_f1(truth, prediction, labels=ABC) == pytest.approx(
        f1_score(truth, prediction, average="macro", labels=ABC))


def test_uar_and_ccc_equal_audmetric(rng):
    audmetric = pytest.importorskip("audmetric")
    truth, prediction = list(rng.choice(ABC, 90)), list(rng.choice(ABC, 90))
    assert metrics.uar(truth, prediction, labels=ABC) == pytest.approx(
        audmetric.unweighted_average_recall(truth, prediction, labels=list(ABC)))
    x, y = rng.normal(size=50), rng.normal(size=50)
    assert metrics.ccc(x, y) == pytest.approx(audmetric.concordance_cc(x, y), abs=1e-9)
    assert metrics.pearson(x, y) == pytest.approx(audmetric.pearson_cc(x, y))
    assert metrics.rmse(x, y) == pytest.approx(np.sqrt(audmetric.mean_squared_error(x, y)))
