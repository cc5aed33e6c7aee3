"""`emokit experiment`."""

from __future__ import annotations

import os

import click

from emokit.cli import options
from emokit.evaluation.contrast import Config as ContrastConfig
from emokit.experiments import PROTOCOLS
from emokit.experiments.config import ExperimentConfig
from emokit.training.config import TrainConfig
from emokit.training.settings import read_recipe

_TRAIN = ("preset", "backbone", "adapters", "target", "corpora", "seeds", "folds", "window",
          "batch_size", "learning_rate", "epochs", "device", "workers")


@click.command(epilog="Example:  emokit experiment emonet --synthetic --scale 0.02 --seeds 0,1,2   "
                      "or  emokit experiment cross --corpora emodb,ravdess,nemo")
@click.argument("what", metavar="{" + "|".join(PROTOCOLS) + "|FILE.yaml}")
@options.options_from(ExperimentConfig)
@options.options_from(TrainConfig, only=_TRAIN, defaults={
    **read_recipe("small"), "seeds": [0, 1, 2, 3, 4], "folds": "auto"})
@options.settings_options
@options.options_from(ContrastConfig, only=["cluster", "alpha", "draws"])
@click.option("--synthetic", is_flag=True, help="Make synthetic stand-ins of the corpora first, "
              "as `build-corpus --synthetic` does, and use those.")
@click.option("--scale", type=click.FloatRange(0, 1, min_open=True), default=None, help="With "
              "--synthetic: share of the published number of files.")
@click.option("--raw", default="synthetic", show_default=True, metavar="DIR",
              help="With --synthetic: where the stand-ins are written.")
@options.emoset_option
@options.runs_option
@options.reports_option
@click.option("--name", default=None, help="Folder of the report instead of the experiment's own "
              "name.")
@click.option("--dry-run", is_flag=True, help="Print the cells and their state; fit nothing.")
@options.format_option("table", "csv", "json", "latex", "markdown")
@options.quiet_option
def experiment(what, synthetic, scale, raw, emoset, runs, reports, name, dry_run, format_, sets,
               file, **flags):
    """Run a whole protocol and write its tables and report.

    emonet: every way of training on every corpus, fold and seed, ending in the paper's table,
    each against single models. within, cross, leave-one-corpus-out: matrices with a heat map,
    under --target canonical4 unless another is named. peft: every way of adapting a pretrained
    --backbone, against full fine-tuning. two-stage: from --source to --onto, against
    --onto alone, with what the source forgets. FILE.yaml: a grid of one's own.
    Every model is an ordinary cell below --runs: run the same line again and only what is missing
    is fitted. A cell that fails is recorded and the others go on; the command then ends with 1.
    --seeds defaults to 0,1,2,3,4 in emonet and 0,1,2 elsewhere, --folds to auto.
    """
    from emokit.core.config import from_mapping
    from emokit.experiments.run import run_experiment

    given = options.given(flags)
    if given.get("baselines") == ["none"]:
        given["baselines"] = []
    if (scale is not None or raw != "synthetic") and not synthetic:
        raise click.UsageError("--scale and --raw go with --synthetic.")
    chosen = from_mapping(ExperimentConfig, _of(given, ExperimentConfig))
    tests = {key: given[key] for key in ("cluster", "alpha", "draws") if key in given}
    if synthetic and not dry_run:
        pair = [name for name in (chosen.source, chosen.onto) if name]
        built = _stand_ins(pair or given.get("corpora", []), scale, raw, emoset)
        given |= {} if pair else {"corpora": built}
    found = run_experiment(what, emoset, runs, reports, chosen, flags=_of(given, TrainConfig),
                           sets=sets, file=file, name=name, dry_run=dry_run, **tests)
    click.echo(found.text(format_))
    if format_ in ("table", "markdown"):
        for note in found.notes:
            click.echo(note, err=format_ == "markdown")
    if found.folder is not None:
        click.echo(f"{found.folder / 'report.html'}", err=True)
    found.raise_failures()


def _of(given, cls) -> dict:
    import dataclasses

    names = {field.name for field in dataclasses.fields(cls)}
    return {key: value for key, value in given.items() if key in names}


def _stand_ins(names, scale, raw, emoset) -> list[str]:
    """Write and build stand-ins of the corpora, of the usual ones if none is named."""
    from emokit.cli.build_corpus import DEFAULT_LIMIT
    from emokit.corpora.build import BuildOptions, build_corpora
    from emokit.corpora.spec import survey
    from emokit.corpora.synthetic import USUAL, write_synthetic

    names, jobs = list(names) or list(USUAL), len(os.sched_getaffinity(0))
    with options.Bar("utt") as bar:
        write_synthetic(raw, names, 1.0 if scale is None else scale, 0, jobs,
                        DEFAULT_LIMIT if scale is None else None, bar)
        specs, _ = survey(None, names, raw, dict(os.environ))
        for result in build_corpora(specs, emoset, BuildOptions(), bar):
            click.echo(result.words, err=True)
    return names
