"""The facts of `catalogue.yaml`."""

import re
import subprocess
import sys

import pytest

from emokit.core.errors import ConfigError
from emokit.corpora.catalogue import entries, entry, rows
from emokit.corpora.discovery import Found
from emokit.corpora.labels import assign_classes
from emokit.corpora.parsers import LISTED, PARSERS
from emokit.corpora.spec import CorpusSpec
from emokit.corpora.words import class_word


def test_the_26_corpora_of_emoset_are_there():
    tasks = {facts.emoset for facts in entries().values()} - {""}
    assert tasks == set(
        "AirplaneBehaviourCorpus AngerDetection BurmeseEmotionalSpeech CASIA ChineseVocalEmotions "
        "DanishEmotionalSpeech DEMoS EA-ACT EA-BMW EA-WSJ EMO-DB EmoFilm EmotiW-2014 ENTERFACE "
        "EU-EmoSS FAU_AIBO GEMEP GVESS IEMOCAP MandarinEmotionalSpeech MELD PPMMK-EMO SIMIS "
        "SMARTKOM SUSAS TurkishEmoBUEE".split())


def test_every_parser_has_its_facts_and_every_reader_exists():
    assert {facts.parser for facts in entries().values()} - {""} == set(PARSERS)
    for name in PARSERS:
        facts = entry(name)
        assert facts.licence and facts.where and facts.citation
        assert facts.status == ("its lists" if name in LISTED else name)
        assert facts.utterances == sum(1 for _ in PARSERS[name].stand_ins())
        speakers = {item.speaker for item in PARSERS[name].stand_ins()}
        # where names tell no speaker the stand-ins have none
        assert speakers == {""} or facts.speakers is None or facts.speakers == len(speakers - {""})
        assert facts.citation.split()[0] in PARSERS[name].SOURCE


@pytest.mark.parametrize("name", [name for name in PARSERS if name != "emogator"
                                  and PARSERS[name].EMOTIONS])
def test_classes_of_the_catalogue_are_those_of_the_parser(name):
    words = PARSERS[name].EMOTIONS.values()
    order, _ = assign_classes(CorpusSpec(name=name, parser=name), words)
    assert [class_word(word) for word in entry(name).classes] == list(order)


def test_classes_are_spelt_as_classes_are():
    for facts in entries().values():
        if isinstance(facts.classes, list):
            assert [class_word(word) for word in facts.classes] == [
                word.replace(" ", "_") for word in facts.classes], facts.name


def test_ids_titles_and_unconfirmed_fields_are_sound():
    for name, facts in entries().items():
        assert re.fullmatch(r"[a-z][a-z0-9_]*", name)
        assert facts.title and facts.where
        for field in facts.unconfirmed:
            assert hasattr(facts, field), (name, field)


def test_unknown_corpus_names_the_nearest():
    with pytest.raises(ConfigError, match="no corpus 'ravdes'. Did you mean 'ravdess'"):
        entry("ravdes")


def test_rows_tell_what_is_found(tmp_path):
    table = {row["name"]: row for row in rows([Found("emodb", tmp_path, 7, "found"),
                                               Found("crema_d", tmp_path, 0, "no audio")])}
    assert len(table) == len(entries())
    assert table["emodb"]["state"] == "partial 7/535" and table["emodb"]["files"] == "7"
    assert table["crema_d"]["state"] == "tables only"
    assert table["iemocap"]["state"] == "missing" and table["ea_act"]["state"] == "missing"
    assert table["mesd"]["speakers"] == "16?"


def test_rows_tell_of_two_copies_and_tables_alone_are_none(tmp_path):
    here = [Found("emodb", tmp_path / "a", 339, "found"),
            Found("emodb", tmp_path / "b", 7, "found"),
            Found("tess", tmp_path / "c", 2800, "found"), Found("tess", tmp_path, 0, "no audio")]
    table = {row["name"]: row for row in rows(here)}
    assert (table["emodb"]["state"], table["emodb"]["files"]) == ("2 copies", "339")
    assert table["emodb"]["folder"] == f"{tmp_path / 'a'}, {tmp_path / 'b'}"
    assert table["tess"]["state"] == "found"


def test_folders_of_emobox_are_told_for_those_that_have_another_name():
    assert {name: facts.emobox for name, facts in entries().items() if facts.emobox} == {
        "crema_d": "cremad", "asvp_esd": "asvpesd", "emov_db": "emovdb", "jl_corpus": "jlcorpus",
        "msp_podcast": "msppodcast", "polish_emotions": "polish", "turev_db": "turevdb"}


def test_corpora_modules_import_nothing_heavy():
    code = ("import sys; from emokit.corpora import catalogue, labels, spec, views, discovery; "
            "from emokit.corpora import partitions; from emokit.corpora.parsers import PARSERS; "
            "[PARSERS[name] for name in PARSERS]; catalogue.entries(); "
            "print([name for name in ('torch', 'pandas', 'librosa', 'sklearn', 'matplotlib', "
            "'soundfile', 'click') if name in sys.modules])")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
