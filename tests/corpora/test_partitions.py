"""Partitions and folds."""

import itertools
import os

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emokit.core.errors import ConfigError, ManifestError
from emokit.corpora.balance import NEAR, cost, deal, divide
from emokit.corpora.labels import assign_classes
from emokit.corpora.parsers import PARSERS
from emokit.corpora.partitions import FALLBACK, assign_partitions, shared_speakers
from emokit.corpora.parsing import parse
from emokit.corpora.spec import PartitionRule, read_specs
from emokit.corpora.utterance import Utterance

AUTO = PartitionRule("auto")
PARTS = ["train", "dev", "test"]


def table(n_speakers=6, classes="abc", per_class=4, corpus="mine", genders=("female", "male"),
          **columns):
    rows = [
        {"utterance": f"{corpus}/s{speaker}_{emotion}{take}", "corpus": corpus,
         "path": f"s{speaker}/{emotion}{take}.wav", "speaker": f"{corpus}/s{speaker}",
         "emotion": emotion, "gender": genders[speaker % len(genders)],
         "text": f"sentence {take}", "partition": ""}
        for speaker in range(n_speakers) for emotion in classes for take in range(per_class)]
    return pd.DataFrame(rows).assign(**columns)


def each_class_everywhere(rows, partition):
    return pd.crosstab(rows["emotion"], partition).to_numpy().min() > 0


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_auto_shares_no_speaker_and_fills_every_partition(data):
    n_speakers = data.draw(st.integers(3, 14), "speakers")
    rows = table(n_speakers, "abcd"[:data.draw(st.integers(1, 4), "classes")], 3)
    # uneven speakers: some rows are missing
    keep = data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows)), "kept")
    first = ~rows.duplicated("speaker")
    rows = rows[np.array(keep) | first].reset_index(drop=True)
    partition, fold, info = assign_partitions(rows, AUTO, data.draw(st.integers(0, 5), "seed"))
    assert info.speaker_disjoint and info.waiver is None and info.kind == "auto"
    assert shared_speakers(rows["speaker"], partition) == []
    assert shared_speakers(rows["speaker"], fold) == []
    assert set(partition) == set(PARTS)
    assert set(fold) == {str(number) for number in range(info.n_folds)}
    assert info.n_folds == min(5, n_speakers)


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 1000), shuffle=st.integers(0, 1000), n_speakers=st.integers(1, 20))
def test_partitions_do_not_depend_on_row_order(seed, shuffle, n_speakers):
    rows = table(n_speakers)
    mixed = rows.sample(frac=1, random_state=shuffle)
    for one, two in zip(assign_partitions(rows, AUTO, seed)[:2],
                        assign_partitions(mixed, AUTO, seed)[:2]):
        assert list(two.index) == list(mixed.index)
        assert (one == two.sort_index()).all()


@pytest.mark.parametrize("n_speakers", [3, 4, 5, 8, 12, 13, 40])
def test_every_class_is_in_every_partition_and_shares_are_near_60_20_20(n_speakers):
    rows = table(n_speakers, "abcdefg", 2)
    partition, fold, _ = assign_partitions(rows, AUTO, 0)
    assert each_class_everywhere(rows, partition) and each_class_everywhere(rows, fold)
    if n_speakers >= 5:
        shares = partition.value_counts(normalize=True)
        for part, target in zip(PARTS, (0.6, 0.2, 0.2)):
            assert abs(shares[part] - target) <= 0.5 / n_speakers + 0.05


def test_genders_are_balanced_as_far_as_the_speakers_allow():
    rows = table(10)
    partition, _, _ = assign_partitions(rows, AUTO, 0)
    shares = (rows["gender"] == "female").groupby(partition).mean()
    assert shares.to_dict() == {"dev": 0.5, "test": 0.5, "train": 0.5}


def test_rare_classes_reach_every_partition_if_three_speakers_have_them():
    rows = table(12, "ab")
    rare = rows[rows["speaker"].isin(["mine/s1", "mine/s5", "mine/s6"])
                & (rows["emotion"] == "a")].head(12).copy()
    rare["emotion"], rare["utterance"] = "rare", rare["utterance"] + "_rare"
    rows = pd.concat([rows, rare], ignore_index=True)
    for n_more in (0, 10):
        wide = pd.concat([rows, table(12 + n_more, "ab").query("speaker not in @rows.speaker")],
                         ignore_index=True)
        partition, _, _ = assign_partitions(wide, AUTO, 0)
        assert each_class_everywhere(wide, partition)


