"""Change one thing at a time in joint training, and compare on dev.

    python benchmarks/ablations.py --corpora emodb,nemo            # hours on two cores; resumable
    python benchmarks/ablations.py --corpora emodb,nemo rank-full mixup
    python benchmarks/ablations.py --corpora emodb,nemo --table

Five cells a variant (`--seeds`): seed i on speaker fold i, so that the spread covers seeds and
speakers. A cell's figure is the dev UAR over the last third of its epochs, which no lucky epoch
lifts. The difference to the reference is paired by cell; its interval is Student's t over the
differences of the cells that both have. Dev is all that is looked at.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np

REFERENCE = "reference"
BASE = "--adapters residual"
POOLED = "--regime pooled --target arousal-valence"

VARIANTS: dict[str, str] = {
    REFERENCE: BASE,
    # adapters
    "norms-only": "",
    "rank-full": '--adapters "residual(rank=full)"',
    "rank-eighth": '--adapters "residual(rank=C/8)"',
    "norms-shared": '--adapters "residual(norm=shared)"',
    "series": '--adapters "residual(kind=series)"',
    "start-he": '--adapters "residual(start=he)"',
    "decay-none": f"{BASE} --set adapter_weight_decay=0",
    "pooling-private": f"{BASE} --no-shared-pooling",
    # order of training
    "pooled-then-all": f"{BASE} --init pooled-base",
    "pooled-then-joint-norms": "--init pooled-base",
    "pooled-then-adapters": f"--regime single --mode adapters {BASE} --init pooled-base",
    # sampling over corpora
    "sampler-round-robin": f"{BASE} --sampler round_robin",
    "sampler-proportional": f"{BASE} --sampler proportional",
    "two-corpora-a-step": f"{BASE} --set corpora_per_step=2",
    # augmentation
    "augment-none": f"{BASE} --augment none",
    "augment-specaugment": f"{BASE} --augment specaugment",
    "augment-without-speed": f"{BASE} --augment specaugment+equaliser",
    "augment-without-equaliser": f"{BASE} --augment specaugment+speed",
    "augment-and-noise": f'{BASE} --augment "specaugment+equaliser+speed+noise(probability=0.5)"',
    "augment-and-gain": f"{BASE} --augment specaugment+equaliser+speed+gain",
    "mixup": f"{BASE} --set mixup=0.4",
    # objective, averaging, scoring
    "smoothing-none": f"{BASE} --label-smoothing 0",
    "average-none": f"{BASE} --set average_share=0",
    "average-fifth": f"{BASE} --set average_share=0.2",
    "balance-sampling": f"{BASE} --balance sampling",
    "window-2s": f"{BASE} --window 2",
    "window-2s-one-crop": f"{BASE} --window 2 --set scoring=center",
    "window-whole": f"{BASE} --window none",
}
"""Name to the options of `emokit train`; the reference is the default with adapters."""


def main() -> None:
    """Fit what is missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("variants", nargs="*", help="Default: all.")
    parser.add_argument("--corpora", default="", help="Built corpora; default all.")
    parser.add_argument("--emoset", default="emoset")
    parser.add_argument("--runs", default="runs", type=Path)
    parser.add_argument("--seeds", default=5, type=int)
    parser.add_argument("--table", action="store_true", help="Print what is there; fit nothing.")
    options = parser.parse_args()
    unknown = set(options.variants) - set(VARIANTS)
    if unknown:
        parser.error(f"no such variant: {', '.join(sorted(unknown))}")
    names = options.variants or list(VARIANTS)
    if not options.table:
        for name in dict.fromkeys([REFERENCE, *names]):
            for seed in range(options.seeds):
                if "pooled-base" in VARIANTS[name]:
                    _train(POOLED, "pooled-base", seed, options)
                _train(VARIANTS[name], name, seed, options)
    print(table(options.runs, [name for name in VARIANTS if name in names or name == REFERENCE],
                options.seeds))


def _train(arguments: str, name: str, seed: int, options) -> None:
    corpora = ["--corpora", options.corpora] if options.corpora else []
    command = [sys.executable, "-m", "emokit", "train", *shlex.split(arguments), *corpora,
               "--folds", str(seed), "--seeds", str(seed), "--name", f"ablation-{name}",
               "--emoset", options.emoset, "--runs", str(options.runs), "--quiet"]
    command = [word.replace("pooled-base", "ablation-pooled-base") if before == "--init" else word
               for before, word in zip([""] + command, command)]
    done = subprocess.run(command, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"},
                          stdout=subprocess.DEVNULL)
    if done.returncode:
        print(f"{name}, seed {seed}: failed; the others go on", file=sys.stderr)


def late_dev(runs: Path, name: str, seeds: int) -> dict[int, dict[str, float]]:
    """Give {seed: {corpus: dev UAR over the last third of the epochs}} of the complete cells."""
    groups = [path for path in runs.glob(f"ablation-{name}-*")
              if re.fullmatch(rf"ablation-{re.escape(name)}-[0-9a-f]{{8}}", path.name)]
    cells = {}
    for seed in range(seeds):
        figures = {}
        for cell in (cell for group in groups for cell in group.glob(f"*-f{seed}-s{seed}")):
            if not (cell / "metrics.json").is_file():
                continue
            epochs = [json.loads(line)["corpora"]
                      for line in (cell / "history.jsonl").read_text().splitlines()]
            late = epochs[-max(1, len(epochs) // 3):]
            figures |= {corpus: float(np.mean([epoch[corpus]["dev_uar"] for epoch in late]))
                        for corpus in epochs[0]}
        if figures:
            cells[seed] = figures
    return cells


def table(runs: Path, names: list[str], seeds: int) -> str:
    """Give the Markdown table: every variant over the cells that it shares with the reference."""
    from scipy import stats

    reference = late_dev(runs, REFERENCE, seeds)
    corpora = sorted({corpus for figures in reference.values() for corpus in figures})
    lines = [f"| variant | cells | {' | '.join(corpora)} | mean | Δ [95 %] |",
             f"| --- | {' | '.join(['---:'] * (len(corpora) + 3))} |"]
    for name in names:
        found = late_dev(runs, name, seeds)
        both = [seed for seed in reference if set(found.get(seed, ())) == set(corpora)
                and set(reference[seed]) == set(corpora)]
        if len(both) < 2:
            lines.append(f"| `{name}` | {len(both)} | {' | '.join(['–'] * (len(corpora) + 2))} |")
            continue
        ours, theirs = (100 * np.array([[cells[seed][corpus] for corpus in corpora]
                                        for seed in both]) for cells in (found, reference))
        gain = (ours - theirs).mean(axis=1)
        half = stats.t.ppf(0.975, len(both) - 1) * gain.std(ddof=1) / np.sqrt(len(both))
        text = "" if name == REFERENCE else (
            f"{gain.mean():+.1f} [{gain.mean() - half:.1f}, {gain.mean() + half:.1f}]")
        columns = [f"{value:.1f}" for value in (*ours.mean(axis=0), ours.mean())]
        lines.append(f"| `{name}` | {len(both)} | {' | '.join(columns)} | {text} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
