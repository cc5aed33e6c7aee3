"""Where the time of a joint training step goes: parts of the step, and operations within.

    python benchmarks/profile_step.py [--corpora 4] [--preset small] [--threads 1] [--device cpu]

Steps of the training loop itself, with the recipe's augmentation, clipping and averaging. One
built corpus stands for all, so that corpora share size and loading; each has its own part.
"""

import argparse
import collections
import dataclasses
import statistics
import tempfile
import time
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

from emokit.corpora.store import open_emoset
from emokit.loading.source import make_source
from emokit.models.modes import apply_mode
from emokit.testing import tiny_emoset
from emokit.training.loop import _Trainer
from emokit.training.predict import place
from emokit.training.run import Cell
from emokit.training.settings import resolve
from emokit.training.start import make_model
from emokit.training.train import effective


def main() -> None:
    """Print milliseconds by part of a step, then shares of operations."""
    parser = argparse.ArgumentParser()
    for name, default in (("corpora", 4), ("threads", 1), ("steps", 12), ("rows", 14)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--preset", default="small")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    config = effective(resolve({"preset": options.preset, "adapters": "residual"})[0])
    with tempfile.TemporaryDirectory() as folder:
        emoset = tiny_emoset(Path(folder), ("ravdess",), n_speakers=24, per_class=2, seconds=3.2)
        corpus, = open_emoset(emoset)
        sources = [make_source(dataclasses.replace(corpus, name=f"corpus{number}"))
                   for number in range(options.corpora)]
        model, _ = make_model(config.model_settings(), sources, 0)
        apply_mode(model, "joint")
        trainer = _Trainer(place(model, options.device), sources, config, 0,
                           Cell(Path(folder) / "joint-s0"), {})
        report(trainer, options)


def report(trainer: _Trainer, options: argparse.Namespace) -> None:
    """Time some steps part by part, then profile some more."""
    plans = [plan for epoch in range(20) for plan in trainer.sampler.plans(epoch)
             if len(plan.rows) == trainer.config.batch_size]
    trainer.model.train()
    parts = collections.defaultdict(list)
    steps(trainer, plans[:3], collections.defaultdict(list))
    steps(trainer, plans[3:3 + options.steps], parts)
    total = sum(map(statistics.median, parts.values()))
    print(f"{options.corpora} corpora, preset {options.preset}, batch "
          f"{trainer.config.batch_size}: {1000 * total:.1f} ms a step")
    for name, seconds in parts.items():
        median = statistics.median(seconds)
        print(f"  {name:24s} {1000 * median:8.2f} ms  {median / total:6.1%}")
    activities = [ProfilerActivity.CPU]
    key = "self_cpu_time_total"
    if options.device != "cpu":
        activities.append(ProfilerActivity.CUDA)
        key = "self_device_time_total"
    with profile(activities=activities) as profiler:
        steps(trainer, plans[-5:], collections.defaultdict(list))
    averages = profiler.key_averages()
    whole = sum(getattr(event, key) for event in averages)
    print("operations by their own time")
    for event in sorted(averages, key=lambda event: -getattr(event, key))[:options.rows]:
        own = getattr(event, key)
        print(f"  {event.key[:48]:48s} {own / whole:6.1%}  {event.count // 5:5d} calls a step")


def steps(trainer: _Trainer, plans, parts: dict[str, list[float]]) -> None:
    """Do one step a plan, and note the seconds of its parts."""
    device = trainer.device
    batches = trainer.feed.batches(plans)
    for plan in plans:
        marks = [time.perf_counter()]

        def mark():
            if device.type == "cuda":
                torch.cuda.synchronize()
            marks.append(time.perf_counter())

        batch = next(batches).to(device)
        mark()
        trainer.optimizer.zero_grad(set_to_none=True)
        mark()
        loss = trainer._loss(batch, trainer.sources[plan.source])
        mark()
        loss.backward()
        mark()
        trainer._step()
        mark()
        names = ("waiting for the batch", "zero_grad", "forward and loss", "backward",
                 "clip, optimizer, average")
        for name, start, end in zip(names, marks, marks[1:]):
            parts[name].append(end - start)


if __name__ == "__main__":
    main()
