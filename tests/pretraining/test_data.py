"""Which utterances are learnt from, and how they are put into batches."""

import dataclasses

import numpy as np
import pytest

from emokit.core.errors import ConfigError, CorpusError
from emokit.corpora.store import RATE, open_emoset
from emokit.loading.source import make_source
from emokit.pretraining.config import PretrainConfig
from emokit.pretraining.data import (
    HELD_OUT, Clips, endless, held_out_plans, hours, make_sources, pack,
)


@pytest.fixture(scope="module")
def corpora(emoset):
    return open_emoset(emoset)


def config(**settings):
    return PretrainConfig(held_out=0.34, **settings)


def speakers(source, part):
    return set(source.corpus.manifest["speaker"].iloc[source.rows[part]])


def test_train_and_held_out_share_no_speaker_and_are_train_together(corpora):
    for source in make_sources(corpora, config(), 0):
        whole = make_source(source.corpus).rows["train"]
        assert len(speakers(source, HELD_OUT)) == 1
        assert not speakers(source, "train") & speakers(source, HELD_OUT)
        both = np.sort(np.concatenate([source.rows["train"], source.rows[HELD_OUT]]))
        assert np.array_equal(both, whole)


def test_seed_chooses_who_is_held_out(corpora):
    found = {tuple(sorted(speakers(make_sources(corpora, config(), seed)[1], HELD_OUT)))
             for seed in range(8)}
    assert len(found) > 1
    again = [make_sources(corpora, config(), 3)[1].rows[HELD_OUT] for _ in range(2)]
    assert np.array_equal(*again)


def test_fold_leaves_out_what_it_tests_and_scores(corpora):
    for fold in (0, 3):
        for source in make_sources(corpora, config(fold=fold), 0):
            known = make_source(source.corpus, fold=fold)
            heard = set(source.rows["train"]) | set(source.rows[HELD_OUT])
            assert heard == set(known.rows["train"].tolist())
            assert not heard & set(known.rows["test"].tolist())


def test_unknown_fold_is_refused(corpora):
    with pytest.raises(ConfigError, match="have 5 folds"):
        make_sources(corpora, config(fold=7), 0)


def test_list_of_utterances_is_all_that_is_learnt_from(corpora, tmp_path):
    source = make_source(corpora[1])
    names = corpora[1].manifest["utterance"].iloc[source.rows["train"][:7]].tolist()
    (tmp_path / "ids.txt").write_text("\n".join(names) + "\n")
    (tmp_path / "query.csv").write_text("rank,utterance\n" + "".join(
        f"{number},{name}\n" for number, name in enumerate(names)))
    for file in ("ids.txt", "query.csv"):
        found, = make_sources(corpora, dataclasses.replace(
            config(), utterances=str(tmp_path / file), held_out=0.0), 0)
        assert found.name == corpora[1].name
        assert sorted(found.corpus.manifest["utterance"].iloc[found.rows["train"]]) == sorted(
            names)


@pytest.mark.parametrize("partition", ["dev", "test"])
def test_utterances_of_dev_and_test_are_refused_by_name(corpora, tmp_path, partition):
    source = make_source(corpora[0])
    table = corpora[0].manifest["utterance"]
    names = [table[source.rows["train"][0]], *table[source.rows[partition][:2]]]
    (tmp_path / "ids.txt").write_text("\n".join(names))
    with pytest.raises(ConfigError, match=f"2 of 3 utterances .* are of {partition}, not of "
                                          f"train: .*{names[1]}"):
        make_sources(corpora, config(utterances=str(tmp_path / "ids.txt")), 0)


@pytest.mark.parametrize("text, words", [
    ("emodb/nobody\n", "1 of 1 utterances .* in no built corpus: emodb/nobody"),
    ("\n", "names no utterance"), (None, "cannot be read")])
def test_lists_that_are_none_are_refused(corpora, tmp_path, text, words):
    if text is not None:
        (tmp_path / "ids.txt").write_text(text)
    with pytest.raises(ConfigError, match=words):
        make_sources(corpora, config(utterances=str(tmp_path / "ids.txt")), 0)


def changed(corpus, **columns):
    return dataclasses.replace(corpus, manifest=corpus.manifest.assign(**columns))


