"""The pages say what the program does: links, commands, settings and examples hold."""

import contextlib
import importlib
import os
import re
import shlex
import sys
from pathlib import Path
from urllib.parse import unquote

import click
import pytest
from click.testing import CliRunner

from emokit.cli import COMMANDS, group
from emokit.cli.corpus_pages import corpus_pages
from emokit.cli.pages import pages, settings_table
from emokit.testing import buzz, tiny_corpus, write_wav

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
WRITTEN = sorted([ROOT / "README.md", *DOCS.glob("*.md")])
PAGES = sorted([*WRITTEN, *(DOCS / "commands").glob("*.md"), *(DOCS / "corpora").glob("*.md")])

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


def blocks(page: Path, language: str) -> list[str]:
    """Give the fenced blocks of one language on a page."""
    return [text for kind, text in _FENCE.findall(page.read_text("utf-8")) if kind == language]


def anchors(page: Path) -> set[str]:
    """Give the anchors of a page's headings as GitHub makes them."""
    text = _FENCE.sub("", page.read_text("utf-8"))
    return {re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-")
            for line in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


# pages made from the code

def test_every_command_has_a_page_that_equals_the_code():
    made = pages()
    assert set(made) == {f"{command}.md" for command in COMMANDS} | {"index.md"}
    assert {path.name for path in (DOCS / "commands").iterdir()} == set(made)
    for page, text in made.items():
        assert (DOCS / "commands" / page).read_text("utf-8") == text, f"{page}: run 'make docs'"


def test_every_corpus_has_a_page_that_equals_the_facts():
    from emokit.corpora.catalogue import entries

    made = corpus_pages()
    assert set(made) == {f"{corpus}.md" for corpus in entries()} | {"index.md"}
    assert {path.name for path in (DOCS / "corpora").iterdir()} == set(made)
    for page, text in made.items():
        assert (DOCS / "corpora" / page).read_text("utf-8") == text, f"{page}: run 'make docs'"


def test_corpus_pages_hold_addresses_layout_labels_defects_and_doubts():
    made = corpus_pages()
    assert "md5:bc696df654c87fed845eb13823edef8a" in made["ravdess.md"]
    assert "\nActor_01/03-01-01-01-01-01-01.wav\n" in made["ravdess.md"]
    assert ("| `08` | surprised | surprise | surprise | left out | high_neutral | 192 |"
            in made["ravdess.md"])
    assert "`1076_MTI_SAD_XX`: holds no signal" in made["crema_d.md"]
    assert "{path}" in made["crema_d.md"] and "`processedResults" not in made["tess.md"]
    assert "corpora fetch" not in made["abc.md"] and "file,label,speaker" in made["abc.md"]
    assert "(not confirmed) |" in made["ad.md"] and "Not confirmed either: classes" in (
        made["ea_act.md"])
    assert "the labels of the lists are taken" in made["ea_act.md"]
    assert "| [EmoDB](emodb.md) | `emodb` | de | acted | 10 | 535 |" in made["index.md"]


def test_every_subcommand_has_its_help_on_the_page():
    for command in COMMANDS:
        found = group.get_command(click.Context(group), command)
        text = (DOCS / "commands" / f"{command}.md").read_text("utf-8")
        for below in getattr(found, "commands", {}):
            assert f"\n## emokit {command} {below}\n" in text
            assert f"\nUsage: emokit {command} {below} " in text


def test_every_setting_of_train_stands_on_its_page():
    import dataclasses

    from emokit.audio.augment import AUGMENTATIONS
    from emokit.features import FRONT_ENDS
    from emokit.models import HEADS, POOLINGS
    from emokit.models.adapters import ADAPTERS
    from emokit.models.backbones import BACKBONES
    from emokit.training.config import TrainConfig
    from emokit.training.settings import recipe_names

    text = (DOCS / "commands" / "train.md").read_text("utf-8")
    rows = set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))
    assert {field.name for field in dataclasses.fields(TrainConfig)} <= rows
    for registry in (FRONT_ENDS, BACKBONES, POOLINGS, HEADS, ADAPTERS, AUGMENTATIONS):
        for part in registry:
            config = getattr(registry[part], "Config", registry[part])
            assert f"**{part}.**" in text
            assert not dataclasses.fields(config) or settings_table(config) in text
    assert all(f" `{recipe}` |" in text for recipe in recipe_names())


# links and command lines of all pages

