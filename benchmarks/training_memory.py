"""Peak memory of a training epoch on a corpus and on one four times as long.

    python benchmarks/training_memory.py [--speakers 10]

The target: it does not grow, which is to say by less than a twentieth of what the samples grow
by. Each run is a process of its own: preset `small` with residual adapters, dev scored, one epoch
on the large corpus and four on the small one, so that both do as many steps. What counts is the
memory that the process cannot give back. The pages of `audio.i16` that are mapped just now (printed
too) the system takes back whenever it needs them.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from verdict import say, seconds

from emokit.corpora.store import open_emoset
from emokit.testing import tiny_emoset

EPOCH = """
import re, sys, threading, time
from pathlib import Path
import torch
from emokit.training.settings import resolve
from emokit.training.train import train

torch.set_num_threads(1)
peak, status = {}, Path("/proc/self/status")

def watch():
    while True:
        for name, kilobytes in re.findall(r"(RssAnon|RssFile):\\s+(\\d+)", status.read_text()):
            peak[name] = max(peak.get(name, 0), int(kilobytes) / 1024)
        time.sleep(0.01)

threading.Thread(target=watch, daemon=True).start()
config, explicit = resolve({"adapters": "residual", "epochs": int(sys.argv[3])})
train(config, explicit, sys.argv[1], sys.argv[2])
print(peak["RssAnon"], peak["RssFile"])
"""


def main() -> None:
    """Print the peaks of both, and what they grow by."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--speakers", type=int, default=10)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    n_speakers, per_class = (3, 1) if options.quick else (options.speakers, 12)
    peaks, sizes = [], []
    with tempfile.TemporaryDirectory() as scratch:
        for times in (1, 4):
            folder = Path(scratch) / str(times)
            emoset = tiny_emoset(folder, ("crema_d",), n_speakers=times * n_speakers,
                                 per_class=per_class, seconds=3.2)
            corpus, = open_emoset(emoset)
            sizes.append(int(corpus.audio.offsets[-1]) * 2 / 2**20)
            _, _, found = seconds(["-c", EPOCH, emoset, folder / "runs", 4 // times])
            own, mapped = map(float, found.splitlines()[-1].split())
            peaks.append(own)
            print(f"{len(corpus.manifest):5} files, {sizes[-1]:5.0f} MB of samples: peak "
                  f"{own:.0f} MB of its own, {mapped:.0f} MB of mapped files", flush=True)
    say("peak memory of a training epoch: growth over that of the samples",
        (peaks[1] - peaks[0]) / (sizes[1] - sizes[0]), 0.05, quick=options.quick)


if __name__ == "__main__":
    main()
