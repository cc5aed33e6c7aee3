"""`emokit corpora`."""

from __future__ import annotations

import os

import click

from emokit.cli import options


@click.group(epilog="Example:  emokit corpora list --format csv")
def corpora():
    """List, explain and set up corpora."""


@corpora.command("list", epilog="Example:  EMOKIT_CORPORA=/data/corpora emokit corpora list")
@click.option("--found", is_flag=True, help="Only those found on this disk.")
@options.format_option()
@options.quiet_option
def list_(found, format_):
    """List the catalogue, and what of it is found below $EMOKIT_CORPORA."""
    from emokit.corpora.catalogue import rows
    from emokit.corpora.discovery import discover
    from emokit.evaluation.tables import Column, render

    root = os.environ.get("EMOKIT_CORPORA")
    table = rows(discover(root) if root else [])
    if found:
        table = [row for row in table if row["state"] == "found"]
    click.echo(render(table, format_, [
        Column("name", "Name"), Column("language", "Language"),
        Column("speakers", "Speakers"), Column("utterances", "Utterances"),
        Column("access", "Access"), Column("reader", "Reader"), Column("state", "Here")]))
    if not root:
        click.echo("EMOKIT_CORPORA is not set: export EMOKIT_CORPORA=/your/corpora", err=True)


@corpora.command(epilog="Example:  emokit corpora show emodb")
@click.argument("name")
@options.format_option("table", "json")
def show(name, format_):
    """Tell what is known of one corpus: labels, licence, how to obtain and cite it."""
    from emokit.core.config import to_mapping
    from emokit.core.files import to_json
    from emokit.corpora.catalogue import entry

    facts = to_mapping(entry(name))
    if format_ == "json":
        click.echo(to_json(facts))
        return
    for key, value in facts.items():
        if value not in ("", None, []):
            text = ", ".join(map(str, value)) if isinstance(value, list) else value
            click.echo(f"{key:12} {text}")


@corpora.command(epilog="Example:  emokit corpora init && $EDITOR corpora.yaml")
def init():
    """Write a commented corpora.yaml here, to be filled with your choices."""
    from pathlib import Path

    from emokit.core.errors import ConfigError
    from emokit.core.files import write_text
    from emokit.corpora.spec import packaged

    target = Path("corpora.yaml")
    if target.exists():
        raise ConfigError("There is a corpora.yaml here already. Edit it, or remove it first.")
    write_text(target, packaged().read_text(encoding="utf-8"))
    click.echo(str(target))
