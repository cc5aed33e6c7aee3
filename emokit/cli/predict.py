"""`emokit predict`."""

from __future__ import annotations

import sys

import click

from emokit.cli import options


@click.command(epilog="Example:  find . -name '*.wav' | emokit predict joint-residual - | "
                      "jq -r '[.file, .prediction] | @tsv'")
@click.argument("group")
@click.argument("audio", nargs=-1, required=True)
@click.option("--corpus", default=None, help="Answer with this corpus's adapter and head.")
@click.option("--device", default="auto", show_default=True, help="cpu, cuda, …")
@options.runs_option
@options.quiet_option
def predict(group, audio, corpus, device, runs):
    """Name the emotions of audio files, one JSON line each.

    GROUP is a group of runs, GROUP/CELL, or a checkpoint file. AUDIO are files of any format and
    rate, folders, or - for a list of paths on stdin. Long recordings are cut into overlapping
    windows and averaged. Without --corpus the pooled head answers; a model without one gives the
    mean over its heads in canonical words, each head's answer beside it. A file that cannot be
    read gets a line with its error, the others go on, and the exit status is 1.
    """
    from emokit.core.files import to_json
    from emokit.deploy.predict import Predictor, expand, find_checkpoint, predict_files
    from emokit.training.train import device_of

    paths = [line.rstrip("\n") for path in audio
             for line in (sys.stdin if path == "-" else [path])]
    files = list(expand(filter(None, paths)))
    predictor = Predictor(find_checkpoint(runs, group), corpus, str(device_of(device)))
    failed = 0
    for record in predict_files(predictor, files):
        click.echo(to_json(record))
        if "error" in record:
            failed += 1
            click.echo(f"Error: {record['error']}", err=True)
    if failed:
        sys.exit(1)
