"""A documentation page for each corpus of the catalogue, made from facts, parser and downloads."""

from __future__ import annotations

import collections
from collections.abc import Iterator, Sequence

from emokit.cli.markdown import MADE, table
from emokit.core.files import read_yaml
from emokit.corpora import catalogue, views
from emokit.corpora.fetch import Download, downloads, steps
from emokit.corpora.packaged import packaged
from emokit.corpora.parsers import LISTED, PARSERS
from emokit.corpora.words import class_word

SHOWN = 12
"""Files and culprits listed on a page before the rest is only counted."""


def corpus_pages() -> dict[str, str]:
    """Give every page: file name to Markdown; the same text on every machine."""
    made = {"index.md": _index()}
    for name, facts in catalogue.entries().items():
        parser = PARSERS[name] if name in PARSERS else None
        items = list(parser.stand_ins()) if parser else []
        parts = [MADE, f"# {facts.title} (`{name}`)", _facts(facts, parser, items),
                 "## How to obtain it", "\n".join(f"- {line}" for line in steps(name)),
                 _files(downloads().get(name, ()))]
        if parser:
            parts += ["## Layout", _layout(name, parser, items)]
        # how often each label occurs in private corpora nobody published
        parts += ["## Labels", _labels(facts, parser, [] if name in LISTED else items)]
        if parser:
            parts += ["## Partitions", _partitions(parser, name), *_folds(parser, name),
                      *_choices(name), *_ratings(parser)]
        parts += [*_defects(parser), "## In emokit", _reading(name, facts)]
        made[f"{name}.md"] = "\n\n".join(filter(None, parts)) + "\n"
    return made


def _index() -> str:
    rows = ([f"[{row['title']}]({row['name']}.md)", f"`{row['name']}`", row["language"],
             row["style"], row["speakers"], row["utterances"], row["classes"], row["licence"],
             row["access"], row["reader"], row["emoset"]] for row in _rows())
    return "\n\n".join([MADE, "# Corpora", (
        "What emokit knows of each corpus. A `?` marks what could not be confirmed. Access: `open` "
        "anyone may download it, `form` on request or for a signed form, `private` not given out. "
        "Reader: a parser's name; `its lists`, the lists of whoever has it; `list`, described by "
        "you in [corpora.yaml](../corpora_yaml.md). EmoSet: one of the 26 corpora of Gerczuk et "
        "al. 2021."), table(
        ["Corpus", "Name", "Language", "Style", "Speakers", "Utterances", "Classes", "Licence",
         "Access", "Reader", "EmoSet"], rows)]) + "\n"


def _rows() -> Iterator[dict[str, str]]:
    for row in catalogue.rows():
        facts = catalogue.entry(row["name"])
        yield {**row, "style": facts.style}


def _facts(facts: catalogue.Entry, parser, items: list) -> str:
    speakers = len({item.speaker for item in items} - {""})
    stated = {
        "Language": "language", "Style": "style", "Speakers": "speakers",
        "Utterances": "utterances", "Hours": "hours", "Sample rate": "rate",
        "Licence": "licence", "Access": "access", "Citation": "citation", "EmoSet": "emoset"}
    rows = []
    for title, field in stated.items():
        value = getattr(facts, field)
        if value in ("", None):
            continue
        text = f"{value:,}" if isinstance(value, int) else str(value)
        if field == "rate":
            text += " Hz"
        if field == "speakers" and speakers and speakers != value:
            text += f" ({speakers} told apart by its files)"
        if field == "citation" and parser and facts.name not in LISTED:
            text = parser.SOURCE
        if field == "emoset":
            text = f"{value}, one of its 26 corpora"
        rows.append([title, text + (" (not confirmed)" if field in facts.unconfirmed else "")])
    others = sorted(set(facts.unconfirmed) - set(stated.values()))
    return table(["", ""], rows) + (
        f"\n\nNot confirmed either: {', '.join(others)}." if others else "")


def _files(items: Sequence[Download]) -> str:
    if not items:
        return ""
    rows = []
    for item in items[:SHOWN]:
        address = f"<{item.url}>" if "{" not in item.url else f"`{item.url}`"
        rows.append([address + (" (nobody confirmed it lately)" if item.unconfirmed else ""),
                     "recorded at the first download" if item.hash == "unknown"
                     else f"`{item.hash}`"])
    rest = len(items) - SHOWN
    return "What `fetch` downloads:\n\n" + table(["From", "Checksum"], rows) + (
        f"\n\nand {rest} more." if rest > 0 else "")