def test_the_seed_and_the_corpus_choose_among_equal_divisions():
    def test_speakers(rows, seed):
        partition = assign_partitions(rows, AUTO, seed)[0]
        return frozenset(rows["speaker"][partition == "test"].str.partition("/")[2])

    assert len({test_speakers(table(6), seed) for seed in range(6)}) > 1
    assert len({test_speakers(table(6, corpus=name), 0) for name in "abcdef"}) > 1


def test_few_speakers_are_divided_by_sentence_as_a_recorded_waiver():
    rows = table(2, per_class=10)
    partition, fold, info = assign_partitions(rows, AUTO, 0)
    assert info.kind == "text" and not info.speaker_disjoint
    assert info.waiver == {"check": FALLBACK, "count": 2, "culprits": ["mine/s0", "mine/s1"],
                           "flag": ""}
    assert "by sentence, not by speaker" in info.words and "not speaker-independent" in info.words
    assert shared_speakers(rows["text"], partition) == shared_speakers(rows["text"], fold) == []
    assert each_class_everywhere(rows, partition)
    assert partition.value_counts().to_dict() == {"train": 36, "dev": 12, "test": 12}


@pytest.mark.parametrize("change", [{"text": ""}, {"text": "the one sentence"}])
def test_without_sentences_utterances_are_dealt(change):
    rows = table(1, per_class=10, **change)
    partition, fold, info = assign_partitions(rows, AUTO, 0)
    assert info.kind == "utterance" and "by utterance, not by speaker" in info.words
    assert pd.crosstab(rows["emotion"], partition)[PARTS].to_numpy().tolist() == [[6, 2, 2]] * 3
    assert set(pd.crosstab(rows["emotion"], fold).to_numpy().ravel()) == {2}


def test_unknown_speakers_are_a_recorded_waiver():
    partition, _, info = assign_partitions(table(4, speaker="", text=""), AUTO, 0)
    assert set(partition) == set(PARTS)
    assert info.waiver["count"] == 0 and info.waiver["culprits"] == ["unknown speakers"]
    assert "48 of 48 utterances have no known speaker" in info.words


def test_some_unknown_speakers_leave_the_known_ones_disjoint():
    rows = table(6)
    rows.loc[rows["speaker"] == "mine/s0", "speaker"] = ""
    partition, fold, info = assign_partitions(rows, AUTO, 0)
    assert shared_speakers(rows["speaker"], partition) == []
    assert set(fold[rows["speaker"] == ""]) == set("01234")
    assert not info.speaker_disjoint and info.waiver["culprits"] == ["unknown speakers"]


def test_one_utterance_goes_to_train():
    partition, fold, info = assign_partitions(table(1, "a", 1), AUTO, 0)
    assert (list(partition), list(fold), info.n_folds) == (["train"], [""], 0)


def test_official_partitions_are_the_default_and_have_no_folds():
    rows = table(6)
    rows["partition"] = rows["speaker"].map(lambda name: PARTS[int(name[-1]) % 3])
    partition, fold, info = assign_partitions(rows, PartitionRule(), 0)
    assert (partition == rows["partition"]).all() and set(fold) == {""}
    assert info.kind == "official" and info.speaker_disjoint
    assert assign_partitions(rows, AUTO, 0)[2].kind == "auto"


def test_official_partitions_that_share_speakers_say_so():
    rows = table(3)
    rows["partition"] = [PARTS[number % 3] for number in range(len(rows))]
    info = assign_partitions(rows, PartitionRule(), 0)[2]
    assert not info.speaker_disjoint and "3 of 3 speakers stand in several" in info.words


def test_official_without_dev_sets_speakers_of_train_apart():
    rows = table(7)
    rows["partition"] = np.where(rows["speaker"].isin(["mine/s5", "mine/s6"]), "test", "train")
    partition, _, info = assign_partitions(rows, PartitionRule(), 0)
    assert set(rows["speaker"][partition == "test"]) == {"mine/s5", "mine/s6"}
    assert rows["speaker"][partition == "dev"].nunique() == 1
    assert "no dev: a fifth of train was set apart by speaker" in info.words
    assert info.speaker_disjoint


