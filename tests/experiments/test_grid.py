"""Grids: one plan before, a failing cell apart, nothing twice; and a grid of one's own."""

import shutil

import pandas as pd
import pytest

from emokit.core.errors import ConfigError, EmokitError
from emokit.core.files import read_json
from emokit.experiments.grid import Entry, Grid, Variant

GRID = """\
base:
  regime: single
  epochs: 1
  batch_size: 8
  backbone: {name: resnet, width: 4, blocks: 1, stem_stride: 2}
  frontend: {name: logmel, bands: 16}
vary:
  learning_rate: [0.003, 0.01]
seeds: [0, 1]
corpora: [emodb]
folds: none
"""


@pytest.fixture
def written(tmp_path):
    """Write a YAML grid, with lines replaced, and give its path."""
    def write(text=GRID, **replaced):
        for old, new in replaced.items():
            text = text.replace(old, new)
        (tmp_path / "mine.yaml").write_text(text)
        return tmp_path / "mine.yaml"

    return write


def test_a_grid_of_ones_own_gives_a_table_of_variants_to_choose_by_dev(run, written, tmp_path):
    report = run(written(), tmp_path)
    table = pd.read_csv(report.folder / "methods.csv")
    assert table["variant"].tolist() == ["learning_rate=0.003", "learning_rate=0.01"]
    runs = pd.read_csv(report.folder / "runs.csv")
    for _, row in table.iterrows():
        mine = runs[runs["variant"] == row["variant"]]
        assert row["uar"] == pytest.approx(mine["uar"].mean())
        assert row["dev_uar"] == pytest.approx(mine["dev_uar"].mean())
    for _, row in pd.read_csv(report.folder / "cells.csv").iterrows():
        seed = int(row["cell"][-1])
        found = read_json(tmp_path / "runs" / row["group"] / row["cell"] / "metrics.json")
        mine = runs[(runs["variant"] == row["variant"]) & (runs["seed"] == seed)]
        assert mine["dev_uar"].item() == pytest.approx(found["dev_uar"])
    assert report.text("table").splitlines()[0].startswith("Variant")


def test_a_cell_that_fails_is_recorded_and_the_rest_goes_on(run, written, tmp_path):
    path = written(GRID.replace("vary:\n  learning_rate: [0.003, 0.01]", (
        "variants:\n  fine: {}\n  broken: {learning_rate: 1.0e+30, clip_norm: null}")))
    report = run(path, tmp_path)
    assert {entry.variant for entry in report.failures} == {"broken"}
    assert pd.read_csv(report.folder / "runs.csv")["variant"].unique().tolist() == ["fine"]
    with pytest.raises(EmokitError, match="2 cells failed .* broken, emodb-s0: The loss of"):
        report.raise_failures()
    failed = report.failures[0].cell.folder / "failed.json"
    assert "Lower learning_rate" in read_json(failed)["error"]
    assert "failed" in (report.folder / "cells.csv").read_text()
    assert "Cells that failed" in (report.folder / "report.html").read_text()


def test_what_stands_on_a_failed_base_says_so_and_is_left_out(emoset, tmp_path, configure):
    import dataclasses

    config, explicit = configure("learning_rate=1e30", "clip_norm=none", adapters="residual",
                                 corpora=["emodb"])
    grid = Grid(emoset, tmp_path / "runs", ["emodb"], [0], "none", "cpu")
    grid.add([Variant("joint", config, explicit), Variant("on-top", dataclasses.replace(
        config, regime="single", mode="adapters"), explicit, "joint")])
    failures = grid.run()
    assert [entry.variant for entry in failures] == ["joint", "on-top"]
    assert failures[1].error == "It starts from joint, joint-s0, which failed."
    assert read_json(failures[1].cell.folder / "failed.json")["error"] == failures[1].error
    assert grid.system("on-top") is None and grid.missing_folds("on-top") == {("emodb", 0)}