@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_relative_link_resolves(page):
    for target in _LINK.findall(_FENCE.sub("", page.read_text("utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = unquote(target).partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), f"{page.name}: {target}"
        assert ROOT in [there, *there.parents], f"{page.name}: {target} leaves the repository"
        if anchor and there.suffix == ".md":
            assert anchor in anchors(there), f"{page.name}: {target}"


def command_lines(page: Path) -> list[str]:
    """Give the `emokit …` lines of shell blocks, examples of help texts, and inline code."""
    text = page.read_text("utf-8")
    inline = re.findall(r"`(emokit [^`]+)`", _FENCE.sub("", text))
    lines = []
    for block in blocks(page, "sh"):
        lines += [line.removeprefix("$ ") for line in block.replace("\\\n", " ").splitlines()]
    # a name in capitals or an ellipsis stands for something else
    return [line for line in lines + inline if "emokit " in line and "…" not in line
            and not re.search(r"\b(COMMAND|NAME)\b", line)]


def check_line(line: str) -> None:
    """Parse every emokit command of a shell line; an unknown option is an error."""
    for words in simple_commands(line):
        while words and re.match(r"\w+=", words[0]):
            words.pop(0)
        if not words or words.pop(0) != "emokit":
            continue
        command, context = group, click.Context(group, info_name="emokit")
        while isinstance(command, click.Group) and words and not words[0].startswith("-"):
            assert words[0] in command.list_commands(context), line
            command = command.get_command(context, words[0])
            context = click.Context(command, info_name=words.pop(0), parent=context)
        if not isinstance(command, click.Group):
            with contextlib.suppress(click.exceptions.Exit):  # --help
                command.make_context(command.name, words)


def simple_commands(line: str) -> list[list[str]]:
    """Split a shell line at pipes, redirections and the like; quotes are honoured."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    found = [[]]
    for word in lexer:
        if set(word) <= set("();<>|&"):
            found.append([])
        else:
            found[-1].append(word)
    return found


@pytest.mark.parametrize("page", WRITTEN, ids=name)
def test_every_emokit_line_of_a_page_is_a_command(page):
    for line in command_lines(page):
        try:
            check_line(line)
        except click.ClickException as error:
            pytest.fail(f"{page.name}: '{line}': {error.format_message()}")


def test_a_line_with_an_unknown_option_is_caught():
    check_line("emokit train --adapters residual | head")
    with pytest.raises(click.ClickException):
        check_line("EMOKIT_RUNS=x emokit train --adaptors residual")
    with pytest.raises(AssertionError):
        check_line("emokit trian")


def test_every_line_of_help_examples_is_a_command():
    for command in COMMANDS:
        found = group.get_command(click.Context(group), command)
        for one in [found, *getattr(found, "commands", {}).values()]:
            assert (one.epilog or "").startswith("Example:"), f"{command} has no example"
            lines = [line.strip() for line in re.split(r"\s{2,}", one.epilog)]
            found = [line for line in lines if "emokit" in line]
            assert found
            for line in found:
                check_line(line)


def test_every_line_of_the_demo_is_a_command():
    lines = re.findall(r"^ *say (emokit .+)$", (DOCS / "demo.sh").read_text("utf-8"), re.MULTILINE)
    assert len(lines) >= 3
    for line in lines:
        check_line(line)


# corpora.yaml

def test_every_key_of_corpora_yaml_is_explained():
    import dataclasses

    from emokit.corpora import spec
    from emokit.corpora.parsers import FORMATS

    text = (DOCS / "corpora_yaml.md").read_text("utf-8")
    keys = {*spec._KEYS, *spec.RULES, *FORMATS,
            *(field.name for field in dataclasses.fields(spec.PartitionRule))}
    for form in FORMATS:
        keys |= {field.name for field in dataclasses.fields(FORMATS[form].Config)}
    assert not {key for key in keys if f"`{key}`" not in text}


def test_the_examples_of_corpora_yaml_are_read(tmp_path):
    from emokit.corpora.spec import read_specs

    for number, text in enumerate(blocks(DOCS / "corpora_yaml.md", "yaml")):
        file = tmp_path / f"{number}.yaml"
        file.write_text(text.replace("/data", str(tmp_path)), encoding="utf-8")
        for corpus in ("emodb", "ravdess", "tess"):
            tiny_corpus(tmp_path / "raw" / corpus, corpus)
        environment = {"EMOKIT_CORPORA": str(tmp_path / "raw")}
        assert read_specs(file, environment=environment)


# a corpus of one's own: the page's YAML, run

def write_own_corpora(root: Path) -> None:
    """Write recordings as the page describes them."""
    words = {"ang": "anger", "hap": "happiness", "neu": "neutral"}
    rows = []
    for speaker in ("anna", "bert", "cleo", "dora", "emil"):
        for code, emotion in words.items():
            for sentence in ("01", "02"):
                sound = buzz(emotion, speaker, seed=len(rows))
                write_wav(root / "mine" / speaker / f"{code}_{sentence}.wav", sound)
                file = f"{len(rows) + 1:04d}.wav"
                write_wav(root / "listed" / "audio" / file, sound)
                write_wav(root / "emonet_task" / "wav" / file, sound)
                rows.append((file, emotion.title(), speaker))
    (root / "listed" / "labels.csv").write_text("file,label,speaker,gender\n" + "".join(
        f"audio/{file},{label},{speaker},female\n" for file, label, speaker in rows))
    (root / "elsewhere").mkdir()
    (root / "elsewhere" / "annotation.tsv").write_text("filename\temo\ttalker\n" + "".join(
        f"{file}\t{label}\t{speaker}\n" for file, label, speaker in rows))
    parts = {"train": "anna bert cleo", "devel": "dora", "test": "emil"}
    for part, speakers in parts.items():
        (root / "emonet_task" / f"{part}.csv").write_text("file,label\n" + "".join(
            f"wav/{file},{label}\n" for file, label, speaker in rows if speaker in speakers))


def run(*words: str) -> str:
    """Run a command and give its output."""
    result = CliRunner().invoke(group, list(words), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_own_corpus_page_leads_from_yaml_to_a_trained_model(tmp_path, monkeypatch):
    from emokit.corpora.store import open_corpus

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EMOKIT_CORPORA", raising=False)
    write_own_corpora(tmp_path / "data")
    text = "".join(blocks(DOCS / "own_corpus.md", "yaml"))
    Path("corpora.yaml").write_text(text.replace("/data", str(tmp_path / "data")), "utf-8")
    assert "mine: " in run("build-corpus", "--dry-run")
    for corpus, kind in {"mine": "auto", "listed": "auto", "renamed": "auto",
                         "emonet_task": "official", "divided": "speakers"}.items():
        # each into a folder of its own, because all of them hold the same sounds
        run("build-corpus", corpus, "--emoset", corpus, "--jobs", "1", "--no-report")
        built = open_corpus(Path(corpus) / corpus)
        assert len(built.manifest) == 30 and built.build["partitions"]["kind"] == kind
        assert built.classes == ("anger", "happiness", "neutral")
    assert set(open_corpus(Path("divided") / "divided").manifest.query("partition == 'test'")
               ["speaker"]) == {"divided/anna"}
    run("train", "--corpora", "mine", "--emoset", "mine", "--epochs", "1",
        "--set", "backbone.width=4", "--set", "backbone.blocks=1")
    table = run("evaluate", "--mcnemar", "--emoset", "mine")
    assert "mine" in table and "McNemar p" in table
    report, = Path("reports").glob("*-vs-baseline-*/report.html")
    assert "<html" in report.read_text("utf-8")


# examples of how to add a part, run as they stand

@pytest.fixture
def example(tmp_path, monkeypatch):
    """Give a function that installs an example of the page under a name of its table."""
    texts = {re.match(r"# emokit/(\S+)\.py\n", text)[1]: text
             for text in blocks(DOCS / "extending.md", "python")}
    monkeypatch.syspath_prepend(str(tmp_path))

    def install(path: str, registry, attribute: str = ""):
        part = path.rpartition("/")[2]
        module = f"example_{part}"
        (tmp_path / f"{module}.py").write_text(texts[path], encoding="utf-8")
        line = re.search(rf'`"{part}": "([^"]+)"`', (DOCS / "extending.md").read_text("utf-8"))
        assert line[1] == f"emokit.{path.replace('/', '.')}" + (f":{attribute}" * bool(attribute))
        importlib.invalidate_caches()
        sys.modules.pop(module, None)
        monkeypatch.setitem(registry._table, part, module + (f":{attribute}" * bool(attribute)))
        return registry[part]

    return install


@pytest.fixture(scope="module")
def emoset(tmp_path_factory):
    """Build two tiny corpora once."""
    from emokit.testing import tiny_emoset

    return tiny_emoset(tmp_path_factory.mktemp("docs"), ("emodb", "ravdess"),
                       classes=("anger", "neutral"))


def fit(emoset, folder, **flags):
    from emokit.training.settings import resolve
    from emokit.training.train import train

    sets = [] if "backbone" in flags else ["backbone.width=4", "backbone.blocks=1"]
    return train(*resolve({"epochs": 1, "batch_size": 8, **flags}, sets), emoset, folder)[0]


def test_example_parser_is_found_and_built(example, tmp_path):
    from emokit.corpora.build import BuildOptions, build_corpora
    from emokit.corpora.discovery import discover
    from emokit.corpora.parsers import PARSERS
    from emokit.corpora.spec import read_specs

    example("corpora/parsers/toyset", PARSERS)
    root = tiny_corpus(tmp_path / "raw" / "toyset", "toyset", n_speakers=4)
    write_wav(root / "noise.wav", buzz("anger"))
    assert [found.name for found in discover(tmp_path / "raw")] == ["toyset"]
    result, = build_corpora(read_specs(None, ["toyset"], tmp_path / "raw"), tmp_path / "emoset",
                            BuildOptions(jobs=1, report=False))
    assert result.build["classes"] == ["neutral", "happiness", "anger"]
    assert result.build["counts"]["utterances"] == 24 and result.build["counts"]["rejected"] == 1
    assert result.build["partitions"]["speaker_disjoint"]


def test_example_backbone_trains_with_adapters_and_ignores_padding(example, emoset, tmp_path):
    import torch

    from emokit.models.backbones import BACKBONES

    cls = example("models/backbones/flat", BACKBONES, "Flat")
    backbone = cls(cls.Config(width=4), 16).eval()
    frames = torch.randn(2, 9, 16)
    frames[1, 5:] = 0
    together, lengths = backbone(frames, torch.tensor([9, 5]))
    alone, _ = backbone(frames[1:, :5], torch.tensor([5]))
    assert torch.allclose(together[1, :5], alone[0], atol=1e-6) and lengths.tolist() == [9, 5]
    cell, = fit(emoset, tmp_path, backbone="flat(width=4)", adapters="residual").cells()
    assert cell.is_complete


def test_example_adapter_starts_as_identity_and_trains(example, emoset, tmp_path):
    import torch
    from torch import nn

    from emokit.models.adapters import ADAPTERS

    cls = example("models/adapters/scale", ADAPTERS, "ScaleAdapter")
    site = nn.Conv2d(2, 3, 3)
    adapter = cls.make(site, "conv", cls.Config())
    outputs = torch.randn(2, 3, 4, 5)
    assert torch.equal(adapter(torch.zeros(1), outputs, None), outputs)
    assert cls.count(site, "conv", cls.Config()) == (3, 3)
    cell, = fit(emoset, tmp_path, adapters="norm+scale").cells()
    assert cell.is_complete


def test_example_augmentation_trains(example, emoset, tmp_path):
    import numpy as np

    from emokit.audio.augment import AUGMENTATIONS

    cls = example("audio/polarity", AUGMENTATIONS, "Polarity")
    sound, rng = np.ones(3, np.float32), np.random.default_rng(0)
    assert (cls(probability=1.0)(sound, rng) == -1).all()
    assert (cls(probability=0.0)(sound, rng) == 1).all()
    group_, = [fit(emoset, tmp_path, augment="polarity(probability=0.3)+specaugment")]
    assert group_.config()["augment"][0] == {"name": "polarity", "probability": 0.3}


def test_example_baseline_is_fitted(example, emoset, tmp_path):
    from emokit.baselines import BASELINES
    from emokit.baselines.config import BaselineConfig
    from emokit.baselines.run import run_baseline

    example("baselines/loudness", BASELINES, "Loudness")
    _, cells = run_baseline(BaselineConfig(name="loudness"), emoset, tmp_path)
    assert [cell.name for cell in cells] == ["emodb-s0", "ravdess-s0"]
    assert all(cell.is_complete for cell in cells)


# what must not stand on a page

@pytest.mark.parametrize("page", PAGES, ids=name)
def test_pages_name_no_private_paths(page):
    text = page.read_text("utf-8")
    assert not re.search(r"/(work|root|home)/", text)
    assert os.sep + "shared" + os.sep not in text


def test_pictures_are_small():
    for picture in (DOCS / "pictures").iterdir():
        assert picture.stat().st_size < 300_000, picture.name
