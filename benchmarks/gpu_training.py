"""Training steps on a GPU: utterances per second, share of what its bf16 units reach, memory.

    python benchmarks/gpu_training.py [--widths 32,64,128] [--corpora 1,4,26] [--batch 256]

Each line is a joint model with residual adapters, preset `base` at that width and 3 s windows:
steps of the training loop's own functions in bf16 on batches that lie on the device, one corpus
after the other. The share is floating-point operations of convolutions and products, counted by
torch, over the rate of an 8192 x 8192 product in bf16 on the same GPU. For the narrowest model
also: float32 without TF32; reach of the ratio: 3. Without CUDA it says so and ends.
"""

import argparse
import statistics
import time

import torch
from torch.utils.flop_counter import FlopCounterMode

from emokit.loading.batch import Batch, Targets
from emokit.models.model import EmotionModel
from emokit.models.modes import apply_mode
from emokit.models.settings import complete
from emokit.training.loop import precision_of
from emokit.training.losses import class_losses
from emokit.training.optim import make_optimizer
from emokit.training.predict import place
from emokit.training.settings import resolve
from emokit.training.train import effective

SAMPLES, CLASSES = 48_000, 7


def main() -> None:
    """Print a line per width and number of corpora."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--widths", default="32,64,128")
    parser.add_argument("--corpora", default="1,4,26")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--compile", action="store_true")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        print("No CUDA device here: nothing to measure.")
        return
    peak = product_rate()
    print(f"{torch.cuda.get_device_name()}: bf16 product {peak / 1e12:.0f} TFLOP/s")
    widths = [int(text) for text in options.widths.split(",")]
    for width in widths:
        for n_corpora in map(int, options.corpora.split(",")):
            try:
                rate, work, memory = measure(width, n_corpora, options, "bf16")
            except torch.OutOfMemoryError:
                print(f"width {width:3d}, {n_corpora:2d} corpora: too large; lower --batch")
                continue
            print(f"width {width:3d}, {n_corpora:2d} corpora: {rate:8.0f} utt/s, "
                  f"{rate / options.batch * work / peak:6.1%} of the bf16 rate, "
                  f"{memory / 2**30:6.2f} GiB")
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    pairs = [[measure(min(widths), 4, options, precision)[0] for precision in ("bf16", "float32")]
             for _ in range(3)]
    ratio = statistics.median(a / b for a, b in pairs)
    print(f"bf16 {pairs[-1][0]:.0f} utt/s, float32 without TF32 {pairs[-1][1]:.0f} utt/s, ratio "
          f"{ratio:.2f} (reach 3)")


def product_rate(size: int = 8192, times: int = 30) -> float:
    """Give floating-point operations per second of a large product in bf16."""
    one, two = (torch.randn(size, size, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    for _ in range(5):
        one @ two
    torch.cuda.synchronize()
    started = time.perf_counter()
    for _ in range(times):
        one @ two
    torch.cuda.synchronize()
    return times * 2 * size**3 / (time.perf_counter() - started)


def measure(width: int, n_corpora: int, options, precision: str) -> tuple[float, float, float]:
    """Give (utterances per second, operations of a step, most bytes held)."""
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    device = torch.device("cuda")
    config = effective(resolve({"preset": "base", "adapters": "residual", "precision": precision},
                               [f"backbone.width={width}"])[0])
    labels = {f"corpus{number}": [f"class{k}" for k in range(CLASSES)]
              for number in range(n_corpora)}
    model = EmotionModel(complete(config.model_settings()), labels)
    apply_mode(model, "joint")
    place(model, device).train()
    if options.compile:
        model.backbone.compile()
    optimizer = make_optimizer(model, config, dict.fromkeys(labels, 1000))
    autocast, _, _ = precision_of(config, device)
    waves = torch.randint(-9000, 9000, (options.batch, SAMPLES), dtype=torch.int16, device=device)
    lengths = torch.randint(SAMPLES // 2, SAMPLES + 1, (options.batch,), device=device)
    lengths[0] = SAMPLES
    classes = torch.randint(CLASSES, (options.batch,), device=device)
    batches = [Batch(waves, lengths, corpus, targets=Targets(classes)) for corpus in labels]

    def step(number: int) -> None:
        batch = batches[number % n_corpora]
        optimizer.zero_grad(set_to_none=True)
        with autocast:
            logits = model(batch)
        class_losses(logits, batch.targets.classes, config).mean().backward()
        optimizer.step()

    for number in range(5 + n_corpora):
        step(number)
    with FlopCounterMode(display=False) as counter:
        step(0)
    torch.cuda.synchronize()
    started = time.perf_counter()
    for number in range(options.steps):
        step(number)
    torch.cuda.synchronize()
    seconds = (time.perf_counter() - started) / options.steps
    return options.batch / seconds, counter.get_total_flops(), torch.cuda.max_memory_allocated()


if __name__ == "__main__":
    main()