def test_a_copy_of_another_corpus_names_the_base_that_failed(emoset, tmp_path, configure):
    import dataclasses

    config, explicit = configure("learning_rate=1e30", "clip_norm=none", adapters="residual",
                                 regime="single", target="canonical4")
    later = dataclasses.replace(config, mode="adapters", copy_from="ravdess")
    grid = Grid(emoset, tmp_path / "runs", ["emodb", "ravdess"], [0], "none", "cpu")
    grid.add([Variant("source", config, explicit, corpora=("ravdess",)),
              Variant("target", later, explicit, "source", corpora=("emodb",))])
    failures = grid.run()
    assert [(entry.variant, entry.who) for entry in failures] == [
        ("source", "ravdess"), ("target", "emodb")]
    assert failures[1].error == "It starts from source, ravdess-s0, which failed."


def test_an_experiment_of_which_nothing_is_left_says_why(run, written, tmp_path):
    path = written(GRID.replace("vary:\n  learning_rate: [0.003, 0.01]", (
        "variants:\n  broken: {learning_rate: 1.0e+30, clip_norm: null}")))
    with pytest.raises(EmokitError, match="2 cells failed and are left .* The loss of emodb-s0"):
        run(path, tmp_path)


def test_a_complete_cell_that_cannot_be_read_says_what_to_remove(emoset, tmp_path, configure):
    def fitted():
        grid = Grid(emoset, tmp_path / "runs", ["emodb"], [0, 1], "none", "cpu")
        grid.add([Variant("scratch", *configure(regime="single"))])
        return grid, grid.run()

    grid, failures = fitted()
    assert failures == []
    broken = grid.entries["scratch"][0].cell.folder
    (broken / "best.safetensors").write_bytes(b"cut off")
    grid, (failure,) = fitted()
    assert f"Remove the folder '{broken}' to have it fitted again." in failure.error
    assert list(grid.system("scratch").cells["emodb"]) == [1]
    shutil.rmtree(broken)
    assert fitted()[1] == []


def test_a_cell_that_cannot_be_scored_is_noted_and_the_rest_goes_on(emoset, tmp_path, configure):
    from safetensors import safe_open
    from safetensors.torch import save_file

    grid = Grid(emoset, tmp_path / "runs", ["emodb"], [0, 1], "none", "cpu")
    grid.add([Variant("scratch", *configure(regime="single"))])
    assert grid.run() == []
    path = grid.entries["scratch"][0].cell.folder / "best.safetensors"
    with safe_open(path, "pt") as file:
        tensors, meta = {name: file.get_tensor(name) for name in file.keys()}, file.metadata()
    tensors.popitem()
    save_file(tensors, path, meta)
    assert list(grid.system("scratch").cells["emodb"]) == [1]
    failure, = grid.failures()
    assert failure.seed == 0 and "Remove the folder" in failure.error


def test_one_failed_cell_is_counted_as_one():
    from emokit.experiments.failures import failure_words

    entry = Entry("joint", "emodb", None, 0, None, ("emodb",), error="No room.")
    assert failure_words([entry]).startswith("1 cell failed and is left out of the tables: joint, ")
    assert failure_words([entry] * 5).startswith("5 cells failed and are left out")
    assert "(and 2 more)" in failure_words([entry] * 5)


def test_not_enough_memory_says_which_knobs_to_turn(emoset, tmp_path, configure):
    config, explicit = configure("backbone.width=300000", corpora=["emodb"], regime="single")
    grid = Grid(emoset, tmp_path / "runs", ["emodb"], [0], "none", "cpu")
    grid.add([Variant("huge", config, explicit)])
    failure, = grid.run()
    assert "Lower batch_size (now 8), window (now 3 s) or the width" in failure.error
    assert "(now 300000)" in failure.error


def test_a_base_that_is_not_part_of_the_experiment_is_refused(emoset, tmp_path, configure):
    config, explicit = configure(regime="single")
    grid = Grid(emoset, tmp_path / "runs", (), [0], "none", "cpu")
    with pytest.raises(ConfigError, match="starts from 'joint', which is not part"):
        grid.add([Variant("on-top", config, explicit, "joint")])


