"""Every command explains itself and ends with an example."""

import pytest

from emokit.cli import COMMANDS

WORDS = [[], *([name] for name in COMMANDS), ["corpora", "list"], ["corpora", "show"],
         ["corpora", "init"]]


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_help_ends_with_an_example(cli, words):
    result = cli(*words, "--help")
    assert result.exit_code == 0 and result.stderr == ""
    last = " ".join(result.stdout.strip().split("\n\n")[-1].split())
    assert "emokit " in last
    assert last.startswith("Example: ") or not words
    assert cli(*words, "-h").stdout == result.stdout


def test_top_help_names_every_command_with_its_line(cli):
    text = cli("--help").stdout
    for name, (_, line) in COMMANDS.items():
        assert name in text and line.split()[0] in text


def test_examples_name_options_that_exist(cli):
    import re

    for name in COMMANDS:
        text = cli(name, "--help").stdout
        options, example = text.rsplit("Example:", 1)
        called = [part for part in re.split(r"(?=emokit )", example) if part.startswith("emokit ")]
        for part in called:
            command = part.split()[1]
            known = cli(command, "--help").stdout.rsplit("Example:", 1)[0]
            if command in ("corpora", "pretrain"):
                known += cli(command, part.split()[2], "--help").stdout
            for option in re.findall(r"--[a-z-]+", part):
                assert option in known, (name, option)


def test_version_is_the_packages(cli):
    import emokit

    assert emokit.__version__ in cli("--version").stdout
