"""What each adapter costs in training, over full fine-tuning of the same encoder.

    python benchmarks/peft_cost.py [--backbone FOLDER] [--batch 8] [--seconds 3] [--rounds 3]
        [--device cuda]

Prints a Markdown table: numbers that learn, seconds of a step and bytes that training holds
(activations kept for the gradient, gradients, two moments of AdamW), each over full fine-tuning
with frozen convolutions. All models run alternately on the same padded batch; medians. On a CPU
seconds are those of the processor, so that other programs count little. Without --backbone the
encoder has the size of Whisper tiny and random weights.
"""

import argparse
import statistics
import time

import torch
from torch import nn

from emokit.core.config import parse_spec
from emokit.loading.batch import Batch
from emokit.models.model import EmotionModel
from emokit.models.modes import apply_mode
from emokit.models.settings import ModelSettings, complete
from emokit.training.predict import place

FINETUNE, HEAD = "full fine-tuning", "head alone"
SPECS = ("norm", "bottleneck", "bottleneck(where=attention|ffn)", "lora", "lora(where=all)",
         "dora", "ia3", "bias", "gate", "weighted_sum", "layer_mix", "conv_lora",
         "conv_bottleneck", "prompt", "prefix", "residual(where=ffn,norm=shared)",
         "bottleneck+lora+weighted_sum+gate", "bottleneck+lora(where=all)+weighted_sum+gate",
         "bottleneck(layers=last2)+lora(layers=last2)+weighted_sum+gate(layers=last2)")
RATE = 16_000


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--backbone", help="Folder of an encoder; random weights if left out.")
    for name, default in (("batch", 8), ("seconds", 3), ("rounds", 3), ("threads", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    settings = {"path": options.backbone} if options.backbone else {
        "architecture": {"model_type": "whisper"}}
    specs = ("lora",) if options.quick else SPECS
    if options.quick:
        options.batch, options.seconds, options.rounds = 2, 1, 1
    samples = options.seconds * RATE
    lengths = torch.linspace(samples // 2, samples, options.batch).long()
    waves = torch.randn(options.batch, samples) * 0.05
    waves[torch.arange(samples) >= lengths[:, None]] = 0
    batch = Batch(waves, lengths, "corpus").to(options.device)
    models = {}
    for name in (FINETUNE, HEAD, *specs):
        spec = [] if name in (FINETUNE, HEAD) else parse_spec(name)
        model = EmotionModel(complete(ModelSettings(
            backbone={"name": "hf", **settings}, normalisation="none", pooling="average",
            head="projector", adapters=spec)), {"corpus": "abcd"})
        mode = {FINETUNE: "finetune", HEAD: "head"}.get(name, "adapters")
        apply_mode(model.train(), mode, "corpus")
        models[name] = place(model, options.device)
    seconds = {name: [] for name in models}
    held = {}
    optimizers = {name: torch.optim.AdamW([parameter for parameter in model.parameters()
                                           if parameter.requires_grad], lr=1e-4)
                  for name, model in models.items()}
    for round_ in range(options.rounds + 1):
        for name, model in models.items():
            if not round_:  # this one warms up, too
                held[name] = step(model, optimizers[name], batch, count=True)
                continue
            start = clock(options.device)
            step(model, optimizers[name], batch)
            seconds[name].append(clock(options.device) - start)
    print(f"{options.batch} utterances of up to {options.seconds} s, torch {torch.__version__}, "
          f"{options.device}\n")
    print("| what learns | numbers | of the encoder | step | memory |\n"
          "| --- | ---: | ---: | ---: | ---: |")
    size = sum(tensor.numel() for tensor in models[HEAD].backbone.state_dict().values())
    head = learning(models[HEAD])
    whole = statistics.median(seconds[FINETUNE])
    for name, model in models.items():
        n = learning(model)
        adapters = n if name == FINETUNE else n - head
        words = name if name in (FINETUNE, HEAD) else f"`{name}`".replace("|", "\\|")
        print(f"| {words} | {n} | "
              f"{100 * adapters / size:.2f} % | {statistics.median(seconds[name]) / whole:.2f} × | "
              f"{held[name] / held[FINETUNE]:.2f} × |", flush=True)
    print(f"\n1 × is {whole:.2f} s and {held[FINETUNE] / 2**20:.0f} MiB.")


def learning(model: EmotionModel) -> int:
    """Count the numbers that learn."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def clock(device: str) -> float:
    """Give seconds: of the processor, or by the wall where a GPU works."""
    if device == "cpu":
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def step(model: EmotionModel, optimizer, batch: Batch, count: bool = False) -> int:
    """Do one training step; give the bytes it holds if they shall be counted.

    Those of tensors kept for the gradient, each storage once and weights not at all, and three
    numbers of four bytes for each that learns.
    """
    kept = {}
    weights = {tensor.untyped_storage().data_ptr() for tensor in model.state_dict().values()}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    def run():
        loss = nn.functional.cross_entropy(
            model(batch), torch.zeros(len(batch.lengths), dtype=torch.long,
                                      device=batch.lengths.device))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    if not count:
        run()
        return 0
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        run()
    return sum(kept.values()) + 12 * learning(model)


if __name__ == "__main__":
    main()
