"""`emokit train`."""

from __future__ import annotations

import re

import click

from emokit.cli import options
from emokit.cli.columns import dev_columns
from emokit.training.config import TrainConfig
from emokit.training.settings import read_recipe

_SHOWN = ("regime", "preset", "backbone", "adapters", "mode", "init", "target", "corpora", "seeds",
          "folds", "pooling", "head", "normalisation", "shared_pooling", "window", "augment",
          "sampler", "temperature", "batch_size", "balance", "loss", "label_smoothing",
          "optimizer", "learning_rate", "weight_decay", "schedule", "warmup", "epochs", "patience",
          "precision", "device", "compile", "workers")


@click.command(epilog="Example:  emokit train --adapters residual --seeds 0,1,2   then   "
                      "emokit train --regime single --seeds 0,1,2")
@options.options_from(TrainConfig, only=_SHOWN, defaults=read_recipe("small"))
@options.settings_options
@options.emoset_option
@options.runs_option
@click.option("--name", default=None, help="Name of the group instead of one made from settings.")
@click.option("--dry-run", is_flag=True, help="Print the cells and their state; fit nothing.")
@click.option("--print-parameters", is_flag=True, help="Print how many weights the model has, by "
              "part and against one single-corpus model, and which adapters sit where; fit "
              "nothing.")
@click.option("--suppose", metavar="NxK", default=None, help="With --print-parameters: for N "
              "corpora of K classes instead of those built, e.g. 26x6.")
@click.option("--stages", default=None, metavar="FILE.yaml", help="Run a plan: one training after "
              "another, each from the weights of the one before; see docs/stages.md.")
@click.option("--partition", type=click.Choice(["dev", "test"]), default=None, help="With "
              "--stages: score every corpus after every stage on this partition.  [default: dev]")
@options.format_option()
@options.quiet_option
def train(emoset, runs, name, dry_run, print_parameters, suppose, stages, partition, format_, sets,
          file, **flags):
    """Fit models on the built corpora.

    By default one joint model: a shared backbone, and for each corpus its own norms and head,
    with --adapters also adapters inside the backbone. `--regime single` fits one model per corpus
    to compare with. Every setting not named comes from the preset (the defaults below are those
    of `small`), and is printed. Running the
    same line again continues what was interrupted and fits nothing twice; other settings, other
    corpora of a joint model, make another group of runs. Settings without a flag of their own are
    set with --set (see docs/commands/train.md).
    """
    from emokit.training.settings import resolve

    if partition and not stages:
        raise click.UsageError("--partition goes with --stages.")
    if stages:
        if file or name or print_parameters:
            raise click.UsageError("A plan of stages has names and settings of its own; leave out "
                                   "--config, --name and --print-parameters.")
        click.echo(_stages(stages, options.given(flags), sets, emoset, runs, dry_run,
                           partition or "dev", format_))
        return
    config, explicit = resolve(options.given(flags), sets, file)
    if suppose and not print_parameters:
        raise click.UsageError("--suppose goes with --print-parameters.")
    if print_parameters:
        click.echo(_parameters(config, emoset, suppose, format_))
    elif dry_run:
        click.echo(_plan(config, emoset, runs, name, format_))
    else:
        from emokit.training.train import train as fit_all

        group, tasks = fit_all(config, explicit, emoset, runs, name)
        click.echo(_cells(tasks, format_))
        click.echo(f"{group.folder}\nNext: emokit evaluate {group.name} --runs {runs}", err=True)


def _stages(path, flags, sets, emoset, runs, dry_run, partition, format_) -> str:
    from emokit.evaluation.tables import render
    from emokit.experiments.stages import FORGETTING, stage_rows, stage_table, steps_of
    from emokit.training.stage_file import read_stages
    from emokit.training.stages import lay_out, train_stages

    stages = read_stages(path, flags, sets)
    if dry_run:
        return render([{"stage": one.stage.name, "group": one.group.name, "cell": task.cell.name,
                        "state": task.cell.state, "start": one.config.init}
                       for one in lay_out(stages, emoset, runs) for task in one.tasks], format_)
    laid = train_stages(stages, emoset, runs)
    rows = stage_rows(steps_of(laid), emoset, partition, stages[0].config.device)
    for one in laid:
        click.echo(f"{one.stage.name}: {one.group.folder}", err=True)
    notes = f"\n\nOn {partition}. {FORGETTING}" if format_ == "table" else ""
    return stage_table(rows, format_) + notes


def _cells(tasks, format_) -> str:
    from emokit.evaluation.tables import Column, render
    from emokit.experiments.partitions import partition_of

    rows = []
    for task in tasks:
        metrics = task.cell.metrics()
        partitions = {corpus.name: partition_of(corpus, task.fold) for corpus in task.corpora}
        for corpus, figures in metrics["dev"].items():
            rows.append({"cell": task.cell.name, "corpus": corpus,
                         "partition": partitions[corpus], "n_dev": figures["n"],
                         "dev_uar": figures.get("uar"), "dev_ccc": figures.get("ccc"),
                         "epoch": metrics["epoch"],
                         "epochs": metrics["epochs"], "seconds": metrics["seconds"]})
    return render(rows, format_, [
        Column("cell", "Cell"), Column("corpus", "Corpus"), Column("partition", "Partition"),
        Column("n_dev", "N dev", "count"), *dev_columns(rows),
        Column("epoch", "Best epoch", "count"), Column("epochs", "Epochs", "count"),
        Column("seconds", "Seconds", "count")])


def _plan(config, emoset, runs, name, format_) -> str:
    from pathlib import Path

    from emokit.corpora.store import open_emoset
    from emokit.evaluation.tables import render
    from emokit.training.train import effective, plan

    corpora = open_emoset(emoset, config.corpora)
    group, tasks = plan(effective(config), corpora, Path(runs), name)
    return render([{"group": group.name, "cell": task.cell.name, "state": task.cell.state,
                    "corpora": " ".join(corpus.name for corpus in task.corpora)}
                   for task in tasks], format_)


def _parameters(config, emoset, suppose, format_) -> str:
    from emokit.corpora.store import open_emoset
    from emokit.training.parameters import parameter_table
    from emokit.training.train import effective, sources_of

    config = effective(config)
    if suppose is None:
        sources = sources_of(config, open_emoset(emoset, config.corpora), None)
        labels = {source.head: source.head_labels for source in sources}
        dimensions = {source.head: source.head_dimensions for source in sources}
    else:
        match = re.fullmatch(r"(\d+)x(\d+)", suppose)
        if not match or not int(match[1]) or int(match[2]) < 2:
            raise click.BadParameter(f"'{suppose}' is not of the form NxK with K at least 2, "
                                     "e.g. 26x6.", param_hint="--suppose")
        classes = [f"class{number}" for number in range(int(match[2]))]
        labels = {f"corpus{number}": classes for number in range(int(match[1]))}
        dimensions = {}
    return parameter_table(config, labels, format_, dimensions)
