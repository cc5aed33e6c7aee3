"""Utterances per second of training, over the same model on one fixed batch; reach: 0.95.

    python benchmarks/training_speed.py [--files 400] [--batch 32] [--threads 1]

The left side loads, crops, augments and pads from the memory-mapped store as `train` does; the
right side repeats one batch that lies on the device. Both run in one process, alternately.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch
from verdict import say

from emokit.audio.augment import make
from emokit.corpora.store import open_emoset
from emokit.loading.dataset import TrainBatches, load
from emokit.loading.sampler import EpochSampler
from emokit.loading.source import make_source
from emokit.models.model import EmotionModel
from emokit.models.settings import complete
from emokit.testing import tiny_emoset
from emokit.training.loop import precision_of
from emokit.training.optim import make_optimizer
from emokit.training.predict import place
from emokit.training.settings import resolve


def main() -> None:
    """Print both rates and their ratio."""
    parser = argparse.ArgumentParser()
    for name, default in (("files", 400), ("batch", 32), ("threads", 1), ("rounds", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    if options.quick:
        options.files, options.batch, options.rounds = 192, 8, 1
    torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    config, _ = resolve({"adapters": "residual", "batch_size": options.batch,
                         "augment": "noise+specaugment"})
    with tempfile.TemporaryDirectory() as folder:
        emoset = tiny_emoset(Path(folder), ("ravdess",), n_speakers=24,
                             per_class=-(-options.files // (24 * 8)), seconds=3.2)
        source = make_source(open_emoset(emoset)[0])
        model = EmotionModel(complete(config.model_settings()), {source.head: source.head_labels})
        place(model, device).train()
        optimizer = make_optimizer(model, config, {source.head: len(source.rows["train"])})
        autocast, _, _ = precision_of(config, device)
        sampler = EpochSampler([(source.name, source.classes, source.rows["train"])],
                               options.batch)
        augment = [change for change in make(config.augment) if change.domain == "waveform"]

        def step(batch):
            with autocast:
                logits = model(batch)
            loss = torch.nn.functional.cross_entropy(logits.float(), batch.targets.classes)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()

        def epoch(number, fixed=None):
            plans = [plan for plan in sampler.plans(number) if len(plan.rows) == options.batch]
            batches = load(TrainBatches([source], plans, config.window, augment, 0),
                           pin=device.type == "cuda")
            started = time.perf_counter()
            for batch in [fixed] * len(plans) if fixed else batches:
                step(batch if fixed else batch.to(device))
            if device.type == "cuda":
                torch.cuda.synchronize()
            return len(plans) * options.batch / (time.perf_counter() - started)

        fixed = TrainBatches([source], sampler.plans(0), config.window, [], 0)[0].to(device)
        epoch(0, fixed)
        pairs = [(epoch(number), epoch(number, fixed)) for number in range(options.rounds)]
    rate, ceiling = (statistics.median(column) for column in zip(*pairs))
    ratio = statistics.median(a / b for a, b in pairs)
    print(f"training {rate:.0f} utt/s, fixed batch {ceiling:.0f} utt/s")
    say("training with loading, over the same model on one fixed batch", ratio, 0.95,
        at_least=True, quick=options.quick)


if __name__ == "__main__":
    main()
