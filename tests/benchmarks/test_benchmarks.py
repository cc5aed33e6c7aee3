"""The benchmarks run: each at trial size, and the table reads what they say."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "benchmarks"
SCRIPTS = re.findall(r'^    "(\w+)": "', (FOLDER / "table.py").read_text(), re.MULTILINE)


@pytest.fixture
def module(monkeypatch):
    """Import a script of the folder as Python does when it is run."""
    import importlib

    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module


def test_every_script_of_the_table_is_there_and_every_page_names_scripts_that_are():
    assert len(SCRIPTS) == 10
    assert all((FOLDER / f"{name}.py").is_file() for name in SCRIPTS)
    for page in (ROOT / "docs").glob("*.md"):
        for name in re.findall(r"benchmarks/(\w+)\.py", page.read_text("utf-8")):
            assert (FOLDER / f"{name}.py").is_file(), f"{page.name}: benchmarks/{name}.py"


@pytest.mark.slow
@pytest.mark.parametrize("name", SCRIPTS)
def test_every_script_says_its_row_at_trial_size(name):
    result = subprocess.run([sys.executable, FOLDER / "table.py", "--quick", name], text=True,
                            capture_output=True, timeout=600)
    assert result.returncode == 0, result.stderr
    rows = [line for line in result.stdout.splitlines()
            if line.endswith(f"`benchmarks/{name}.py` |")]
    assert rows and all(row.split(" | ")[3] in ("trial size", "not measured") for row in rows)


def test_a_script_that_breaks_is_named_and_the_others_go_on(module, monkeypatch, capsys):
    table = module("table")
    ran = {"one": [["a row", "1", "at most 2", "met"]], "two": []}
    monkeypatch.setattr(table, "SCRIPTS", {"two": "breaks", "one": "works"})
    monkeypatch.setattr(table, "run", lambda name, quick: ran[name])
    monkeypatch.setattr(sys, "argv", ["table.py"])
    assert table.main() == 1
    said = capsys.readouterr()
    assert "| a row | 1 | at most 2 | met | `benchmarks/one.py` |" in said.out
    assert said.err == "broke, or said nothing: two\n"


@pytest.mark.parametrize("value, at_least, met", [
    (1.0, False, True), (1.1, False, True), (1.11, False, False), (1.09, True, False),
    (1.1, True, True)])
def test_a_verdict_holds_the_value_to_its_bound(module, capsys, value, at_least, met):
    verdict = module("verdict")
    assert verdict.say("a step", value, 1.1, "x", at_least, note="busy") is met
    (what, measured, reach, word), = verdict.read(capsys.readouterr().out)
    assert (what, reach) == ("a step", f"at {'least' if at_least else 'most'} 1.1 x")
    assert measured == f"{value:.3g} x (busy)" and word == ("met" if met else "NOT MET")


def test_what_a_process_took_does_not_count_what_it_waited(module):
    wall, busy, text = module("verdict").seconds(
        ["-c", "import time; time.sleep(0.5); print(2)"])
    assert wall >= 0.5 > busy > 0 and text == "2\n"
    with pytest.raises(SystemExit, match="no such thing"):
        module("verdict").seconds(["-c", "raise ValueError('no such thing')"])


@pytest.mark.parametrize("n, expected", [
    (4, (2, 1, 1)), (5, (2, 1, 2)), (6, (2, 1, 3)), (7, (3, 1, 3)), (8, (3, 1, 4)), (9, (4, 1, 4)),
    (10, (3, 1, 6)), (11, (4, 1, 6)), (12, (5, 1, 6)), (30, (12, 3, 15))])
def test_stand_ins_test_on_half_of_the_speakers_and_train_on_two_at_least(module, n, expected):
    speakers = np.repeat([f"c/s{i:02d}" for i in range(n)], 3)
    table = pd.DataFrame({"corpus": "c", "speaker": speakers})
    rule = module("stand_ins").many_test_speakers(table)
    test, dev = set(rule["test"]), set(rule["dev"])
    assert not test & dev and test | dev < {f"s{i:02d}" for i in range(n)}
    assert (n - len(test) - len(dev), len(dev), len(test)) == expected


def test_stand_ins_count_marks_of_decidable_corpora_alone(module):
    rows = ([{"too_few": False, "p_adjusted": 0.01, "marks": "+ a"}] * 3
            + [{"too_few": False, "p_adjusted": 0.2, "marks": "(+)"}]
            + [{"too_few": False, "p_adjusted": 0.01, "marks": "-"}]
            + [{"too_few": True, "p_adjusted": None, "marks": "s"}] * 21)
    count = module("stand_ins").count
    text = count(rows, {"better": 21, "worse": 2, "sign_p": 6.6e-5})
    assert text == (
        "Better on 21 of 26, worse on 2 (reach: on 21 at least, on 2 at most: met); sign test p "
        "6.6e-05. After Holm, on the 5 that have speakers enough to decide: better on 3, worse on "
        "1.")
    assert "not met" in count(rows, {"better": 20, "worse": 2, "sign_p": 0.1})
    assert "not met" in count(rows, {"better": 22, "worse": 3, "sign_p": 0.1})


@pytest.mark.slow
def test_stand_ins_go_all_the_way_and_go_on_where_they_stopped(tmp_path):
    command = [sys.executable, FOLDER / "stand_ins.py", "--quick", "--seeds", "0", "--folder",
               tmp_path]
    first, again = (subprocess.run(command, text=True, capture_output=True, timeout=800)
                    for _ in range(2))
    assert first.returncode == 0, first.stderr
    assert re.search(r"\nBetter on \d of 3, worse on \d \(reach: on 2 at least, on 0 at most: ",
                     first.stdout)
    tables = [result.stdout[result.stdout.index("| Corpus |"):] for result in (first, again)]
    assert tables[0] == tables[1]


def test_ablations_pair_each_variant_with_the_cells_that_the_reference_has_too(module, tmp_path):
    for name, figures in {"reference": [0.2, 0.4, 0.9], "louder": [0.3, 0.7]}.items():
        for seed, last in enumerate(figures):
            cell = tmp_path / f"ablation-{name}-0123abcd" / f"joint-f{seed}-s{seed}"
            cell.mkdir(parents=True)
            (cell / "metrics.json").write_text("{}")
            (cell / "history.jsonl").write_text("".join(
                json.dumps({"corpora": {"a": {"dev_uar": uar}}}) + "\n"
                for uar in (0.1, 0.1, 0.1, 0.1, last - 0.05, last + 0.05)))
    table = module("ablations").table(tmp_path, ["reference", "louder", "quieter"], 5)
    assert "| `reference` | 3 | 50.0 | 50.0 |  |" in table
    # gains 10 and 30: t(0.975, 1) x 14.14 / sqrt(2) = 127.1
    assert "| `louder` | 2 | 50.0 | 50.0 | +20.0 [-107.1, 147.1] |" in table
    assert "| `quieter` | 0 | – | – | – |" in table


def test_ways_to_cut_an_utterance_are_paired_by_cell(module):
    cells = [{"own": 50.0, (3.0, "multi"): 50.0, (2.0, "multi"): 60.0, (1.0, "multi"): 1.0},
             {"own": 60.0, (3.0, "multi"): 60.0, (2.0, "multi"): 80.0}]
    assert module("scoring_crops").table(cells).splitlines()[2:] == [
        "| 3 s | `multi` | 55.0 | +0.0 [0.0, 0.0] |",
        "| 2 s | `multi` | 70.0 | +15.0 [-48.5, 78.5] |"]
