"""`emokit baseline`."""

from __future__ import annotations

import click

from emokit.baselines import BASELINES, PATHS
from emokit.baselines.config import BaselineConfig
from emokit.cli import options
from emokit.cli.columns import dev_columns


class FeatureSet(click.Choice):
    """The name of a feature set; what follows a colon is a path."""

    def convert(self, value, parameter, context):
        """Check the name; give (name, path or None)."""
        if isinstance(value, tuple):
            return value
        name, _, path = value.partition(":")
        name = super().convert(name, parameter, context)
        if name in PATHS and not path:
            self.fail(f"{name} needs {PATHS[name]}: {name}:PATH.", parameter, context)
        if name not in PATHS and path:
            self.fail(f"'{name}' takes no file; it is '{path}'.", parameter, context)
        return name, path or None


@click.command(epilog="Example:  emokit baseline logmel --folds auto")
@click.argument("features", type=FeatureSet(list(BASELINES)), metavar="{" + "|".join(
    f"{name}:PATH" if name in PATHS else name for name in BASELINES) + "}")
@options.options_from(BaselineConfig, skip=["name", "path"])
@options.emoset_option
@options.runs_option
@options.format_option()
@options.quiet_option
def baseline(features, emoset, runs, format_, **flags):
    """Fit linear models on classical features, or on a frozen encoder's embeddings.

    The floor: a trained network below it is a bug until shown otherwise. Same partitions and
    predictions tables as `emokit train`, so `emokit evaluate` takes its group like any other.
    """
    from emokit.baselines.run import run_baseline
    from emokit.core.config import from_mapping
    from emokit.corpora.store import open_emoset
    from emokit.evaluation.tables import Column, render
    from emokit.experiments.partitions import partition_of

    name, path = features
    config = from_mapping(BaselineConfig, {"name": name, "path": path, **options.given(flags)})
    with options.Bar("utt") as bar:
        group, cells = run_baseline(config, emoset, runs, bar)
    settings = group.config()
    built = {corpus.name: corpus for corpus in open_emoset(emoset, config.corpora)}
    rows = [{"cell": cell.name, "corpus": corpus,
             "partition": partition_of(built[corpus], cell.fold), "n_dev": figures["n"],
             "dev_uar": figures.get("uar"), "dev_ccc": figures.get("ccc"),
             "C": cell.metrics()["penalty"],
             "classifier": settings["classifier"] if "uar" in figures else "ridge",
             "fitted_on": settings["refit_on"],
             "missing": cell.metrics().get("missing", {}).get("utterances", 0)}
            for cell in cells for corpus, figures in cell.metrics()["dev"].items()]
    click.echo(render(rows, format_, [
        Column("cell", "Cell"), Column("corpus", "Corpus"), Column("partition", "Partition"),
        Column("n_dev", "N dev", "count"), *dev_columns(rows), Column("C", "Penalty"),
        Column("classifier", "Classifier"), Column("fitted_on", "Fitted on"),
        Column("missing", "Undefined", "count")]))
    click.echo(f"{group.folder}\nNext: emokit evaluate {group.name} --runs {runs}", err=True)
