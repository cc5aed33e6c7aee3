import re

import matplotlib
from markupsafe import Markup

from emokit.core.page import PLOT_STYLE, figure_png, figure_svg, new_figure, page, table_html


def draw(title="a"):
    with matplotlib.rc_context(PLOT_STYLE):
        figure, axes = new_figure(3, 2)
        axes.plot([0, 1], [1, 0])
        axes.set_title(title)
    return figure


def test_everything_is_escaped_unless_markup():
    text = page("<script>t", "<script>b", "<script>s") + table_html(
        [["<script>c"], [Markup("<b>kept</b>")]], ["<script>h"], caption="<script>x")
    assert "<script>" not in text
    assert "<b>kept</b>" in text


def test_page_loads_nothing_from_elsewhere():
    text = page("t", figure_svg(draw()) + figure_png(draw()))
    without_names = text.replace("http://www.w3.org/", "").replace("https://www.w3.org/", "")
    assert not re.search(r'(src|href)="http|url\(http|@import', without_names)


def test_equal_figures_give_equal_bytes():
    assert figure_svg(draw()) == figure_svg(draw())
    assert figure_png(draw()) == figure_png(draw())


def test_ids_of_two_figures_differ():
    def ids(markup):
        return set(re.findall(r'\bid="([^"]+)"', markup))

    first, second = ids(figure_svg(draw("a"))), ids(figure_svg(draw("b")))
    assert first and not first & second


def test_references_of_a_figure_lead_to_its_ids():
    text = figure_svg(draw())
    used = set(re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', text))
    known = set(re.findall(r'\bid="([^"]+)"', text))
    assert used and {one or other for one, other in used} <= known


def test_undefined_cells_are_dashes_and_number_columns_stand_right():
    text = table_html([["a", 1.5, float("nan")], ["b", 12345, None]], ["x", "y", "z"], numeric=[1])
    assert text.count("–") == 2
    assert '<td class="number">12,345</td>' in text


def test_long_texts_may_break_and_short_ones_stay_on_their_line():
    text = table_html([["emodb", "71.2 ± 1.1 (+) a", "w" * 61], ["a" * 29, "x", "y"]],
                      ["Corpus", "joint", "Words"])
    assert text.count('class="prose"') == 2
    assert "<td>71.2 ± 1.1 (+) a</td>" in text
    rules = page("t", "b")
    assert ".tight td { white-space: nowrap; }" in rules and "position: sticky" in rules


def test_only_tables_of_many_columns_leave_the_margins():
    assert '<div class="scroll broad">' in table_html([["a"]], ["x"], broad=True)
    assert '<div class="scroll">' in table_html([["a"]], ["x"])
