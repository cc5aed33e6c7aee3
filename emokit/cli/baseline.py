"""`emokit baseline`."""

from __future__ import annotations

import click

from emokit.baselines import BASELINES
from emokit.baselines.config import BaselineConfig
from emokit.cli import options


@click.command(epilog="Example:  emokit baseline logmel --folds auto")
@click.argument("name", type=click.Choice(list(BASELINES)))
@options.options_from(BaselineConfig, skip=["name"])
@options.emoset_option
@options.runs_option
@options.format_option()
@options.quiet_option
def baseline(name, emoset, runs, format_, **flags):
    """Fit linear models on classical features.

    The floor: a trained network below it is a bug until shown otherwise. Same partitions and
    predictions tables as `emokit train`, so `emokit evaluate` takes its group like any other.
    """
    from emokit.baselines.run import run_baseline
    from emokit.core.config import from_mapping
    from emokit.evaluation.tables import Column, render

    config = from_mapping(BaselineConfig, {"name": name, **options.given(flags)})
    group, cells = run_baseline(config, emoset, runs)
    rows = [{"cell": cell.name, "corpus": corpus, "n_dev": figures["n"],
             "dev_uar": figures["uar"], "C": cell.metrics()["penalty"]}
            for cell in cells for corpus, figures in cell.metrics()["dev"].items()]
    click.echo(render(rows, format_, [
        Column("cell", "Cell"), Column("corpus", "Corpus"), Column("n_dev", "N dev", "count"),
        Column("dev_uar", "Dev UAR", "percent"), Column("C", "C")]))
    click.echo(f"{group.folder}\nNext: emokit evaluate {group.name} --runs {runs}", err=True)
