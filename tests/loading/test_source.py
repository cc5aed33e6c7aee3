"""One corpus in one run: its classes, rows and folds."""

import dataclasses

import numpy as np
import pytest

from emokit.core.errors import ConfigError, CorpusError
from emokit.corpora.store import open_emoset
from emokit.loading.source import count_folds, folds_of, make_source


@pytest.fixture(scope="module")
def emodb(emoset):
    return open_emoset(emoset, ["emodb"])[0]


@pytest.fixture(scope="module")
def ravdess(emoset):
    return open_emoset(emoset, ["ravdess"])[0]


def with_column(corpus, name, values):
    return dataclasses.replace(corpus, manifest=corpus.manifest.assign(**{name: values}))


def test_default_rows_are_the_partitions_of_the_manifest(ravdess):
    source = make_source(ravdess)
    for name, rows in source.rows.items():
        assert (ravdess.manifest["partition"].iloc[rows] == name).all()
    assert sum(map(len, source.rows.values())) == len(ravdess.manifest)
    words = ravdess.manifest["emotion"].to_numpy()
    assert [source.labels[index] for index in source.classes] == list(words)


def test_label_order_ignores_row_order_and_partition(ravdess):
    turned = dataclasses.replace(ravdess, manifest=ravdess.manifest.iloc[::-1])
    assert make_source(turned).labels == make_source(ravdess).labels == ravdess.classes
    assert make_source(ravdess, fold=3).labels == ravdess.classes


@pytest.mark.parametrize("partition", ["train", "dev", "test"])
def test_class_missing_in_train_dev_or_test_keeps_all_labels(ravdess, partition):
    table = ravdess.manifest
    moved = np.where((table["partition"] == partition) & (table["emotion"] == "calm"),
                     "", table["partition"])
    source = make_source(with_column(ravdess, "partition", moved))
    assert source.labels == ravdess.classes
    assert source.class_counts(partition)[source.labels.index("calm")] == 0
    assert (source.class_counts(partition) > 0).sum() == 3


def test_a_view_orders_merges_and_drops_classes(ravdess):
    source = make_source(ravdess, "canonical7")
    assert source.labels == ("anger", "neutral", "sadness")
    assert source.dropped == {"calm": 10}
    for rows in source.rows.values():
        assert (ravdess.manifest["emotion"].iloc[rows] != "calm").all()
    assert make_source(ravdess, "arousal").labels == ("low", "high")


def test_pooled_heads_hold_all_classes_of_the_view(emodb):
    source = make_source(emodb, "canonical4", pooled=True)
    assert source.head == "pooled" and source.name == "emodb"
    assert source.labels == ("anger", "neutral", "sadness")
    assert source.head_labels == ("anger", "happiness", "neutral", "sadness")
    assert set(source.classes) == {0, 2, 3}


def test_folds_turn_and_share_no_speaker(emodb):
    tested = []
    for fold in range(count_folds(emodb)):
        source = make_source(emodb, fold=fold)
        speakers = {name: set(emodb.manifest["speaker"].iloc[rows])
                    for name, rows in source.rows.items()}
        assert not (speakers["train"] & speakers["dev"] or speakers["train"] & speakers["test"]
                    or speakers["dev"] & speakers["test"])
        following = make_source(emodb, fold=(fold + 1) % count_folds(emodb))
        assert set(source.rows["dev"]) == set(following.rows["test"])
        tested += list(source.rows["test"])
    assert sorted(tested) == list(range(len(emodb.manifest)))


def test_folds_follow_the_choice(emodb, ravdess):
    official = with_column(ravdess, "fold", "")
    assert count_folds(official) == 0 and make_source(official, fold=2).fold is None
    assert folds_of([emodb, official], "all") == [0, 1, 2, 3, 4]
    assert folds_of([emodb], "none") == [None] == folds_of([official], "auto")
    assert folds_of([emodb], "auto") == [0, 1, 2, 3, 4]
    assert folds_of([emodb], "3") == [3]


@pytest.mark.parametrize("choice", ["5", "-1", "some", "²"])
def test_folds_that_are_not_there_are_refused(emodb, choice):
    with pytest.raises(ConfigError, match="--folds is"):
        folds_of([emodb], choice)
    with pytest.raises(ConfigError, match="no fold 5. Choices: 0, 1, 2, 3, 4"):
        make_source(emodb, fold=5)


def test_one_class_or_an_empty_partition_is_refused(ravdess):
    table = ravdess.manifest
    with pytest.raises(CorpusError, match=r"has 1 class\(es\) under target 'emotion'"):
        make_source(with_column(ravdess, "emotion", "anger"))
    for name in ("train", "dev"):
        gone = table["partition"].replace(name, "test")
        with pytest.raises(CorpusError, match=f"no {name} utterance"):
            make_source(with_column(ravdess, "partition", gone))
    # a corpus may go without test
    assert not len(make_source(with_column(
        ravdess, "partition", table["partition"].replace("test", "train"))).rows["test"])
