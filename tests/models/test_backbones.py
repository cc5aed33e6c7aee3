"""The contract of every backbone, and the residual network's own facts."""

import pytest
import torch
from torch import nn

from emokit.core.errors import ConfigError
from emokit.models.backbones import BACKBONES
from emokit.models.backbones.byols import ByolsConfig
from emokit.models.backbones.hf import HuggingFaceConfig
from emokit.models.backbones.resnet import ResNet, ResNetConfig
from emokit.models.backbones.torchaudio_bundles import BundleConfig
from emokit.models.masking import position_mask
from emokit.testing import TINY_TRANSFORMERS

TINY = {"resnet": ResNetConfig(width=4, blocks=1),
        "byols": ByolsConfig(width=3, bands=16, size=6, dropout=0.0),
        "hf": HuggingFaceConfig(architecture=TINY_TRANSFORMERS["wav2vec2"],
                                train_feature_encoder=True),
        "torchaudio": BundleConfig(architecture=TINY_TRANSFORMERS["wavlm large"],
                                   train_feature_encoder=True)}


def make(name):
    return BACKBONES[name](TINY[name], 16).eval()


def padded(lengths, bands=16):
    lengths = torch.tensor(lengths)
    frames = torch.randn(len(lengths), int(lengths.max()), bands)
    return torch.where(position_mask(lengths, frames.shape[1])[:, :, None], frames, 0.0), lengths


def batch_for(backbone, lengths):
    """Give a padded batch of what a backbone takes; of waveforms 400 samples a unit of length."""
    if backbone.input != "waveform":
        return padded(lengths)
    lengths = 400 * torch.tensor(lengths)
    waveform = torch.randn(len(lengths), int(lengths.max())) / 10
    return torch.where(position_mask(lengths, waveform.shape[1]), waveform, 0.0), lengths


def test_every_backbone_has_a_tiny_config():
    assert set(TINY) == set(BACKBONES)


@pytest.mark.parametrize("name", list(BACKBONES))
def test_every_backbone_gives_frames_and_lengths(name):
    backbone = make(name)
    frames, lengths = backbone(*batch_for(backbone, [37, 20, 1]))
    assert backbone.name == name and backbone.input
    assert frames.shape == (3, int(lengths.max()), backbone.dim)
    assert bool((lengths >= 1).all())


@pytest.mark.parametrize("name", list(BACKBONES))
def test_every_backbone_gives_gradient_to_every_parameter(name):
    backbone = make(name).train()
    frames, lengths = backbone(*batch_for(backbone, [37, 20, 5]))
    (frames * torch.randn_like(frames)).sum().backward()
    for key, parameter in backbone.named_parameters():
        if key.endswith("k_proj.bias"):
            # it adds the same to all scores of a position, which the softmax ignores
            assert parameter.grad.abs().max() < 1e-4, key
        else:
            assert parameter.grad is not None and parameter.grad.abs().max() > 0, key


@pytest.mark.parametrize("name", list(BACKBONES))
def test_every_site_is_called_exactly_once(name):
    backbone = make(name)
    calls = []
    sites = backbone.sites()
    for role, names in sites.items():
        for site in names:
            backbone.get_submodule(site).register_forward_hook(
                lambda *_, site=site: calls.append(site))
    backbone(*batch_for(backbone, [9, 4]))
    assert sorted(calls) == sorted(site for names in sites.values() for site in names)


@pytest.mark.parametrize("stem_stride", [1, 2])
@pytest.mark.parametrize("blocks", [1, 2])
def test_frames_alone_equal_frames_in_any_batch(stem_stride, blocks, shake):
    config = ResNetConfig(width=4, blocks=blocks, stem_stride=stem_stride)
    backbone = shake(ResNet(config, 20)).eval()
    for lengths in ([37, 10, 21, 1, 36, 2, 3], [8, 7, 6, 5, 4], [33, 33, 9]):
        frames, sizes = padded(lengths, 20)
        outputs, n_outputs = backbone(frames, sizes)
        for row, length in enumerate(lengths):
            alone, n_alone = backbone(frames[row:row + 1, :length], sizes[row:row + 1])
            assert n_alone == n_outputs[row] == alone.shape[1]
            scale = alone.abs().max()
            assert (outputs[row, :n_alone] - alone[0]).abs().max() <= 1e-5 * max(1, scale)
            assert outputs[row, n_alone:].abs().sum() == 0


