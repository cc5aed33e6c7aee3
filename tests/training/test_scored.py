"""Test figures of a cell, from its tables alone."""

import math

import pytest

from emokit.core.errors import EmokitError
from emokit.training.run import Cell
from emokit.training.scored import scored_figures

TABLE = ("utterance,truth,prediction,p_a,p_b,truth_arousal,arousal\n"
         "1,a,a,.9,.1,0,0\n2,a,b,.1,.9,1,1\n3,b,b,.1,.9,2,1\n4,,b,.1,.9,,1\n")


@pytest.fixture
def cell(tmp_path):
    (tmp_path / "joint-s0" / "predictions").mkdir(parents=True)
    return Cell(tmp_path / "joint-s0")


def test_figures_are_means_over_corpora_of_what_is_known(cell):
    assert scored_figures(cell) == {}
    cell.predictions("one", "test").write_text(TABLE)
    cell.predictions("one", "dev").write_text("not read")
    figures = scored_figures(cell)
    # recalls 1/2 and 1; CCC([0, 1, 2], [0, 1, 1]) = 2/3
    assert figures["uar"] == 0.75 and figures["ccc"] == pytest.approx(2 / 3)
    cell.predictions("two", "test").write_text("utterance,truth,prediction,p_a,p_b\n"
                                               "1,a,a,1,0\n2,b,a,1,0\n")
    figures = scored_figures(cell)
    assert figures["uar"] == pytest.approx((0.75 + 0.5) / 2)
    assert figures["ccc"] == pytest.approx(2 / 3)


def test_a_class_without_utterance_is_undefined(cell):
    cell.predictions("one", "test").write_text("utterance,truth,prediction,p_a,p_b\n1,a,a,1,0\n")
    assert math.isnan(scored_figures(cell)["uar"])


def test_a_table_that_is_none_is_named(cell):
    cell.predictions("one", "test").write_text("p_a,p_b\n1,0\n")
    with pytest.raises(EmokitError, match="one.test.csv' is no table of predictions"):
        scored_figures(cell)
