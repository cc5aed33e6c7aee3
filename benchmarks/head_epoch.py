"""Seconds of an epoch in mode `head` on cached states, against the same epoch through the encoder.

    python benchmarks/head_epoch.py [--files 960] [--preset small] [--threads 1] [--device cpu]

Both are whole epochs of the training loop: batches, steps, dev scores, history, what is saved to
resume. They run in one process, alternately, from one base with random weights. Reach: 20.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch
from verdict import say

from emokit.corpora.store import open_emoset
from emokit.loading.source import make_source
from emokit.models.modes import apply_mode
from emokit.testing import tiny_emoset
from emokit.training.feed import ThroughModel
from emokit.training.loop import _Trainer
from emokit.training.predict import place
from emokit.training.run import Cell
from emokit.training.settings import resolve
from emokit.training.start import make_model
from emokit.training.train import effective


def main() -> None:
    """Print seconds per epoch of both, their ratio, and what the states took."""
    parser = argparse.ArgumentParser()
    for name, default in (("files", 960), ("threads", 1), ("rounds", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--preset", default="small")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    if options.quick:
        options.files, options.rounds = 192, 1
    torch.set_num_threads(options.threads)
    config = effective(resolve({"preset": options.preset, "regime": "single", "mode": "head",
                                "init": "none", "adapters": "residual", "epochs": 1000})[0])
    with tempfile.TemporaryDirectory() as folder:
        emoset = tiny_emoset(Path(folder), ("ravdess",), n_speakers=24,
                             per_class=-(-options.files // (24 * 8)), seconds=3.2)
        source = make_source(open_emoset(emoset)[0])
        trainers = []
        for name in ("states", "encoder"):
            model, _ = make_model(config.model_settings(), [source], 0)
            apply_mode(model, "head", source.head)
            started = time.perf_counter()
            trainers.append(_Trainer(place(model, options.device), [source], config, 0,
                                     Cell(Path(folder) / name), {}))
            if name == "states":
                print(f"states of {len(source.rows['train'])} train and "
                      f"{len(source.rows['dev'])} dev utterances, once: "
                      f"{time.perf_counter() - started:.2f} s")
        trainers[1].feed = ThroughModel([source], config, 0, options.device != "cpu")

        def seconds(trainer):
            started = time.perf_counter()
            with trainer.bar() as bar:
                trainer.epoch(bar)
            return time.perf_counter() - started

        for trainer in trainers:
            seconds(trainer)
        pairs = [[seconds(trainer) for trainer in trainers] for _ in range(options.rounds)]
    states, encoder = (statistics.median(column) for column in zip(*pairs))
    ratio = statistics.median(b / a for a, b in pairs)
    print(f"epoch on states {states:.3f} s, through the encoder {encoder:.3f} s")
    say(f"head-only epoch on cached states, preset `{options.preset}`, over one through the "
        "encoder", ratio, 20, "x faster", at_least=True, quick=options.quick)


if __name__ == "__main__":
    main()
