"""From stand-in recordings to a report, by commands alone."""

import io
import json
import shutil

import pandas as pd
import pytest
from click.testing import CliRunner

from emokit.cli import group
from emokit.testing import write_wav


@pytest.fixture(scope="module")
def place(tmp_path_factory, tiny_sets):
    """Build and train once; the tests below look at what came of it."""
    folder = tmp_path_factory.mktemp("place")
    words = {
        "build": ["build-corpus", "--synthetic", "emodb", "--scale", "0.08", "--jobs", "1",
                  "--raw", folder / "raw"],
        "again": ["build-corpus", "--synthetic", "emodb", "--scale", "0.08", "--jobs", "1",
                  "--raw", folder / "raw", "--no-report"],
        "train": ["train", "--adapters", "residual", "--epochs", "1", "--device", "cpu",
                  "--format", "csv", *tiny_sets],
        "single": ["train", "--regime", "single", "--epochs", "1", "--device", "cpu",
                   "--quiet", *tiny_sets],
        "baseline": ["baseline", "logmel", "--format", "json"],
    }
    results = {"folder": folder}
    for name, line in words.items():
        line = [*map(str, line), "--emoset", str(folder / "emoset")]
        if "build-corpus" not in line:
            line += ["--runs", str(folder / "runs")]
        results[name] = CliRunner().invoke(group, line, catch_exceptions=False)
        assert results[name].exit_code == 0, results[name].output
    return results


@pytest.fixture
def evaluate(cli, place):
    def call(*words):
        folder = place["folder"]
        return cli("evaluate", *words, "--runs", folder / "runs", "--emoset", folder / "emoset",
                   "--reports", folder / "reports", "--device", "cpu")

    return call


def rows_of(text, format):
    return (pd.read_csv(io.StringIO(text)) if format == "csv"
            else pd.DataFrame(json.loads(text))).reset_index(drop=True)


def test_build_says_what_it_built_and_skips_what_did_not_change(place):
    assert place["build"].stdout.startswith("emodb: built, ")
    assert "Next: emokit train" in place["build"].stderr
    assert (place["folder"] / "emoset" / "report.html").is_file()
    assert (place["folder"] / "emoset" / "emodb" / "card.md").is_file()
    assert place["again"].stdout.startswith("emodb: unchanged, ")


def test_train_prints_cells_on_stdout_and_settings_on_stderr(place):
    table = rows_of(place["train"].stdout, "csv")
    assert table["cell"].tolist() == ["joint-s0"] and 0 <= table["dev_uar"][0] <= 1
    assert table["partition"].tolist() == ["auto, synthetic"]
    assert "learning_rate" in place["train"].stderr
    assert "Next: emokit evaluate joint-residual-small-" in place["train"].stderr
    assert "learning_rate" not in place["single"].stderr  # --quiet
    assert "emodb-s0" in place["single"].stdout


def test_baseline_rows_parse(place):
    row, = json.loads(place["baseline"].stdout)
    assert row["cell"] == "emodb-s0" and row["C"] in [10.0**power for power in range(-5, 2)]


@pytest.mark.parametrize("format", ["table", "csv", "json", "latex", "markdown"])
def test_evaluate_mcnemar_in_every_format(evaluate, format):
    result = evaluate("--mcnemar", "--format", format)
    assert result.exit_code == 0
    assert result.stderr.strip().endswith("report.html")
    if format in ("csv", "json"):
        table = rows_of(result.stdout, format)
        assert table["corpus"].tolist() == ["emodb"]
        b, c = table["b"][0], table["c"][0]
        assert table["delta_wa"][0] * table["n"][0] == pytest.approx(c - b, abs=1e-6) or (
            table["delta_wa"][0] * table["n"][0] == pytest.approx(b - c, abs=1e-6))
    elif format == "latex":
        assert result.stdout.count(r"\begin{tabular}") == result.stdout.count(r"\end{tabular}") == 1
    else:
        assert "McNemar p" in result.stdout and "emodb" in result.stdout


