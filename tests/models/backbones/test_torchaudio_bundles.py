"""torchaudio's bundles: its weights under our names give its outputs."""

import pytest
import torch

from emokit.core.errors import CheckpointError, ConfigError
from emokit.models.backbones.torchaudio_bundles import (
    Bundle, BundleConfig, architecture_of, weights_of,
)
from emokit.testing import TINY_TRANSFORMERS

ARGUMENTS = {
    "extractor_mode": "group_norm", "extractor_conv_bias": False,
    "extractor_conv_layer_config": [(12, 10, 5), (12, 3, 4), (16, 2, 4)],
    "encoder_embed_dim": 24, "encoder_projection_dropout": 0.1, "encoder_pos_conv_kernel": 8,
    "encoder_pos_conv_groups": 4, "encoder_num_layers": 3, "encoder_num_heads": 2,
    "encoder_attention_dropout": 0.1, "encoder_ff_interm_features": 40,
    "encoder_ff_interm_dropout": 0.0, "encoder_dropout": 0.1, "encoder_layer_norm_first": False,
    "encoder_layer_drop": 0.05, "aux_num_out": None}
PRE_NORM = {"extractor_mode": "layer_norm", "encoder_layer_norm_first": True}
WAVLM = {"encoder_num_buckets": 16, "encoder_max_distance": 30}


@pytest.fixture(scope="module")
def torchaudio():
    """The library, if it can be imported beside this torch."""
    try:
        import torchaudio
    except (ImportError, OSError) as error:
        pytest.skip(f"torchaudio cannot be imported: {error}")
    return torchaudio


@pytest.mark.parametrize("more", [
    {}, {**PRE_NORM, "extractor_conv_bias": True}, {"aux_num_out": 5}, WAVLM,
    {**PRE_NORM, **WAVLM}])
def test_outputs_equal_torchaudios(torchaudio, more):
    arguments = {**ARGUMENTS, **more}
    kind = "wavlm_model" if "encoder_num_buckets" in more else "wav2vec2_model"
    theirs = getattr(torchaudio.models, kind)(**arguments).eval()
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    ours = Bundle(BundleConfig(architecture=architecture_of(arguments), train_feature_encoder=True,
                               ))
    assert ours.eval().shape.do_normalize == (more.get("extractor_mode") == "layer_norm")
    ours.load_weights(weights_of(theirs.state_dict()))
    n_theirs = sum(one.numel() for name, one in theirs.named_parameters() if "aux" not in name)
    assert sum(one.numel() for one in ours.parameters()) == n_theirs
    waveform, lengths = torch.randn(1, 3000), torch.tensor([3000])
    prepared, _ = ours.prepare(waveform, lengths)
    with torch.inference_mode():
        expected = theirs.extract_features(prepared)[0]
        states, _ = ours.states(waveform, lengths)
        frames, _ = ours(waveform, lengths)
        if more.get("aux_num_out") is None:
            torch.testing.assert_close(frames, theirs(prepared)[0], atol=1e-5, rtol=1e-5)
    # as elsewhere, the last one is given there before the final norm of pre-norm encoders
    for index in range(2):
        torch.testing.assert_close(states[:, index + 1], expected[index], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name, expected, normalise", [
    ("WAVLM_BASE", 94_381_936, False), ("WAVLM_LARGE", 315_453_120, True),
    ("HUBERT_BASE", 94_371_712, False), ("WAV2VEC2_LARGE_LV60K", 315_438_720, True)])
def test_a_bundle_is_known_without_fetching_it(torchaudio, name, expected, normalise):
    with torch.device("meta"):
        backbone = Bundle(BundleConfig(path=name))
    assert backbone.name == "torchaudio" and backbone.shape.do_normalize == normalise
    # the library of the count has a vector for masked frames besides
    vector = backbone.dim
    assert sum(one.numel() for one in backbone.parameters()) + vector == expected


def test_unknown_bundles_and_other_architectures_are_refused(torchaudio):
    with pytest.raises(ConfigError, match="no bundle 'WAVLM_BAS'. Did you mean 'WAVLM_BASE'"):
        BundleConfig(path="WAVLM_BAS")
    with pytest.raises(ConfigError, match="torchaudio has no 'whisper'"):
        BundleConfig(architecture=TINY_TRANSFORMERS["whisper"])
    with pytest.raises(ConfigError, match="--backbone torchaudio:WAVLM_BASE"):
        Bundle(BundleConfig())


def test_weights_that_cannot_be_fetched_are_told_in_words(torchaudio, monkeypatch, tmp_path):
    config = BundleConfig(path="HUBERT_BASE")

    def unreachable(*args, **kwargs):
        raise OSError("<urlopen error Name or service not known>")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", unreachable)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(CheckpointError, match="cannot fetch the weights of 'HUBERT_BASE' .*urlopen"
                                              ".*hf:FOLDER"):
        config.weights("HUBERT_BASE")
