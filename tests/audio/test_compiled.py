"""librosa compiled once, into a folder that nobody writes to afterwards."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

DESCRIBE = """
import numpy as np
from emokit.corpora.report_figures import _log_mel
from emokit.features.functionals import Functionals
tone = np.sin(np.arange(20_000) * 0.11)
assert np.isfinite(Functionals()(tone.astype(np.float32))[:210]).all()
_log_mel((tone * 9000).astype(np.int16), 1.0)
"""


def describe(cache, **more):
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    return subprocess.Popen([sys.executable, "-c", DESCRIBE],
                            env={**environment, "XDG_CACHE_HOME": str(cache), **more})


def files(folder):
    return {path.relative_to(folder): path.stat().st_mtime_ns
            for path in Path(folder).rglob("*.nb*")}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_processes_at_once_compile_apart_and_later_ones_write_nothing(tmp_path):
    both = [describe(tmp_path) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    folder, = (tmp_path / "emokit").iterdir()  # one stays, nothing half-done beside it
    before = files(folder)
    assert any(path.name.startswith("guf-utils._localmin") for path in before)
    assert describe(tmp_path).wait() == 0
    assert files(folder) == before


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_without_a_place_for_it_a_process_compiles_for_itself(tmp_path):
    (tmp_path / "emokit").write_text("in the way")
    own = tmp_path / "temporary"
    own.mkdir()
    assert describe(tmp_path, TMPDIR=str(own)).wait() == 0
    assert not list(own.iterdir())
