"""Counts of parameters against the closed forms and the published numbers."""

import pytest

from emokit.models.budget import budget, learning, suppose
from emokit.models.modes import apply_mode
from emokit.models.settings import ModelSettings

N_CORPORA, N_CLASSES = 26, 6
FULL, NONE = {"name": "residual", "rank": "full"}, {"name": "residual", "rank": 0}
SERIES = {"name": "residual", "kind": "series"}


def rank(share):
    return {"name": "residual", "rank": f"C/{share}"}


def settings(adapter=None, head="linear", shared=True, width=32, blocks=2):
    return ModelSettings(
        backbone={"name": "resnet", "width": width, "blocks": blocks}, head=head,
        shared_pooling=shared, adapters=[adapter] if adapter else [])


@pytest.mark.parametrize("head, n_classes, stored, learnt", [
    ("dense", 4, 2_818_084, 2_813_668), ("dense", 6, 2_818_342, 2_813_926),
    ("linear", 4, 2_785_188, 2_781_028), ("linear", 6, 2_785_702, 2_781_542)])
def test_reference_preset_counts_2_818_084(head, n_classes, stored, learnt):
    counted = suppose(settings(head=head), 1, n_classes)
    assert (counted["stored"], counted["learnt"]) == (stored, learnt)
    assert counted["single"] == {"stored": stored, "learnt": learnt}
    assert counted["ratio"] == counted["ratio_learnt"] == 1


@pytest.mark.parametrize("adapter, linear, linear_private, dense, dense_private", [
    (FULL, 10_860_540, 12_511_740, 11_709_180, 13_360_380),
    (rank(4), 7_226_364, 8_877_564, 8_075_004, 9_726_204),
    (rank(8), 5_129_724, 6_780_924, 5_978_364, 7_629_564),
    (rank(16), 4_081_404, 5_732_604, 4_930_044, 6_581_244),
    (NONE, 3_032_252, 4_683_452, 3_880_892, 5_532_092),
    ({"name": "norm"}, 3_032_252, 4_683_452, 3_880_892, 5_532_092),
    (SERIES, 12_194_236, 13_845_436, 13_042_876, 14_694_076),
])
def test_26_corpora_equal_the_specification(adapter, linear, linear_private, dense, dense_private):
    for head, shared, stored in (("linear", True, linear), ("linear", False, linear_private),
                                 ("dense", True, dense), ("dense", False, dense_private)):
        counted = suppose(settings(adapter, head, shared), N_CORPORA, N_CLASSES)
        single = 2_785_702 if head == "linear" else 2_818_342
        assert counted["stored"] == stored
        assert counted["ratio"] == pytest.approx(stored / single)
        assert sum(counted["parts"].values()) == stored


@pytest.mark.parametrize("adapter, learnt, further", [
    (FULL, 10_752_380, 310_950), (rank(4), 7_118_204, 171_174), (rank(8), 5_021_564, 90_534),
    (rank(16), 3_973_244, None)])
def test_learnt_weights_and_a_further_corpus_equal_the_specification(adapter, learnt, further):
    counted = suppose(settings(adapter), N_CORPORA, N_CLASSES)
    assert counted["learnt"] == learnt
    if further is not None:
        assert counted["corpora"]["c3"]["stored"] == further
        one_more = suppose(settings(adapter), N_CORPORA + 1, N_CLASSES)
        assert one_more["stored"] - counted["stored"] == further


@pytest.mark.parametrize("adapter, width, blocks, weights", [
    (FULL, 32, 2, 301_088), (FULL, 32, 4, 645_152), (FULL, 64, 2, 1_204_288),
    (rank(4), 32, 2, 161_312), (rank(8), 32, 2, 80_672), (rank(16), 32, 2, 40_352),
    (SERIES, 32, 2, 345_088 + 7_296)])
def test_adapter_weights_equal_the_closed_forms(adapter, width, blocks, weights):
    entry = suppose(settings(adapter, width=width, blocks=blocks), 1, 4)["corpora"]["c0"]
    assert entry["adapters"] == weights
    assert entry["norms"] == 4 * width * (9 + 28 * blocks)


def test_defaults_keep_26_corpora_within_three_and_a_half():
    counted = suppose(settings({"name": "residual"}), N_CORPORA, N_CLASSES)
    assert counted["stored"] == 7_226_364 and round(counted["ratio"], 2) == 2.59


def test_preset_small_is_also_within_the_target():
    small = ModelSettings(backbone={"name": "resnet", "width": 16, "stem_stride": 2},
                          adapters=["residual"])
    assert suppose(small, N_CORPORA, N_CLASSES)["ratio"] <= 3.5


def test_budget_counts_what_a_checkpoint_holds(make_model):
    model = make_model(adapters=["residual"], normalisation="none", head="dense")
    counted = budget(model)
    state = model.state_for_checkpoint()
    assert counted["stored"] == sum(tensor.numel() for tensor in state.values())
    used = {name for name, _ in model.named_parameters()} & set(state)
    assert counted["learnt"] == sum(state[name].numel() for name in used)


def test_single_is_the_mean_over_corpora_with_different_classes(make_model):
    counted = budget(make_model({"one": "ab", "two": "abcd"}, adapters=["norm"]))
    sizes = [budget(make_model({"one": classes}))["stored"] for classes in ("ab", "abcd")]
    assert counted["single"]["stored"] == sum(sizes) / 2


def test_learning_weights_follow_the_mode(make_model):
    model = make_model(adapters=["residual"])
    apply_mode(model, "head", "emodb")
    assert learning(model) == {"head of emodb": 32 * 3 + 3}
