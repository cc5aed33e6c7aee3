"""One shared model against a model a corpus, on synthetic stand-ins of the 26 EmoSet corpora.

    python benchmarks/stand_ins.py --folder DIR [--files 300] [--seeds 0,1,2] [--epochs 60]
    python benchmarks/stand_ins.py --quick          # three corpora, a minute: does it all work?

Speaks the stand-ins in each corpus's own layout, builds them, fits single models and the joint
model with residual adapters (preset `small`) and compares them on test: a row a corpus, then how
many are better and worse, the sign test, and what is left after Holm. The same line again goes on
where it stopped; `--table` prints what is there and fits nothing.

Half of the speakers test: with the usual fifth most of these small corpora have one or two test
speakers, of whom no test can tell anything (`--usual-partitions` keeps it). `--scale S` takes a
share of each corpus instead of at most so many files; few speakers are left by that.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from emokit.core.files import read_csv, write_yaml
from emokit.core.seeding import generator
from emokit.corpora.catalogue import entries
from emokit.corpora.synthetic import write_synthetic

REACH_BETTER, REACH_WORSE = 21 / 26, 2 / 26
QUICK = ("emodb", "gvess", "des")


def main() -> None:
    """Speak, build, fit what is missing, compare, count."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--folder", help="Keep everything here; what is there is taken up.")
    parser.add_argument("--files", type=int, default=300, help="At most about so many a corpus.")
    parser.add_argument("--scale", type=float, help="A share of each corpus instead.")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--single-epochs", type=int,
                        help="Of the single models; default: as many as the shared one has.")
    parser.add_argument("--corpora", default="", help="Ids; default the 26 of EmoSet.")
    parser.add_argument("--usual-partitions", action="store_true")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    if options.quick:
        options.corpora, options.files, options.epochs = ",".join(QUICK), 60, 2
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(options.folder or scratch)
        if not options.table:
            prepare(folder, options)
            fit(folder, options)
        print(report(folder, options))


def prepare(folder: Path, options: argparse.Namespace) -> None:
    """Speak and build what is not there, and say how much there is to learn and to test on."""
    names = options.corpora.split(",") if options.corpora else [
        name for name, facts in entries().items() if facts.emoset]
    started = time.perf_counter()
    size = {"scale": options.scale} if options.scale else {"limit": options.files}
    write_synthetic(folder / "raw", names, jobs=options.jobs, **size)
    # a small share of a corpus with few files a class may leave a partition without one
    build = ("build-corpus", *names, "--emoset", folder / "emoset", "--jobs", options.jobs,
             "--allow-missing-classes", "--no-report")
    choices = folder / "corpora.yaml"
    if not options.usual_partitions:
        if not choices.is_file():
            _emokit(folder, *build)
            write_yaml(choices, {name: {"partitions": many_test_speakers(manifest(folder, name))}
                                 for name in names})
        build += ("--choices", choices)
    _emokit(folder, *build)
    tables = [manifest(folder, name) for name in names]
    counts = {word: sum(int((table["partition"] == word).sum()) for table in tables)
              for word in ("train", "dev", "test")}
    speakers = sorted(table[table["partition"] == "test"]["speaker"].nunique()
                      for table in tables)
    print(f"{len(names)} corpora, utterances {counts}, test speakers {speakers}: "
          f"{time.perf_counter() - started:.0f} s", flush=True)


def many_test_speakers(table) -> dict[str, object]:
    """Divide the speakers of a small corpus so that a test over speakers can tell something.

    Half of them test, six at least where there are ten, because six are the fewest that the swap
    test can decide with; a tenth are dev, and two at least train. Testing costs one pass, training
    sixty.

    Args:
        table: a manifest with a known speaker in each row.

    Returns:
        The rule `speakers` of corpora.yaml.
    """
    speakers = sorted({name.partition("/")[2] for name in table["speaker"]})
    n = len(speakers)
    speakers = [speakers[i] for i in generator(0, "stand-ins", table["corpus"].iloc[0]
                                               ).permutation(n)]
    n_dev = max(1, n // 10)
    n_test = min(max(n // 2, 6 if n >= 10 else 1), n - n_dev - 2)
    return {"rule": "speakers", "test": speakers[:n_test],
            "dev": speakers[n_test:n_test + n_dev]}


def manifest(folder: Path, name: str):
    """Read the manifest of a built corpus."""
    return read_csv(folder / "emoset" / name / "manifest.csv")


def fit(folder: Path, options: argparse.Namespace) -> None:
    """Fit the cells that are missing; seed by seed, so that a table can be read early."""
    single = ("--regime", "single", "--epochs", options.single_epochs or options.epochs)
    shared = ("--adapters", "residual", "--epochs", options.epochs)
    for seed in options.seeds.split(","):
        for name, words in (("joint", shared), ("single", single)):
            started = time.perf_counter()
            _emokit(folder, "train", *words, "--seeds", seed, "--name", name,
                    "--emoset", folder / "emoset", "--runs", folder / "runs")
            print(f"{name}, seed {seed}: {time.perf_counter() - started:.0f} s", flush=True)


def report(folder: Path, options: argparse.Namespace) -> str:
    """Compare on test; give the tables of `evaluate` and whether the counts are reached."""
    _emokit(folder, "evaluate", "joint", "--against", "single", "--emoset", folder / "emoset",
            "--runs", folder / "runs", "--reports", folder / "reports")
    path = max((folder / "reports").glob("*/comparison.json"), key=os.path.getmtime)
    found = json.loads(path.read_text())
    return path.with_suffix(".md").read_text() + "\n" + count(found["rows"], found["overall"])


def count(rows: list[dict], overall: dict) -> str:
    """Say how many are better and worse, before and after Holm, and whether that is enough.

    Args:
        rows, overall: of comparison.json.
    """
    n, better, worse = len(rows), overall["better"], overall["worse"]
    decidable = [row for row in rows if not row["too_few"] and row["p_adjusted"] is not None]
    marks = [row["marks"].split() for row in decidable]
    plus, minus = (sum(mark in each for each in marks) for mark in "+-")
    met = better >= REACH_BETTER * n and worse <= REACH_WORSE * n
    return (f"Better on {better} of {n}, worse on {worse} (reach: on {REACH_BETTER * n:.0f} at "
            f"least, on {REACH_WORSE * n:.0f} at most: {'met' if met else 'not met'}); sign test "
            f"p {overall['sign_p']:.2g}. After Holm, on the {len(decidable)} that have speakers "
            f"enough to decide: better on {plus}, worse on {minus}.")


def _emokit(folder: Path, *words: object) -> str:
    """Run a command in a process of its own; give what it printed."""
    result = subprocess.run(
        [sys.executable, "-m", "emokit", *map(str, words), "--quiet"], text=True, check=False,
        capture_output=True,
        env={"OMP_NUM_THREADS": "1", **os.environ, "EMOKIT_CORPORA": str(folder / "raw")})
    if result.returncode:
        raise SystemExit(f"emokit {words[0]}: {result.stderr[-2000:]}")
    return result.stdout


if __name__ == "__main__":
    main()
