import dataclasses
import re

import pytest

from emokit.evaluation.comparison import compare
from emokit.evaluation.report import report_html, write_report
from emokit.evaluation.summary import summarise
from emokit.evaluation.systems import collect

FACTS = {
    "partitions": {"emodb": {"kind": "auto", "words": "by sentence <i>only</i>",
                             "speaker_disjoint": False}},
    "waivers": {"emodb": [{"check": "silent file", "count": 2, "culprits": ["<img src=x>", "b"],
                           "flag": "--allow-silent"}]},
    "scoring": "mean of crops", "command": "emokit train --adapters residual",
    "versions": {"torch": "2.13"}, "parameters": {"backbone": 701_234, "ratio": 2.59},
    "history": [{"epoch": epoch, "corpus": "emodb", "loss": 1 / epoch, "dev_uar": 0.1 * epoch,
                 "learning_rate": 0.001} for epoch in range(1, 5)],
}


@pytest.fixture
def both(system):
    corpora = {"emodb": (8, 0.8), "tess": (2, 0.6)}
    return (system("A <b>", corpora, 3, facts=FACTS), system("B", corpora, 3, start=1))


def test_report_holds_sentence_tables_waivers_and_origin(both):
    comparison = compare(*both)
    text = report_html(summarise(*both), comparison)
    for words in ("How to read this", "silent file", "--allow-silent", "shares speakers",
                  "mean of crops", "emokit train --adapters residual", "torch 2.13", "701,234",
                  "Every test and effect size",
                  "2.59", "Learning curves", "anger, happiness, neutral, sadness"):
        assert words in text, words
    assert comparison.sentence.replace("<", "&lt;").replace(">", "&gt;") in text
    assert text.count("<svg") == 2


def test_everything_from_a_corpus_is_escaped(both):
    text = report_html(summarise(*both), compare(*both))
    assert "<img src=x>" not in text and "&lt;img src=x&gt;" in text
    assert "A <b>" not in text and "<i>only</i>" not in text


def test_report_loads_nothing_and_is_the_same_twice(both, tmp_path):
    texts = [write_report(tmp_path / name, summarise(*both), compare(*both)).read_bytes()
             for name in ("a.html", "b.html")]
    assert texts[0] == texts[1]
    plain = re.sub(r'xmlns(:\w+)?="[^"]*"', "", texts[0].decode())
    assert not re.search(r'(src|href)="(?!#|data:)', plain) and "@import" not in plain
    assert "<!DOCTYPE svg" not in plain and plain.count("<html") == 1


def test_report_of_one_system_has_no_comparison(both):
    text = report_html(summarise(both[0]))
    assert "McNemar" not in text and "mean UAR" in text


def test_undefined_cases_make_a_report(predicted, rng):
    one = predicted(rng, probabilities=False)
    side = collect("A", [dataclasses.replace(one, table=one.table[:0]),
                         dataclasses.replace(one, corpus="b$x$", table=one.table[
                             one.table["truth"] != "anger"])])
    text = report_html(summarise(side), compare(side, dataclasses.replace(side, name="B")))
    assert "No check was waived" in text and "no utterance of anger" in text


def test_many_corpora_and_curves_are_drawn(system):
    many = {f"corpus_{index:02d}": (6, 0.6) for index in range(12)}
    history = [{"epoch": epoch, "corpus": name, "dev_uar": 0.5} for name in many
               for epoch in (1, 2)]
    assert report_html(summarise(system("A", many, each=8)), history=history).count("<svg") == 2
