"""`emokit build-corpus`."""

from __future__ import annotations

import logging
import os

import click

from emokit.cli import options
from emokit.corpora.build import BuildOptions

log = logging.getLogger("emokit")

DEFAULT_LIMIT = 400
"""Recordings of a synthetic corpus without --scale: enough to learn from within minutes."""

EMOSET = "emoset"


@click.command(epilog="Example:  EMOKIT_CORPORA=/data/corpora emokit build-corpus ravdess emodb   "
                      "or, without recordings,  emokit build-corpus --synthetic emodb ravdess")
@click.argument("names", nargs=-1, metavar="[NAME]…")
@click.option("--choices", "choices_file", metavar="FILE.yaml", default=None,
              help="Your corpora.yaml; what it does not choose is as in the packaged one.  "
              "[default: ./corpora.yaml if there is one]")
@options.emoset_option
@options.options_from(BuildOptions)
@click.option("--synthetic", is_flag=True, help="Write synthetic stand-ins in each corpus's "
              "published layout, and build from those; without a name, of six corpora.")
@click.option("--scale", type=click.FloatRange(0, 1, min_open=True), default=None, help="With "
              "--synthetic: share of the published number of files.  [default: about "
              f"{DEFAULT_LIMIT} files a corpus]")
@click.option("--raw", default="synthetic", show_default=True, metavar="DIR",
              help="With --synthetic: where the stand-ins are written.")
@click.option("--partitions", "rule", type=click.Choice(["emobox"]), default=None,
              help="With --emobox: divide every corpus as EmoBox's fold 1 does, for comparison "
              "only; unless they are named, corpora that it lacks are left out; where it shares "
              "speakers between train and test, every report says so.")
@click.option("--emobox", metavar="DIR", default=None, help="EmoBox's folder data.")
@click.option("--dry-run", is_flag=True, help="Say what would be built and what is skipped.")
@options.quiet_option
def build_corpus(names, choices_file, emoset, synthetic, scale, raw, rule, emobox, dry_run,
                 **flags):
    """Turn raw folders into checked, memory-mapped corpora.

    Builds the corpora named, or all that are found: every folder below $EMOKIT_CORPORA that a
    parser recognises, and every entry of corpora.yaml with a root. The name emoset means EmoNet's
    26 corpora, as far as they are found. Recordings of any format and
    rate become 16 kHz mono samples that are never decoded again. The build stops, with culprits
    and the flag that waives it, on unmapped labels, speakers in two partitions, identical audio
    across partitions, a class missing from a partition, and files that are empty, silent or
    damaged. Unchanged corpora are skipped; an interrupted build goes on where it stopped.
    """
    from emokit.core.config import from_mapping
    from emokit.corpora.build import build_corpora
    from emokit.corpora.parsers import PARSERS
    from emokit.corpora.spec import survey

    if scale is not None and not synthetic:
        raise click.UsageError("--scale goes with --synthetic.")
    if bool(rule) != bool(emobox):
        raise click.UsageError("--partitions emobox and --emobox DIR go together.")
    settings = from_mapping(BuildOptions, options.given(flags))
    file = choices_file or ("corpora.yaml" if os.path.isfile("corpora.yaml") and not synthetic
                            else None)
    named, names = names, _named(names, file, synthetic)
    if synthetic and dry_run:
        # the table refuses a name it does not know
        parsers = {name: PARSERS[name] for name in names}
        for name in parsers:
            click.echo(f"{name}: stand-ins in {os.path.join(raw, name)}")
        return
    jobs = settings.jobs or len(os.sched_getaffinity(0))
    with options.Bar("utt") as bar:
        if synthetic:
            _write_stand_ins(raw, names, scale, settings.seed, jobs, bar)
        specs, skipped = survey(file, names, raw if synthetic else None, dict(os.environ))
        for line in skipped:
            click.echo(line, err=True)
        if emobox:
            specs = _by_emobox(specs, emobox, named)
        for spec in specs:
            if spec.packaged:
                log.info(f"{spec.name}: built with choices that come with emokit ({spec.packaged})."
                         " Your corpora.yaml may say otherwise, or null for none.")
        if dry_run:
            for spec in specs:
                click.echo(f"{spec.name}: {spec.root}")
            return

        def tell(result):
            bar.close()
            click.echo(result.words)

        build_corpora(specs, emoset, settings, bar, tell)
    if settings.report:
        click.echo(os.path.join(emoset, "report.html"), err=True)
    click.echo("Next: emokit train --adapters residual", err=True)


def _named(names, file, synthetic) -> list[str]:
    """Write out `emoset`; without names, stand-ins are made of the usual ones."""
    from emokit.corpora.catalogue import entries
    from emokit.corpora.spec import survey
    from emokit.corpora.synthetic import USUAL

    if synthetic and not names:
        return list(USUAL)
    if EMOSET not in names:
        return list(names)
    group = [name for name, facts in entries().items() if facts.emoset]
    if not synthetic:
        specs, skipped = survey(file, (), None, dict(os.environ))
        found = {spec.name for spec in specs}
        for line in skipped:
            if line.partition(":")[0] in group:
                click.echo(line, err=True)
        missing = [name for name in group if name not in found]
        if missing:
            click.echo(f"{EMOSET}: {len(missing)} of {len(group)} corpora are not found: "
                       f"{', '.join(missing)}", err=True)
        group = [name for name in group if name in found]
    return list(dict.fromkeys([*group, *(name for name in names if name != EMOSET)]))


def _by_emobox(specs, folder, named) -> list:
    """Divide as EmoBox does; corpora that it lacks are left out, unless they were named."""
    from emokit.core.errors import CorpusError
    from emokit.corpora.spec import as_emobox

    divided = []
    for spec in specs:
        try:
            divided.append(as_emobox(spec, folder))
        except CorpusError:
            if spec.name in named or not os.path.isdir(folder):
                raise
            click.echo(f"{spec.name}: left out, EmoBox has no lists of it", err=True)
    if not divided:
        raise CorpusError(f"EmoBox has no lists of any of the {len(specs)} corpora in '{folder}'. "
                          "Set --emobox to its folder 'data'.")
    return divided


def _write_stand_ins(raw, names, scale, seed, jobs, bar) -> None:
    from emokit.corpora.synthetic import write_synthetic

    write_synthetic(raw, names, 1.0 if scale is None else scale, seed, jobs,
                    DEFAULT_LIMIT if scale is None else None, bar)
