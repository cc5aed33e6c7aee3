"""Clusters of a teacher's frames, and which of them belongs to which frame."""

import types

import numpy as np
import pytest
import torch

from emokit.core.errors import CheckpointError, ConfigError
from emokit.corpora.store import open_emoset
from emokit.models.backbones.hf import HuggingFace, HuggingFaceConfig
from emokit.pretraining.clusters import Clusters, make_clusters
from emokit.pretraining.config import PretrainConfig
from emokit.pretraining.data import HELD_OUT, make_sources
from emokit.pretraining.teachers import Spectra, States, _cosines, _with_slopes, make_teacher
from emokit.testing import TINY_TRANSFORMERS


@pytest.fixture(scope="module")
def sources(emoset):
    return make_sources(open_emoset(emoset), PretrainConfig(held_out=0.34), 0)


@pytest.fixture(scope="module")
def encoder():
    torch.manual_seed(0)
    return HuggingFace(HuggingFaceConfig(architecture=TINY_TRANSFORMERS["wav2vec2"])).eval()


def heard(source):
    return np.sort(np.concatenate([source.rows["train"], source.rows[HELD_OUT]]))


@pytest.mark.parametrize("kind, dim", [("logmel", 40), ("mfcc", 39)])
def test_spectra_have_a_frame_for_each_of_the_encoder(sources, encoder, kind, dim):
    teacher = Spectra(kind, encoder.shortest, encoder.hop)
    found = dict(teacher.frames(sources[0], heard(sources[0])))
    assert sorted(found) == heard(sources[0]).tolist()
    for row, frames in found.items():
        length = int(sources[0].corpus.audio.lengths[row])
        assert frames.shape == (encoder.n_frames(length), dim) and np.isfinite(frames).all()


def test_cosines_are_orthonormal_and_slopes_those_of_a_line():
    basis = _cosines(40, 40)
    assert torch.allclose(basis.T @ basis, torch.eye(40), atol=1e-5)
    line = torch.arange(9.0)[:, None] * 3
    found = _with_slopes(line)
    assert torch.equal(found[:, 0], line[:, 0])
    # a regression over five frames of a line of slope 3; away from the ends its slope is 0
    assert torch.allclose(found[2:-2, 1], torch.tensor(3.0)) and found[4, 2].abs() < 1e-5


def test_frames_of_a_teacher_on_another_grid_are_found_by_time():
    clusters = Clusters((9,), {"a": np.arange(6, dtype=np.uint16)[None]},
                        {"a": np.array([0, 0, 6])}, [])
    # as many: one for one, from any frame on
    assert clusters.of("a", 1, 6, 2, 3).tolist() == [[2, 3, 4]]
    # twice as many frames as the teacher's
    assert clusters.of("a", 1, 12, 0, 12).tolist() == [[0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]]
    # half as many: the middle of each
    assert clusters.of("a", 1, 3, 0, 3).tolist() == [[1, 3, 5]]


class Points:
    """A teacher whose frames lie at four corners, so that clusters are known."""

    signature = "points"

    def frames(self, source, rows):
        for row in rows:
            corners = np.random.default_rng(int(row)).integers(4, size=5 + row % 3)
            yield int(row), np.stack([corners % 2, corners // 2], 1).astype(np.float32) * 10


def test_clusters_are_those_of_the_frames(sources, tmp_path):
    found = make_clusters(Points(), sources, [4, 2], 50, 20, 0, tmp_path)
    assert found.sizes == (4, 2)
    pairs = set()
    for source in sources:
        for row, frames in Points().frames(source, heard(source)):
            numbers = found.of(source.name, row, len(frames), 0, len(frames))
            assert numbers.shape == (2, len(frames))
            pairs |= {(tuple(frame), int(number)) for frame, number in zip(frames, numbers[0])}
    # each corner is one cluster
    assert len(pairs) == 4 and len({number for _, number in pairs}) == 4
    counts = np.zeros(4)
    for source in sources:
        for row in source.rows["train"]:
            start, stop = found.offsets[source.name][row:row + 2]
            counts += np.bincount(found.ids[source.name][0, start:stop], minlength=4)
    assert np.allclose(found.shares[0], counts / counts.sum())


def test_clusters_are_read_again_and_held_to_their_teacher(sources, tmp_path):
    first = make_clusters(Points(), sources, [4], 50, 20, 0, tmp_path)

    def silent(source, rows):
        raise AssertionError("nothing is to be computed again")

    again = types.SimpleNamespace(signature="points", frames=silent)
    second = make_clusters(again, sources, [4], 50, 20, 0, tmp_path)
    for source in sources:
        assert np.array_equal(first.ids[source.name], second.ids[source.name])
    other = types.SimpleNamespace(signature="another", frames=silent)
    with pytest.raises(CheckpointError, match="holds clusters of another teacher"):
        make_clusters(other, sources, [4], 50, 20, 0, tmp_path)


def test_fewer_frames_than_clusters_are_refused(sources, tmp_path):
    with pytest.raises(ConfigError, match=r"There are \d+ frames of train for 5000 clusters"):
        make_clusters(Points(), sources, [16, 5000], 50, 20, 0, tmp_path)
    assert not list(tmp_path.iterdir())


def test_frozen_encoder_teaches_with_its_states(sources, encoder, folders, tmp_path):
    backbone = {"name": "hf", "path": str(folders("hubert"))}
    teacher = make_teacher("self(layer=1)", encoder, backbone, sources, tmp_path, "cpu")
    assert isinstance(teacher, States)
    found = dict(teacher.frames(sources[1], heard(sources[1])))
    model = HuggingFace(HuggingFaceConfig(path=str(folders("hubert")), layer=1)).eval()
    model.load_start()
    row = int(heard(sources[1])[3])
    samples = torch.from_numpy(sources[1].corpus.audio.read(row).copy())[None]
    with torch.no_grad():
        frames, _ = model(samples, torch.tensor([samples.shape[1]]))
    assert np.allclose(found[row], frames[0], atol=2e-3)  # kept in float16
    other = make_teacher("self(layer=2)", encoder, backbone, sources, tmp_path, "cpu")
    assert other.signature != teacher.signature


@pytest.mark.parametrize("spec, words", [
    ("mfc", "names no one teacher. Did you mean 'mfcc'"),
    ("mfcc+logmel", "names no one teacher"), ("mfcc(bands=3)", "'mfcc' has no settings"),
    ("resnet", "random ones teach nothing"), ("self", "the encoder starts from random weights")])
def test_teachers_that_teach_nothing_are_refused(sources, encoder, tmp_path, spec, words):
    with pytest.raises(ConfigError, match=words):
        make_teacher(spec, encoder, {"name": "hf"}, sources, tmp_path, "cpu")


@pytest.mark.models
@pytest.mark.parametrize("spec, dim", [("hf(path={}/whisper_tiny_en_encoder,layer=2)", 384),
                                       ("byols:{}/byols_default512", 512)])
def test_published_encoders_teach(sources, encoder, real_models, tmp_path, spec, dim):
    teacher = make_teacher(spec.format(real_models), encoder, {"name": "hf"}, sources[:1],
                           tmp_path, "cpu")
    found = make_clusters(teacher, sources[:1], [8], 50, 20, 0, tmp_path)
    frames = dict(teacher.frames(sources[0], heard(sources[0])))
    assert all(values.shape[1] == dim for values in frames.values())
    row = int(heard(sources[0])[0])
    n = encoder.n_frames(int(sources[0].corpus.audio.lengths[row]))
    numbers = found.of("emodb", row, n, 0, n)
    assert numbers.shape == (1, n) and len(np.unique(numbers)) > 1
