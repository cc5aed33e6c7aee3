"""What utterances are described by, against its definition, and how it is kept on disk."""

import importlib.util
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from emokit.baselines import BASELINES
from emokit.baselines import features as kept_features
from emokit.baselines.features import describe, extractor, kept
from emokit.core.errors import ConfigError, EmokitError
from emokit.corpora.store import open_corpus
from emokit.features.functionals import Functionals, descriptors, pitch_track, statistics

needs_opensmile = pytest.mark.skipif(importlib.util.find_spec("opensmile") is None,
                                     reason="the extra 'opensmile' is not installed")


def tone(hertz, seconds=0.5):
    """Give a buzz of ten harmonics."""
    time_ = np.arange(round(16000 * seconds)) / 16000
    return sum(np.sin(2 * np.pi * hertz * n * time_) / n for n in range(1, 11)).astype(
        np.float32) * np.float32(0.1)


# functionals

def test_functionals_have_the_promised_number():
    extract = Functionals()
    assert extract(tone(120)).shape == (extract.dim,) == (6 * 36 + 1,)


def test_statistics_equal_their_definition(rng):
    frames = rng.normal(size=(3, 50))
    found = statistics(frames).reshape(6, 3)
    for row, expected in zip(found, [
            frames.mean(1), frames.std(1), *(np.quantile(frames, q, 1) for q in (.1, .5, .9)),
            np.abs(frames[:, 1:] - frames[:, :-1]).mean(1)]):
        np.testing.assert_allclose(row, expected, atol=1e-12)
    assert (statistics(frames[:, :1]).reshape(6, 3)[[1, 5]] == 0).all()
    assert np.isnan(statistics(frames[:, :0])).all()


@pytest.mark.parametrize("hertz", [80.0, 137.5, 220.0, 400.0])
def test_pitch_of_a_buzz_is_its_own_and_voiced(hertz):
    pitch, periodicity = pitch_track(tone(hertz))
    inner = slice(3, -3)
    np.testing.assert_allclose(pitch[inner], 12 * np.log2(hertz / 27.5), atol=0.3)
    assert (periodicity[inner] > 0.95).all()


def test_noise_is_unvoiced_and_silence_has_no_pitch(rng):
    extract = Functionals()
    noise = extract(rng.normal(size=16000).astype(np.float32) * 0.1)
    assert noise[-1] < 0.1 and extract(tone(150))[-1] > 0.8
    silence = extract(np.zeros(8000, np.float32))
    assert silence[-1] == 0 and np.isnan(silence[-7:-1]).all()
    assert np.isfinite(silence[:-7]).all()


def test_spectral_descriptors_equal_plain_formulas(rng):
    waveform = rng.normal(size=6000).astype(np.float32) * 0.1
    found = descriptors(waveform)
    frames = sliding_window_view(np.pad(waveform, 512), 1024)[::256]
    window = np.hanning(1025)[:-1]
    spectrum = np.abs(np.fft.rfft(frames * window)).T  # [513, T]
    hertz = np.arange(513)[:, None] * 16000 / 1024
    shares = spectrum / spectrum.sum(0)
    centroid = (hertz * shares).sum(0)
    np.testing.assert_allclose(found[22], centroid, rtol=1e-4)
    np.testing.assert_allclose(found[23], np.sqrt((shares * (hertz - centroid)**2).sum(0)),
                               rtol=1e-4)
    reached = np.cumsum(spectrum, 0) >= 0.85 * spectrum.sum(0)
    np.testing.assert_allclose(found[24], hertz[reached.argmax(0), 0], atol=16)
    power = np.maximum(spectrum**2, 1e-10)
    np.testing.assert_allclose(found[25], np.exp(np.log(power).mean(0)) / power.mean(0), rtol=1e-3)
    assert found.shape == (34, 1 + 6000 // 256)
    # twice as loud is 6 dB more, and the shape of the spectrum stays
    louder = descriptors(2 * waveform)
    np.testing.assert_allclose(louder[20] - found[20], 20 * np.log10(2), atol=1e-3)
    np.testing.assert_allclose(louder[22:27], found[22:27], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("n", [1, 100, 1023, 1300])
def test_the_shortest_utterance_has_functionals(rng, n):
    found = Functionals()(rng.normal(size=n).astype(np.float32) * 0.1)
    assert np.isfinite(found[:-7]).all() and np.isfinite(found[-1])


# eGeMAPS

@needs_opensmile
def test_egemaps_are_the_numbers_of_the_package(rng):
    import opensmile

    extract = BASELINES["egemaps"]()
    waveform = tone(150, 0.7)
    smile = opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals)
    expected = smile.process_signal(waveform, 16000)
    found = extract(waveform)
    np.testing.assert_array_equal(found, expected.iloc[0])
    assert extract.dim == len(smile.feature_names) == len(found) == 88
    pitch = smile.feature_names.index("F0semitoneFrom27.5Hz_sma3nz_amean")
    assert found[pitch] == pytest.approx(12 * np.log2(150 / 27.5), abs=0.5)
    assert np.isnan(extract(waveform[:400])).all()


def test_egemaps_without_the_package_say_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "opensmile", None)
    with pytest.raises(EmokitError, match=r"pip install 'emokit\[opensmile\]'"):
        extractor("egemaps")