@pytest.mark.parametrize("words, message", [
    (["train", "", "test"], "4 of 12 utterances have no official partition"),
    (["train", "train", "train"], "no utterance of 'mine' is in dev, test"),
])
def test_official_partitions_must_be_complete(words, message):
    rows = table(1)
    rows["partition"] = [words[number % 3] for number in range(len(rows))]
    with pytest.raises((ManifestError, ConfigError), match=message):
        assign_partitions(rows, PartitionRule("official"), 0)
    with pytest.raises(ManifestError, match="x:1: 'mine' has no official partitions"):
        assign_partitions(table(), PartitionRule("official"), 0, "x:1")


def test_chosen_speakers():
    rows = table(5)
    rule = PartitionRule("speakers", test=["s1", "s4"], dev=["s0"])
    partition, fold, info = assign_partitions(rows, rule, 0)
    assert set(rows["speaker"][partition == "test"]) == {"mine/s1", "mine/s4"}
    assert set(rows["speaker"][partition == "dev"]) == {"mine/s0"}
    assert set(fold) == {""} and "test s1, s4; dev s0" in info.words


@pytest.mark.parametrize("test, dev, message", [
    (["s9"], ["s0"], r"corpora.yaml:4: 'mine' has no speaker 's9'. Choices: s0, s1, s2"),
    (["s1"], ["s1"], r"speaker 's1' is listed twice"),
    (["s1", "s1"], ["s0"], r"speaker 's1' is listed twice"),
    (["s0", "s1"], ["s2"], r"no utterance of 'mine' is in train"),
])
def test_wrong_speakers_are_named(test, dev, message):
    with pytest.raises(ConfigError, match=message):
        assign_partitions(table(3), PartitionRule("speakers", test, dev), 0, "corpora.yaml:4")


def test_folds_test_each_utterance_once_and_fold_zero_is_the_single_split():
    rows = table(9)
    partition, fold, info = assign_partitions(rows, PartitionRule("folds", k=4), 0)
    assert set(fold) == set("0123") and info.n_folds == 4
    assert ((partition == "test") == (fold == "0")).all()
    assert ((partition == "dev") == (fold == "1")).all()
    assert shared_speakers(rows["speaker"], fold) == []


def test_more_folds_than_speakers_is_an_error():
    with pytest.raises(ConfigError, match="7 folds need 7 speakers; 'mine' has 6"):
        assign_partitions(table(6), PartitionRule("folds", k=7), 0)


def test_partitions_from_a_list(tmp_path):
    rows, path = table(3), tmp_path / "mine.csv"
    words = {"0": "test", "1": "dev", "2": "train"}
    lines = [f"{file[:-4]}.flac,{words[file[1]]}" for file in rows["path"]]
    path.write_text("\n".join(["file,partition", *lines]) + "\n")
    partition, _, info = assign_partitions(rows, PartitionRule("csv", file=str(path)), 0)
    assert [words[file[1]] for file in rows["path"]] == list(partition)
    assert info.words.startswith("As listed in mine.csv")
    path.write_text("\n".join(["file,partition", *lines[2:]]) + "\n")
    with pytest.raises(ManifestError, match="says nothing of 2 utterances .*mine/s0_a0"):
        assign_partitions(rows, PartitionRule("csv", file=str(path)), 0)
    path.write_text("file,partition\ns0/a0.wav,devel\n")
    with pytest.raises(ManifestError, match="mine.csv:2: partition is 'devel'. Did you mean 'dev'"):
        assign_partitions(rows, PartitionRule("csv", file=str(path)), 0)
    path.write_text("file,partition\na.wav,dev\na.flac,test\n")
    with pytest.raises(ManifestError, match="mine.csv:3: 'a.flac' is listed for both"):
        assign_partitions(rows, PartitionRule("csv", file=str(path)), 0)
    path.write_text("file\na.wav\n")
    with pytest.raises(ManifestError, match="lacks column partition"):
        assign_partitions(rows, PartitionRule("csv", file=str(path)), 0)


def test_an_empty_corpus_is_an_error():
    with pytest.raises(ManifestError, match="no utterance to divide"):
        assign_partitions(table().iloc[:0], AUTO, 0)


def plain_cost(counts, shares, targets, division):
    """The formula of `divide`, written once more with loops."""
    total = 0.0
    n_all = sum(map(sum, counts))
    for part, target in enumerate(targets):
        rows = [row for row, where in zip(counts, division) if where == part]
        size = sum(map(sum, rows))
        total += abs(size / n_all - target) + (100 if size == 0 else 0)
        for k in range(len(counts[0])):
            n_k, here = sum(row[k] for row in counts), sum(row[k] for row in rows)
            total += abs(here / n_k - target) / len(counts[0]) + (10 if here == 0 else 0)
        for g in range(len(shares[0])):
            here = sum(row[g] for row, where in zip(shares, division) if where == part)
            whole = sum(row[g] for row in shares) / n_all
            total += target * abs(here / max(size, 1) - whole) / len(shares[0])
    return total


