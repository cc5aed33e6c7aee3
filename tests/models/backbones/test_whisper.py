"""Whisper's encoder against the transformers library, and at the utterance's own length."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch

from emokit.audio.compiled import load_librosa
from emokit.core.errors import ConfigError
from emokit.models.backbones.hf import HuggingFace, HuggingFaceConfig
from emokit.models.backbones.whisper import mel_filters, sinusoids
from emokit.testing import TINY_TRANSFORMERS

SHAPE = TINY_TRANSFORMERS["whisper"]


def make(**settings):
    backbone = HuggingFace(HuggingFaceConfig(architecture={**SHAPE, **settings.pop("shape", {})},
                                             **settings))
    with torch.no_grad():
        for name, parameter in backbone.named_parameters():
            if name != "embed_positions.weight":
                parameter.add_(torch.randn_like(parameter) * 0.1)
    return backbone.eval()


def library_encoder(backbone, positions):
    """Give the library's encoder with the weights of ours, for so many positions."""
    transformers = pytest.importorskip("transformers")
    config = transformers.WhisperConfig(**{
        **{key: value for key, value in SHAPE.items() if key != "model_type"},
        "max_source_positions": positions})
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    encoder = WhisperEncoder(config).eval()
    state = dict(backbone.state_dict())
    state["embed_positions.weight"] = state["embed_positions.weight"][:positions]
    encoder.load_state_dict(state)
    return encoder


def states_of(encoder, features):
    found = encoder(features, output_hidden_states=True)
    return torch.stack(list(found.hidden_states[:-1]) + [found.last_hidden_state], 1)


@pytest.mark.parametrize("n_samples", [16_000, 9_599, 7_999])
def test_own_length_equals_the_library_with_as_many_positions(n_samples):
    backbone, waveform = make(), torch.randn(1, n_samples) / 5
    lengths = torch.tensor([n_samples])
    states, n_frames = backbone.states(waveform, lengths)
    n_mel = -(-n_samples // 160)
    assert n_frames.tolist() == [-(-n_mel // 2)] and states.shape[2] == n_frames
    features = backbone.log_mel(waveform, torch.tensor([n_mel])).transpose(1, 2)
    # an odd number of frames ends in one that is silent to the convolutions, not to the library
    if n_mel % 2 == 0:
        expected = states_of(library_encoder(backbone, n_mel // 2), features)
        torch.testing.assert_close(states, expected, atol=1e-5, rtol=1e-5)


def test_the_whole_window_equals_the_library():
    backbone, waveform = make(padded=True), torch.randn(2, 9000) / 5
    lengths = torch.tensor([9000, 4000])
    states, n_frames = backbone.states(waveform, lengths)
    assert states.shape[2] == 50 and n_frames.tolist() == [29, 13]
    silent = torch.zeros(2, 16_000)
    silent[0, :9000], silent[1, :4000] = waveform[0], waveform[1, :4000]
    features = backbone.log_mel(silent, torch.tensor([100, 100])).transpose(1, 2)
    torch.testing.assert_close(states, states_of(library_encoder(backbone, 50), features),
                               atol=1e-5, rtol=1e-5)
    frames, _ = backbone(waveform, lengths)
    assert frames[1, 13:].abs().sum() == 0 and frames[1, :13].abs().min() > 0


@pytest.mark.parametrize("n_samples", [50_123, 4_000, 300, 480_000])
def test_log_mel_equals_the_librarys_feature_extractor(n_samples, rng):
    transformers = pytest.importorskip("transformers")
    backbone = make(shape={"num_mel_bins": 80})
    # fading out, so that the loudest frame is not one that is cut
    waveform = (rng.standard_normal(n_samples) * np.linspace(1, 0, n_samples)).astype(np.float32)
    expected = transformers.WhisperFeatureExtractor()(
        waveform, sampling_rate=16_000, return_tensors="pt").input_features[0]
    size = -(-n_samples // 160)
    found = backbone.log_mel(torch.from_numpy(waveform)[None], torch.tensor([size]))[0].T
    # the very last frame of a full window sees its mirror image there, and silence here
    last = min(size, 2998)
    torch.testing.assert_close(found[:, :last], expected[:, :last], atol=1e-5, rtol=1e-5)
    assert found.shape == (80, size)


def test_mel_filters_are_slaneys():
    expected = load_librosa().filters.mel(sr=16_000, n_fft=400, n_mels=80, fmin=0, fmax=8000)
    np.testing.assert_allclose(mel_filters(80), expected.T, atol=1e-7)


def test_positions_are_sines_then_cosines():
    table = sinusoids(1500, 6)
    rates = 10_000 ** (-np.arange(3) / 2)
    for place in (0, 1, 700):
        expected = np.concatenate([np.sin(place * rates), np.cos(place * rates)])
        np.testing.assert_allclose(table[place], expected, atol=1e-4)


def test_an_utterance_beyond_the_window_is_refused_and_padding_beyond_it_is_not():
    for padded in (False, True):
        backbone = make(padded=padded)
        waveform = torch.randn(2, 16_400)
        with pytest.raises(ConfigError, match=r"of 1.0 s is longer than the 1 s window of Whisper."
                                              r" Set --window to at most 1; longer .* in several"):
            backbone(waveform, torch.tensor([9000, 16_001]))
        frames, lengths = backbone(waveform, torch.tensor([9000, 16_000]))
        assert lengths.tolist() == [29, 50] and frames.shape[1] == 50


def test_positions_never_learn_and_keys_have_no_bias():
    names = {name: one.requires_grad for name, one in
             make(train_feature_encoder=True).requires_grad_(True).named_parameters()}
    assert [name for name, learns in names.items() if not learns] == ["embed_positions.weight"]
    assert not any(name.endswith("k_proj.bias") for name in names)


def test_the_feed_forward_site_holds_no_second_copy_of_the_weights():
    names = list(make().state_dict())
    assert len(names) == len(set(names)) and not any(".ffn." in name for name in names)
    backbone = copy.deepcopy(make())
    before = backbone(torch.ones(1, 4000), torch.tensor([4000]))[0]
    torch.nn.init.zeros_(backbone.get_submodule("layers.0.fc2").weight)
    assert not torch.equal(before, backbone(torch.ones(1, 4000), torch.tensor([4000]))[0])


@pytest.mark.models
def test_real_weights_give_the_librarys_states(rng, real_models):
    transformers = pytest.importorskip("transformers")
    path = Path(real_models) / "whisper_tiny_en_encoder"
    backbone = HuggingFace(HuggingFaceConfig(path=str(path), padded=True)).eval()
    backbone.load_start()
    assert sum(one.numel() for one in backbone.parameters()) == 8_208_384
    theirs = transformers.AutoModel.from_pretrained(path, dtype=torch.float32).eval()
    # both hold the table of positions that the formula gives, to the precision of float16
    torch.testing.assert_close(backbone.embed_positions.weight.detach(), sinusoids(1500, 384),
                               atol=1e-3, rtol=0)
    waveform = (rng.standard_normal(40_000) * np.linspace(0.3, 0, 40_000)).astype(np.float32)
    extract = transformers.WhisperFeatureExtractor.from_pretrained(path)
    features = extract(waveform, sampling_rate=16_000, return_tensors="pt").input_features
    with torch.inference_mode():
        expected = states_of(theirs.encoder, features)
        states, _ = backbone.states(torch.from_numpy(waveform)[None], torch.tensor([40_000]))
    torch.testing.assert_close(states, expected, atol=1e-4, rtol=1e-4)
