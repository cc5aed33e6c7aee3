"""Laws of every speech transformer: equal to the library's, blind to padding, open to adapters."""

import copy
import inspect

import pytest
import torch

from emokit.core.errors import CheckpointError, ConfigError
from emokit.models.adapters import ADAPTERS
from emokit.models.adapters.attach import attach
from emokit.models.adapters.base import place
from emokit.models.backbones.architectures import known_fields
from emokit.models.backbones.hf import HuggingFace, HuggingFaceConfig
from emokit.models.backbones.layers import ChannelNorm, span_mask
from emokit.testing import TINY_TRANSFORMERS

FAMILIES = list(TINY_TRANSFORMERS)
ON_WAVEFORMS = [name for name in FAMILIES if name != "whisper"]


def make(name, **settings):
    backbone = HuggingFace(HuggingFaceConfig(architecture=TINY_TRANSFORMERS[name], **settings))
    with torch.no_grad():
        for parameter in backbone.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return backbone.eval()


def padded(lengths, more=0):
    lengths = torch.tensor(lengths)
    waveform = torch.randn(len(lengths), int(lengths.max()) + more) / 5
    # what lies past the lengths is never looked at
    return waveform, lengths


def library_model(name):
    """Give the transformers library's own model of a tiny architecture."""
    transformers = pytest.importorskip("transformers")
    kind = TINY_TRANSFORMERS[name]["model_type"]
    settings = {key: value for key, value in TINY_TRANSFORMERS[name].items()
                if key not in ("model_type", "do_normalize")}
    if "conv_dim" in settings:
        settings["num_feat_extract_layers"] = len(settings["conv_dim"])
    config = transformers.AutoConfig.for_model(kind, **settings)
    return transformers.AutoModel.from_config(config).eval()


