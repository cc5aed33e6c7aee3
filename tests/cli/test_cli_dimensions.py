"""Dimensions from the command line, as docs/dimensions.md has it."""

import json

import pytest

from emokit.core.files import read_csv


@pytest.fixture(scope="module")
def stand_ins(tmp_path_factory):
    from emokit.corpora.build import BuildOptions, build_corpora
    from emokit.corpora.spec import read_specs
    from emokit.testing import tiny_corpus

    folder = tmp_path_factory.mktemp("iemocap")
    tiny_corpus(folder / "raw" / "iemocap", "iemocap", 10, 2,
                classes=["anger", "happiness", "neutral", "sadness"])
    build_corpora(read_specs(None, ("iemocap",), folder / "raw"), folder / "emoset",
                  BuildOptions(jobs=1, report=False))
    return folder / "emoset"


def test_dimensions_from_build_to_prediction(stand_ins, cli, tiny_sets, tmp_path, refused):
    folders = ["--runs", tmp_path / "runs"]
    common = ["--emoset", stand_ins, *folders]
    made = cli("train", "--target", "dimensions", "--regime", "single", "--epochs", 1, *tiny_sets,
               "--augment", "none", *common, "--quiet")
    assert made.exit_code == 0 and "Dev CCC" in made.stdout and "Dev UAR" not in made.stdout
    made = cli("baseline", "logmel", "--target", "dimensions", *common)
    assert made.exit_code == 0 and "ridge" in made.stdout and "Dev CCC" in made.stdout
    for group in ("single-dimensions", "baseline-logmel"):
        reports = tmp_path / "reports"
        made = cli("evaluate", group, *common, "--reports", reports)
        assert made.exit_code == 0, made.output
        assert "CCC arousal" in made.stdout and "UAR" not in made.stdout
        report = next(reports.glob(f"{group}*/summary.csv"))
        row, = read_csv(report).to_dict("records")
        assert {"ccc_arousal", "rmse_valence", "pearson_dominance"} <= set(row)
    page = next(reports.glob("single-dimensions*/report.html")).read_text()
    assert "CCC on dev" in page
    listed = json.loads(cli("runs", *folders, "--format", "json").stdout)
    assert all(row["dev_ccc"] is not None and row["dev_uar"] is None for row in listed)
    made = cli("evaluate", "single-dimensions", "--mcnemar", *common, "--reports", reports)
    assert made.exit_code == 0 and "too few test speakers" in made.stderr
    assert "CCC baseline-logmel-dimensions" in made.stdout and "valence" in made.stdout
    assert "dimensions of 1 corpus by CCC" in made.stdout and "McNemar" not in made.stdout
    rows = read_csv(next(reports.glob("single*-vs-*/comparison.csv"))).to_dict("records")
    assert [row["dimension"] for row in rows] == ["arousal", "valence", "dominance"]
    listed = json.loads(cli("evaluate", "single-dimensions", "--against", "baseline-logmel",
                            *common, "--reports", reports, "--format", "json").stdout)
    assert [row["delta"] for row in listed] == [float(row["delta"]) for row in rows]
    assert "--metric is of classes" in refused(
        "evaluate", "single-dimensions", "--against", "baseline-logmel", "--metric", "wa", *common,
        "--reports", reports)
    assert "--target dimensions has no classes" in refused(
        "baseline", "logmel", "--target", "dimensions", "--classifier", "svm", *common)


def test_scales_of_ones_own_are_read_and_checked(cli, refused, tmp_path):
    from emokit.testing import tiny_corpus

    tiny_corpus(tmp_path / "raw" / "emodb", "emodb", 3, 1)
    choices = tmp_path / "corpora.yaml"
    for text, words in (("{arousel: [1, 5]}", "'scales' names 'arousel'"),
                        ("{arousal: [5, 1]}", "expected its lowest and highest value"),
                        ("{arousal: [1]}", "expected its lowest and highest value")):
        choices.write_text(f"emodb:\n  root: raw/emodb\n  scales: {text}\n")
        assert words in refused("build-corpus", "emodb", "--choices", choices,
                                "--emoset", tmp_path / "emoset")
