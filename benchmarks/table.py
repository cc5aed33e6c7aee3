"""The speed table: runs one script after the other, and says of each row whether it is met.

    python benchmarks/table.py                  # all rows, some ten minutes
    python benchmarks/table.py adapter_step     # some
    python benchmarks/table.py --quick          # trial sizes: does every script work?

Ends with exit status 1 where a script broke, not where a reach is missed: on a busy machine a
figure says little, and the ratios of things that are timed alternately say most.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

from verdict import read

SCRIPTS = {
    "build_speed": "wall time of a build over a bare loop of decode, resample, write",
    "rebuild_speed": "a second build where nothing changed",
    "build_memory": "peak memory of a build while the corpus grows",
    "training_memory": "peak memory of an epoch while the corpus grows",
    "training_speed": "training over the same model on one fixed batch",
    "adapter_step": "a step with residual adapters over one without",
    "head_epoch": "an epoch on cached states over one through the encoder",
    "evaluate_speed": "evaluation with all tests at the size of EmoSet",
    "help_time": "the first answer of the command line",
    "gpu_training": "bf16 over float32 on a GPU",
}
"""One script a row of the table; the others in this folder answer questions of their own."""


def main() -> int:
    """Run the scripts, print the table, give the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("names", nargs="*", help="Default: all.")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    unknown = set(options.names) - set(SCRIPTS)
    if unknown:
        parser.error(f"no such script: {', '.join(sorted(unknown))}; there are "
                     f"{', '.join(SCRIPTS)}")
    rows, broken = [], []
    for name in options.names or SCRIPTS:
        started = time.perf_counter()
        print(f"{name}: {SCRIPTS[name]}", flush=True)
        found = run(name, options.quick)
        if not found:
            broken.append(name)
        rows += [[*row, f"`benchmarks/{name}.py`"] for row in found]
        print(f"   {time.perf_counter() - started:.0f} s\n", flush=True)
    print(markdown(rows))
    if broken:
        print(f"broke, or said nothing: {', '.join(broken)}", file=sys.stderr)
    return int(bool(broken))


def run(name: str, quick: bool) -> list[list[str]]:
    """Run a script, show what it prints, and give its rows; none if it broke."""
    command = [sys.executable, str(Path(__file__).with_name(f"{name}.py"))]
    process = subprocess.Popen(command + ["--quick"] * quick, stdout=subprocess.PIPE, text=True)
    lines = []
    for line in process.stdout:
        lines.append(line)
        print("   " + line, end="", flush=True)
    return [] if process.wait() else read("".join(lines))


def markdown(rows: list[list[str]]) -> str:
    """Give the table."""
    head = [["what", "measured", "reach", "verdict", "script"], ["---"] * 5]
    return "\n".join(f"| {' | '.join(row)} |" for row in head + rows)


if __name__ == "__main__":
    raise SystemExit(main())
