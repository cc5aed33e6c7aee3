"""`emokit runs`."""

from __future__ import annotations

import click

from emokit.cli import options
from emokit.cli.columns import dev_columns, test_columns


@click.command(epilog="Example:  emokit runs --format csv | column -s, -t")
@click.argument("names", nargs=-1, metavar="[GROUP]…")
@options.runs_option
@options.format_option()
@options.quiet_option
def runs(names, runs, format_):
    """List groups and cells: state, dev and test UAR, failures.

    A cell is complete, interrupted (run the same `train` line again to continue it), failed (with
    its error) or empty. `fold` is the one it tests, none on the default partitions. `dev_uar`, or
    `dev_ccc` of dimensions, is the mean over the corpora of the cell; so are `test_uar` and
    `test_ccc` of what `emokit evaluate` has scored.
    """
    from emokit.core.files import read_json
    from emokit.evaluation.tables import Column, render
    from emokit.training.run import FAILED, find_group, groups
    from emokit.training.scored import scored_figures

    found = [find_group(runs, name) for name in names] if names else groups(runs)
    rows = []
    for group in found:
        for cell in group.cells():
            metrics = cell.metrics() if cell.is_complete else {}
            test = scored_figures(cell) if cell.is_complete else {}
            failed = cell.folder / FAILED
            rows.append({
                "group": group.name, "cell": cell.name, "fold": cell.fold,
                "state": cell.state, "dev_uar": metrics.get("dev_uar"),
                "dev_ccc": metrics.get("dev_ccc"), "test_uar": test.get("uar"),
                "test_ccc": test.get("ccc"), "epoch": metrics.get("epoch"),
                "seconds": metrics.get("seconds"),
                "error": read_json(failed)["error"] if cell.state == "failed" else None,
            })
    click.echo(render(rows, format_, [
        Column("group", "Group"), Column("cell", "Cell"), Column("fold", "Fold", "count"),
        Column("state", "State"), *dev_columns(rows), *test_columns(rows),
        Column("epoch", "Best epoch", "count"),
        Column("seconds", "Seconds", "count"), Column("error", "Error")]))
    if not rows:
        click.echo(f"Nothing is trained in '{runs}' yet. Run: emokit train --adapters residual",
                   err=True)