def test_auto_folds_once_for_all_variants_also_corpora_without_folds(emoset, tmp_path, configure):
    from emokit.core.files import read_csv, write_csv

    shutil.copytree(emoset, tmp_path / "emoset")
    path = tmp_path / "emoset" / "emodb" / "manifest.csv"
    write_csv(path, read_csv(path).assign(fold=""))
    import dataclasses

    config, explicit = configure(adapters="residual")
    grid = Grid(tmp_path / "emoset", tmp_path / "runs", (), [0], "auto", "cpu")
    grid.add([Variant("joint", config, explicit), Variant("on-top", dataclasses.replace(
        config, regime="single", mode="head", adapters=[]), explicit, "joint")])
    assert grid.run() == []
    assert [entry.place for entry in grid.entries["on-top"]] == [
        ("emodb", None, 0), *(("ravdess", fold, 0) for fold in range(5))]
    for name in ("joint", "on-top"):
        system = grid.system(name)
        assert {corpus: len(cells[0]) for corpus, cells in system.cells.items()} == {
            "emodb": 3, "ravdess": 40}


def test_one_fold_alone_can_be_run(emoset, tmp_path, configure):
    grid = Grid(emoset, tmp_path / "runs", (), [0], "2", "cpu")
    grid.add([Variant("scratch", *configure(regime="single"))])
    assert [entry.place for entry in grid.entries["scratch"]] == [
        ("emodb", 2, 0), ("ravdess", 2, 0)]


def test_a_seed_of_which_a_fold_is_missing_is_left_out(emoset, tmp_path, configure):
    grid = Grid(emoset, tmp_path / "runs", ["emodb"], [0, 1], "all", "cpu")
    grid.add([Variant("scratch", *configure(regime="single"))])
    grid.run()
    (tmp_path / "runs" / grid.group_name("scratch") / "emodb-f3-s1" / "metrics.json").unlink()
    assert grid.missing_folds("scratch") == {("emodb", 1)}
    assert list(grid.system("scratch").cells["emodb"]) == [0]


def test_dry_run_lists_every_cell_and_writes_nothing(emoset, tmp_path):
    from emokit.experiments.run import run_experiment

    report = run_experiment("emonet", emoset, tmp_path / "runs", tmp_path / "reports",
                            flags={"seeds": [0], "folds": "none", "device": "cpu"}, dry_run=True)
    lines = report.text("csv").splitlines()
    # header, eight ways by corpus, two joint ones, the baseline by corpus
    assert len(lines) == 1 + 2 * 8 + 2 + 2
    assert report.folder is None and not (tmp_path / "runs").exists()
    assert not (tmp_path / "reports").exists()


@pytest.mark.parametrize("old, new, message", [
    ("vary:", "varry:", "mine.yaml:7: unknown key 'varry'. Did you mean 'vary'"),
    ("[0.003, 0.01]", "0.003", "mine.yaml:8: 'learning_rate' is 0.003; expected a list"),
    ("vary:\n  learning_rate: [0.003, 0.01]\n", "", "give 'vary' .* or 'variants'"),
    ("  learning_rate: [0.003", "  learning_rte: [0.003", "'learning_rte=0.003'.*Did you mean"),
    ("[0.003, 0.01]", "[0.01, 0.01]", "mine.yaml:8: 'learning_rate' has a value twice"),
    ("seeds: [0, 1]", "seeds: [1, 1]", "name each seed once"),
    ("seeds: [0, 1]", "seeds: 3", "'seeds' is 3; expected a list"),
    ("folds: none", "folds: none\nagainst: other", "'against' is 'other'. Choices: learning_rate"),
    ("  epochs: 1", "  init: joint-99\n  mode: head", "There is no group 'joint-99'"),
    ("  epochs: 1", "  epochs: 1\n  folds: all", "'folds' belongs to the whole grid"),
    ("corpora: [emodb]", "corpora: [emodbb]", "Did you mean 'emodb'"),
    ("[0.003, 0.01]", "[0.003, -1]", "variant 'learning_rate=-1'.*must be more than 0"),
])
def test_a_wrong_file_is_refused_with_its_place(run, written, tmp_path, old, new, message):
    with pytest.raises(EmokitError, match=message):
        run(written(GRID.replace(old, new)), tmp_path)
    assert not (tmp_path / "runs").exists()
