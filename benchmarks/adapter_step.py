"""Time of a joint training step with residual adapters over the same step without.

    python benchmarks/adapter_step.py [--width 16] [--stride 2] [--threads 1] [--batch 64]

Both models are timed alternately in one process on the same padded batches; medians. Reach of the
ratio: 1.10. Also printed: the same network with plain batch norms and no masks, on whole clips.
"""

import argparse
import statistics
import time

import torch
from torch import nn
from verdict import say

from emokit.loading.batch import Batch
from emokit.models.masking import MaskedBatchNorm
from emokit.models.model import EmotionModel
from emokit.models.settings import ModelSettings
from emokit.training.predict import place


def main() -> None:
    """Print seconds per step and the ratios."""
    parser = argparse.ArgumentParser()
    for name, default in (("width", 16), ("stride", 2), ("threads", 1), ("batch", 64),
                          ("rounds", 9)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    if options.quick:
        options.batch, options.rounds = 4, 2
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    labels = {"one": "abcdef", "two": "abcdefgh"}
    backbone = {"name": "resnet", "width": options.width, "stem_stride": options.stride}

    def make(adapters):
        return EmotionModel(ModelSettings(backbone=backbone, adapters=adapters), labels)

    models = {
        "private norms": make(["norm"]),
        "residual C/4": make(["residual"]),
        "residual full": make([{"name": "residual", "rank": "full"}]),
        "plain batch norm": without_masks(make([])),
        "masked norms": make([]),
    }
    samples = 48_000
    waves = torch.randn(options.batch, samples)
    padded = torch.randint(samples // 2, samples + 1, (options.batch,))
    padded[0] = samples
    steps = {name: step(place(model, options.device), options.device, waves,
                        torch.full_like(padded, samples) if "plain" in name else padded)
             for name, model in models.items()}
    steps["masked norms, whole clips"] = step(
        models["masked norms"], options.device, waves, torch.full_like(padded, samples))
    seconds = {name: [] for name in steps}
    for round_ in range(options.rounds + 1):
        for name, run in steps.items():
            start = time.perf_counter()
            run(("one", "two")[round_ % 2])
            if options.device != "cpu":
                torch.cuda.synchronize()
            if round_:  # the first warms up
                seconds[name].append(time.perf_counter() - start)
    median = {name: statistics.median(times) for name, times in seconds.items()}
    for name, value in median.items():
        print(f"{name:26s} {value:.4f} s/step  {options.batch / value:7.1f} utterances/s")
    for name, base in (("residual C/4", "private norms"), ("residual full", "private norms"),
                       ("masked norms", "plain batch norm"),
                       ("masked norms, whole clips", "plain batch norm")):
        ratio = statistics.median(a / b for a, b in zip(seconds[name], seconds[base]))
        if name.startswith("residual"):
            say(f"joint step, {name}, over {base}", ratio, 1.10, quick=options.quick)
        else:
            print(f"ratio {name} / {base}: {ratio:.3f}")


class PlainNorm(nn.BatchNorm2d):
    """The library's norm where the masked one was."""

    def forward(self, inputs, mask=None):
        return super().forward(inputs)


def without_masks(model: EmotionModel) -> EmotionModel:
    """Put the library's batch norm into a model; for whole clips only."""
    for name, module in list(model.backbone.named_modules()):
        if isinstance(module, MaskedBatchNorm):
            parent, _, last = name.rpartition(".")
            setattr(model.backbone.get_submodule(parent), last, PlainNorm(len(module.weight)))
    return model


def step(model: EmotionModel, device: str, waves: torch.Tensor, lengths: torch.Tensor):
    """Give a function that does one training step of a corpus."""
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)

    def run(corpus: str) -> None:
        logits = model(Batch(waves, lengths, corpus).to(device))
        loss = nn.functional.cross_entropy(
            logits, torch.zeros(len(waves), dtype=torch.long, device=device))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    return run


if __name__ == "__main__":
    main()
