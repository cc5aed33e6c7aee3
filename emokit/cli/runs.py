"""`emokit runs`."""

from __future__ import annotations

import click

from emokit.cli import options


@click.command(epilog="Example:  emokit runs --format csv | column -s, -t")
@click.argument("names", nargs=-1, metavar="[GROUP]…")
@options.runs_option
@options.format_option()
@options.quiet_option
def runs(names, runs, format_):
    """List groups and cells: state, dev UAR, failures.

    A cell is complete, interrupted (run the same `train` line again to continue it), failed (with
    its error) or empty. `dev_uar` is the mean over the corpora of the cell.
    """
    from emokit.core.files import read_json
    from emokit.evaluation.tables import Column, render
    from emokit.training.run import FAILED, find_group, groups

    found = [find_group(runs, name) for name in names] if names else groups(runs)
    rows = []
    for group in found:
        for cell in group.cells():
            metrics = cell.metrics() if cell.is_complete else {}
            failed = cell.folder / FAILED
            rows.append({
                "group": group.name, "cell": cell.name, "state": cell.state,
                "dev_uar": metrics.get("dev_uar"), "epoch": metrics.get("epoch"),
                "seconds": metrics.get("seconds"),
                "error": read_json(failed)["error"] if cell.state == "failed" else None,
            })
    click.echo(render(rows, format_, [
        Column("group", "Group"), Column("cell", "Cell"), Column("state", "State"),
        Column("dev_uar", "Dev UAR", "percent"), Column("epoch", "Best epoch", "count"),
        Column("seconds", "Seconds", "count"), Column("error", "Error")]))
    if not rows:
        click.echo(f"Nothing is trained in '{runs}' yet. Run: emokit train --adapters residual",
                   err=True)
