"""Seconds of `evaluate --mcnemar` over 26 corpora, 84 000 utterances, 10 000 resamples; aim ≤ 10.

Run: python benchmarks/evaluate_speed.py
"""

import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from emokit.evaluation import predictions as tables
from emokit.evaluation.comparison import compare, write_comparison
from emokit.evaluation.report import write_report
from emokit.evaluation.summary import summarise, write_summary
from emokit.evaluation.systems import collect

CORPORA, UTTERANCES, SEEDS, CLASSES = 26, 84_000, 3, 7


def corpus_table(index: int, n: int, accuracy: float, seed: int) -> tables.Predictions:
    """Make predictions of one seed; truths depend on the corpus alone, one has no speakers."""
    name, rng = f"corpus_{index:02d}", np.random.default_rng((index, seed, int(accuracy * 1000)))
    labels = np.array([f"class_{k}" for k in range(CLASSES)], object)
    truth = np.random.default_rng(index).integers(0, CLASSES, n)
    answer = np.where(rng.random(n) < accuracy, truth, rng.integers(0, CLASSES, n))
    probabilities = rng.dirichlet(np.ones(CLASSES), n)
    columns = {"utterance": [f"{name}/{i:06d}" for i in range(n)],
               "speaker": "" if index == 3 else [f"{name}/{i % (8 + 4 * index):03d}"
                                                 for i in range(n)],
               "truth": labels[truth], "prediction": labels[answer]}
    columns |= {f"p_{label}": probabilities[:, k] for k, label in enumerate(labels)}
    return tables.Predictions(name, "test", tuple(labels), pd.DataFrame(columns), seed)


def main() -> None:
    """Time reading, metrics, tests and report, each on its own, and print their sum."""
    shares = np.sort(np.random.default_rng(0).dirichlet(np.full(CORPORA, 0.8)))
    sizes = np.maximum(200, (shares * UTTERANCES).astype(int))
    sizes[-1] += UTTERANCES - sizes.sum()
    with TemporaryDirectory() as folder:
        for side, accuracy in (("a", 0.60), ("b", 0.58)):
            for index, n in enumerate(sizes):
                tables.write(Path(folder) / side / f"corpus_{index:02d}.csv", [
                    corpus_table(index, int(n), accuracy, seed) for seed in range(SEEDS)])
        processor = time.process_time()
        start = clock = time.perf_counter()
        systems = [
            collect(side, [one for path in sorted((Path(folder) / side).glob("*.csv"))
                           for one in tables.read(path)]) for side in ("a", "b")
        ]
        parts = {"reading": time.perf_counter() - clock}
        clock = time.perf_counter()
        summary = summarise(*systems)
        parts["metrics and intervals"] = time.perf_counter() - clock
        clock = time.perf_counter()
        comparison = compare(*systems, draws=10_000)
        parts["tests, 10 000 draws"] = time.perf_counter() - clock
        clock = time.perf_counter()
        write_comparison(folder, comparison)
        write_summary(folder, summary)
        write_report(Path(folder) / "report.html", summary, comparison)
        parts["files and report"] = time.perf_counter() - clock
        total, processor = time.perf_counter() - start, time.process_time() - processor
        size = (Path(folder) / "report.html").stat().st_size
    print(f"{CORPORA} corpora, {sizes.sum()} utterances, {SEEDS} seeds of 2 systems")
    for name, seconds in parts.items():
        print(f"{name:24s}{seconds:7.2f} s")
    print(f"{'evaluate':24s}{total:7.2f} s (aim: at most 10 s), {processor:.2f} s of "
          f"processor; report {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