@pytest.mark.parametrize("name", ON_WAVEFORMS)
def test_states_equal_those_of_the_library(name):
    theirs = library_model(name)
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    architecture = {**known_fields(theirs.config.to_dict()), "do_normalize": False}
    ours = HuggingFace(HuggingFaceConfig(architecture=architecture)).eval()
    ours.load_weights(theirs.state_dict())
    waveform, lengths = padded([3000, 3000])
    with torch.inference_mode():
        expected = theirs(waveform, output_hidden_states=True)
        frames, n_frames = ours(waveform, lengths)
        states, _ = ours.states(waveform, lengths)
    assert n_frames.tolist() == [frames.shape[1]] * 2 and frames.shape[2] == 24
    torch.testing.assert_close(frames, expected.last_hidden_state, atol=1e-5, rtol=1e-5)
    # the library gives the last one before the final norm, where there is such a norm
    for state, one in zip(states.unbind(1)[:-1], expected.hidden_states[:-1], strict=True):
        torch.testing.assert_close(state, one, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(states[:, -1], frames)


@pytest.mark.parametrize("name", FAMILIES)
def test_names_of_parameters_are_the_librarys(name):
    theirs = library_model(name)
    if name == "whisper":
        theirs = theirs.encoder
    assert ({key: tuple(one.shape) for key, one in theirs.named_parameters()}
            == {key: tuple(one.shape) for key, one in make(name).named_parameters()})


@pytest.mark.parametrize("layer", ["last", "mean"])
@pytest.mark.parametrize("name", FAMILIES)
def test_an_utterance_alone_equals_itself_in_any_batch(name, layer):
    backbone = make(name, layer=layer)
    waveform, lengths = padded([3000, 1700, 400, 120, 1], more=777)
    with torch.inference_mode():
        frames, n_frames = backbone(waveform, lengths)
        for row, length in enumerate(lengths.tolist()):
            alone, n_alone = backbone(waveform[row:row + 1, :length], lengths[row:row + 1])
            assert n_alone == n_frames[row] == alone.shape[1] >= 1
            torch.testing.assert_close(frames[row, :n_alone], alone[0], atol=1e-5, rtol=1e-5)
            assert frames[row, n_alone:].abs().sum() == 0


@pytest.mark.parametrize("name", FAMILIES)
def test_every_site_runs_once_with_inputs_and_mask(name):
    backbone = make(name)
    calls = []
    sites = backbone.sites()
    for role, names in sites.items():
        for site in names:
            backbone.get_submodule(site).register_forward_hook(
                lambda _, args, kwargs, outputs, role=role, site=site:
                calls.append((role, site, args, kwargs, outputs)), with_kwargs=True)
    backbone(*padded([3000, 900]))
    assert sorted(call[1] for call in calls) == sorted(
        site for names in sites.values() for site in names)
    for role, site, args, kwargs, outputs in calls:
        mask = backbone.site_mask(args, kwargs)
        assert isinstance(outputs, torch.Tensor), site
        shape = torch.broadcast_shapes(mask.shape, outputs.shape)
        assert shape == outputs.shape and mask.dtype == torch.bool, site
        # the second utterance is shorter, and padding is a suffix
        assert mask[0].all() and 0 < mask[1].float().mean() < 1, site


@pytest.mark.parametrize("name", FAMILIES)
def test_what_sits_at_any_site_changes_the_frames(name):
    # catches projections whose weights are used but that never run
    backbone = make(name)
    batch = padded([3000, 900])
    plain = backbone(*batch)[0]
    for role, names in backbone.sites().items():
        site = backbone.get_submodule(names[0])
        # another factor for each number, so that no norm takes it back
        hook = site.register_forward_hook(lambda _, args, outputs: outputs * (
            1 + torch.arange(outputs[0].numel()).sin().view(outputs.shape[1:]) / 2))
        assert (backbone(*batch)[0] - plain).abs().max() > 1e-3, role
        hook.remove()
    assert torch.equal(backbone(*batch)[0], plain)


@pytest.mark.parametrize("name", FAMILIES)
def test_states_are_stacked_only_for_an_adapter_that_is_on(name):
    backbone = make(name)
    seen = []
    backbone.readout.register_forward_pre_hook(lambda _, args: seen.append(args[0].shape[1]))
    batch = padded([900])
    backbone(*batch)
    point = attach(backbone, ["readout"])["readout"]
    backbone(*batch)
    point.active = (Last(),)
    frames, _ = backbone(*batch)
    point.active = ()
    assert seen == [1, 1, 4] and torch.equal(frames, backbone(*batch)[0])


class Last(torch.nn.Module):
    """The least adapter of a readout."""

    replaces, acts_before, takes_dropout = True, False, False

    def folds(self):
        return False

    def forward(self, inputs, outputs, mask):
        assert outputs is None
        return inputs[:, -1]


@pytest.mark.parametrize("name", FAMILIES)
def test_a_layer_in_between_gives_its_state_and_drops_those_above(name):
    whole, batch = make(name), padded([2000, 500])
    states, lengths = whole.states(*batch)
    for layer in (0, 1, 3):
        part = HuggingFace(HuggingFaceConfig(architecture=TINY_TRANSFORMERS[name], layer=layer))
        part.load_weights(whole.state_dict())
        frames, _ = part.eval()(*batch)
        for row, length in enumerate(lengths.tolist()):
            torch.testing.assert_close(frames[row, :length], states[row, layer, :length])
        assert len(part.sites()["block"]) == layer
    with pytest.raises(ConfigError, match="'layer' is 4, but the encoder has 3 layers"):
        make(name, layer=4)


@pytest.mark.parametrize("name", FAMILIES)
def test_prompts_and_prefixes_fit_and_padding_stays_without_effect(name):
    backbone = make(name)
    for adapter in ("prompt", "prefix"):
        cls = ADAPTERS[adapter]
        config = cls.Config(tokens=2)
        made = {site: cls.make(module, role, config)
                for role, site, module in place(cls, config, backbone, adapter)}
        points = attach(backbone, made)
        batch = padded([2000, 500])
        plain = backbone(*batch)[0]
        for site, point in points.items():
            for parameter in made[site].parameters():
                torch.nn.init.normal_(parameter)
            point.active = (made[site],)
        frames, lengths = backbone(*batch)
        assert frames.shape == plain.shape and (frames - plain).abs().max() > 1e-3
        alone, _ = backbone(batch[0][1:, :500], batch[1][1:])
        torch.testing.assert_close(frames[1, :lengths[1]], alone[0], atol=1e-5, rtol=1e-5)
        for point in points.values():
            point.active = ()


@pytest.mark.parametrize("name", FAMILIES)
def test_checkpointing_changes_no_gradient(name):
    gradients = []
    batch = padded([2000, 500])
    for again in (False, True):
        torch.manual_seed(1)
        backbone = make(name, gradient_checkpointing=again, backbone_dropout=0.2).train()
        torch.manual_seed(2)
        backbone(*batch)[0].square().sum().backward()
        gradients.append({key: parameter.grad for key, parameter in backbone.named_parameters()
                          if parameter.grad is not None})
    assert gradients[0].keys() == gradients[1].keys() and len(gradients[0]) > 40
    for key, gradient in gradients[0].items():
        torch.testing.assert_close(gradient, gradients[1][key], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", FAMILIES)
def test_convolutions_learn_only_where_that_is_asked_for(name):
    stem = ("conv1.", "conv2.") if name == "whisper" else ("feature_extractor.",)
    for learns in (False, True):
        backbone = make(name, train_feature_encoder=learns)
        for state in (True, False, True):
            backbone.requires_grad_(state)
        flags = {key: parameter.requires_grad for key, parameter in backbone.named_parameters()}
        for key, flag in flags.items():
            fixed = key in ("masked_spec_embed", "embed_positions.weight")
            assert flag == (not fixed and (learns or not key.startswith(stem))), key


@pytest.mark.parametrize("name", FAMILIES)
def test_masks_act_in_training_alone_and_follow_the_global_generator(name):
    backbone = make(name, mask_time=0.5, mask_time_length=2, mask_features=0.5,
                    mask_features_length=2, backbone_dropout=0.0)
    batch = padded([3000, 2000])
    plain = backbone(*batch)[0]
    assert torch.equal(backbone(*batch)[0], plain)
    backbone.train()

    def drawn(seed):
        torch.manual_seed(seed)
        return backbone(*batch)[0]

    assert torch.equal(drawn(0), drawn(0)) and not torch.equal(drawn(0), drawn(1))
    assert (drawn(0) - plain).abs().max() > 1e-3


def test_without_masks_and_dropout_training_and_evaluation_are_the_same():
    for name in FAMILIES:
        backbone, batch = make(name, backbone_dropout=0.0), padded([1500, 700])
        torch.testing.assert_close(backbone.train()(*batch)[0], backbone.eval()(*batch)[0])


def test_dropout_of_the_architecture_acts_while_it_learns():
    backbone, batch = make("wav2vec2"), padded([1500])
    assert not torch.equal(backbone.train()(*batch)[0], backbone(*batch)[0])


@pytest.mark.parametrize("name", FAMILIES)
def test_half_precision_gives_about_the_same_with_all_states_and_a_prefix(name):
    backbone, batch = make(name, layer="mean"), padded([2000, 500])
    exact = backbone(*batch)[0]
    with torch.autocast("cpu", torch.bfloat16):
        half = backbone(*batch)[0]
    assert half.isfinite().all() and (half - exact).abs().mean() < 0.05 * exact.abs().mean()
    site = backbone.get_submodule(backbone.sites()["attention"][0])
    keys = torch.randn(3, 24)
    inputs, mask = torch.randn(2, 7, 24), torch.arange(7)[None, :, None] < 5
    more = backbone.layer_arguments()
    exact = site(inputs, mask.expand(2, -1, -1), *more, prefix=(keys, keys))
    with torch.autocast("cpu", torch.bfloat16):
        half = site(inputs, mask.expand(2, -1, -1), *more, prefix=(keys, keys))
    assert (half - exact).abs().mean() < 0.05 * exact.abs().mean()


def test_spans_cover_their_share_within_the_lengths():
    lengths = torch.tensor([200, 60, 9, 10])
    drawn = torch.stack([span_mask(lengths, 200, 0.3, 10) for _ in range(300)]).float()
    for row, length in enumerate(lengths.tolist()):
        assert drawn[:, row, length:].sum() == 0
    assert drawn[:, 2].sum() == 0  # too short for a span
    n_spans = drawn[:, 3].sum(1) / 10
    assert set(n_spans.tolist()) == {0.0, 1.0} and abs(n_spans.mean() - 0.3) < 0.1
    # overlaps make it less than 0.3 and never more
    assert 0.2 < drawn[:, 0, :200].mean() <= 0.3


def test_channel_norm_of_real_frames_equals_group_norm_of_the_utterance_alone():
    norm = ChannelNorm(5)
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.bias)
    maps = torch.randn(2, 5, 30) * 3 + 1
    mask = torch.arange(30)[None, None] < torch.tensor([30, 11])[:, None, None]
    outputs = norm(maps, mask)
    torch.testing.assert_close(outputs[:1], norm(maps[:1]))
    torch.testing.assert_close(outputs[1:, :, :11], norm(maps[1:, :, :11]), atol=1e-6, rtol=1e-5)
    assert outputs[1, :, 11:].abs().sum() == 0


def test_models_copy_with_all_that_is_in_them():
    for name in FAMILIES:
        backbone, batch = make(name), padded([900])
        assert torch.equal(copy.deepcopy(backbone)(*batch)[0], backbone(*batch)[0])


def test_attention_takes_a_prefix_by_name():
    backbone = make("wavlm")
    for site in backbone.sites()["attention"]:
        module = backbone.get_submodule(site)
        assert "prefix" in inspect.signature(type(module).forward).parameters


# counts of published sizes, on no device: table of section 4 of the method page

BASE = {"model_type": "wav2vec2"}
LARGE = {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16,
         "intermediate_size": 4096, "do_stable_layer_norm": True, "feat_extract_norm": "layer"}


def whisper(dim, layers, heads):
    return {"model_type": "whisper", "d_model": dim, "encoder_layers": layers,
            "encoder_attention_heads": heads, "encoder_ffn_dim": 4 * dim}


@pytest.mark.parametrize("architecture, expected", [
    (BASE, 94_371_712), ({"model_type": "hubert"}, 94_371_712),
    ({**BASE, **LARGE, "conv_bias": True}, 315_438_720),
    ({"model_type": "wavlm"}, 94_381_936), ({"model_type": "wavlm", **LARGE}, 315_453_120),
    (whisper(384, 4, 6), 8_208_384), (whisper(512, 6, 8), 20_590_592),
    (whisper(768, 12, 12), 88_154_112)])
def test_published_sizes_have_the_published_counts(architecture, expected):
    with torch.device("meta"):
        backbone = HuggingFace(HuggingFaceConfig(architecture=architecture))
    assert sum(parameter.numel() for parameter in backbone.parameters()) == expected
    layer = sum(parameter.numel() for parameter in
                backbone.get_submodule(backbone.sites()["block"][-1]).parameters())
    if architecture["model_type"] in ("wav2vec2", "hubert"):
        assert layer == (7_087_872 if expected < 10**8 else 12_596_224)


def test_frozen_convolutions_leave_what_the_method_page_counts():
    with torch.device("meta"):
        backbone = HuggingFace(HuggingFaceConfig(architecture=BASE))
    learning = sum(one.numel() for one in backbone.parameters() if one.requires_grad)
    # the vector for masked frames is counted there and learns only with masks
    assert learning == 90_171_264 - 768
    assert backbone.shortest == 400


# foreign weights

def test_weights_are_found_below_the_prefix_of_a_head_and_under_old_names():
    backbone, batch = make("wav2vec2"), padded([900])
    weights = {"lm_head.weight": torch.zeros(3, 24)}
    for key, tensor in backbone.state_dict().items():
        key = key.replace("parametrizations.weight.original0", "weight_g")
        key = key.replace("parametrizations.weight.original1", "weight_v")
        weights[f"wav2vec2.{key}"] = tensor.double()
    other = make("wav2vec2")
    other.load_weights(weights)
    assert torch.equal(other(*batch)[0], backbone(*batch)[0])
    del weights["wav2vec2.encoder.layers.1.layer_norm.bias"]
    with pytest.raises(CheckpointError, match="an encoder 'wav2vec2': they lack .*1.layer_norm"):
        other.load_weights(weights)
    with pytest.raises(CheckpointError, match="differ in shape"):
        make("hubert").load_weights({f"hubert.{key}": tensor for key, tensor in
                                     backbone.state_dict().items()
                                     if "feature_projection.layer_norm" not in key}
                                    | {"hubert.masked_spec_embed": torch.zeros(3)})
