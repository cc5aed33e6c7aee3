"""`emokit evaluate`."""

from __future__ import annotations

import click

from emokit.cli import options
from emokit.corpora.manifest import PARTITIONS
from emokit.evaluation.comparison import Config


@click.command(epilog="Example:  emokit evaluate joint-residual --against single --cluster speaker "
                      "--format latex > table.tex")
@click.argument("systems", nargs=-1, metavar="[GROUP|CSV]…")
@click.option("--against", metavar="GROUP|CSV", default=None, help="Reference to compare with.")
@click.option("--mcnemar", is_flag=True, help="Compare, McNemar's test among the columns. Without "
              "--against: with the newest single-corpus models, or the log-mel baseline.")
@click.option("--partition", type=click.Choice(PARTITIONS), default="test", show_default=True,
              help="What is scored.")
@options.options_from(Config, only=["metric", "cluster", "interval", "alpha", "correction",
                                    "mcnemar_form", "draws", "skip_undefined"])
@click.option("--labels", type=options.CommaList(str), default=None, metavar="NAME,NAME,…",
              help="Classes, in order, of CSV tables that have no p_<class> columns.")
@click.option("--device", default="auto", show_default=True, help="Where missing predictions are "
              "made.")
@options.emoset_option
@options.runs_option
@options.reports_option
@options.format_option("table", "csv", "json", "latex", "markdown")
@options.quiet_option
def evaluate(systems, against, mcnemar, format_, **settings):
    """Score systems, compare them honestly, and write one HTML report.

    A system is a group of runs, or a CSV of predictions that any toolkit made (utterance, truth,
    prediction, and p_<class>, speaker, seed where known). Without arguments the newest joint
    group is scored. Test predictions that are missing are made now. UAR comes first, with an
    interval that respects speakers. The mark of a comparison rests on a test over speakers (and
    seeds, from three on), corrected over corpora; McNemar's test stands beside it. Arousal,
    valence and dominance are compared by CCC in the same way.
    """
    if settings["labels"] and not any(name.endswith(".csv") for name in (*systems, against or "")):
        raise click.UsageError("--labels is for CSV tables; groups carry their own classes.")
    from emokit.evaluation.comparison_files import overall_text
    from emokit.evaluation.tables import render
    from emokit.experiments.evaluate import evaluate as run

    found = run(systems, against, find_reference=mcnemar, **options.given(settings))
    if not found.comparisons or len(systems) > 1:
        click.echo(found.summary.text(format_))
    if found.comparisons and format_ in ("csv", "json"):
        click.echo(render([row for one in found.comparisons for row in one.rows], format_))
    elif found.comparisons:
        click.echo("\n\n".join(
            one.text(format_) + (f"\n\n{overall_text(one)}" if format_ != "latex" else "")
            for one in found.comparisons))
    for hint in found.hints:
        click.echo(f"Note: {hint}", err=True)
    click.echo(f"{found.folder / 'report.html'}", err=True)
