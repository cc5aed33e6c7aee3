"""The whole model: corpora that come and go, tensors out and in."""

import pytest
import torch

from emokit.core.errors import CheckpointError, ConfigError
from emokit.loading.batch import Batch
from emokit.models import HEADS, POOLINGS
from emokit.models.settings import NORMALISATIONS, ModelSettings, complete

ODD_NAMES = ("core", "mask", "add", "train", "forward", "keys", "parameters", "seq")


@pytest.mark.parametrize("head", list(HEADS))
@pytest.mark.parametrize("pooling", list(POOLINGS))
@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("normalisation", NORMALISATIONS)
def test_every_choice_scores_clips_of_any_length(head, pooling, shared, normalisation,
                                                 make_model, make_batch):
    model = make_model(head=head, pooling=pooling, shared_pooling=shared,
                       normalisation=normalisation, adapters=["residual"])
    logits = model.train()(make_batch(lengths=(9000, 1)))
    logits.sum().backward()
    assert logits.shape == (2, 3) and bool(torch.isfinite(logits).all())
    batch = make_batch("tess", lengths=(3000, 1))
    together = model.eval()(batch)
    alone = model(Batch(batch.inputs[1:, :1], batch.lengths[1:], "tess"))
    torch.testing.assert_close(together[1:], alone, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("spec", [[], ["norm"], ["residual"]])
def test_corpora_of_any_name_survive_save_and_load(spec, make_model, make_batch, shake):
    labels = {name: "ab" for name in ODD_NAMES}
    model = shake(make_model(labels, adapters=spec)).eval()
    other = make_model(labels, adapters=spec).eval()
    other.load_checkpoint_state(model.state_for_checkpoint())
    for name in ODD_NAMES:
        batch = make_batch(name, lengths=(2000, 900))
        assert torch.equal(model(batch), other(batch))


def test_checkpoint_leaves_out_norms_that_nobody_uses(make_model):
    model = make_model(adapters=["norm"])
    state = model.state_for_checkpoint()
    assert not [key for key in state if key.startswith("backbone.") and "norm" in key]
    partly = make_model(adapters=[{"name": "norm", "corpora": ["tess"]}])
    assert len(partly.state_for_checkpoint()) == len(partly.state_dict())


def test_loaded_trunk_norms_are_the_mean_over_corpora(make_model, shake):
    model = shake(make_model(adapters=["norm"]))
    other = make_model(adapters=["norm"])
    other.load_checkpoint_state(model.state_for_checkpoint())
    own = [model.part(corpus).norms_at("stem.norm").own for corpus in model.corpora]
    norm = other.backbone.stem.norm
    torch.testing.assert_close(norm.weight, (own[0].weight + own[1].weight) / 2)
    mean = (own[0].running_mean + own[1].running_mean) / 2
    torch.testing.assert_close(norm.running_mean, mean)
    torch.testing.assert_close(
        norm.running_var, (own[0].running_var + own[0].running_mean ** 2
                           + own[1].running_var + own[1].running_mean ** 2) / 2 - mean ** 2)


def test_missing_extra_or_misshapen_tensor_is_an_error(make_model):
    model = make_model()
    state = model.state_for_checkpoint()
    key = "private.corpus_tess.head.weight"
    for broken, words in (
        ({k: v for k, v in state.items() if k != key}, "lacks private.corpus_tess.head.weight"),
        (state | {"foreign": torch.zeros(1)}, "has too many foreign"),
        (state | {key: torch.zeros(5, 2)}, r"differ in shape .*\(5, 2\)"),
    ):
        with pytest.raises(CheckpointError, match=words):
            model.load_checkpoint_state(broken)
    with pytest.raises(CheckpointError, match="corpus 'tess'"):
        model.load_corpus_state("tess", model.corpus_state("emodb"))


def test_states_are_contiguous_in_channels_last_too(make_model):
    model = make_model().to(memory_format=torch.channels_last)
    assert all(tensor.is_contiguous() for tensor in model.state_for_checkpoint().values())


def test_new_corpus_can_start_from_the_mean_or_a_copy(make_model, make_batch, shake):
    model = shake(make_model(adapters=["norm"], shared_pooling=False)).eval()
    model.set_normalisation("emodb", torch.full((64,), 1.0), torch.ones(64))
    model.set_normalisation("tess", torch.full((64,), 3.0), torch.ones(64))
    model.add_corpus("mean", "xy", copy_from="mean")
    model.add_corpus("copy", "abc", copy_from="emodb")
    model.add_corpus("other_classes", "acb", copy_from="emodb")
    model.eval()
    emodb, tess, mean = (model.part(name) for name in ("emodb", "tess", "mean"))
    torch.testing.assert_close(mean.norms_at("norm").own.bias, (
        emodb.norms_at("norm").own.bias + tess.norms_at("norm").own.bias) / 2)
    torch.testing.assert_close(mean.pooling.query, (emodb.pooling.query + tess.pooling.query) / 2)
    torch.testing.assert_close(mean.mean, torch.full((64,), 2.0))
    torch.testing.assert_close(mean.std, torch.full((64,), 2.0 ** 0.5))
    batch = make_batch()
    copied = Batch(batch.inputs, batch.lengths, "copy")
    assert torch.equal(model(batch), model(copied))
    assert not torch.equal(
        model.part("other_classes").head.weight, model.part("emodb").head.weight)
    model.remove_corpus("copy")
    with pytest.raises(ConfigError, match="no corpus 'copy'"):
        model(copied)


def test_recentre_changes_no_score_and_centres_adapters(make_model, make_batch, shake):
    model = shake(make_model(adapters=[{"name": "residual", "rank": "full"}]), 0.03).eval()
    batches = [make_batch("emodb"), make_batch("tess")]
    before = [model(batch) for batch in batches]
    kernel = model.backbone.stem.conv.weight.clone()
    model.recentre()
    for batch, logits in zip(batches, before):
        torch.testing.assert_close(model(batch), logits, atol=1e-4, rtol=1e-4)
    matrices = [model.part(corpus).adapters["residual"]["stem/conv"].matrix
                for corpus in model.corpora]
    assert (matrices[0] + matrices[1]).abs().max() < 1e-6
    changed = (model.backbone.stem.conv.weight - kernel).abs()
    assert changed[:, :, 1, 1].min() > 0 and changed.sum() == changed[:, :, 1, 1].sum()


def test_recentre_leaves_low_rank_alone(make_model, shake):
    model = shake(make_model(adapters=[{"name": "residual", "rank": 1}]))
    site = "stages.0.0.second.conv"
    before = model.backbone.get_submodule(site).weight.clone()
    model.recentre()
    assert torch.equal(model.backbone.get_submodule(site).weight, before)


def test_normalisation_is_per_band_with_a_least_deviation(make_model, make_batch):
    model = make_model().eval()
    own = model.part("emodb")
    mean, std = torch.arange(64.0), torch.full((64,), 2.0)
    std[0] = 0.0
    model.set_normalisation("emodb", mean, std)
    frames = torch.randn(1, 3, 64)
    expected = (frames - mean) / 2
    expected[..., 0] = frames[..., 0] / 1e-3
    real = torch.ones(1, 3, 1, dtype=torch.bool)
    torch.testing.assert_close(own.normalise(frames, real), expected)
    for bad in (torch.zeros(3), torch.full((64,), float("nan"))):
        with pytest.raises(ConfigError, match="64 finite numbers"):
            model.set_normalisation("emodb", bad, std)
    with pytest.raises(ConfigError, match="takes no mean"):
        make_model(normalisation="none").set_normalisation("emodb", mean, std)


def test_normalisation_by_utterance_is_scipys_score_and_blind_to_padding(make_model):
    from scipy.stats import zscore

    own = make_model(normalisation="utterance").part("emodb")
    frames = torch.randn(2, 9, 64) * 3 + torch.arange(64.0)
    real = torch.ones(2, 9, 1, dtype=torch.bool)
    real[1, 5:] = False
    frames[1, 5:] = float("nan")
    result = own.normalise(frames, real)
    for index, length in ((0, 9), (1, 5)):
        expected = zscore(frames[index, :length].double().numpy(), axis=0)
        torch.testing.assert_close(result[index, :length].double(), torch.from_numpy(expected),
                                   atol=1e-4, rtol=1e-4)


def test_frames_of_the_front_end_serve_as_inputs(make_model, make_batch):
    model = make_model().eval()
    batch = make_batch()
    frames, lengths = model.frontend(batch.inputs, batch.lengths)
    torch.testing.assert_close(model(Batch(frames, lengths, "emodb")), model(batch))


def test_augmentation_sees_normalised_frames_and_cannot_fill_padding(make_model, make_batch):
    model = make_model().eval()
    seen = {}

    def augment(frames, lengths):
        seen["padding"] = frames[2, lengths[2]:].abs().sum()
        return frames + 1

    batch = make_batch()
    alone = Batch(batch.inputs[2:, :300], batch.lengths[2:], "emodb")
    assert not torch.allclose(model(batch), model(batch, augment))
    assert seen["padding"] == 0
    torch.testing.assert_close(model(batch, augment)[2], model(alone, lambda f, _: f + 1)[0],
                               atol=1e-5, rtol=1e-5)


def test_bf16_autocast_and_channels_last_run(make_model, make_batch, shake):
    model = shake(make_model(adapters=["residual"], head="dense"))
    model = model.to(memory_format=torch.channels_last)
    batch = make_batch()
    exact = model.eval()(batch)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = model(batch)
        model.train()(batch).float().sum().backward()
    assert (rough.float() - exact).abs().max() < 0.1 * exact.abs().max()
    assert all(bool(torch.isfinite(parameter.grad).all()) for parameter in model.parameters()
               if parameter.grad is not None)


@pytest.mark.parametrize("settings, words", [
    ({"backbone": "resnt"}, "Did you mean 'resnet'"),
    ({"frontend": "mfcc"}, "Unknown front end 'mfcc'"),
    ({"pooling": {"name": "attention", "scale": 0}}, "more than 0"),
    ({"head": {"nam": "linear"}}, "expected a name"),
    ({"adapters": ["norm", "norm"]}, "'norm' twice"),
])
def test_impossible_settings_are_errors(settings, words, make_model):
    with pytest.raises(ConfigError, match=words):
        make_model(**settings)


@pytest.mark.parametrize("labels, words", [
    ({"emodb": []}, "none at all"), ({"emodb": ["a", "b", "a"]}, "'a' stands twice"),
    ({"a.b": ["a", "b"]}, "no corpus id")])
def test_impossible_labels_are_errors(labels, words, make_model):
    with pytest.raises(ConfigError, match=words):
        make_model(labels)


def test_complete_settings_hold_every_setting_and_mean_the_same():
    settings = ModelSettings(adapters=["residual"], backbone={"name": "resnet", "width": 8})
    whole = complete(settings)
    assert whole.backbone["blocks"] == 2 and whole.backbone["width"] == 8
    assert whole.adapters[0]["kind"] == "parallel" and whole.frontend["n_fft"] == 1024
    assert complete(whole) == whole


def test_settings_import_no_torch():
    import subprocess
    import sys

    code = "import sys, emokit.models.settings as s; print('torch' in sys.modules, s.MODES[0])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.split() == ["False", "scratch"], result.stderr