# embeddings

@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Save a tiny BYOL-S of random weights."""
    import torch

    from emokit.models.backbones.byols import Byols, ByolsConfig

    torch.manual_seed(3)
    path = tmp_path_factory.mktemp("weights") / "tiny.pth"
    torch.save(Byols(ByolsConfig(width=3, bands=16, size=6)).state_dict(), path)
    return path


def test_an_embedding_is_mean_plus_maximum_over_time(rng, weights):
    import torch

    extract = extractor("embedding", str(weights))
    waveform = rng.normal(size=9000).astype(np.float32) * 0.1
    with torch.inference_mode():
        frames, count = extract.backbone(torch.from_numpy(waveform)[None], torch.tensor([9000]))
    frames = frames[0].numpy()
    assert len(frames) == int(count) == 7
    np.testing.assert_allclose(extract(waveform), frames.mean(0) + frames.max(0), rtol=1e-6)
    assert extract.dim == 6 and np.isfinite(extract(np.zeros(1, np.float32))).all()


def test_weights_of_no_encoder_are_refused(tmp_path, joint):
    import torch

    torch.save({"layer.weight": torch.zeros(2)}, tmp_path / "other.pth")
    for path in (tmp_path / "other.pth", joint.cells()[0].folder / "best.safetensors"):
        with pytest.raises(EmokitError, match=r"no encoder that emokit knows.*\(known: byols\)"):
            extractor("embedding", str(path))


def test_a_path_belongs_to_embedding_alone():
    with pytest.raises(ConfigError, match="baseline logmel: unknown setting 'path'"):
        extractor("logmel", "x.pth")
    with pytest.raises(ConfigError, match="setting 'path' is missing.*embedding:PATH"):
        extractor("embedding")
    with pytest.raises(ConfigError, match="Unknown baseline 'egemap'. Did you mean 'egemaps'"):
        extractor("egemap")


# kept on disk

@pytest.fixture
def corpus(emoset, tmp_path):
    """Give a copy of a tiny corpus of one's own."""
    shutil.copytree(emoset / "emodb", tmp_path / "emoset" / "emodb",
                    ignore=shutil.ignore_patterns("features"))
    return open_corpus(tmp_path / "emoset" / "emodb")


def files(corpus):
    return sorted(path.name for path in (corpus.folder / "features").rglob("*")
                  if path.suffix != ".lock")


def test_kept_features_are_those_of_each_utterance(corpus):
    extract = extractor("functionals")
    seen = []
    table = kept(corpus, "functionals", extract, jobs=1,
                 progress=lambda what, done, total: seen.append((done, total)))
    assert table.shape == (len(corpus.audio), 217) and seen[-1] == (15, 15)
    for row in (0, 7, 14):
        np.testing.assert_allclose(table[row], extract(corpus.audio.read(row) / np.float32(32768)),
                                   rtol=1e-6)
    rows = np.array([7, 0])
    np.testing.assert_array_equal(describe(corpus, "functionals", extract)(rows), table[rows])
    assert describe(corpus, "functionals", extract)([]).shape == (0, 217)


def test_features_are_computed_once(corpus, monkeypatch):
    extract = extractor("functionals")
    first = np.array(kept(corpus, "functionals", extract, jobs=1))
    name, = files(corpus)
    assert name.startswith("functionals-") and name.endswith(".npy")
    monkeypatch.setattr(Functionals, "__call__", None)
    np.testing.assert_array_equal(kept(corpus, "functionals", extract, jobs=1), first)


