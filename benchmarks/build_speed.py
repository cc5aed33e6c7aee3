"""Time `build-corpus` against a bare loop over the same files, alternately in one process.

The bare loop does the least any program must: decode with soundfile, resample with soxr, write.
The target is at most 1.15 times its wall time on one core.

    EMOKIT_CORPORA=/data/corpora python benchmarks/build_speed.py [--rounds 5] [--corpus ravdess]

`--quick` takes one round of emodb; without EMOKIT_CORPORA half a second of noise a file.

Without EMOKIT_CORPORA it writes noise in that corpus's layout first.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
import soxr
from verdict import say

from emokit.corpora.build import BuildOptions, build_corpora
from emokit.corpora.spec import read_specs


def bare_loop(paths: list[Path], target: Path) -> None:
    with open(target, "wb") as out:
        for path in paths:
            waveform, rate = soundfile.read(path, dtype="float32", always_2d=True)
            waveform = soxr.resample(waveform.mean(axis=1), rate, 16000, quality="HQ")
            out.write(np.clip(np.rint(waveform * 32768), -32768, 32767).astype("<i2").tobytes())


def noise_corpus(root: Path, name: str, rate: int = 48000, seconds: float = 3.0) -> Path:
    from emokit.corpora.parsers import PARSERS

    rng = np.random.default_rng(0)
    for item in PARSERS[name].stand_ins():
        path = (root / item.path).with_suffix(".flac")
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.cumsum(rng.normal(0, 0.003, int(seconds * rate)))
        soundfile.write(path, np.clip(noise - noise.mean(), -1, 1), rate)
    return root.parent


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    arguments.add_argument("--corpus", default="ravdess")
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--quick", action="store_true")
    given = arguments.parse_args()
    if given.quick:
        given.corpus, given.rounds = "emodb", 1
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        corpora = os.environ.get("EMOKIT_CORPORA")
        if not corpora:
            corpora = noise_corpus(folder / "raw" / given.corpus, given.corpus,
                                   seconds=0.5 if given.quick else 3.0)
        specs = read_specs(None, [given.corpus], corpora, dict(os.environ))
        root = Path(specs[0].root)
        paths = sorted(path for path in root.rglob("*")
                       if path.suffix.lower() in (".wav", ".flac", ".mp3"))
        options = BuildOptions(jobs=1, rebuild=True, report=False)
        sides = {
            "bare loop": lambda: bare_loop(paths, folder / "bare.i16"),
            "build-corpus": lambda: build_corpora(specs, folder / "emoset", options),
        }
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
        for turn in range(given.rounds + 1):
            for name, run in sides.items():
                start, busy = time.perf_counter(), time.process_time()
                run()
                if turn:
                    times[name].append((time.perf_counter() - start, time.process_time() - busy))
        for name, seconds in times.items():
            wall, busy = (statistics.median(column) for column in zip(*seconds))
            print(f"{name:13} {wall:6.2f} s, {len(paths) / wall:6.0f} files/s (one process), "
                  f"of which {busy:.2f} s on the processor")
        wall, busy = (statistics.median(one[kind] / two[kind] for one, two in zip(
            times["build-corpus"], times["bare loop"])) for kind in (0, 1))
        print(f"{len(paths)} files of {given.corpus}, medians of {given.rounds}; ratio of "
              f"processor time {busy:.2f}")
        say("`build-corpus`, one process, over the bare loop", wall, 1.15, quick=given.quick)


if __name__ == "__main__":
    main()
