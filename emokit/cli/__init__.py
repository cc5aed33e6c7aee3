"""The command line; the only package that imports click."""

from __future__ import annotations

import importlib
import signal
import sys

import click

from emokit import __version__
from emokit.core.errors import EmokitError

COMMANDS = {
    "corpora": ("emokit.cli.corpora:corpora", "List and explain corpora; write corpora.yaml."),
    "build-corpus": ("emokit.cli.build_corpus:build_corpus",
                     "Raw folders to one checked, memory-mapped corpus."),
    "train": ("emokit.cli.train:train", "Fit joint or single-corpus models."),
    "pretrain": ("emokit.cli.pretrain:pretrain",
                 "Adapt an encoder to unlabelled speech, or make one from nothing."),
    "baseline": ("emokit.cli.baseline:baseline", "Fit linear models on classical features."),
    "evaluate": ("emokit.cli.evaluate:evaluate",
                 "Metrics, intervals, significance and an HTML report."),
    "experiment": ("emokit.cli.experiment:experiment",
                   "A whole protocol: regimes, corpora, folds and seeds, one table."),
    "predict": ("emokit.cli.predict:predict", "Emotions of any audio file, as JSON lines."),
    "runs": ("emokit.cli.runs:runs", "List fitted models and their state."),
    "doctor": ("emokit.cli.doctor:doctor", "Say what is installed and what is missing."),
}
"""Command to where it lives and its line in `emokit --help`, which imports none of them."""


class _Lazy(click.Group):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, context):
        return list(COMMANDS)

    def get_command(self, context, name):
        if name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[name][0].partition(":")
        return getattr(importlib.import_module(module), attribute)

    def format_commands(self, context, formatter):
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def resolve_command(self, context, args):
        name = click.utils.make_str(args[0])
        if name not in COMMANDS and not name.startswith("-"):
            from emokit.core.errors import choices

            raise click.UsageError(f"No such command '{name}'. {choices(name, COMMANDS)}", context)
        return super().resolve_command(context, args)

    def invoke(self, context):
        try:
            return super().invoke(context)
        except EmokitError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]},
             epilog="Three lines take you from folders to a significance test:  "
                    "emokit build-corpus;  emokit train --adapters residual;  "
                    "emokit evaluate --mcnemar")
@click.version_option(__version__, prog_name="emokit")
def group():
    """Multi-corpus speech emotion recognition.

    Assemble corpora, train one shared backbone with a small adapter for each, and say with honest
    statistics whether it helped. No recordings at hand? Begin with
    `emokit build-corpus --synthetic`.
    """


def main() -> None:
    """Run the command line; Ctrl-C and SIGTERM end it in one line and leave a resumable state."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        status = group.main(standalone_mode=False)
    except click.exceptions.Exit as stop:
        status = stop.exit_code
    except click.Abort:
        status = _interrupted("Interrupted")
    except KeyboardInterrupt as stop:
        status = _interrupted(str(stop) or "Interrupted")
    except click.ClickException as error:
        error.show()
        status = error.exit_code
    except BrokenPipeError:
        # the reader of a pipe has gone; Python would complain once more at exit
        sys.stderr.close()
        status = 1
    except EmokitError as error:
        click.echo(f"Error: {error}", err=True)
        status = 1
    sys.exit(status if isinstance(status, int) else 0)


def _terminate(number, frame):
    raise KeyboardInterrupt("Terminated")


def _interrupted(why: str) -> int:
    # a terminal shows ^C or half a progress bar on the present line
    start = "\n" if sys.stderr.isatty() else ""
    click.echo(f"{start}{why}. Run the same command again to go on.", err=True)
    return 130
