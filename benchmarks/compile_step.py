"""Where torch.compile pays: a joint training step with the backbone compiled over one without.

    python benchmarks/compile_step.py [--width 16] [--stride 2] [--batch 64] [--device cuda]

Both models are timed alternately in one process on the same padded batches of two corpora;
medians. Also printed: seconds that compiling takes, so after how many steps it has paid.
"""

import argparse
import statistics
import time

import torch
from adapter_step import step

from emokit.models.model import EmotionModel
from emokit.models.settings import ModelSettings
from emokit.training.predict import place

CORPORA = ("one", "two")


def main() -> None:
    """Print seconds per step, the ratio, and when compiling has paid."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    for name, default in (("width", 16), ("stride", 2), ("threads", 1), ("batch", 64),
                          ("rounds", 9)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    samples = 48_000
    waves = torch.randn(options.batch, samples)
    lengths = torch.randint(samples // 2, samples + 1, (options.batch,))
    backbone = {"name": "resnet", "width": options.width, "stem_stride": options.stride}
    steps = {}
    for name in ("as it is", "compiled"):
        model = place(EmotionModel(ModelSettings(backbone=backbone, adapters=["residual"]),
                                   {"one": "abcdef", "two": "abcdefgh"}), options.device)
        if name == "compiled":
            model.backbone.compile()
        steps[name] = step(model, options.device, waves, lengths)
    first = {name: sum(seconds(run, corpus, options.device) for corpus in CORPORA)
             for name, run in steps.items()}
    timed = {name: [] for name in steps}
    for round_ in range(options.rounds):
        for name, run in steps.items():
            timed[name].append(seconds(run, CORPORA[round_ % 2], options.device))
    median = {name: statistics.median(values) for name, values in timed.items()}
    for name, value in median.items():
        print(f"{name:10s} {value:.4f} s/step; the first two {first[name]:.1f} s")
    ratio = statistics.median(a / b for a, b in zip(timed["compiled"], timed["as it is"]))
    print(f"ratio compiled / as it is: {ratio:.3f}")
    if ratio < 1:
        saved = median["as it is"] - median["compiled"]
        print(f"has paid after {(first['compiled'] - first['as it is']) / saved:.0f} steps")


def seconds(run, corpus: str, device: str) -> float:
    """Time one step."""
    start = time.perf_counter()
    run(corpus)
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
