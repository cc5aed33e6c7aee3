"""Seconds of `evaluate --mcnemar` over 26 corpora, 84 000 utterances, 10 000 resamples; reach 10.

    python benchmarks/evaluate_speed.py

Three seeds of two systems, 504 000 rows in 156 tables as groups of runs have them: reading, tests,
files and report in this process, part by part, then the command itself on the same rows in two
tables, its start included.
"""

import argparse
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from verdict import say, seconds

from emokit.evaluation import predictions as tables
from emokit.evaluation.comparison import compare
from emokit.evaluation.comparison_files import write_comparison
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
    """Time reading, metrics, tests and report, each on its own, and the command."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    utterances, draws = (6_000, 200) if quick else (UTTERANCES, 10_000)
    shares = np.sort(np.random.default_rng(0).dirichlet(np.full(CORPORA, 0.8)))
    sizes = np.maximum(utterances // 420, (shares * utterances).astype(int))
    sizes[-1] += utterances - sizes.sum()
    with TemporaryDirectory() as folder:
        for side, accuracy in (("a", 0.60), ("b", 0.58)):
            whole = []
            for index, n in enumerate(sizes):
                some = [corpus_table(index, int(n), accuracy, seed) for seed in range(SEEDS)]
                tables.write(Path(folder) / side / f"corpus_{index:02d}.csv", some)
                whole += some
            tables.write(Path(folder) / f"{side}.csv", whole)
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
        comparison = compare(*systems, draws=draws)
        parts[f"tests, {draws} draws"] = time.perf_counter() - clock
        clock = time.perf_counter()
        write_comparison(folder, comparison)
        write_summary(folder, summary)
        write_report(Path(folder) / "report.html", summary, comparison)
        parts["files and report"] = time.perf_counter() - clock
        total, processor = time.perf_counter() - start, time.process_time() - processor
        size = (Path(folder) / "report.html").stat().st_size
        command, busy, _ = seconds(["-m", "emokit", "evaluate", f"{folder}/a.csv", "--against",
                                    f"{folder}/b.csv", "--mcnemar", "--draws", draws,
                                    "--reports", f"{folder}/reports", "--quiet"])
    print(f"{CORPORA} corpora, {sizes.sum()} utterances, {SEEDS} seeds of 2 systems")
    for name, took in parts.items():
        print(f"{name:24s}{took:7.2f} s")
    print(f"{'sum of these':24s}{total:7.2f} s, {processor:.2f} s of processor; report "
          f"{size / 1e6:.1f} MB\n{'the command':24s}{command:7.2f} s, {busy:.2f} s of processor")
    say(f"`evaluate --mcnemar`, {CORPORA} corpora, {sizes.sum()} utterances, {SEEDS} seeds of 2 "
        f"systems, {draws} draws", command, 10, "s", quick=quick,
        note=f"{busy:.2f} s of processor")


if __name__ == "__main__":
    main()
