"""`emokit corpora`."""

from __future__ import annotations

import os

import click

from emokit.cli import options
from emokit.corpora.export import EXPORTERS


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
        table = [row for row in table if row["state"] not in ("missing", "tables only")]
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
        click.echo("Reader 'its lists': a folder of its name with train.csv, devel.csv, test.csv "
                   "(file,label).", err=True)
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
    from emokit.corpora.fetch import steps

    facts = to_mapping(entry(name))
    root = os.environ.get("EMOKIT_CORPORA")
    here = [item for item in (discover(root) if root else []) if item.name == name]
    facts["here"] = [f"{item.folder} ({item.n_audio} audio files)" for item in here]
    facts["steps"] = steps(name)
    if format_ == "json":
        click.echo(to_json(facts))
        return
    for key, value in facts.items():
        if value not in ("", None, []) and key != "steps":
            text = ", ".join(map(str, value)) if isinstance(value, list) else value
            click.echo(f"{key:12} {text}")
    for number, line in enumerate(facts["steps"], 1):
        click.echo(f"{'' if number > 1 else 'steps':12} {number}. {line}")
    with_audio = [item for item in here if item.n_audio]
    click.echo(f"Next: emokit build-corpus {name}" if len(with_audio) == 1 else
               f"{len(with_audio)} copies: set 'root' of {name} in corpora.yaml to the one you "
               "mean." if with_audio else
               "Here are its tables, but no audio: see the steps above." if here else
               f"Not found here: see the steps above, and docs/corpora/{name}.md.", err=True)


@corpora.command(epilog="Example:  emokit corpora check ravdess /data/corpora/RAVDESS")
@click.argument("name")
@click.argument("folder", required=False)
@click.option("--list", "listing", metavar="FILE", default=None, help="List of the published files "
              "to compare with: a table with path and perhaps sample_rate and seconds, or EmoBox's "
              "JSON lines; .gz is read.  [default: the names that emokit knows]")
@options.format_option("table", "csv", "json")
@options.quiet_option
@click.pass_context
def check(context, name, folder, listing, format_):
    """Compare your copy of a corpus with what was published.

    Tells which files are missing, more, misspelt, broken, resampled, cut, in copies, and what to
    do. FOLDER is found below $EMOKIT_CORPORA if you leave it out. Exit status 0: as published; 1:
    not, or an error.
    """
    from emokit.corpora import audit
    from emokit.evaluation.tables import render

    folder = folder or audit.own_folder(name, os.environ.get("EMOKIT_CORPORA"))
    with options.Bar("file") as bar:
        result = audit.audit(name, folder, listing, len(os.sched_getaffinity(0)), bar)
    if format_ == "table":
        for item in result.deviations:
            click.echo(f"{item.check}: {item.words} {item.mend}")
    else:
        click.echo(render(result.rows(), format_))
    click.echo(result.words, err=format_ != "table")
    context.exit(0 if result.as_published else 1)


@corpora.command(epilog="Example:  emokit corpora fetch ravdess --to /data/corpora")
@click.argument("name")
@click.option("--to", metavar="DIR", default=None, help="Folder that holds your corpora; this one "
              "becomes the folder DIR/NAME.  [default: $EMOKIT_CORPORA]")
@options.quiet_option
def fetch(name, to):
    """Download a corpus that anyone may have, or explain how to obtain it.

    Checksums are verified, archives unpacked; files that are complete are not fetched again, and a
    broken download goes on where it stopped. Using the recordings means to accept their licence.
    """
    from emokit.core.errors import CorpusError
    from emokit.corpora import catalogue
    from emokit.corpora.fetch import downloads, fetch as fetch_corpus, steps

    facts = catalogue.entry(name)
    if name not in downloads():
        for number, line in enumerate(steps(name), 1):
            click.echo(f"{number}. {line}")
        raise CorpusError(f"emokit cannot download '{name}' for you; see the steps above.")
    to = to or os.environ.get("EMOKIT_CORPORA")
    if not to:
        raise click.UsageError("Say where your corpora lie: --to DIR, or set EMOKIT_CORPORA.")
    click.echo(f"{facts.title}. Licence: {facts.licence}. Cite: "
               f"{facts.citation or 'its authors'}. From: {facts.where}.", err=True)
    for item in downloads()[name]:
        if item.unconfirmed:
            click.echo(f"Nobody has confirmed this address lately: {item.url}", err=True)
    with options.Bar("MB") as bar:
        result = fetch_corpus(name, os.path.join(to, name), progress=bar)
    click.echo(str(result.folder))
    click.echo(f"{result.n_new} files fetched, {result.n_kept} were there.", err=True)
    if result.unverified:
        click.echo(f"Nobody published a checksum for {len(result.unverified)} of them; what came "
                   "is recorded, and a later download must equal it.", err=True)
    if result.left_out:
        click.echo(f"{len(result.left_out)} links in archives were not unpacked.", err=True)
    click.echo(f"Its parser does not recognise '{result.folder}': look what was unpacked there."
               if result.recognised is False else
               f"Next: EMOKIT_CORPORA={to} emokit build-corpus {name}", err=True)


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


@corpora.command(epilog="Example:  emokit corpora export emodb shared/emodb --to huggingface")
@click.argument("name")
@click.argument("folder")
@click.option("--to", required=True, type=click.Choice(list(EXPORTERS)),
              help="Format: an audformat database, or a HuggingFace data set in Parquet.")
@options.emoset_option
@options.quiet_option
def export(name, folder, to, emoset):
    """Write a built corpus in the format of another tool, its 16 kHz recordings included."""
    from emokit.corpora.export import export as write
    from emokit.corpora.store import open_emoset

    corpus, = open_emoset(emoset, [name])
    write(corpus, folder, to)
    click.echo(folder)
    click.echo(f"{name}: {len(corpus.manifest):,} utterances. Its licence holds for this copy too: "
               f"{corpus.build['facts'].get('licence', 'not in the catalogue')}", err=True)
