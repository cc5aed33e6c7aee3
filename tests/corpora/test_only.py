"""`only` in corpora.yaml: part of a corpus as a corpus of its own."""

import pandas as pd
import pytest

from emokit.core.errors import ConfigError, CorpusError
from emokit.corpora.build import BuildOptions, build_corpora
from emokit.corpora.plan import make_plan
from emokit.corpora.spec import read_specs
from emokit.testing import tiny_corpus


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """A tiny RAVDESS of five speakers."""
    return tiny_corpus(tmp_path_factory.mktemp("only") / "ravdess", "ravdess", 5, 4)


def specs(folder, raw, *lines):
    path = folder / "corpora.yaml"
    path.write_text("".join(f"part{number}:\n  parser: ravdess\n  root: {raw}\n  only: {line}\n"
                            for number, line in enumerate(lines)))
    return read_specs(path)


def test_two_entries_divide_one_folder_without_rest(tmp_path, raw):
    one, other = (make_plan(spec, 0) for spec in specs(
        tmp_path, raw, "{repetition: '01'}", "{repetition: ['02']}"))
    assert set(one.table["repetition"]) == {"01"} and set(other.table["repetition"]) == {"02"}
    files = [set(plan.table["path"]) for plan in (one, other)]
    assert not files[0] & files[1]
    assert {path for path, _ in one.rejected} == files[1]
    assert "left out by 'only': repetition is '02'" in {reason for _, reason in one.rejected}


def test_an_utterance_must_fit_all_columns_and_speakers_can_be_chosen(tmp_path, raw):
    whole, = (make_plan(spec, 0) for spec in specs(tmp_path, raw, "{}"))
    speakers = sorted(name.partition("/")[2] for name in set(whole.table["speaker"]))[:4]
    plan, = (make_plan(spec, 0) for spec in specs(
        tmp_path, raw, f"{{speaker: {speakers!r}, intensity: normal}}"))
    expected = whole.table[(whole.table["intensity"] == "normal") & whole.table["speaker"].isin(
        [f"part0/{name}" for name in speakers])]
    assert sorted(plan.table["path"]) == sorted(expected["path"]) and len(plan.table)


def test_a_part_is_built_with_its_utterances_alone(tmp_path, raw):
    build_corpora(specs(tmp_path, raw, "{repetition: '01'}"), tmp_path / "emoset",
                  BuildOptions(jobs=1, report=False))
    table = pd.read_csv(tmp_path / "emoset" / "part0" / "manifest.csv", dtype=str)
    rejected = pd.read_csv(tmp_path / "emoset" / "part0" / "rejected.csv")
    assert set(table["repetition"]) == {"01"}
    assert len(table) + len(rejected) == len(list(raw.rglob("*.wav")))


@pytest.mark.parametrize("line, kind, words", [
    ("{style: improvised}", CorpusError, r"corpora.yaml:4: 'only' of 'part0' names the column "
     r"'style', which none.*Choices: speaker, text"),
    ("{intensity: norml}", CorpusError, "keeps intensity 'norml'.*Did you mean 'normal'"),
    ("[improvised]", ConfigError, "only"),
])
def test_what_no_utterance_has_is_refused_with_the_choices(tmp_path, raw, line, kind, words):
    with pytest.raises(kind, match=words):
        for spec in specs(tmp_path, raw, line):
            make_plan(spec, 0)
