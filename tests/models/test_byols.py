"""BYOL-S against the network and the log-mel written out with other software."""

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from emokit.audio.compiled import load_librosa
from emokit.core.errors import CheckpointError, ConfigError
from emokit.loading.batch import Batch
from emokit.models.backbones.byols import Byols, ByolsConfig
from emokit.models.merging import merge
from emokit.models.model import EmotionModel
from emokit.models.pretrained import read_weights
from emokit.models.settings import ModelSettings

SIZES = {"width": 3, "bands": 16, "size": 6}


def published(width=3, bands=16, size=6):
    """Give the network as its authors build it: maps [B, C, F, T], modules of torch alone."""
    torch.manual_seed(7)
    features = nn.Sequential(*(layer for level in range(3) for layer in (
        nn.Conv2d(width if level else 1, width, 3, 1, 1), nn.BatchNorm2d(width), nn.ReLU(),
        nn.MaxPool2d(2, 2))))
    fc = nn.Sequential(nn.Linear(width * bands // 8, size), nn.ReLU(), nn.Dropout(0.3),
                       nn.Linear(size, size), nn.ReLU())
    for module in features:
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.weight.data, module.running_var):
                tensor.uniform_(0.5, 2)
            module.running_mean.normal_()
            module.bias.data.normal_()
    return nn.ModuleDict({"features": features, "fc": fc}).eval()


def embed(network, waveform, bands, mean=None, deviation=None):
    """Give frames [T, D] of one waveform, the log-mel by librosa."""
    librosa = load_librosa()
    power = np.abs(librosa.stft(waveform, n_fft=1024, hop_length=160, pad_mode="reflect")) ** 2
    filters = librosa.filters.mel(sr=16000, n_fft=1024, n_mels=bands, fmin=60, fmax=7800,
                                  htk=True, norm=None)
    log_mel = np.log(filters @ power + np.finfo(np.float32).eps)
    mean, deviation = (log_mel.mean(), log_mel.std()) if mean is None else (mean, deviation)
    maps = torch.from_numpy((log_mel - mean) / deviation).float()
    with torch.inference_mode():
        maps = network["features"](maps[None, None])  # [1, C, F, T]
        return network["fc"](maps.permute(0, 3, 2, 1).flatten(2))[0]


