"""`emokit pretrain`."""

from __future__ import annotations

import click

from emokit.cli import options
from emokit.pretraining.config import PretrainConfig, read_recipe
from emokit.pretraining.local_attributes.config import LocalAttributesConfig
from emokit.pretraining.probes.config import ProbeConfig

_SHARED = ("corpora", "utterances", "fold", "shared_speakers", "held_out", "window",
           "batch_seconds", "mask_share", "mask_span", "steps", "every", "learning_rate",
           "precision", "seeds", "device", "workers")


@click.group(epilog="Example:  emokit pretrain scratch --steps 200")
def pretrain():
    """Adapt an encoder to speech without labels, before `emokit train` fine-tunes it."""


def _command(kind: str, shown: tuple[str, ...], example: str):
    """Make the command of a kind of pre-training out of its help."""
    def decorate(function):
        for part in (options.quiet_option, options.format_option(), click.option(
                "--dry-run", is_flag=True, help="Print the cells and their state; fit nothing."),
                click.option("--name", default=None, help="Name of the group instead of one made "
                             "from the settings."),
                options.runs_option, options.emoset_option, options.settings_options,
                options.options_from(PretrainConfig, only=(*shown, *_SHARED),
                                     defaults=read_recipe(kind))):
            function = part(function)
        return pretrain.command(kind, epilog=f"Example:  {example}")(function)

    return decorate


@_command("tapt", ("backbone", "objective", "new_quantiser", "learns", "teacher", "clusters"),
          "emokit pretrain tapt --backbone hf:models/wav2vec2-base --steps 2000")
def tapt(**words):
    """Go on with an encoder's own self-supervised objective on the train utterances.

    wav2vec 2.0 with its quantiser: the contrastive objective. Everything else: hidden frames'
    clusters are predicted, by default clusters of the encoder's own frames. dev and test are
    never heard.
    """
    _run("tapt", **words)


@_command("ptapt", ("backbone", "learns", "teacher", "clusters"),
          "emokit pretrain ptapt --backbone hf:models/wav2vec2-base --clusters 64,512")
def ptapt(**words):
    """Predict the clusters of a teacher's frames where they are hidden, at several sizes at once.

    The teacher is the encoder as it starts, any other frozen backbone, a trained model, or
    spectra.
    """
    _run("ptapt", **words)


@_command("scratch", ("objective", "teacher", "clusters"),
          "emokit pretrain scratch --steps 3000   then   "
          "emokit train --regime single --backbone hf:runs/scratch-…/encoder-s0/best")
def scratch(**words):
    """Make a small encoder from random weights on the train utterances alone.

    Five million weights in the form of wav2vec 2.0, for machines without pretrained models. Sizes
    are set with --set backbone.architecture.hidden_size=384 and the like.
    """
    _run("scratch", **words)


def _run(kind, emoset, runs, name, dry_run, format_, sets, file, **flags):
    from emokit.evaluation.tables import Column, render
    from emokit.pretraining import run
    from emokit.pretraining.config import resolve

    config = resolve(kind, options.given(flags), sets, file)
    if dry_run:
        click.echo(render(run.plan(kind, config, emoset, runs, name), format_))
        return
    _, cells = run.pretrain(kind, config, emoset, runs, name)
    click.echo(render(run.overview(config, cells), format_, [
        Column("cell", "Cell"), Column("step", "Best step", "count"),
        Column("hours", "Hours heard", "number"),
        Column("measured", "On"), Column("of", "Of"), Column("loss", "Loss", "number"),
        Column("accuracy", "Accuracy", "percent"), Column("chance", "Chance", "percent"),
        Column("perplexity", "Perplexity", "number"), Column("seconds", "Seconds", "count")]))
    for cell in cells:
        click.echo(f"Next: emokit train --regime single --backbone hf:{run.folder_of(cell)}",
                   err=True)


@pretrain.command("local-attributes", epilog="Example:  emokit pretrain local-attributes "
                  "--backbone hf:models/whisper_tiny   then   emokit train --regime single "
                  "--backbone hf:models/whisper_tiny --adapters wap:runs/local-attributes-…")
@options.options_from(LocalAttributesConfig)
@options.settings_options
@options.emoset_option
@options.runs_option
@click.option("--name", default=None, help="Name of the group instead of local-attributes.")
@click.option("--dry-run", is_flag=True, help="Print the cells and their state; fit nothing.")
@options.format_option()
@options.quiet_option
def local_attributes(emoset, runs, name, dry_run, format_, sets, file, **flags):
    """Learn a small transformer on the cached states of a frozen encoder, without labels.

    A student that sees masked frames predicts what a slowly moving teacher makes of all of them:
    clusters of its frames (local attributes), and its frames themselves. Only train is learnt
    from; of dev the accuracy on masked frames is told. Running the same line again goes on where
    it stopped. See docs/local_attributes.md.
    """
    from pathlib import Path

    from emokit.corpora.store import open_emoset
    from emokit.evaluation.tables import Column, render
    from emokit.pretraining.local_attributes import run
    from emokit.pretraining.local_attributes.config import resolve

    config = resolve(options.given(flags), sets, file)
    if dry_run:
        folder, tasks = run.plan(config, open_emoset(emoset, config.corpora), Path(runs), name)
        click.echo(render([{"group": folder.name, "cell": task.cell.name,
                            "state": task.cell.state} for task in tasks], format_))
        return
    folder, tasks = run.pretrain(config, emoset, runs, name)
    click.echo(render(run.overview(tasks), format_, [
        Column("cell", "Cell"), Column("attributes", "Attributes", "count"),
        Column("used", "Used", "number"), Column("dev_accuracy", "Dev masked acc.", "percent"),
        Column("dev_majority", "Commonest", "percent"), Column("dev_place", "By place", "percent"),
        Column("spread", "Spread", "number"),
        Column("rank", "Rank", "number"), Column("epochs", "Epochs", "count"),
        Column("seconds", "Seconds", "count")]))
    click.echo(f"{folder}\nNext: {run.next_line(config, folder, emoset, runs)}", err=True)


@pretrain.command(epilog="Example:  emokit pretrain probe --backbone hf:models/whisper_tiny "
                  "--start runs/local-attributes-…")
@options.options_from(ProbeConfig)
@options.emoset_option
@options.reports_option
@options.format_option()
@options.quiet_option
def probe(emoset, reports, format_, **flags):
    """Ask with linear probes what states and clusters carry: emotion, speaker, corpus, gender.

    Logistic regressions on one vector an utterance, fitted on train and asked of dev, whose
    speakers differ; speakers themselves are asked for by utterance within train. Beside the table
    lies a picture of how clusters are used. Test is never opened.
    """
    from emokit.evaluation.tables import Column, render
    from emokit.pretraining.probes.config import resolve
    from emokit.pretraining.probes.run import run_probes, summary

    found = run_probes(resolve(options.given(flags)), emoset, reports)
    people = format_ in ("table", "latex")
    names = ["emotion", "speaker", "corpus", "gender"]
    asked = [name for name in names if any(row["question"] == name for row in found.rows)]
    click.echo(render(summary(found.rows) if people else found.rows, format_, [
        Column("what", "UAR of a linear probe"),
        *(Column(name, name, "percent") for name in asked)]))
    if people:
        click.echo()
        click.echo(render(found.shared, format_, [
            Column("what", "Mutual information"),
            *(Column(name, name, "number") for name in names)]))
    click.echo(f"{found.verdict}\n{found.folder}", err=True)