@settings(max_examples=20, deadline=None)
@given(st.integers(3, 6), st.integers(0, 999))
def test_divide_finds_a_division_within_reach_of_the_best(n_groups, seed):
    rng = np.random.default_rng(seed)
    counts = rng.integers(1, 9, (n_groups, 2))
    women = rng.integers(0, 2, n_groups)
    shares = np.stack([women, 1 - women], 1) * counts.sum(1, keepdims=True)
    targets = np.array([0.6, 0.2, 0.2])
    costs = {division: plain_cost(counts.tolist(), shares.tolist(), targets, division)
             for division in itertools.product(range(3), repeat=n_groups)}
    division = divide(counts, shares, targets, rng)
    assert costs[tuple(division.tolist())] <= min(costs.values()) + NEAR + 1e-9
    assert cost(counts.astype(float), shares.astype(float), targets,
                division[None])[0] == pytest.approx(costs[tuple(division.tolist())])


def test_local_search_is_nearly_as_good_as_trying_everything(monkeypatch):
    import emokit.corpora.balance as balance

    rng = np.random.default_rng(0)
    counts, targets = rng.integers(0, 9, (10, 4)), np.array([0.6, 0.2, 0.2])
    shares = np.zeros((10, 0))
    best = divide(counts, shares, targets, np.random.default_rng(1))
    monkeypatch.setattr(balance, "EXHAUSTIVE", 0)
    found = divide(counts, shares, targets, np.random.default_rng(1))
    costs = cost(counts.astype(float), shares, targets, np.stack([best, found]))
    assert costs[1] <= costs[0] + 0.1


def test_dealing_ignores_the_order_of_items():
    keys, strata = list("abcdefghij"), list("xxxxxyyyyy")
    targets = np.array([0.6, 0.2, 0.2])
    one = deal(keys, strata, targets, np.random.default_rng(0))
    two = deal(keys[::-1], strata[::-1], targets, np.random.default_rng(0))
    assert one == two[::-1]
    assert [sorted(one[:5]), sorted(one[5:])] == [[0, 0, 0, 1, 2]] * 2


def manifest_like(spec):
    items = [item for item in parse(spec) if isinstance(item, Utterance)]
    _, mapping = assign_classes(spec, [item.emotion for item in items])
    return pd.DataFrame([
        {"utterance": f"{spec.name}/{item.id}", "corpus": spec.name, "path": item.path,
         "speaker": f"{spec.name}/{item.speaker}", "emotion": mapping[item.emotion],
         "gender": item.extra.get("gender", ""), "text": item.extra.get("text", "")}
        for item in items])


@pytest.mark.real
@pytest.mark.skipif(not os.environ.get("EMOKIT_CORPORA"), reason="EMOKIT_CORPORA is not set")
@pytest.mark.parametrize("name, n_speakers", [("ravdess", 24), ("emodb", 10), ("nemo", 9)])
def test_real_corpora_have_every_class_on_every_side(name, n_speakers):
    spec, = read_specs(None, [name], os.environ["EMOKIT_CORPORA"])
    rows = manifest_like(spec)
    partition, fold, info = assign_partitions(rows, spec.partitions, 0)
    assert rows["speaker"].nunique() == n_speakers and info.speaker_disjoint
    assert info.n_folds == 5
    assert each_class_everywhere(rows, partition) and each_class_everywhere(rows, fold)
    for part in PARTS:
        assert set(rows["gender"][partition == part]) == {"female", "male"}


def test_published_lists_have_every_class_on_every_side():
    for name, kind in (("emodb", "auto"), ("nemo", "auto"), ("tess", "text"), ("crema_d", "auto")):
        rows = pd.DataFrame([
            {"utterance": f"{name}/{item.path}", "corpus": name, "speaker": item.speaker,
             "emotion": item.emotion, "gender": item.gender, "text": item.text}
            for item in PARSERS[name].stand_ins()])
        partition, fold, info = assign_partitions(rows, AUTO, 0)
        assert info.kind == kind and info.n_folds == 5
        assert each_class_everywhere(rows, partition) and each_class_everywhere(rows, fold)
        shares = partition.value_counts(normalize=True)
        assert abs(shares["train"] - 0.6) < 0.08 and abs(shares["test"] - 0.2) < 0.06
