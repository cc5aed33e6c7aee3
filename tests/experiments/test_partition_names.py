"""Every table names how the tested utterances were set apart, in the same words."""

import pytest

from emokit.experiments.partitions import (NO_SPEECH, partition_facts, partition_name,
                                           partition_notes, partition_of)

AUTO = "Made by emokit by speaker, balanced; no speaker in two partitions (9 speakers)."
SESSIONS = ("5 folds, one for each session; the single split tests session 1, dev is session 2; "
            "no speaker in two partitions (10 speakers).")
TEXT = ("Made by emokit by sentence, not by speaker, balanced; 2 of 2 speakers stand in several "
        "partitions: scores are not speaker-independent.")


def build(kind="auto", words=AUTO, disjoint=True, folds=5, **more):
    return {"partitions": {"kind": kind, "words": words, "speaker_disjoint": disjoint},
            "counts": {"folds": folds}, **more}


@pytest.mark.parametrize("facts, folds, kind, words", [
    (build(), (), "auto", AUTO),
    (build(), {None}, "auto", AUTO),
    (build(), range(5), "folds",
     "5 folds made by emokit by speaker; each utterance tested once."),
    (build(), {2}, "fold 2 of 5", "5 folds made by emokit by speaker; fold 2 tested."),
    (build("folds", SESSIONS), range(5), "folds",
     "5 folds, one for each session; each utterance tested once."),
    (build("folds", SESSIONS), (), "folds", SESSIONS),
    # beside folded corpora: official partitions, and those chosen by hand, have no folds
    (build("official", "Official.", folds=0), {None}, "official", "Official."),
    (build("speakers", "As chosen.", folds=0), {0, 1}, "speakers", "As chosen."),
    (build("csv", "As listed.", folds=0), {0, 1}, "csv", "As listed."),
])
def test_a_scheme_is_named_for_the_folds_that_were_scored(facts, folds, kind, words):
    found = partition_facts(facts, folds)
    assert (found["kind"], found["words"]) == (kind, words)
    assert partition_name(found) == kind


def test_shared_speakers_stand_in_the_name_and_in_the_words():
    found = partition_facts(build("text", TEXT, False), range(5))
    assert partition_name(found) == "folds, shares speakers"
    assert found["words"].startswith("5 folds made by emokit by sentence, not by speaker; ")
    assert "not speaker-independent" in found["words"]
    assert partition_name(partition_facts(build("text", TEXT, False))) == "text, shares speakers"


def test_stand_ins_are_never_taken_for_speech():
    found = partition_facts(build(synthetic=True), range(5))
    assert partition_name(found) == "folds, synthetic" and found["words"].startswith(NO_SPEECH)


def test_what_nobody_knows_has_no_name_and_no_note():
    assert partition_name({}) == "" and partition_notes({"emodb": {}}) == []


def test_corpora_of_which_the_same_is_true_share_a_line():
    facts = {"b": partition_facts(build()), "c": partition_facts(build("text", TEXT, False)),
             "a": partition_facts(build(words=AUTO.replace("9 speakers", "4 speakers")))}
    assert partition_notes(facts) == [
        "Partition auto (a, b): made by emokit by speaker, balanced; no speaker in two partitions.",
        f"Partition text, shares speakers (c): {TEXT[0].lower()}{TEXT[1:]}"]


def test_a_corpus_with_fewer_folds_goes_modulo(emoset):
    from emokit.corpora.store import open_corpus

    corpus = open_corpus(emoset / "emodb")
    assert partition_of(corpus, None) == "auto"
    n_folds = corpus.manifest["fold"].nunique()
    assert partition_of(corpus, n_folds + 1) == f"fold 1 of {n_folds}"