def _layout(name: str, parser, items: list) -> str:
    if name in LISTED:
        return ("No layout is published. Lists as EmoNet's, in a folder of its name:\n\n"
                "```text\n"
                f"{name}/train.csv, devel.csv (or dev.csv, val.csv), test.csv\n\n"
                "file,label,speaker\n"
                f"wav/anything.wav,{next(iter(parser.EMOTIONS), 'anger').replace(' ', '_')},s01\n"
                "```\n\n`speaker`, `start`, `end` and further columns may be left out. Files are "
                "relative to the folder.")
    files = list(dict.fromkeys(item.file for item in items))
    step = max(1, len(files) // 3)
    lines = files[::step][:3]
    tables = getattr(parser, "stand_in_tables", None)
    own = sorted(tables(items[:40])) if tables else []
    more = f", such as `{own[0]}`" if own else ""
    return (f"{len(files):,} files, such as\n\n```text\n" + "\n".join(lines) + "\n```" + (
        f"\n\nand tables of its own{more}." if own else "") + (
        "\n\nOuter folders, another audio extension or case, and hidden files do not matter; "
        "names that do not fit the scheme go to `rejected.csv`."))


def _labels(facts: catalogue.Entry, parser, items: list) -> str:
    known = facts.classes if isinstance(facts.classes, list) else []
    codes = list(parser.EMOTIONS.items()) if parser else [("", word) for word in known]
    if not codes:
        return (f"{facts.classes}." if facts.classes else
                "Not known to emokit: the labels of the lists are taken as they are.")
    counts = collections.Counter(item.emotion for item in items)
    classes = [class_word(word) for _, word in codes]
    seen = [views.apply_view(view, facts.name, classes) for view in (
        "canonical7", "canonical4", "arousal-valence")]
    rows = []
    for (code, word), name in zip(codes, classes):
        rows.append([
            f"`{code}`" if code and code != word else "", word,
            name, *(mapping[name] or "left out" for mapping in seen),
            f"{counts[name]:,}" if counts.get(name) else ""])
    head = ["Code", "Word", "Class", "canonical7", "canonical4", "arousal-valence", "Files"]
    kept = [index for index in range(len(head))
            if index in (1, 2, 3, 4, 5) or any(row[index] for row in rows)]
    return table([head[index] for index in kept],
                 ([row[index] for index in kept] for row in rows))


def _partitions(parser, name: str) -> str:
    words = getattr(parser, "PARTITIONS", "")
    if words:
        return f"Official: {words}{'' if words.endswith('.') else '.'}"
    if "partitions" in (_packaged(name) or {}):
        return "It has no official one."
    return ("It has no official one. emokit divides it by speaker (`auto`), where speakers are "
            "known and there are three or more; see [partitions](../corpora_yaml.md#partitions).")


def _folds(parser, name: str) -> list[str]:
    """Say which columns hold folds that others use."""
    return [f"The column `{column}` holds {words}. To divide it so:\n\n```yaml\n{name}:\n"
            f"  partitions: {{rule: folds, by: {column}}}\n```"
            for column, words in getattr(parser, "FOLDS", {}).items()]


def _packaged(name: str) -> dict | None:
    return read_yaml(packaged())[0].get(name)


def _choices(name: str) -> list[str]:
    """Say what the packaged corpora.yaml chooses for a corpus, if anything."""
    import yaml

    chosen = _packaged(name)
    if not chosen:
        return []
    text = yaml.safe_dump({name: chosen}, default_flow_style=None, sort_keys=False, width=90)
    return ["Unless your `corpora.yaml` chooses otherwise, key by key, it is built as most papers "
            "do; `null` for a key takes the choice back:", f"```yaml\n{text.strip()}\n```"]


def _ratings(parser) -> list[str]:
    lines = [f"- {name}: from {low:g} to {high:g}, as published"
             for name, (low, high) in getattr(parser, "SCALES", {}).items()]
    if hasattr(parser, "ratings"):
        lines.append("- Single judgements of its raters, kept in `ratings.csv` of the built corpus")
    return ["## Ratings", "\n".join(lines)] if lines else []


def _defects(parser) -> list[str]:
    notes = getattr(parser, "NOTES", "")
    damaged = getattr(parser, "DAMAGED", {})
    lines = [f"- `{stem}`: {reason}" for stem, reason in list(damaged.items())[:SHOWN]]
    if len(damaged) > SHOWN:
        lines.append(f"- and {len(damaged) - SHOWN} more")
    if lines:
        lines.insert(0, "Damaged in the official release, left out with this reason:\n")
    return ["## Known defects and traps", notes, "\n".join(lines)] if notes or lines else []


def _reading(name: str, facts: catalogue.Entry) -> str:
    if name not in PARSERS:
        return ("No parser: describe your copy in [corpora.yaml](../corpora_yaml.md) with "
                "`format: csv` or `format: pattern`; see [your own corpus](../own_corpus.md).")
    how = "Read from its lists" if name in LISTED else f"Read by the parser `{name}`"
    return (f"{how}, from a folder below `$EMOKIT_CORPORA` or the `root` of `{name}` in "
            f"[corpora.yaml](../corpora_yaml.md):\n\n```sh\nemokit build-corpus {name}\n"
            f"emokit build-corpus --synthetic {name}    # voices of a program in its layout\n```")
