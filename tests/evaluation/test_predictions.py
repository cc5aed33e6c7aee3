import dataclasses

import numpy as np
import pandas as pd
import pytest

from emokit.core.errors import ManifestError
from emokit.evaluation.predictions import Predictions, concatenate, read, write


def saved(tmp_path, text):
    path = tmp_path / "table.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_predictions_survive_write_and_read(tmp_path, predicted, rng):
    several = [predicted(rng, "emodb", seed=0), predicted(rng, "emodb", seed=1),
               predicted(rng, "tess", labels=("joy", "calm"), seed=0)]
    back = read(write(tmp_path / "p.csv", several))
    assert [(one.corpus, one.seed, one.labels, one.partition) for one in back] == [
        (one.corpus, one.seed, one.labels, "test") for one in several]
    for one, other in zip(several, back):
        assert np.array_equal(one.utterances, other.utterances)
        assert np.array_equal(one.answers, other.answers)
        assert np.array_equal(one.probabilities, other.probabilities)


def test_label_order_survives_without_probabilities(tmp_path, predicted, rng):
    one = predicted(rng, labels=("b", "c", "a"), probabilities=False)
    back, = read(write(tmp_path / "p.csv", one))
    assert back.labels == ("b", "c", "a") and back.probabilities is None


def test_foreign_table_needs_only_file_truth_prediction_and_labels(tmp_path):
    path = saved(tmp_path, "file,truth,prediction\nb.wav,x,y\na.wav,y,y\n")
    one, = read(path, labels=["x", "y"])
    assert one.utterances.tolist() == ["a.wav", "b.wav"]
    assert one.truth.tolist() == [1, 0] and one.answers.tolist() == [1, 1]


def test_labels_are_never_inferred(tmp_path):
    path = saved(tmp_path, "file,truth,prediction\na.wav,x,y\nb.wav,y,y\n")
    with pytest.raises(ManifestError, match="--labels"):
        read(path)


def test_labels_by_corpus(tmp_path):
    path = saved(tmp_path, "file,corpus,truth,prediction\na,m,x,x\nb,n,u,v\n")
    one, two = read(path, labels={"m": ["x", "y"], "n": ["u", "v"]})
    assert (one.labels, two.labels) == (("x", "y"), ("u", "v"))


@pytest.mark.parametrize("text, words", [
    ("file,truth\na,x\n", "lacks column prediction.*the table has: file, truth"),
    ("truth,prediction\nx,x\n", "lacks column utterance"),
    ("file,truth,prediction\na,x,x\na,y,x\n", "1 utterances twice: a"),
    ("file,truth,prediction\na,x,x\nb,z,x\n", "truth of 'b' is 'z'.*Choices: x, y"),
    ("file,truth,prediction\na,x,x\nb,x,z\n", "prediction of 'b' is 'z'.*outside='miss'"),
    ("file,truth,prediction,p_y,p_x\na,x,x,0,1\n", "label order y, x"),
    ("file,truth,prediction,p_x,p_y\na,x,x,hm,1\n", "has 'hm', not a number"),
    ("file,truth,prediction,seed\na,x,x,one\n", "has 'one', not a whole number"),
])
def test_bad_tables_are_errors_in_words(tmp_path, text, words):
    with pytest.raises(ManifestError, match=words):
        read(saved(tmp_path, text), labels=["x", "y"])


def test_missing_file_is_an_error_in_words(tmp_path):
    with pytest.raises(ManifestError, match="There is no file"):
        read(tmp_path / "none.csv")


def test_prediction_outside_counts_as_miss_on_request(tmp_path):
    path = saved(tmp_path, "file,truth,prediction\na,x,x\nb,x,z\n")
    one, = read(path, labels=["x", "y"], outside="miss")
    assert one.answers.tolist() == [0, 2]


def test_table_without_rows_is_an_empty_partition(tmp_path):
    one, = read(saved(tmp_path, "file,truth,prediction\n"), labels=["x", "y"])
    assert len(one) == 0


def test_dimensions_need_no_classes(tmp_path):
    text = "utterance,corpus,truth_arousal,arousal\nm/1,m,1,2\nm/2,m,3,2.5\n"
    one, = read(saved(tmp_path, text))
    assert one.labels == () and one.dimensions == ("arousal",)
    assert one.table["arousal"].tolist() == [2, 2.5]


def test_file_order_does_not_matter(predicted, rng):
    one = predicted(rng)
    shuffled = dataclasses.replace(one, table=one.table.sample(frac=1, random_state=3))
    pd.testing.assert_frame_equal(one.table, shuffled.table)


def test_folds_join_and_refuse_an_utterance_in_two(predicted, rng):
    one = predicted(rng)
    half = len(one) // 2
    first, second = (dataclasses.replace(one, table=one.table[part])
                     for part in (slice(half), slice(half, None)))
    assert concatenate([second, first]).table.equals(one.table)
    with pytest.raises(ManifestError, match="twice"):
        concatenate([first, one])
    with pytest.raises(ManifestError, match="differ in labels"):
        concatenate([first, dataclasses.replace(second, labels=tuple(reversed(one.labels)))])
    with pytest.raises(ManifestError, match="no folds"):
        concatenate([])


def test_speaker_ids_stay_text(tmp_path):
    path = saved(tmp_path, "file,speaker,truth,prediction\na,03,x,x\nb,NA,y,x\n")
    one, = read(path, labels=["x", "y"])
    assert one.table["speaker"].tolist() == ["03", "NA"]


def test_needed_columns_are_named():
    with pytest.raises(ManifestError, match="lack column truth, prediction"):
        Predictions("m", "test", ("x", "y"), pd.DataFrame({"utterance": ["a"]}))