@pytest.mark.parametrize("format", ["csv", "json"])
def test_metrics_on_stdout_without_flags(evaluate, place, format):
    table = rows_of(evaluate("--format", format).stdout, format)
    assert table["system"][0].startswith("joint-residual")
    predicted = next(place["folder"].glob("runs/joint-*/joint-s0/predictions/emodb.test.csv"))
    hits = pd.read_csv(predicted).eval("truth == prediction")
    assert table["wa"][0] == pytest.approx(hits.mean())
    assert "UAR" in evaluate().stdout


def test_report_is_deterministic_and_self_contained(evaluate, place):
    path = place["folder"] / evaluate("joint", "--against", "single").stderr.split()[-1]
    first = path.read_bytes()
    evaluate("joint", "--against", "single")
    assert path.read_bytes() == first
    text = first.decode()
    assert "<html" in text and "src=\"http" not in text and "href=\"http" not in text


def test_every_prediction_is_argmax_of_columns_that_sum_to_one(evaluate, place):
    evaluate("joint", "--against", "baseline")
    tables = list(place["folder"].glob("runs/*/*/predictions/*.csv"))
    assert len(tables) >= 5
    for path in tables:
        table = pd.read_csv(path)
        columns = [name for name in table if name.startswith("p_")]
        build = json.loads((place["folder"] / "emoset/emodb/build.json").read_text())
        assert [name[2:] for name in columns] == build["classes"]
        assert table[columns].sum(axis=1).to_numpy() == pytest.approx(1)
        assert (table[columns].idxmax(axis=1).str[2:] == table["prediction"]).all()
        assert table["utterance"].is_unique


def test_predict_answers_files_folders_and_stdin(cli, place, tmp_path, rng):
    good = [write_wav(tmp_path / "in" / name, rng.uniform(-0.2, 0.2, 9000), rate)
            for name, rate in (("a.wav", 16_000), ("deep/b.flac", 44_100))]
    runs = ("--runs", place["folder"] / "runs", "--device", "cpu")
    files = cli("predict", "joint", *good, *runs)
    folder = cli("predict", "joint", tmp_path / "in", *runs)
    piped = cli("predict", "joint", "-", *runs, stdin="".join(f"{path}\n" for path in good))
    assert files.exit_code == folder.exit_code == piped.exit_code == 0
    assert files.stdout == folder.stdout == piped.stdout
    for line, path in zip(files.stdout.splitlines(), good):
        record = json.loads(line)
        assert record["file"] == str(path)
        best = max(record["probabilities"], key=record["probabilities"].get)
        assert record["prediction"] == best
        assert sum(record["probabilities"].values()) == pytest.approx(1, abs=1e-5)


def test_a_file_that_cannot_be_read_stops_no_other(cli, place, tmp_path, rng):
    good = write_wav(tmp_path / "a.wav", rng.uniform(-0.2, 0.2, 9000))
    (tmp_path / "bad.wav").write_text("no sound")
    (tmp_path / "empty.wav").touch()
    result = cli("predict", "joint", tmp_path / "bad.wav", tmp_path / "empty.wav",
                 tmp_path / "none.wav", good, "--runs", place["folder"] / "runs")
    assert result.exit_code == 1
    records = [json.loads(line) for line in result.stdout.splitlines()]
    assert ["error" in record for record in records] == [True, True, True, False]
    assert result.stderr.count("Error: ") == 3


@pytest.mark.parametrize("format", ["table", "csv", "json", "latex"])
def test_runs_lists_all_that_was_fitted(cli, place, format):
    result = cli("runs", "--runs", place["folder"] / "runs", "--format", format)
    assert result.exit_code == 0
    if format in ("csv", "json"):
        table = rows_of(result.stdout, format)
        assert sorted(table["cell"]) == ["emodb-s0", "emodb-s0", "joint-s0"]
        assert set(table["state"]) == {"complete"}
    assert "joint-s0" in result.stdout


