"""The three lines of the README, unchanged, on real recordings."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

pytestmark = [pytest.mark.real, pytest.mark.slow]


def emokit(words, folder, corpora):
    """Run a command as a user does, in a folder with nothing in it but former results."""
    done = subprocess.run([sys.executable, "-m", "emokit", *words], cwd=folder, text=True,
                          capture_output=True, env={"EMOKIT_CORPORA": str(corpora), "PATH": ""})
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_three_lines_lead_from_folders_to_a_significance_test(real_corpora, tmp_path):
    # two corpora that train within a minute or two
    corpora = tmp_path / "corpora"
    corpora.mkdir()
    for name in ("EmoDB", "nEMO"):
        (corpora / name).symlink_to(Path(real_corpora) / name)
    built = emokit(["build-corpus"], tmp_path, corpora)
    assert "emodb: built, 339 utterances" in built and "nemo: built, 530 utterances" in built
    emokit(["train", "--adapters", "residual"], tmp_path, corpora)
    table = emokit(["evaluate", "--mcnemar"], tmp_path, corpora)
    assert "McNemar p" in table and "emodb" in table and "nemo" in table
    comparison, = tmp_path.glob("reports/*-vs-baseline-logmel-*/comparison.csv")
    rows = pd.read_csv(comparison).set_index("corpus")
    # speaker-disjoint; chance is .25 and .17
    assert rows.loc["emodb", "uar_a"] > 0.5 and rows.loc["nemo", "uar_a"] > 0.2
    assert (comparison.parent / "report.html").stat().st_size > 50_000
