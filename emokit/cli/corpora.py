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
    further = []
    if found:
        table = [row for row in table if row["state"] == "found"]
        further = [Column("files", "Files"), Column("folder", "Folder")]
    click.echo(render(table, format_, [
        Column("name", "Name"), Column("language", "Language"),
        Column("speakers", "Speakers"), Column("utterances", "Utterances"),
        Column("access", "Access"), Column("reader", "Reader"), Column("state", "Here"), *further]))
    if not root:
        click.echo("EMOKIT_CORPORA is not set: export EMOKIT_CORPORA=/your/corpora", err=True)
    elif not os.path.isdir(root):
        click.echo(f"EMOKIT_CORPORA: there is no folder '{root}'.", err=True)
    elif found and not table:
        click.echo(f"No folder below '{root}' looks like a corpus that emokit has a parser for.",
                   err=True)
    if format_ == "table" and not found:
        click.echo("Reader 'list': no parser, describe your copy in corpora.yaml (emokit corpora "
                   "init). More on one: emokit corpora show NAME", err=True)


@corpora.command(epilog="Example:  emokit corpora show emodb")
@click.argument("name")
@options.format_option("table", "json")
def show(name, format_):
    """Tell what is known of one corpus: labels, licence, how to obtain and cite it."""
    from emokit.core.config import to_mapping
    from emokit.core.files import to_json
    from emokit.corpora.catalogue import entry
    from emokit.corpora.discovery import discover

    facts = to_mapping(entry(name))
    root = os.environ.get("EMOKIT_CORPORA")
    here = [item for item in (discover(root) if root else []) if item.name == name]
    facts["here"] = [f"{item.folder} ({item.n_audio} audio files)" for item in here]
    if format_ == "json":
        click.echo(to_json(facts))
        return
    for key, value in facts.items():
        if value not in ("", None, []):
            text = ", ".join(map(str, value)) if isinstance(value, list) else value
            click.echo(f"{key:12} {text}")
    click.echo(f"Next: emokit build-corpus {name}" if here else
               f"Not found here. Unpack it below $EMOKIT_CORPORA, then: emokit build-corpus {name}"
               if facts["parser"] else
               "emokit has no parser for it: describe your copy in corpora.yaml (emokit corpora "
               "init)", err=True)


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