def test_runs_name_the_fold_that_a_cell_tests(cli, place, tmp_path):
    group = next(place["folder"].glob("runs/joint-*"))
    shutil.copytree(group, tmp_path / "runs" / group.name)
    cell = tmp_path / "runs" / group.name / "joint-s0"
    shutil.copytree(cell, cell.with_name("joint-f3-s0"))
    rows = rows_of(cli("runs", "--runs", tmp_path / "runs", "--format", "csv").stdout, "csv")
    assert rows.set_index("cell")["fold"].fillna(-1).to_dict() == {"joint-f3-s0": 3, "joint-s0": -1}


@pytest.mark.parametrize("format", ["table", "csv", "json", "latex"])
def test_no_runs_is_an_empty_table_with_a_hint(cli, tmp_path, format):
    result = cli("runs", "--runs", tmp_path, "--format", format)
    assert result.exit_code == 0 and "Nothing is trained" in result.stderr
    if format in ("csv", "json"):
        assert len(rows_of(result.stdout, format)) == 0


def test_dry_run_and_print_parameters_fit_nothing(cli, place, tmp_path, tiny_sets):
    emoset = ("--emoset", place["folder"] / "emoset", "--runs", tmp_path / "runs")
    result = cli("train", "--dry-run", "--seeds", "0,1", "--format", "csv", *emoset, *tiny_sets)
    assert rows_of(result.stdout, "csv")["cell"].tolist() == ["joint-s0", "joint-s1"]
    result = cli("train", "--print-parameters", "--adapters", "residual", "--suppose", "26x6",
                 "--format", "json", "--set", "backbone.stem_stride=1", "--set",
                 "backbone.width=32", *emoset)
    rows = {row["what"]: row for row in json.loads(result.stdout)}
    # specification, sections 5 and 6: f = 32, N = 2, linear heads of 6 classes
    assert rows["one single-corpus model"]["stored"] == 2_785_702
    assert rows["whole model"]["ratio"] == pytest.approx(2.59, abs=0.01)
    assert not (tmp_path / "runs").exists()


def test_build_dry_run_writes_nothing(cli, place, tmp_path):
    result = cli("build-corpus", "--synthetic", "emodb", "--scale", "0.08", "--dry-run",
                 "--raw", place["folder"] / "raw", "--emoset", tmp_path / "emoset")
    assert result.exit_code == 0 and "emodb" in result.stdout
    assert not (tmp_path / "emoset").exists()


@pytest.mark.parametrize("format", ["table", "csv", "json", "latex"])
def test_corpora_list_in_every_format(cli, format):
    result = cli("corpora", "list", "--format", format)
    assert result.exit_code == 0 and "EMOKIT_CORPORA is not set" in result.stderr
    if format in ("csv", "json"):
        assert {"emodb", "ravdess", "crema_d"} <= set(rows_of(result.stdout, format)["name"])
    assert "emodb" in result.stdout


def test_corpora_found_on_this_disk_are_marked(cli, place, monkeypatch):
    from emokit.cli import group as commands

    result = CliRunner().invoke(commands, ["corpora", "list", "--found", "--format", "csv"],
                                env={"EMOKIT_CORPORA": str(place["folder"] / "raw")})
    assert rows_of(result.stdout, "csv")["name"].tolist() == ["emodb"]


def test_corpora_show_tells_what_is_known(cli):
    assert "Burkhardt" in cli("corpora", "show", "emodb").stdout
    facts = json.loads(cli("corpora", "show", "emodb", "--format", "json").stdout)
    assert facts["speakers"] == 10 and "anger" in facts["classes"]


def test_corpora_init_writes_a_file_once(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli("corpora", "init").stdout == "corpora.yaml\n"
    before = (tmp_path / "corpora.yaml").read_bytes()
    again = cli("corpora", "init")
    assert again.exit_code == 1 and "already" in again.stderr
    assert (tmp_path / "corpora.yaml").read_bytes() == before


@pytest.mark.parametrize("format", ["table", "csv", "json"])
def test_doctor_reports_every_part(cli, format):
    result = cli("doctor", "--format", format)
    assert result.exit_code in (0, 1) and "torch" in result.stdout
    if format != "table":
        table = rows_of(result.stdout, format)
        assert {"python", "torch", "device", "mp3"} <= set(table["part"])
        assert (result.exit_code == 1) == (table["state"] == "broken").any()
