"""All 26 corpora of EmoSet at full size in short synthetic clips: times and peak memory.

    python benchmarks/emoset_size.py [--folder DIR] [--most 100000] [--jobs 2]

Writes a buzz of 0.4 s for every file of each published layout, tables included, then runs what a
user would, each in a process of its own: build, build again, one joint epoch with residual
adapters, evaluation on test. Peak memory is that of the command's own process; decoding
processes beside it are given separately.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from emokit.corpora.catalogue import entries
from emokit.corpora.parsers.names import audio_files
from emokit.testing import tiny_corpus

SECONDS = 0.4
INNER = """
import resource, sys
from emokit.cli import main
sys.argv = ["emokit", *sys.argv[1:]]
try:
    main()
finally:
    own, children = (resource.getrusage(who).ru_maxrss / 1024 for who in (
        resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(f"PEAK {own:.0f} {children:.0f}")
"""


def main() -> None:
    """Write, build, build again, train one epoch, evaluate; print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--folder", help="Keep everything here; what is there is taken up.")
    parser.add_argument("--most", type=int, default=100_000,
                        help="At most this many files of a speaker and class.")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(options.folder or scratch)
        names = [name for name, facts in entries().items() if facts.emoset]
        start = time.perf_counter()
        for name in names:
            if not (folder / "raw" / name).exists():
                tiny_corpus(folder / "raw" / name, name, 10**6, options.most, SECONDS)
        n_files = sum(len(audio_files(folder / "raw" / name)) for name in names)
        print(f"written: {len(names)} corpora, {n_files:,} files, "
              f"{time.perf_counter() - start:.0f} s", flush=True)
        build = ["build-corpus", "emoset", "--emoset", folder / "emoset", "--jobs", options.jobs,
                 "--allow-missing-classes", "--quiet"]
        seconds = _run(folder, *build)
        print(f"  {n_files / seconds:,.0f} files per second", flush=True)
        _run(folder, *build)
        runs = ["--emoset", folder / "emoset", "--runs", folder / "runs", "--quiet"]
        _run(folder, "train", "--adapters", "residual", "--epochs", "1", *runs)
        _run(folder, "evaluate", "joint-residual", *runs, "--reports", folder / "reports")


def _run(folder: Path, *words: object) -> float:
    """Run one command in a process of its own; print and give its seconds."""
    start = time.perf_counter()
    result = subprocess.run(
        [sys.executable, "-c", INNER, *map(str, words)], capture_output=True, text=True,
        env={**os.environ, "EMOKIT_CORPORA": str(folder / "raw")}, check=False)
    seconds = time.perf_counter() - start
    if result.returncode:
        raise SystemExit(result.stdout[-2000:] + result.stderr[-2000:])
    own, children = result.stdout.rpartition("PEAK ")[2].split()
    print(f"{words[0]}: {seconds:.1f} s, peak {own} MB (processes beside it {children} MB each)",
          flush=True)
    return seconds


if __name__ == "__main__":
    main()
