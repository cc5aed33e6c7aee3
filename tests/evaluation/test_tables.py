import csv
import io
import json
import math

import pytest

from emokit.core.errors import EmokitError
from emokit.evaluation.tables import Column, best_by, best_in_row, render

ROWS = [{"corpus": "a_b", "uar": 0.51234567891, "uar_low": 0.4, "uar_high": 0.6, "p": 0.0000001},
        {"corpus": "c|d", "uar": math.nan, "uar_low": math.nan, "uar_high": math.nan, "p": 0.25}]
COLUMNS = [Column("corpus", "Corpus"), Column("uar", "UAR [95 %]", "interval"),
           Column("p", "p", "p")]


def test_text_has_one_decimal_and_a_dash_for_undefined():
    lines = render(ROWS, "table", COLUMNS).splitlines()
    assert lines[2].split(maxsplit=1) == ["a_b", "51.2 [40.0, 60.0]  <.0001"]
    assert lines[3].split() == ["c|d", "–", ".2500"]
    assert len({line.index("p", 8) for line in lines[:1]}) == 1


def test_csv_and_json_keep_full_precision_and_leave_undefined_empty():
    rows = list(csv.DictReader(io.StringIO(render(ROWS, "csv"))))
    assert float(rows[0]["uar"]) == 0.51234567891 and rows[1]["uar"] == ""
    held = json.loads(render(ROWS, "json"))
    assert held[0]["uar"] == 0.51234567891 and held[1]["uar"] is None


def test_latex_escapes_and_sets_the_best_in_bold():
    text = render(ROWS, "latex", COLUMNS, {(0, "uar")})
    assert r"a\_b & \textbf{51.2 [40.0, 60.0]} & $<$.0001 \\" in text
    assert text.startswith(r"\begin{tabular}{lrr}") and r"\toprule" in text


def test_markdown_escapes_bars():
    assert r"| c\|d | – | .2500 |" in render(ROWS, "markdown", COLUMNS)


def test_undefined_is_never_best():
    rows = [{"g": 1, "x": math.nan, "y": 0.2}, {"g": 1, "x": 0.1, "y": 0.1}]
    assert best_by(rows, "g", "x") == {(1, "x")}
    assert best_in_row(rows, ["x", "y"]) == {(0, "y"), (1, "x"), (1, "y")}
    assert best_by([{"g": 1, "x": math.nan}], "g", "x") == set()


def test_no_rows_render_in_every_format():
    for format in ("table", "csv", "json", "latex", "markdown"):
        assert isinstance(render([], format, COLUMNS), str)


def test_unknown_format_names_the_choices():
    with pytest.raises(EmokitError, match="Did you mean 'latex'"):
        render(ROWS, "latx")


def test_without_columns_every_key_is_shown():
    assert render([{"a": 1, "b": 0.5, "c": "x"}], "table").splitlines()[0].split() == [
        "a", "b", "c"]
