"""The doctor tells what is there and how to mend the rest."""

import importlib

import pytest

from emokit.deploy import doctor


def by_part():
    return {row["part"]: row for row in doctor.examine()}


def test_every_dependency_of_the_package_is_examined():
    from importlib.metadata import requires

    import re

    named = {re.match(r"[\w.-]+", line)[0].lower() for line in requires("emokit")
             if "extra ==" not in line}
    assert named <= set(by_part())


def test_what_is_installed_is_ok_with_its_version():
    rows = by_part()
    assert rows["audformat"]["state"] in ("ok", "missing") and "ffmpeg" in rows
    assert rows["numpy"] == {"part": "numpy", "state": "ok", "mend": "",
                             "found": importlib.metadata.version("numpy")}
    assert rows["device"]["state"] == "ok" and rows["processors"]["found"].split()[0].isdigit()


def test_what_is_missing_names_the_line_that_mends_it():
    row = doctor._package("emokit_no_such_package")
    assert row["state"] == "broken" and row["mend"] == "pip install emokit_no_such_package"


def test_the_packages_of_every_extra_are_listed_and_missing_ones_name_the_extra():
    lines = ["numpy>=1.24", "audformat>=1.3; extra == \"interop\"",
             "emokit-no-such >= 2 ; extra == 'opensmile'", 'pytest>=8; extra == "test"']
    rows = {row["part"]: row for row in doctor._extras(lines)}
    assert rows["audformat"]["state"] == "ok"
    assert rows["emokit-no-such"] == {
        "part": "emokit-no-such", "state": "missing", "found": "not installed, extra opensmile",
        "mend": "pip install 'emokit[opensmile]'"}
    assert set(rows) == {"audformat", "emokit-no-such"}


@pytest.mark.parametrize("text, state, found", [
    ("#!/bin/sh\necho 'ffmpeg version 6.1.1-3 Copyright (c) the FFmpeg developers'", "ok",
     "6.1.1-3"),
    ("#!/bin/sh\nexit 3", "missing", "does not run"),
    ("", "missing", "not installed"),
])
def test_the_version_of_ffmpeg_is_told(monkeypatch, tmp_path, text, state, found):
    if text:
        (tmp_path / "ffmpeg").write_text(text + "\n")
        (tmp_path / "ffmpeg").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    row = doctor._ffmpeg()
    assert row["state"] == state and found in row["found"]
    assert (row["mend"] != "") == (state != "ok")


@pytest.mark.parametrize("root, state", [(None, "missing"), ("/no/such/folder", "broken"),
                                         (".", "ok")])
def test_the_folder_of_corpora_is_examined(monkeypatch, root, state):
    monkeypatch.delenv("EMOKIT_CORPORA", raising=False)
    if root:
        monkeypatch.setenv("EMOKIT_CORPORA", root)
    row = by_part()["EMOKIT_CORPORA"]
    assert row["state"] == state and (row["mend"] != "") == (state != "ok")
