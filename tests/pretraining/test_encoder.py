"""What can learn, what of it learns, and the folder it ends in."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from emokit.core.errors import CheckpointError, ConfigError
from emokit.models.backbones.hf import HuggingFace, HuggingFaceConfig
from emokit.pretraining.config import PretrainConfig, resolve
from emokit.pretraining.encoder import (
    Learner, apply_learns, make_encoder, make_head, objective_of, write_encoder,
)
from emokit.testing import TINY_TRANSFORMERS

KINDS = [kind for kind in TINY_TRANSFORMERS if kind != "whisper"]


def learner_of(config):
    encoder, heads = make_encoder(config)
    return Learner(encoder, make_head(config, encoder, heads))


def states_of(folder, inputs):
    model = HuggingFace(HuggingFaceConfig(path=str(folder))).eval()
    model.load_start()
    with torch.no_grad():
        return model(inputs, torch.full((len(inputs),), inputs.shape[1]))[0]


@pytest.mark.parametrize("kind", KINDS)
def test_folder_gives_the_encoder_that_went_in(folders, settle, tmp_path, kind):
    learner = learner_of(settle(folders(kind)))
    write_encoder(tmp_path, learner, {"step": 3})
    inputs = torch.randn(2, 3000)
    assert torch.equal(states_of(tmp_path, inputs), states_of(folders(kind), inputs))
    assert json.loads((tmp_path / "pretraining.json").read_text()) == {"step": 3}


def test_contrastive_folder_continues_with_its_quantiser(folders, settle, tmp_path):
    learner = learner_of(settle(folders(quantiser=True)))
    assert learner.is_contrastive
    assert learner.head.config.entries == 8 and learner.head.config.projection_dim == 10
    with torch.no_grad():
        learner.head.project_q.weight.add_(1)
    write_encoder(tmp_path, learner, {})
    again = learner_of(settle(tmp_path))
    for name, tensor in learner.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name


def test_transformers_library_reads_the_folder(folders, settle, tmp_path):
    transformers = pytest.importorskip("transformers")
    write_encoder(tmp_path / "c", learner_of(settle(folders(quantiser=True))), {})
    theirs = transformers.Wav2Vec2ForPreTraining.from_pretrained(tmp_path / "c").eval()
    inputs = torch.randn(1, 3000)
    with torch.no_grad():
        found = theirs.wav2vec2(inputs).last_hidden_state
    assert torch.allclose(found, states_of(tmp_path / "c", inputs), atol=1e-5)
    own = load_file(tmp_path / "c" / "model.safetensors")
    assert torch.equal(theirs.quantizer.codevectors, own["quantizer.codevectors"])
    write_encoder(tmp_path / "h", learner_of(settle(folders("hubert"))), {})
    theirs = transformers.HubertModel.from_pretrained(tmp_path / "h").eval()
    with torch.no_grad():
        assert torch.allclose(theirs(inputs).last_hidden_state,
                              states_of(tmp_path / "h", inputs), atol=1e-5)


def test_objective_is_the_encoders_own(folders, settle):
    assert not learner_of(settle(folders())).is_contrastive
    assert not learner_of(settle(folders(quantiser=True), objective="masked")).is_contrastive
    assert learner_of(settle(folders(), new_quantiser=True)).is_contrastive
    sizes = learner_of(settle(folders(), "contrastive.entries=4", new_quantiser=True))
    assert sizes.head.quantizer.codevectors.shape == (1, 8, 6)


def test_random_weights_bring_a_random_quantiser():
    learner = learner_of(resolve("scratch", {"objective": "contrastive"}))
    assert learner.head.quantizer.codevectors.shape == (1, 640, 128)
    assert learner.head.quantizer.weight_proj.in_features == 256


def test_contrastive_without_quantiser_is_refused(folders, settle):
    config = settle(folders("hubert"), objective="contrastive")
    with pytest.raises(ConfigError, match="comes without the quantiser .*--new-quantiser"):
        objective_of(config, {})


def test_damaged_quantiser_is_refused(folders, settle, tmp_path):
    weights = load_file(folders(quantiser=True) / "model.safetensors")
    weights.pop("project_q.bias")
    save_file(weights, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text((folders() / "config.json").read_text())
    with pytest.raises(CheckpointError, match="they lack project_q.bias"):
        learner_of(settle(tmp_path))


@pytest.mark.parametrize("learns, quiet", [("all", ()), ("transformer", ("feature_extractor",))])
def test_what_learns_gets_gradients_and_the_rest_none(folders, settle, learns, quiet):
    torch.manual_seed(0)
    learner = learner_of(settle(folders(quantiser=True))).train()
    apply_learns(learner, learns)
    lengths = torch.tensor([3000, 1200])
    frames = learner.encoder.n_frames(lengths)
    hidden = torch.rand(2, int(frames.max())) < 0.5
    hidden &= torch.arange(hidden.shape[1]) < frames[:, None]
    from emokit.pretraining.masking import draw_negatives

    negatives, has = draw_negatives(hidden, 5, torch.Generator().manual_seed(0))
    learner(torch.randn(2, 3000), lengths, hidden, negatives, has, 2.0)[0].backward()
    for name, parameter in learner.encoder.named_parameters():
        if name.startswith(quiet) and quiet:
            assert parameter.grad is None, name
        else:
            assert parameter.grad is not None, name
    assert learner.encoder.masked_spec_embed.grad.abs().sum() > 0


def test_hidden_frames_are_heard_by_nobody(folders, settle):
    """The states see a hidden frame's place only, whatever was said there."""
    learner = learner_of(settle(folders())).eval()
    encoder = learner.encoder
    features = torch.randn(1, 30, 16)
    hidden = torch.zeros(1, 30, dtype=torch.bool)
    hidden[0, 10:20] = True
    other = torch.where(hidden[:, :, None], torch.randn(1, 30, 16), features)
    lengths = torch.tensor([30])
    with torch.no_grad():
        first, second, open_ = (
            encoder.run_layers(encoder.embed(some, lengths, None, mask), None)[-1]
            for some, mask in ((features, hidden), (other, hidden), (other, None)))
    assert torch.equal(first, second) and not torch.allclose(first, open_)


