"""Run folders: names, states, and finding them again."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emokit.core.errors import EmokitError
from emokit.training.run import Cell, cell_name, find_group, groups


@given(st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True),
       st.none() | st.integers(0, 99), st.integers(0, 999))
def test_cell_names_say_who_fold_and_seed(who, fold, seed):
    cell = Cell(Path("group") / cell_name(who, fold, seed))
    assert (cell.who, cell.fold, cell.seed) == (who, fold, seed)


def test_other_folders_are_no_cells(tmp_path):
    with pytest.raises(EmokitError, match="'notes' is no cell"):
        Cell(tmp_path / "notes").seed


def test_a_cell_says_how_far_it_is(tmp_path):
    cell = Cell(tmp_path / "a-s0")
    cell.folder.mkdir()
    assert cell.state == "empty" and cell.history() == []
    (cell.folder / "resume.pt").touch()
    assert cell.state == "interrupted"
    (cell.folder / "failed.json").touch()
    assert cell.state == "failed"
    (cell.folder / "metrics.json").touch()
    assert cell.state == "complete" and cell.is_complete


def test_a_line_of_history_cut_off_by_a_crash_is_left_out(tmp_path):
    cell = Cell(tmp_path / "a-s0")
    cell.write_history([{"epoch": 1}, {"epoch": 2}])
    with open(cell.folder / "history.jsonl", "a") as file:
        file.write('{"epoch": 3, "lo')
    assert cell.history() == [{"epoch": 1}, {"epoch": 2}]


@pytest.fixture
def three(tmp_path):
    for age, name in enumerate(["joint-residual-small-aaaaaaaa", "joint-small-bbbbbbbb",
                                "single-small-cccccccc"]):
        (tmp_path / name).mkdir()
        (tmp_path / name / "group.yaml").write_text("regime: joint\n")
        os.utime(tmp_path / name / "group.yaml", (1000 - age, 1000 - age))
    return tmp_path


def test_groups_come_in_the_order_they_were_written(three):
    assert [group.name[:8] for group in groups(three)] == ["single-s", "joint-sm", "joint-re"]
    assert groups(three / "nothing") == []


def test_a_group_is_found_by_path_name_or_beginning(three):
    name = "joint-residual-small-aaaaaaaa"
    for text in (name, "joint-res", str(three / name), f"{three}/{name}/"):
        assert find_group(three, text).name == name


@pytest.mark.parametrize("text, message", [
    ("joint", "means several groups: joint-.*Give more of the name"),
    ("sngle-small", "There is no group 'sngle-small'.*Did you mean 'single-small-cccccccc'"),
    ("", "There is no group ''")])
def test_no_group_or_several_is_an_error_with_the_choices(three, text, message):
    with pytest.raises(EmokitError, match=message):
        find_group(three, text)


def test_run_folder_names_differ_for_different_corpora(trained):
    names = {trained(adapters="residual", corpora=corpora).name
             for corpora in (["emodb"], ["ravdess"], ["emodb", "ravdess"])}
    assert len(names) == 3