@pytest.mark.slow
def test_two_processes_give_what_one_gives(corpus, monkeypatch):
    extract = extractor("functionals")
    one = np.array(kept(corpus, "functionals", extract, jobs=1))
    shutil.rmtree(corpus.folder / "features")
    monkeypatch.setattr(kept_features, "BLOCK", 8)
    np.testing.assert_array_equal(kept(corpus, "functionals", extract, jobs=2), one)


def test_what_a_kill_left_is_not_computed_again(corpus, monkeypatch):
    monkeypatch.setattr(kept_features, "BLOCK", 4)
    extract, plain = extractor("functionals"), Functionals.__call__
    whole = np.array(kept(corpus, "functionals", extract, jobs=1))
    shutil.rmtree(corpus.folder / "features")
    calls = []

    def counted(self, waveform):
        if len(calls) == 9:
            raise KeyboardInterrupt
        calls.append(len(waveform))
        return plain(self, waveform)

    monkeypatch.setattr(Functionals, "__call__", counted)
    with pytest.raises(KeyboardInterrupt):
        kept(corpus, "functionals", extract, jobs=1)
    assert [name for name in files(corpus) if name[0] == "0"] == [
        "00000000-00000004.npy", "00000004-00000008.npy"]
    calls.clear()
    np.testing.assert_array_equal(kept(corpus, "functionals", extract, jobs=1), whole)
    assert len(calls) == 15 - 8 and len(files(corpus)) == 1


def test_other_audio_other_weights_and_other_code_have_features_of_their_own(
        corpus, weights, tmp_path, monkeypatch):
    def n_files():
        return len(files(corpus))

    kept(corpus, "embedding", extractor("embedding", str(weights)), jobs=1)
    moved = str(shutil.copy(weights, tmp_path / "moved.pth"))
    kept(corpus, "embedding", extractor("embedding", moved), jobs=1)
    assert n_files() == 1
    import torch

    state = torch.load(weights, weights_only=True)
    torch.save({name: tensor * 2 for name, tensor in state.items()}, moved)
    kept(corpus, "embedding", extractor("embedding", moved), jobs=1)
    assert n_files() == 2
    corpus.manifest.loc[3, "audio_hash"] = "another"
    kept(corpus, "embedding", extractor("embedding", moved), jobs=1)
    assert n_files() == 3
    monkeypatch.setattr(kept_features, "file_digest", lambda path: "another")
    kept(corpus, "embedding", extractor("embedding", moved), jobs=1)
    assert n_files() == 4


@pytest.mark.slow
def test_a_second_process_waits_for_the_first(corpus):
    script = ("import sys\nfrom emokit.baselines.features import *\n"
              "from emokit.corpora.store import open_corpus\n"
              "kept(open_corpus(sys.argv[1]), 'functionals', extractor('functionals'), 1)\n"
              "print('done')\n")
    both = [subprocess.Popen([sys.executable, "-c", script, str(corpus.folder)],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]
    outputs = [process.communicate(timeout=120) for process in both]
    assert [(process.returncode, output[0]) for process, output in zip(both, outputs)] == [
        (0, b"done\n")] * 2, outputs
    assert len(files(corpus)) == 1


def test_a_damaged_file_is_named(corpus):
    extract = extractor("functionals")
    kept(corpus, "functionals", extract, jobs=1)
    path, = (corpus.folder / "features").glob("*.npy")
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(EmokitError, match=f"'{path}' cannot be read .*Remove it"):
        kept(corpus, "functionals", extract, jobs=1)


def test_a_folder_that_cannot_be_written_is_named(corpus):
    (corpus.folder / "features").write_text("in the way")
    with pytest.raises(EmokitError, match="Cannot write '.*features.*Remove it"):
        kept(corpus, "functionals", extractor("functionals"), jobs=1)


@pytest.mark.slow
def test_killed_by_a_signal_it_goes_on(corpus):
    words = [sys.executable, "-m", "emokit", "baseline", "functionals", "--jobs", "1",
             "--emoset", str(corpus.folder.parent), "--runs", str(corpus.folder.parents[1] / "r")]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        if "computing functionals of 15 utterances" in line:
            process.send_signal(signal.SIGTERM)
            break
    rest = process.stderr.read()
    assert process.wait(60) == 130 and "Run the same command again" in rest
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0 and "emodb-s0" in done.stdout, done.stderr
    assert len(files(corpus)) == 1
