"""`emokit doctor`."""

from __future__ import annotations

import sys

import click

from emokit.cli import options


@click.command(epilog="Example:  emokit doctor --format json")
@options.format_option("table", "csv", "json")
def doctor(format_):
    """Say what is installed, which device is used, and how to mend what is missing.

    Exit status 1 if a part is broken that emokit cannot work without.
    """
    from emokit.deploy.doctor import examine
    from emokit.evaluation.tables import Column, render

    rows = examine()
    click.echo(render(rows, format_, [Column("part", "Part"), Column("state", "State"),
                                      Column("found", "Found"), Column("mend", "Mend")]))
    if any(row["state"] == "broken" for row in rows):
        sys.exit(1)