@pytest.mark.parametrize("backbone, words", [
    ("resnet", "'resnet' has no convolutions whose frames could be hidden"),
    ("hf:{whisper}", "Whisper .* cannot be pre-trained this way"),
    ("hf(path={wav2vec2},layer=1)", "backbone.layer is 1, but all layers learn"),
    ("hf(path={wav2vec2},mask_time=0.1)", "Set mask_share and mask_span")])
def test_encoders_that_cannot_learn_so_are_refused(folders, backbone, words):
    spec = backbone.format(whisper=folders("whisper"), wav2vec2=folders())
    with pytest.raises(ConfigError, match=words):
        make_encoder(resolve("tapt", {"backbone": spec}))


def test_encoder_must_be_named():
    with pytest.raises(ConfigError, match="--backbone hf:FOLDER. .* emokit pretrain scratch"):
        resolve("tapt", {})


def test_scratch_encoder_has_five_million_weights_and_a_frame_every_20_ms():
    encoder, heads = make_encoder(resolve("scratch", {}))
    n = sum(one.numel() for one in encoder.parameters())
    assert 4.5e6 < n < 5.5e6 and not heads
    assert encoder.hop == 320 and 49 <= encoder.n_frames(16_000) <= 50


def test_settings_come_from_recipe_file_set_and_flags_in_this_order(tmp_path):
    (tmp_path / "mine.yaml").write_text("steps: 7\nwindow: 3.5\nmask_span: 4\n")
    config = resolve("scratch", {"steps": 9}, ["mask_span=6", "contrastive.negatives=3",
                                               "backbone.architecture.num_hidden_layers=2"],
                     tmp_path / "mine.yaml")
    assert (config.steps, config.window, config.mask_span) == (9, 3.5, 6)
    assert config.contrastive.negatives == 3 and config.teacher == "mfcc"
    assert config.backbone["architecture"]["num_hidden_layers"] == 2
    assert config.backbone["architecture"]["hidden_size"] == 256


@pytest.mark.parametrize("text, words", [
    ("stps: 7\n", "mine.yaml:1: unknown setting 'stps'. Did you mean 'steps'"),
    ("steps: 0\n", "mine.yaml:1: 'steps' is 0; it must be at least 1"),
    ("clusters: [1]\n", "clusters is .1.; it must name"),
    ("mask_share: 1.0\n", "less than 1"), ("[]\n", "holds no settings")])
def test_wrong_files_are_refused_with_their_line(tmp_path, text, words):
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(ConfigError, match=words):
        resolve("scratch", {}, (), tmp_path / "mine.yaml")


def test_defaults_are_those_of_the_published_masks():
    config = PretrainConfig(backbone="hf:x")
    assert (config.mask_share, config.mask_span, config.contrastive.negatives) == (0.49, 10, 100)
    assert resolve("ptapt", {"backbone": "hf:x"}).clusters == [64, 512, 4096]