def test_training_ignores_the_values_in_padding():
    frames, lengths = padded([37, 10, 21], 20)
    states = []
    for extra in (0, 13):
        torch.manual_seed(1)
        backbone = ResNet(TINY["resnet"], 20).train()
        backbone(torch.nn.functional.pad(frames, (0, 0, 0, extra)), lengths)
        states.append(backbone.state_dict())
    for key in states[0]:
        torch.testing.assert_close(states[0][key], states[1][key], atol=1e-5, rtol=1e-5)


def test_lengths_halve_upwards_and_count_all_bands():
    _, lengths = ResNet(ResNetConfig(width=2), 64)(*padded([188, 61, 9, 8, 1], 64))
    assert lengths.tolist() == [24 * 8, 8 * 8, 2 * 8, 8, 8]


def test_output_is_in_time_major_order():
    # a change at the end of the clip may reach only the last positions
    backbone = ResNet(ResNetConfig(width=2, blocks=1), 32).eval()
    frames, lengths = padded([160], 32)
    outputs, _ = backbone(frames, lengths)
    frames[0, -1] += 1
    changed = (backbone(frames, lengths)[0] - outputs).abs().sum(-1)[0].nonzero()
    assert len(changed) and int(changed.min()) >= outputs.shape[1] // 2


def test_a_network_written_out_plainly_is_the_same():
    torch.manual_seed(3)
    backbone = ResNet(ResNetConfig(width=3, blocks=1), 8).eval()
    frames, lengths = padded([11], 8)

    def unit(module, maps):
        maps = nn.functional.conv2d(maps, module.conv.weight, None, module.conv.stride, 1)
        return maps / torch.sqrt(torch.tensor(1 + 1e-5))

    maps = unit(backbone.stem, frames[:, None])
    for stage in backbone.stages:
        main = unit(stage[0].second, unit(stage[0].first, maps).relu())
        short = torch.zeros_like(main)
        for row in range(short.shape[2]):
            for column in range(short.shape[3]):
                window = maps[:, :, 2 * row:2 * row + 2, 2 * column:2 * column + 2]
                short[:, :maps.shape[1], row, column] = window.mean((2, 3))
        maps = (main + short).relu()
    maps = (maps / torch.sqrt(torch.tensor(1 + 1e-5))).relu()
    expected = torch.stack([maps[0, :, row, column] for row in range(maps.shape[2])
                            for column in range(maps.shape[3])])
    torch.testing.assert_close(backbone(frames, lengths)[0][0], expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("width, blocks, n_weights", [
    (32, 2, 2_709_792), (32, 4, 5_806_368), (64, 2, 10_838_592)])
def test_convolution_weights_equal_the_specification(width, blocks, n_weights):
    with torch.device("meta"):
        backbone = ResNet(ResNetConfig(width=width, blocks=blocks), 64)
    sites = backbone.sites()
    convolutions = [backbone.get_submodule(site) for site in sites["conv"]]
    assert len(convolutions) == 6 * blocks + 1 and len(sites["norm"]) == 6 * blocks + 2
    assert sum(conv.weight.numel() for conv in convolutions) == n_weights
    norms = sum(backbone.get_submodule(site).weight.numel() for site in sites["norm"])
    assert norms == width * (9 + 28 * blocks)


def test_norm_channels_of_the_specification():
    with torch.device("meta"):
        backbone = ResNet(ResNetConfig(), 64)
    stored = sum(tensor.numel() for key, tensor in backbone.state_dict().items()
                 if "norm" in key)
    assert stored == 8_320


def test_dropout_acts_in_training_only():
    backbone = ResNet(ResNetConfig(width=4, blocks=1, dropout=[0.0, 0.5]), 16)
    batch = padded([12, 7])
    assert torch.equal(backbone.eval()(*batch)[0], backbone(*batch)[0])
    assert not torch.equal(backbone.train()(*batch)[0], backbone(*batch)[0])


@pytest.mark.parametrize("dropout", [[0.5], [0.0, 1.0], [-0.1, 0.0]])
def test_impossible_dropout_is_an_error(dropout):
    with pytest.raises(ConfigError, match="two numbers from 0 to below 1"):
        ResNetConfig(dropout=dropout)


def test_start_is_he_normal_by_fan_out():
    backbone = ResNet(ResNetConfig(width=16, blocks=1), 8)
    conv = backbone.get_submodule("stages.2.0.first.conv")
    assert conv.weight.detach().std().item() == pytest.approx((2 / (9 * 128)) ** 0.5, rel=0.05)
