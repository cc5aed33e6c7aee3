"""Fine-tune a WAP-Transformer that was pre-trained without labels, and one that was not.

    python benchmarks/local_attributes.py --backbone "hf(path=DIR,layer=3)" --emoset emoset
    python benchmarks/local_attributes.py --backbone hf:DIR --corpora emodb,nemo --small
    python benchmarks/local_attributes.py --backbone hf:DIR --set clustering=frozen  # an ablation

One pre-training a seed on the train partitions of all corpora together; then, on each corpus and
with each seed, the pre-trained WAP-Transformer, the same from random weights at both learning
rates, and a logistic regression on the mean of the last state. All on cached states, resumable.
The epoch is chosen on dev, the figures are UAR on test; of the random starts the one that is
better on dev is compared. `--small` learns a fourteenth of the weights for a few epochs.
"""

from __future__ import annotations

import argparse
import logging

import numpy as np

SMALL = ("width=64", "hidden=256", "attributes=64", "epochs=10", "batch_seconds=20",
         "learning_rate=1e-3")
RATES = {"pre-trained": 1e-4, "random": 1e-4, "random, fast": 5e-4}


def main() -> None:
    """Pre-train, fine-tune, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--backbone", required=True,
                        help="hf:DIR, or hf(path=DIR,layer=N) for a middle state.")
    parser.add_argument("--emoset", default="emoset")
    parser.add_argument("--runs", default="runs")
    parser.add_argument("--corpora", default="", help="Default: all that are built.")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--epochs", type=int, default=30, help="Of fine-tuning.")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--set", dest="sets", action="append", default=[], metavar="KEY=VALUE",
                        help="Of the pre-training.")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    seeds = [int(seed) for seed in options.seeds.split(",")]
    corpora = [name for name in options.corpora.split(",") if name]
    config, folder = pretrained(options, corpora, seeds)
    figures = {name: fine_tuned(name, options, config, folder, corpora, seeds) for name in RATES}
    print(table(figures, linear(options, corpora), len(seeds)))


def pretrained(options, corpora, seeds):
    """Learn the WAP-Transformers, and print how that went; give their settings and folder."""
    from emokit.pretraining.local_attributes.config import resolve
    from emokit.pretraining.local_attributes.run import overview, pretrain

    config = resolve({"backbone": options.backbone, "seeds": seeds, "corpora": corpora},
                     [*(SMALL if options.small else ()), *options.sets])
    folder, tasks = pretrain(config, options.emoset, options.runs)
    print("| cell | attributes | used | dev masked accuracy | commonest | by place | spread | "
          "rank | seconds |\n|---|---|---|---|---|---|---|---|---|")
    for row in overview(tasks):
        print(f"| {row['cell']} | {row['attributes']} | {row['used']:.0f} | "
              f"{row['dev_accuracy']:.1%} | {row['dev_majority']:.1%} | "
              f"{row['dev_place']:.1%} | {row['spread']:.2f} | "
              f"{row['rank']:.0f} | {row['seconds']:.0f} |", flush=True)
    return config, folder


def fine_tuned(name, options, config, folder, corpora, seeds) -> dict:
    """Fit the cells of one start; give {corpus: [(dev UAR, test UAR, seconds) by seed]}."""
    from emokit.training.settings import resolve
    from emokit.training.train import score_cell, train

    sets = [f"adapters.wap.{key}={value}" for key, value in config.wap().items()]
    if name == "pre-trained":
        sets.append(f"adapters.wap.path={folder}")
    flags = {"preset": "local_attributes", "backbone": options.backbone, "adapters": "wap",
             "corpora": corpora, "seeds": seeds, "epochs": options.epochs}
    settings, explicit = resolve(flags, [*sets, f"rates.wap={RATES[name]}"])
    _, tasks = train(settings, explicit, options.emoset, options.runs)
    found: dict[str, list] = {}
    for task in tasks:
        corpus, = (one.name for one in task.corpora)
        if not task.cell.predictions(corpus, "test").is_file():
            score_cell(task.cell, options.emoset, "test")
        metrics = task.cell.metrics()
        found.setdefault(corpus, []).append(
            (metrics["dev_uar"], test_uar(task.cell, corpus), metrics["seconds"]))
    return found


def test_uar(cell, corpus: str) -> float:
    """Give the UAR of a cell's predictions on test."""
    from emokit.core.files import read_csv
    from emokit.evaluation.metrics import uar

    frame = read_csv(cell.predictions(corpus, "test"))
    labels = [column[2:] for column in frame.columns if column.startswith("p_")]
    return uar(frame["truth"], frame["prediction"], labels=labels)


def linear(options, corpora) -> dict[str, float]:
    """Give {corpus: test UAR} of a logistic regression on the mean of the last state."""
    from emokit.core.config import parse_spec
    from emokit.corpora.store import open_emoset
    from emokit.pretraining.local_attributes.config import LocalAttributesConfig
    from emokit.pretraining.local_attributes.run import frames_of, make_encoder, sources_of
    from emokit.pretraining.probes.linear import Question, probe
    from emokit.pretraining.probes.vectors import Vectors, utterance_table

    config = LocalAttributesConfig(backbone=parse_spec(options.backbone)[0])
    model, found = make_encoder(config), {}
    for source in sources_of(open_emoset(options.emoset, corpora), None):
        sets = [frames_of(model, [source], name, config) for name in ("train", "test")]
        rows, owners = utterance_table([source], sets, ("train", "test"))
        vectors = Vectors(sets, owners, len(rows), model.backbone.dim)
        means = vectors.means(vectors.frames(lambda states, real: states[:, -1], vectors.width))
        train, test = (np.flatnonzero(rows["partition"] == name) for name in ("train", "test"))
        found[source.name] = probe(means, Question(
            "emotion", source.name, train, test, rows["emotion"].to_numpy(dtype=object),
            "fitted on train, asked of test"), 0.1)["uar"]
    return found


def table(figures: dict, linear_uar: dict[str, float], n: int) -> str:
    """Give test UAR by corpus, mean over seeds, and the difference paired by seed."""
    rows = ["| corpus | linear probe | " + " | ".join(RATES) + " | pre-trained − random | "
            "seconds a cell |", "|---|---|" + "---|" * (len(RATES) + 2)]
    for corpus, cells in figures["pre-trained"].items():
        shown = [f"{np.mean([cell[1] for cell in figures[name][corpus]]):.1%} "
                 f"± {np.std([cell[1] for cell in figures[name][corpus]], ddof=int(n > 1)):.1%}"
                 for name in RATES]
        best = max(("random", "random, fast"),
                   key=lambda name: np.mean([cell[0] for cell in figures[name][corpus]]))
        gains = np.array([one[1] - other[1] for one, other in zip(cells, figures[best][corpus])])
        rows.append(
            f"| {corpus} | {linear_uar[corpus]:.1%} | " + " | ".join(shown)
            + f" | {interval(gains)} | {np.mean([cell[2] for cell in cells]):.0f} |")
    return "\n".join(rows)


def interval(gains: np.ndarray) -> str:
    """Give a mean in points with Student's interval; alone where there is one seed."""
    from scipy import stats

    if len(gains) < 2:
        return f"{100 * gains.mean():+.1f}"
    half = stats.t.ppf(0.975, len(gains) - 1) * gains.std(ddof=1) / len(gains) ** 0.5
    return f"{100 * gains.mean():+.1f} ± {100 * half:.1f}"


if __name__ == "__main__":
    main()
