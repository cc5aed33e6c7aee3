"""Files: whole or not at all, typed, and safe."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from emokit.core.errors import ConfigError, EmokitError, ManifestError
from emokit.core.files import (atomic, beneath, locked, read_csv, read_json, read_yaml, write_csv,
                               write_json, write_text)


def test_a_failed_write_leaves_the_former_file_and_no_rest(tmp_path):
    target = write_text(tmp_path / "a.txt", "old")
    with pytest.raises(RuntimeError):
        with atomic(target) as partial:
            partial.write_text("half")
            raise RuntimeError
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_full_disk_is_one_line_in_words(tmp_path):
    # a process that may write 4 kB only is refused like one on a full disk, by the kernel itself
    code = ("import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096));"
            "from emokit.core.files import write_text; write_text('big.txt', 'x' * 100000)")
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True)
    assert done.returncode != 0
    assert not (tmp_path / "big.txt").exists() and not list(tmp_path.glob("*.partial"))
    with pytest.raises(EmokitError, match="the disk is full"):
        from emokit.core.files import disk_errors

        with disk_errors("somewhere"):
            with open("/dev/full", "w") as full:
                full.write("x" * 100_000)


def test_written_files_have_ordinary_rights(tmp_path):
    ordinary = tmp_path / "ordinary"
    ordinary.touch()
    assert write_text(tmp_path / "a", "").stat().st_mode == ordinary.stat().st_mode


def test_json_turns_nan_to_null_and_keeps_numbers(tmp_path):
    import numpy as np

    value = {"a": float("nan"), "b": np.float64(0.1), "c": np.arange(2), "d": (1, Path("x"))}
    assert read_json(write_json(tmp_path / "x.json", value)) == {
        "a": None, "b": 0.1, "c": [0, 1], "d": [1, "x"]}


def test_yaml_keeps_speakers_and_languages_as_words(tmp_path):
    (tmp_path / "x.yaml").write_text(
        "speakers: [03, 08, 10]\nlanguage: no\nrate: 1e-3\nwhen: 2020-01-01\nis: true\nn: 5\n")
    value, lines = read_yaml(tmp_path / "x.yaml")
    assert value == {"speakers": ["03", "08", 10], "language": "no", "rate": 0.001,
                     "when": "2020-01-01", "is": True, "n": 5}
    assert lines[("language",)] == 2


@pytest.mark.parametrize("text, message", [
    ("a: 1\na: 2\n", "x.yaml:2: 'a' is given twice"),
    ("a: [1\n", "not valid YAML"),
    ("a: !!python/object/apply:os.system ['true']\n", "not valid YAML"),
])
def test_bad_yaml_is_refused_with_its_line(tmp_path, text, message):
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_yaml(tmp_path / "x.yaml")
    assert message in str(caught.value)


def test_csv_stays_text_unless_named(tmp_path):
    table = pd.DataFrame({"speaker": ["03", "NA"], "age": [31.5, float("nan")]})
    back = read_csv(write_csv(tmp_path / "x.csv", table), age="float")
    assert back["speaker"].tolist() == ["03", "NA"]
    assert back["age"].tolist()[0] == 31.5 and back["age"].isna().tolist() == [False, True]


def test_a_wrong_number_is_named_with_its_line(tmp_path):
    (tmp_path / "x.csv").write_text("age\n31\nold\n")
    with pytest.raises(ManifestError, match="x.csv:3: column 'age' has 'old', not a number"):
        read_csv(tmp_path / "x.csv", age="float")


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../../x", "a\0b"])
def test_paths_that_leave_their_root_are_refused(path):
    with pytest.raises(ManifestError):
        beneath("/data", path)


def test_a_lock_is_held_by_one_and_freed_at_the_end(tmp_path):
    busy = EmokitError("somebody is at it")
    with locked(tmp_path / "made" / ".lock", busy):
        with pytest.raises(EmokitError, match="somebody is at it"):
            with locked(tmp_path / "made" / ".lock", busy):
                pass
    with pytest.raises(KeyError):
        with locked(tmp_path / "made" / ".lock", busy):
            raise KeyError
    with locked(tmp_path / "made" / ".lock", busy):
        pass


def test_folders_in_place_of_files_are_told_in_words(tmp_path):
    for read, kind in ((read_json, EmokitError), (read_csv, ManifestError)):
        with pytest.raises(kind, match="Cannot read '.*': Is a directory"):
            read(tmp_path)
