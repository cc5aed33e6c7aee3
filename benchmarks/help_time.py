"""Start-up of `emokit --help` over an empty click program; reach: at most 0.25 s more."""

import statistics
import subprocess
import sys
import time

from verdict import say

EMPTY = "import click\n@click.group()\ndef main(): pass\nmain(['--help'])"


def seconds(command: list[str]) -> float:
    """Run a command once and time it."""
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def main() -> None:
    """Alternate both, print medians."""
    quick = "--quick" in sys.argv
    rounds = 3 if quick else 11
    ours, empty = [sys.executable, "-m", "emokit", "--help"], [sys.executable, "-c", EMPTY]
    pairs = [(seconds(ours), seconds(empty)) for _ in range(rounds)]
    a, b = (statistics.median(column) for column in zip(*pairs))
    print(f"emokit --help {a:.3f} s, empty click program {b:.3f} s, {a - b:+.3f} s")
    say("`emokit --help` over an empty click program", a - b, 0.25, "s more", quick=quick)


if __name__ == "__main__":
    main()
