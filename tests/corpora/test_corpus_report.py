import re

import numpy as np
from build_tools import build, make_corpus, noise

from emokit.core.files import read_json
from emokit.corpora.build import BuildOptions
from emokit.corpora.card import card
from emokit.corpora.report import report
from emokit.corpora.store import open_corpus
from emokit.testing import write_wav

DRAWN = BuildOptions(jobs=1, skip_unreadable=True)


def nasty(root):
    """Write a corpus whose names want to be HTML, Markdown and formulas."""
    make_corpus(root)
    for speaker in range(5):
        for number, emotion in enumerate(("anger", "neutral", "sadness")):
            folder = root / "<script>alert(1)<" / f"b$_{speaker}^$"
            write_wav(folder / f"{emotion}_<img src=x>.wav", noise(5000 + 10 * speaker + number))
    (root / "s0" / "anger_<script>.wav").write_text("<script>alert(2)</script>")
    return root


def test_report_escapes_whatever_comes_from_a_corpus(tmp_path):
    build(tmp_path, mine=nasty(tmp_path / "raw"), options=DRAWN)
    text = (tmp_path / "emoset" / "report.html").read_text()
    assert "&lt;script&gt;" in text
    assert "<script" not in text
    assert "<img src=x" not in text


def test_report_has_its_pictures_and_loads_nothing(tmp_path):
    build(tmp_path, mine=make_corpus(tmp_path / "raw"), options=DRAWN)
    text = (tmp_path / "emoset" / "report.html").read_text()
    assert text.count("<svg") == 3
    assert text.count("data:image/png;base64,") == 1
    assert not re.search(r'(src|href)="(?!data:|#)', text)


def test_report_is_the_same_for_the_same_corpora(tmp_path):
    build(tmp_path, mine=make_corpus(tmp_path / "raw"), options=DRAWN)
    first = (tmp_path / "emoset" / "report.html").read_text()
    builds = [read_json(tmp_path / "emoset" / "mine" / "build.json")]
    assert report(tmp_path / "emoset", builds, []) == first


def test_report_says_that_every_check_passed_only_if_it_did(tmp_path):
    raw = make_corpus(tmp_path / "raw")
    build(tmp_path, mine=raw, options=DRAWN)
    assert "Every check passed" in (tmp_path / "emoset" / "report.html").read_text()
    (raw / "s0" / "anger_0.wav").write_bytes(b"")
    build(tmp_path, mine=raw, options=DRAWN)
    text = (tmp_path / "emoset" / "report.html").read_text()
    assert "Every check passed" not in text
    assert "1 files left out" in text and "0 bytes" in text and "--skip-unreadable" in text


def test_synthetic_stand_ins_are_called_so_everywhere(tmp_path):
    raw = make_corpus(tmp_path / "raw")
    (raw / "SYNTHETIC.txt").write_text("seed 0\n")
    build(tmp_path, mine=raw, options=DRAWN)
    built = read_json(tmp_path / "emoset" / "mine" / "build.json")
    assert built["synthetic"] is True
    assert "Synthetic stand-in" in (tmp_path / "emoset" / "report.html").read_text()
    assert "Synthetic stand-in" in (tmp_path / "emoset" / "mine" / "card.md").read_text()


def test_an_empty_emoset_has_a_report(tmp_path):
    assert "Nothing is built here" in report(tmp_path, [], [])


def test_card_counts_add_up(tmp_path):
    build(tmp_path, mine=make_corpus(tmp_path / "raw"))
    text = card(read_json(tmp_path / "emoset" / "mine" / "build.json"))
    rows = [[cell.strip() for cell in line.strip("|").split("|")]
            for line in text.splitlines() if line.startswith(("| anger", "| neutral", "| sadness"))]
    total = next(line for line in text.splitlines() if line.startswith("| all"))
    sums = np.array([[int(cell) for cell in row[1:]] for row in rows]).sum(axis=0)
    assert [int(cell) for cell in total.strip("|").split("|")[1:]] == sums.tolist()
    assert sums[-1] == 30


def test_soft_labels_follow_merged_and_dropped_classes(tmp_path):
    raw = make_corpus(tmp_path / "raw")
    files = sorted(path.relative_to(raw) for path in raw.rglob("*.wav"))
    lines = ["file,label,speaker,p_anger,p_neutral,p_sadness"] + [
        f"{path},{path.name.split('_')[0]},{path.parent},0.5,0.25,0.25" for path in files]
    (raw / "list.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "corpora.yaml").write_text(
        f"mine:\n  format: csv\n  root: {raw}\n  lists: [list.csv]\n  drop: [sadness]\n")
    from emokit.corpora.build import build_corpora
    from emokit.corpora.spec import read_specs

    build_corpora(read_specs(tmp_path / "corpora.yaml"), tmp_path / "emoset",
                  BuildOptions(jobs=1, report=False))
    table = open_corpus(tmp_path / "emoset" / "mine").manifest
    assert set(table["emotion"]) == {"anger", "neutral"} and "p_sadness" not in table
    assert np.allclose(table["p_anger"], 2 / 3) and np.allclose(table["p_neutral"], 1 / 3)
