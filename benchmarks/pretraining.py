"""Does an encoder made from nothing help? Fine-tuning from it against from random weights.

    python benchmarks/pretraining.py --corpora emodb,nemo,ravdess   # hours on two cores; resumable
    python benchmarks/pretraining.py --corpora emodb,nemo --steps 600 --heads-only

First `emokit pretrain scratch` on the train utterances of all corpora, then a model of each corpus
from three seeds (`--seeds`): the head alone on the frozen encoder, and everything, each from the
pre-trained and from random weights of the same shape. The random encoder is one and the same for
all seeds, as the pre-trained one is. The table has dev UAR, mean and deviation over seeds; test is
never opened. Below it stands what pre-training measured on held-out speakers, and its speed.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import numpy as np

from emokit.evaluation.tables import Column, render
from emokit.pretraining.config import PretrainConfig
from emokit.pretraining.config import resolve as resolve_pretraining
from emokit.pretraining.encoder import Learner, make_encoder, make_head, write_encoder
from emokit.pretraining.run import folder_of, overview, pretrain
from emokit.training.settings import resolve
from emokit.training.train import train


def random_encoder(config: PretrainConfig, folder: Path) -> Path:
    """Write an encoder of the same shape with the weights that pre-training begins with."""
    from emokit.core.seeding import derive, seed_everything

    if not (folder / "config.json").is_file():
        seed_everything(derive(config.seeds[0], "weights") % 2**31)
        encoder, heads = make_encoder(config)
        write_encoder(folder, Learner(encoder, make_head(config, encoder, heads)), {
            "target": "emotion", "fold": None, "manifests": {}, "ancestors": []})
    return folder


def dev_uar(group) -> dict[str, list[float]]:
    """Give corpus to the dev UAR of each seed."""
    found: dict[str, list[float]] = {}
    for cell in group.cells():
        for corpus, figures in cell.metrics()["dev"].items():
            found.setdefault(corpus, []).append(100 * figures["uar"])
    return found


def main() -> None:
    """Run what is missing and print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--emoset", default="emoset")
    parser.add_argument("--runs", default="runs")
    parser.add_argument("--corpora", default="")
    parser.add_argument("--steps", type=int, default=None)
    parser.add_argument("--set", action="append", default=[], dest="sets",
                        help="of pre-training, such as batch_seconds=20")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--heads-only", action="store_true")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    runs, names = Path(args.runs), [name for name in args.corpora.split(",") if name]
    flags = {"corpora": names, **({} if args.steps is None else {"steps": args.steps})}
    config = resolve_pretraining("scratch", flags, args.sets)
    group, cells = pretrain("scratch", config, args.emoset, runs)
    starts = {"pre-trained": folder_of(cells[0]),
              "random": random_encoder(config, group.folder / "random")}
    modes = ["head"] if args.heads_only else ["head", "finetune"]
    rows: dict[str, dict] = {}
    for mode in modes:
        for name, folder in starts.items():
            settings = {"backbone": f"hf:{folder}", "regime": "single", "mode": mode,
                        "corpora": names, "epochs": args.epochs,
                        "seeds": [int(seed) for seed in args.seeds.split(",")]}
            # a random encoder has everything to learn, and at the full rate
            sets = ["backbone.train_feature_encoder=true", "finetune_rate=1.0"] \
                if mode == "finetune" and name == "random" else []
            for corpus, values in dev_uar(train(*resolve(settings, sets), args.emoset, runs)[0]
                                          ).items():
                rows.setdefault(corpus, {"corpus": corpus})[f"{mode} {name}"] = (
                    f"{np.mean(values):.1f} ± {np.std(values, ddof=min(1, len(values) - 1)):.1f}")
    columns = [Column("corpus", "Dev UAR"), *(
        Column(f"{mode} {name}", f"{mode}, {name}") for mode in modes for name in starts)]
    print(render(list(rows.values()), "table", columns))
    print()
    print(render(overview(config, cells), "table"))
    print(f"{cells[0].metrics()['hours_per_hour']:.0f} hours of speech an hour")


if __name__ == "__main__":
    main()
