"""Real recordings: every file is built, none rejected, each as long as its source."""

import os

import numpy as np
import pytest
import soundfile

from emokit.corpora.build import BuildOptions, build_corpora
from emokit.corpora.spec import read_specs
from emokit.corpora.store import RATE, open_corpus

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not os.environ.get("EMOKIT_CORPORA"), reason="EMOKIT_CORPORA is not set"),
]
COUNTS = {"ravdess": 1440, "emodb": 339, "tess": 420, "nemo": 530, "emogator": 420}


@pytest.fixture(scope="module")
def emoset(tmp_path_factory):
    out = tmp_path_factory.mktemp("real") / "emoset"
    specs = read_specs(None, list(COUNTS), os.environ["EMOKIT_CORPORA"], os.environ)
    build_corpora(specs, out, BuildOptions(jobs=2))
    return out, {spec.name: spec for spec in specs}


@pytest.mark.parametrize("name,count", COUNTS.items())
def test_all_files_are_built_and_none_rejected(emoset, name, count):
    corpus = open_corpus(emoset[0] / name)
    assert len(corpus.manifest) == count
    assert corpus.build["counts"]["rejected"] == 0
    assert (corpus.manifest.groupby("partition")["emotion"].nunique() == len(corpus.classes)).all()


@pytest.mark.parametrize("name", COUNTS)
def test_durations_equal_the_sources_to_a_sample(emoset, name):
    out, specs = emoset
    corpus = open_corpus(out / name)
    lengths = corpus.audio.lengths
    for index, path in enumerate(corpus.manifest["path"]):
        info = soundfile.info(os.path.join(specs[name].root, path))
        assert lengths[index] == int(info.frames * RATE / info.samplerate + 0.5), path


@pytest.mark.parametrize("name", ["ravdess", "emodb"])
def test_16_khz_recordings_are_stored_to_the_bit(emoset, name):
    out, specs = emoset
    corpus = open_corpus(out / name)
    for index in range(0, len(corpus.manifest), 50):
        path = os.path.join(specs[name].root, corpus.manifest["path"].iloc[index])
        samples, rate = soundfile.read(path, dtype="int16")
        assert rate == RATE
        assert np.array_equal(corpus.audio.read(index), samples)


def test_the_known_pair_of_identical_ravdess_recordings_is_a_warning(emoset):
    build = open_corpus(emoset[0] / "ravdess").build
    assert [row["check"] for row in build["warnings"]] == ["duplicates-within-partition"]
    assert build["waivers"] == []


def test_second_build_changes_nothing(emoset):
    out, specs = emoset
    results = build_corpora(specs.values(), out, BuildOptions(jobs=1))
    assert {result.state for result in results} == {"unchanged"}