def test_speakers_of_test_in_train_are_refused_unless_allowed(corpora):
    corpus = changed(corpora[0], speaker="emodb/one")
    with pytest.raises(CorpusError, match="1 speakers of train of 'emodb' speak in dev or test"):
        make_sources([corpus], config(), 0)
    found = make_sources([corpus, corpora[1]], config(shared_speakers=True), 0)
    assert len(found[0].rows["train"]) == 9 and not len(found[0].rows[HELD_OUT])


def test_no_train_utterance_left_is_refused(corpora):
    with pytest.raises(CorpusError, match="No train utterance of emodb is left"):
        make_sources([changed(corpora[0], partition="test")], config(), 0)


def test_nobody_to_hold_out_is_refused_with_the_way_on(corpora):
    corpus = changed(corpora[0], speaker="")
    with pytest.raises(ConfigError, match="--held-out 0"):
        make_sources([corpus], config(), 0)
    found, = make_sources([corpus], dataclasses.replace(config(), held_out=0.0), 0)
    assert len(found.rows["train"]) == 9


def test_batches_hold_each_utterance_once_within_their_seconds(corpora):
    sources = make_sources(corpora, config(), 0)
    # clips of 0.2 s to 30 s
    rng = np.random.default_rng(0)
    sources = [dataclasses.replace(source, corpus=dataclasses.replace(
        source.corpus, audio=type("Lengths", (), {
            "lengths": (rng.uniform(0.2, 30, len(source.classes)) * RATE).astype(int)})()))
        for source in sources]
    for window, seconds in ((None, 60.0), (10.0, 25.0), (None, 5.0)):
        plans = pack(sources, "train", window, seconds, 4, np.random.default_rng(1), 0)
        seen = [(index, row) for plan in plans for index, row in zip(plan.sources, plan.rows)]
        assert sorted(seen) == sorted((index, row) for index, source in enumerate(sources)
                                      for row in source.rows["train"])
        for plan in plans:
            samples = [sources[index].samples(window)[row]
                       for index, row in zip(plan.sources, plan.rows)]
            assert len(samples) == 1 or len(samples) * max(samples) <= seconds * RATE


def test_batches_begin_anywhere_as_if_they_had_begun_at_the_first(corpora):
    sources = make_sources(corpora, config(), 0)
    settings = config(batch_seconds=2.0)
    per_epoch = len(pack(sources, "train", 10.0, 2.0, 16, np.random.default_rng(0), 0))

    def first(step, n=3 * per_epoch):
        batches = endless(sources, settings, 0, step)
        return [(plan.epoch, plan.rows.tolist()) for plan, _ in zip(batches, range(n))]

    whole = first(0)
    for step in (1, per_epoch, per_epoch + 2):
        assert first(step)[:3 * per_epoch - step] == whole[step:]
    assert [one for one in whole if one[0] == 0] != [(0, rows) for epoch, rows in whole
                                                     if epoch == 1]


def test_crops_begin_at_whole_frames_and_stay_within(corpora):
    sources = make_sources(corpora, config(), 0)
    plans = pack(sources, "train", 0.1, 2.0, 4, np.random.default_rng(0), 3)
    data = Clips(sources, plans, 0.1, 80, 0)
    starts = []
    for batch in (data[number] for number in range(len(data))):
        assert batch.inputs.shape[1] == 1600
        for index, row, first, samples in zip(batch.sources.tolist(), batch.rows.tolist(),
                                              batch.first.tolist(), batch.inputs):
            expected = sources[index].corpus.audio.read(row, 80 * first, 80 * first + 1600)
            assert np.array_equal(samples.numpy(), expected)
            starts.append(first)
    assert len(set(starts)) > 5


def test_what_is_measured_on_is_the_same_every_time(corpora):
    sources = make_sources(corpora, config(), 0)
    first, second = (held_out_plans(sources, config(), 0) for _ in range(2))
    assert [plan.rows.tolist() for plan in first] == [plan.rows.tolist() for plan in second]
    rows = [(index, row) for plan in first for index, row in zip(plan.sources, plan.rows)]
    assert sorted(rows) == sorted((index, row) for index, source in enumerate(sources)
                                  for row in source.rows[HELD_OUT])


def test_hours_are_those_of_the_recordings(corpora):
    sources = make_sources(corpora, config(), 0)
    n = sum(len(source.rows["train"]) for source in sources)
    assert hours(sources, "train") == pytest.approx(n * 0.3 / 3600, rel=0.05)
