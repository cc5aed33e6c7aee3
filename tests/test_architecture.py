"""The shape of the package, held by reading its imports."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "emokit"
ORDER = ["core", "audio", "corpora", "features", "loading", "models", "evaluation", "training",
         "pretraining", "baselines", "active", "continual", "experiments", "deploy", "cli"]
FILES = sorted(PACKAGE.rglob("*.py"))


def imports(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_one_way_and_click_stays_in_cli(path):
    parts = path.relative_to(PACKAGE).parts
    layer = parts[0] if len(parts) > 1 else None
    for name in imports(path):
        if name.split(".")[0] == "click":
            assert layer == "cli", f"{path} imports click"
        inner = name.split(".")[1:2] if name.startswith("emokit.") else []
        if inner and inner[0] in ORDER and layer in ORDER:
            assert ORDER.index(inner[0]) <= ORDER.index(layer), f"{path} imports {name}"


def test_evaluation_imports_neither_torch_nor_models():
    for path in (PACKAGE / "evaluation").glob("*.py"):
        assert not {name.split(".")[0] for name in imports(path)} & {"torch"}
        assert not any(name.startswith(("emokit.models", "emokit.training"))
                       for name in imports(path))


@pytest.mark.parametrize("words", [["--help"], ["train", "--help"], ["build-corpus", "--help"],
                                   ["evaluate", "--help"], ["corpora", "--help"]])
def test_help_imports_nothing_heavy(words):
    code = ("import sys\nfrom emokit.cli import group\n"
            f"group.main({words!r}, standalone_mode=False)\n"
            "heavy = {'torch', 'pandas', 'librosa', 'scipy', 'sklearn', 'matplotlib', 'jinja2'}\n"
            "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_modules_stay_short_enough_to_read():
    long = {str(path): n for path in FILES
            if (n := len(path.read_text(encoding="utf-8").splitlines())) > 400}
    assert not long


def test_environment_variables_are_read_in_cli_only():
    # run.py notes a job's number for the record, doctor tells what is set; handing the whole
    # environment on to a process of one's own reads nothing
    for path in FILES:
        if "cli" in path.parts or path.name in ("run.py", "doctor.py"):
            continue
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"environ(\.get|\[)|getenv", text), path


def test_nothing_of_a_machine_is_named():
    root = PACKAGE.parent
    tracked = subprocess.run(["git", "ls-files"], cwd=root, capture_output=True, text=True)
    if tracked.returncode:
        pytest.skip("no git checkout")
    for name in tracked.stdout.split():
        path = root / name
        if name != ".ci/run" and path.is_file() and path.suffix in (
                ".py", ".md", ".cfg", ".yaml", ".txt", ".html", ""):
            text = path.read_text(encoding="utf-8", errors="replace")
            assert os.path.join("shared", "corpora") not in text or name.startswith("tests/test_a")
