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
    assert rows["numpy"] == {"part": "numpy", "state": "ok", "mend": "",
                             "found": importlib.metadata.version("numpy")}
    assert rows["device"]["state"] == "ok" and rows["processors"]["found"].split()[0].isdigit()


def test_what_is_missing_names_the_line_that_mends_it():
    row = doctor._package("emokit_no_such_package")
    assert row["state"] == "broken" and row["mend"] == "pip install emokit_no_such_package"


@pytest.mark.parametrize("root, state", [(None, "missing"), ("/no/such/folder", "broken"),
                                         (".", "ok")])
def test_the_folder_of_corpora_is_examined(monkeypatch, root, state):
    monkeypatch.delenv("EMOKIT_CORPORA", raising=False)
    if root:
        monkeypatch.setenv("EMOKIT_CORPORA", root)
    row = by_part()["EMOKIT_CORPORA"]
    assert row["state"] == state and (row["mend"] != "") == (state != "ok")
