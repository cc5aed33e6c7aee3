"""Measure the peak memory of `build-corpus` on a corpus and on one four times as long.

The target: it does not grow, which is to say by less than a twentieth of what the samples grow
by; the table of utterances does, by some kilobytes each. Each build runs in a process of its own.

    python benchmarks/build_memory.py [--files 1500]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from verdict import say

from emokit.testing import write_wav

BUILD = """
import resource, sys
from emokit.corpora.build import BuildOptions, build_corpora
from emokit.corpora.spec import read_specs
build_corpora(read_specs(sys.argv[1]), sys.argv[2], BuildOptions(jobs=1, report=False))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    arguments.add_argument("--files", type=int, default=1500)
    arguments.add_argument("--quick", action="store_true")
    given = arguments.parse_args()
    n_files = 20 if given.quick else given.files
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        peaks = []
        for index in range(4 * n_files):
            name = f"s{index % 10}/{('anger', 'neutral')[index // 10 % 2]}_{index}.wav"
            write_wav(folder / "raw" / name, rng.uniform(-0.3, 0.3, 3 * 16000))
            if index + 1 in (n_files, 4 * n_files):
                yaml = folder / "corpora.yaml"
                yaml.write_text(
                    f"mine:\n  format: pattern\n  root: {folder / 'raw'}\n"
                    "  pattern: '(?P<speaker>s.)/(?P<emotion>[a-z]+)_(?P<text>.+).wav'\n")
                out = folder / f"emoset{index}"
                peak = subprocess.run([sys.executable, "-c", BUILD, yaml, out], check=True,
                                      capture_output=True, text=True).stdout
                peaks.append(int(peak) / 1024)
                print(f"{index + 1:6} files, {(index + 1) * 96 / 1024:6.0f} MB of samples: "
                      f"peak {peaks[-1]:.0f} MB")
    say("peak memory of `build-corpus`: growth over that of the samples",
        (peaks[1] - peaks[0]) / (3 * n_files * 96 / 1024), 0.05, quick=given.quick)


if __name__ == "__main__":
    main()
