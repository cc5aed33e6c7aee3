"""Synthetic speech written per second of computing, on one core.

Reach: at least 100 × real time, files included. Wall time counts what other programs take from the
core, processor time does not; the reach is judged by the latter and both are printed.

    python benchmarks/synthetic_speed.py
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

REACH = 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=[])
    parser.add_argument("--limit", type=int, default=200)
    arguments = parser.parse_args()

    import soundfile

    from emokit.corpora.parsers import PARSERS
    from emokit.corpora.synthetic import write_synthetic

    with tempfile.TemporaryDirectory() as folder:
        # imports and tables that are made once belong to no corpus
        write_synthetic(Path(folder) / "warm", ["tess"], scale=1e-6)
        print(f"{'corpus':10}{'files':>7}{'speech s':>10}{'wall s':>8}{'cpu s':>8}"
              f"{'x (wall)':>10}{'x (cpu)':>10}")
        for name in arguments.names or PARSERS:
            start, start_cpu = time.perf_counter(), time.process_time()
            (written,) = write_synthetic(Path(folder), [name], limit=arguments.limit)
            wall = time.perf_counter() - start
            cpu = time.process_time() - start_cpu
            speech = sum(soundfile.info(path).duration for path in written.folder.rglob("*.*")
                         if path.suffix in (".wav", ".flac", ".mp3"))
            print(f"{name:10}{written.n_written:7}{speech:10.1f}{wall:8.2f}{cpu:8.2f}"
                  f"{speech / wall:10.0f}{speech / cpu:10.0f}"
                  f"{'' if speech / cpu >= REACH else f'   below {REACH}'}", flush=True)


if __name__ == "__main__":
    main()
