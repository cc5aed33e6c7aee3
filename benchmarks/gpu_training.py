"""Training steps on a GPU: utterances per second, share of what its bf16 units reach, memory.

    python benchmarks/gpu_training.py [--widths 32,64,128] [--corpora 1,4,26] [--batch 256]
    python benchmarks/gpu_training.py --quick       # toy sizes, also on a CPU: does it work?

Each line is a joint model with residual adapters, preset `base` at that width and 3 s windows:
steps of the training loop's own functions in bf16 on batches that lie on the device, one corpus
after the other. The share is floating-point operations of convolutions and products, counted by
torch, over the rate of an 8192 x 8192 product in bf16 on the same device. Then preset `base`, width
32, in bf16 and in float32 without TF32, in turn; reach of the ratio: 3.
"""

import argparse
import dataclasses
import gc
import statistics
import time

import torch
from torch.utils.flop_counter import FlopCounterMode
from verdict import not_measured, say

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

SAMPLES, CLASSES, PRODUCT, BASE_WIDTH = 48_000, 7, 8192, 32


@dataclasses.dataclass(frozen=True)
class Speed:
    """What was measured: utterances per second, operations of a step, most bytes held."""

    rate: float
    work: float
    memory: float


def main() -> None:
    """Print a line per width and number of corpora, then the ratio."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--widths", default="32,64,128")
    parser.add_argument("--corpora", default="1,4,26")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--samples", type=int, default=SAMPLES)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    what = "training step in bf16 over one in float32 without TF32, preset `base`, batch 256"
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    base_width, product = BASE_WIDTH, PRODUCT
    if options.quick:
        options.widths, options.corpora, options.batch, options.samples = "4,8", "1,2", 4, 8_000
        options.steps, options.rounds, base_width, product = 2, 1, 4, 256
    elif device.type == "cpu":
        not_measured(what, "no CUDA device", "at least 3")
        return
    peak = product_rate(device, product)
    name = torch.cuda.get_device_name() if device.type == "cuda" else "CPU"
    print(f"{name}, torch {torch.__version__}: bf16 product {peak / 1e12:.3g} TFLOP/s")
    for width in map(int, options.widths.split(",")):
        for n_corpora in map(int, options.corpora.split(",")):
            _line(width, n_corpora, options, device, peak)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    pairs = [[measure(base_width, 4, options, precision, device).rate
              for precision in ("bf16", "float32")] for _ in range(options.rounds)]
    bf16, float32 = (statistics.median(column) for column in zip(*pairs))
    print(f"width {base_width}, 4 corpora: bf16 {bf16:.0f} utt/s, float32 without TF32 "
          f"{float32:.0f} utt/s")
    ratio = statistics.median(a / b for a, b in pairs)
    if device.type == "cpu":
        not_measured(what, f"no CUDA device; a toy on the CPU {ratio:.2f} x", "at least 3")
    else:
        say(what.replace("256", str(options.batch)), ratio, 3, "x", at_least=True,
            quick=options.quick)


def _line(width: int, n_corpora: int, options, device: torch.device, peak: float) -> None:
    head = f"width {width:3d}, {n_corpora:2d} corpora, batch {options.batch}: "
    try:
        found = measure(width, n_corpora, options, "bf16", device)
    except torch.OutOfMemoryError:
        print(head + "too large; lower --batch", flush=True)
        return
    share = found.rate / options.batch * found.work / peak
    print(f"{head}{found.rate:8.0f} utt/s, {share:6.1%} of the bf16 rate, "
          f"{found.work / options.batch / 1e9:.1f} GFLOP an utterance, "
          f"{found.memory / 2**30:6.2f} GiB", flush=True)


def wait(device: torch.device) -> None:
    """Wait until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize()


def product_rate(device: torch.device, size: int, times: int = 30) -> float:
    """Give floating-point operations per second of a large product in bf16."""
    one, two = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
    for _ in range(5):
        one @ two
    wait(device)
    started = time.perf_counter()
    for _ in range(times):
        one @ two
    wait(device)
    return times * 2 * size**3 / (time.perf_counter() - started)


def measure(width: int, n_corpora: int, options, precision: str, device: torch.device) -> Speed:
    """Time steps of one model.

    Raises:
        torch.OutOfMemoryError: it does not fit.
    """
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    config = effective(resolve({"preset": "base", "adapters": "residual", "precision": precision},
                               [f"backbone.width={width}"])[0])
    labels = {f"corpus{number}": [f"class{k}" for k in range(CLASSES)]
              for number in range(n_corpora)}
    model = EmotionModel(complete(config.model_settings()), labels)
    apply_mode(model, "joint")
    place(model, device).train()
    optimizer = make_optimizer(model, config, dict.fromkeys(labels, 1000))
    autocast, _, _ = precision_of(config, device)
    batches = make_batches(list(labels), options, device)

    def step(number: int) -> None:
        batch = batches[number % n_corpora]
        optimizer.zero_grad(set_to_none=True)
        with autocast:
            logits = model(batch)
        class_losses(logits, batch.targets.classes, config).mean().backward()
        optimizer.step()

    # before compiling, which hides the operations from the counter
    with FlopCounterMode(display=False) as counter:
        step(0)
    if options.compile:
        model.backbone.compile()
    for number in range(5 + n_corpora):
        step(number)
    wait(device)
    started = time.perf_counter()
    for number in range(options.steps):
        step(number)
    wait(device)
    seconds = (time.perf_counter() - started) / options.steps
    memory = torch.cuda.max_memory_allocated() if device.type == "cuda" else float("nan")
    return Speed(options.batch / seconds, counter.get_total_flops(), memory)


def make_batches(corpora: list[str], options, device: torch.device) -> list[Batch]:
    """Give a batch for each corpus, clips of half the window and more, as the store has them."""
    size = (options.batch, options.samples)
    waves = torch.randint(-9000, 9000, size, dtype=torch.int16, device=device)
    lengths = torch.randint(options.samples // 2, options.samples + 1, size[:1], device=device)
    lengths[0] = options.samples
    classes = torch.randint(CLASSES, size[:1], device=device)
    return [Batch(waves, lengths, corpus, targets=Targets(classes)) for corpus in corpora]


if __name__ == "__main__":
    main()
