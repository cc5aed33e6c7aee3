"""Time the second `build-corpus`, nothing changed, over 10 000 files; the target is one second.

    python benchmarks/rebuild_speed.py [--files 10000]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from verdict import say, seconds

from emokit.corpora.build import BuildOptions, build_corpora
from emokit.corpora.spec import read_specs
from emokit.testing import write_wav

AGAIN = """
import sys, time
begin = time.perf_counter()
from emokit.corpora.build import BuildOptions, build_corpora
from emokit.corpora.spec import read_specs
results = build_corpora(read_specs(sys.argv[1]), sys.argv[2], BuildOptions())
assert [result.state for result in results] == ["unchanged"]
print(time.perf_counter() - begin)
"""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    arguments.add_argument("--files", type=int, default=10_000)
    arguments.add_argument("--quick", action="store_true")
    given = arguments.parse_args()
    n_files = 100 if given.quick else given.files
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for index in range(n_files):
            name = f"s{index % 50:02d}/{('anger', 'neutral')[index // 50 % 2]}_{index}.wav"
            write_wav(folder / "raw" / name, rng.uniform(-0.3, 0.3, 400))
        yaml = folder / "corpora.yaml"
        yaml.write_text(f"mine:\n  format: pattern\n  root: {folder / 'raw'}\n"
                        "  pattern: '(?P<speaker>s..)/(?P<emotion>[a-z]+)_(?P<text>.+).wav'\n")
        start = time.perf_counter()
        build_corpora(read_specs(yaml), folder / "emoset", BuildOptions())
        print(f"first build   {time.perf_counter() - start:6.2f} s, {n_files} files")
        times = []
        for _ in range(1 if given.quick else 3):
            wall, busy, inner = seconds(["-c", AGAIN, yaml, folder / "emoset"])
            print(f"second build  {float(inner):6.2f} s with its imports, {wall:.2f} s with the "
                  f"interpreter, {busy:.2f} s of processor")
            times.append(wall)
    say(f"second `build-corpus`, {n_files} files, the interpreter's start included",
        statistics.median(times), 1.0, "s", quick=given.quick,
        note=f"{busy:.2f} s of processor")


if __name__ == "__main__":
    main()
