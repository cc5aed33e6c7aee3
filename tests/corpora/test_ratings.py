"""Single ratings and scales of a built corpus."""

import collections
import itertools

from emokit import testing
from emokit.core.files import read_csv, read_json
from emokit.corpora import ratings
from emokit.corpora.build import BuildOptions, build_corpora
from emokit.corpora.parsers import PARSERS
from emokit.corpora.spec import CorpusSpec
from emokit.corpora.utterance import Rating


def built(tmp_path, name):
    root = testing.tiny_corpus(tmp_path / "raw", name)
    spec = CorpusSpec(name=name, parser=name, root=str(root))
    build_corpora([spec], tmp_path / "emoset", BuildOptions(
        jobs=1, report=False, allow_missing_classes=True, allow_shared_speakers=True,
        allow_duplicates=True))
    return tmp_path / "emoset" / name, root


def test_every_single_rating_of_a_kept_utterance_is_kept(tmp_path):
    folder, root = built(tmp_path, "emozionalmente")
    table = read_csv(folder / "ratings.csv")
    manifest = read_csv(folder / "manifest.csv")
    assert set(table["utterance"]) == set(manifest["utterance"])
    assert (table.groupby("utterance").size() == 5).all()
    expected = collections.Counter(
        (f"emozionalmente/{rating.utterance}", rating.rater, rating.emotion)
        for rating in PARSERS["emozionalmente"].ratings(root))
    found = collections.Counter(zip(table["utterance"], table["rater"], table["emotion"]))
    assert found == expected
    build = read_json(folder / "build.json")
    assert build["counts"]["single_ratings"] == len(table)
    assert f"Single ratings: {len(table):,}" in (folder / "card.md").read_text()
    # the soft label is the share of these very votes
    votes = table.groupby("utterance")["emotion"].agg(lambda words: (words == "anger").mean())
    soft = manifest.set_index("utterance")["p_anger"].astype(float)
    for utterance, share in votes.items():
        assert abs(soft[utterance] - share) < 0.01


def test_ratings_of_utterances_that_were_left_out_are_left_out(tmp_path):
    some = [Rating("a", "r1", "anger", {"arousal": 3.0}), Rating("b", "r1", "fear"),
            Rating("a", "r0", "", {"valence": 1.5})]
    assert ratings.write(tmp_path, "mine", some, ["mine/a"]) == 2
    lines = (tmp_path / "ratings.csv").read_text().splitlines()
    assert lines[0] == "utterance,rater,emotion,arousal,valence"
    assert lines[1].startswith("mine/a,r0,,,1.5") and lines[2].startswith("mine/a,r1,anger,3.0,")


def test_a_corpus_without_single_ratings_has_no_such_file(tmp_path):
    folder, _ = built(tmp_path, "emodb")
    assert not (folder / "ratings.csv").exists()
    assert read_json(folder / "build.json")["scales"] == {}


def test_scales_are_those_of_the_parser_for_columns_that_are_there(tmp_path):
    with_scales = [name for name in PARSERS if getattr(PARSERS[name], "SCALES", {})]
    assert with_scales, "no parser has dimensions"
    name = "iemocap" if "iemocap" in with_scales else with_scales[0]
    folder, _ = built(tmp_path, name)
    build = read_json(folder / "build.json")
    header = (folder / "manifest.csv").read_text().splitlines()[0].split(",")
    scales = PARSERS[name].SCALES
    assert build["scales"] == {key: list(map(float, value)) for key, value in scales.items()
                               if key in header}
    table = read_csv(folder / "manifest.csv")
    for key, (low, high) in itertools.islice(build["scales"].items(), 3):
        values = table[key][table[key] != ""].astype(float)
        assert values.between(low, high).all() and len(values)