def noise(rng, *lengths):
    """Give padded waveforms [B, S] of unequal level and slope."""
    waveforms = np.zeros((len(lengths), max(lengths)), np.float32)
    for row, length in enumerate(lengths):
        sound = rng.normal(size=length) * 0.02 * (row + 1)
        waveforms[row, :length] = np.convolve(sound, [1, 0.8, 0.5 * row])[:length]
    return waveforms


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Save the same weights in every format, and give {format: path}."""
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("weights")
    state = published().state_dict()
    torch.save(state, folder / "a.pth")
    save_file(state, folder / "a.safetensors")
    np.savez(folder / "a.npz", **{name: tensor.numpy() for name, tensor in state.items()})
    (folder / "folder").mkdir()
    shutil.copy(folder / "a.pth", folder / "folder" / "weights.pth")
    (folder / "folder" / "LICENSE").write_text("MIT")
    return {name: folder / name for name in ("a.pth", "a.safetensors", "a.npz", "folder")}


@pytest.mark.parametrize("name", ["a.pth", "a.safetensors", "a.npz", "folder"])
def test_frames_equal_those_of_the_published_network(rng, files, name):
    backbone = Byols.of_weights(read_weights(files[name]))
    assert not backbone.training and (backbone.dim, backbone.config.bands) == (6, 16)
    lengths = [9000, 4000, 1120, 6413]
    waveforms = noise(rng, *lengths)
    with torch.inference_mode():
        frames, counts = backbone(torch.from_numpy(waveforms), torch.tensor(lengths))
    network = published()
    for row, length in enumerate(lengths):
        expected = embed(network, waveforms[row, :length], 16)
        assert counts[row] == len(expected) == (1 + length // 160) // 8
        assert expected.abs().max() > 0.1
        torch.testing.assert_close(frames[row, :counts[row]], expected, atol=1e-4, rtol=1e-4)
        assert frames[row, counts[row]:].abs().sum() == 0


def test_moments_of_a_data_set_can_be_set(rng, files):
    config = ByolsConfig(**SIZES, path=str(files["a.pth"]), mean=-5.0, deviation=4.0)
    backbone = Byols(config).eval()
    backbone.load_start()
    waveform = noise(rng, 5000)
    with torch.inference_mode():
        frames, _ = backbone(torch.from_numpy(waveform), torch.tensor([5000]))
    torch.testing.assert_close(frames[0], embed(published(), waveform[0], 16, -5.0, 4.0),
                               atol=1e-4, rtol=1e-4)


def test_frames_do_not_depend_on_batch_mates_or_padding(rng, shake):
    backbone = shake(Byols(ByolsConfig(**SIZES))).eval()
    lengths = [9000, 1, 700, 1119, 4960, 2560]
    waveforms = torch.from_numpy(noise(rng, *lengths))
    padded = waveforms + (torch.arange(9000) >= torch.tensor(lengths)[:, None]) * 3.0
    frames, counts = backbone(padded, torch.tensor(lengths))
    for row, length in enumerate(lengths):
        alone, count = backbone(waveforms[row:row + 1, :length], torch.tensor([length]))
        assert count == counts[row] == alone.shape[1] >= 1
        torch.testing.assert_close(frames[row, :count], alone[0], atol=1e-5, rtol=1e-4)


def test_silence_is_finite():
    backbone = Byols(ByolsConfig(**SIZES)).eval()
    assert torch.isfinite(backbone(torch.zeros(1, 4000), torch.tensor([4000]))[0]).all()


@pytest.mark.parametrize("settings, message", [
    ({"bands": 20}, "must be a multiple of 8"), ({"mean": -5.0}, "set both 'mean' and 'deviation'"),
])
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        ByolsConfig(**settings)


# files that are none

def test_what_is_no_file_of_weights_is_refused_in_words(tmp_path, files):
    def refused(path, message):
        with pytest.raises(CheckpointError, match=message) as error:
            read_weights(path)
        assert "\n" not in str(error.value)

    refused(tmp_path / "none.pth", "There is no file or folder of weights")
    refused(tmp_path, "holds 0 files of weights")
    refused(files["a.pth"].parent, "holds 3 files of weights .*a.npz")
    (tmp_path / "notes.txt").write_text("x")
    refused(tmp_path / "notes.txt", "must end in .safetensors, .npz, .pth, .pt")
    for suffix in (".pth", ".safetensors", ".npz"):
        whole = files[f"a{suffix}"].read_bytes()
        (tmp_path / f"half{suffix}").write_bytes(whole[:len(whole) // 2])
        refused(tmp_path / f"half{suffix}", "cannot be read as named tensors")
    torch.save({"a": torch.zeros(1), "epoch": 3}, tmp_path / "state.pt")
    refused(tmp_path / "state.pt", "something else than named tensors")


def test_no_pickled_object_is_ever_made(tmp_path):
    class Trap:
        def __reduce__(self):
            return Path.touch, (tmp_path / "sprung",)

    torch.save({"features.0.weight": Trap()}, tmp_path / "trap.pth")
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_weights(tmp_path / "trap.pth")
    np.savez(tmp_path / "trap.npz", trap=np.array([Trap()], dtype=object))
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_weights(tmp_path / "trap.npz")
    assert not (tmp_path / "sprung").exists()


def test_weights_of_another_size_or_with_gaps_are_refused(files):
    weights = read_weights(files["a.pth"])
    with pytest.raises(CheckpointError, match="differ in shape .*fc.0.weight.*set its sizes"):
        Byols(ByolsConfig(**{**SIZES, "size": 5})).load_weights(weights)
    del weights["features.5.bias"]
    with pytest.raises(CheckpointError, match="lack .*features.5.bias"):
        Byols.of_weights(weights)


# as a backbone of emokit

def model_of(path=None, **settings):
    backbone = {"name": "byols", **SIZES, "dropout": 0.0,
                **({} if path is None else {"path": str(path)})}
    return EmotionModel(ModelSettings(backbone=backbone, normalisation="none", **settings),
                        {"emodb": "abc", "tess": "abcd"})


def test_residual_adapters_sit_at_its_convolutions_and_merge_into_it(rng, shake):
    model = shake(model_of(adapters=["residual"])).eval()
    batch = Batch(torch.from_numpy(noise(rng, 5000, 2000)), torch.tensor([5000, 2000]), "tess")
    with torch.inference_mode():
        expected = model(batch)
        plain = model_of().eval()(batch)
        for fold_norms in (False, True):
            merged = merge(model, "tess", fold_norms=fold_norms)
            torch.testing.assert_close(merged(batch), expected, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(plain, expected)


def test_a_waveform_takes_no_normalisation_and_no_change_of_frames(rng):
    with pytest.raises(ConfigError, match="Set normalisation to none"):
        EmotionModel(ModelSettings(backbone={"name": "byols", **SIZES}), {"emodb": "ab"})
    batch = Batch(torch.from_numpy(noise(rng, 2000)), torch.tensor([2000]), "emodb")
    with pytest.raises(ConfigError, match="Leave specaugment and equaliser out of augment"):
        model_of()(batch, augment=lambda frames, lengths: frames)


def test_training_starts_from_the_file_and_the_checkpoint_needs_it_no_more(
        files, emoset, tmp_path):
    from emokit.training import checkpoint
    from emokit.training.settings import resolve
    from emokit.training.train import score_cell, train

    path = tmp_path / "mine.pth"
    shutil.copy(files["a.pth"], path)
    config, explicit = resolve(
        {"backbone": f"byols:{path}", "regime": "single", "corpora": ["emodb"], "epochs": 1,
         "device": "cpu", "augment": "none"},
        [f"backbone.{name}={value}" for name, value in SIZES.items()] + ["learning_rate=1e-9"])
    assert (config.preset, config.normalisation) == ("encoder", "none")
    (task,) = train(config, explicit, emoset, tmp_path / "runs")[1]
    path.unlink()
    model, _ = checkpoint.load(task.cell.folder / "best.safetensors")
    start = Byols.of_weights(read_weights(files["a.pth"]))
    for name, parameter in start.named_parameters():
        torch.testing.assert_close(model.backbone.get_parameter(name), parameter, atol=1e-6,
                                   rtol=0)
    table = task.cell.predictions("emodb", "dev")
    before = table.read_bytes()
    table.unlink()
    score_cell(task.cell, emoset, "dev", "cpu")
    assert table.read_bytes() == before


@pytest.mark.models
def test_published_weights_give_what_the_published_network_gives(rng, real_models):
    path = Path(real_models) / "byols_default512"
    backbone, network = Byols.of_weights(read_weights(path)), published(64, 64, 512)
    assert dataclasses.replace(backbone.config, path=None) == ByolsConfig()
    network.load_state_dict(torch.load(path / "byols_default512.pth", weights_only=True))
    waveform = noise(rng, 30_000)
    with torch.inference_mode():
        frames, _ = backbone(torch.from_numpy(waveform), torch.tensor([30_000]))
    torch.testing.assert_close(frames[0], embed(network, waveform[0], 64), atol=1e-4, rtol=1e-4)
