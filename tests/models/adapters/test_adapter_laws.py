"""Laws that every adapter obeys on every backbone."""

import dataclasses

import pytest
import torch

from emokit.core.errors import CheckpointError, ConfigError
from emokit.loading.batch import Batch
from emokit.models.adapters import ADAPTERS
from emokit.models.adapters.attach import detach
from emokit.models.adapters.base import place
from emokit.models.budget import budget
from emokit.models.merging import merge
from emokit.models.modes import apply_mode
from emokit.training import checkpoint

WAV2VEC2 = {
    "model_type": "wav2vec2", "hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 20, "conv_dim": [8, 8, 6], "conv_kernel": [16, 8, 3],
    "conv_stride": [16, 8, 2], "num_conv_pos_embeddings": 4, "num_conv_pos_embedding_groups": 2}
ARCHITECTURES = {
    "post-norm": WAV2VEC2,
    "pre-norm": {**WAV2VEC2, "do_stable_layer_norm": True, "feat_extract_norm": "layer",
                 "conv_bias": True},
    "wavlm": {**WAV2VEC2, "model_type": "wavlm", "num_buckets": 8, "max_bucket_distance": 20},
    "whisper": {"model_type": "whisper", "d_model": 12, "encoder_layers": 2, "num_mel_bins": 8,
                "encoder_attention_heads": 2, "encoder_ffn_dim": 20, "max_source_positions": 40},
}
BACKBONES = {
    "resnet": {"name": "resnet", "width": 4, "blocks": 1},
    "byols": {"name": "byols", "width": 4, "bands": 16, "size": 6},
    **{name: {"name": "hf", "architecture": shape} for name, shape in ARCHITECTURES.items()}}

OF_MAPS = {
    "norm": ["norm"], "residual": ["residual"],
    "residual full": [{"name": "residual", "rank": "full"}],
    "residual rank 2": [{"name": "residual", "rank": 2}],
    "residual norm only": [{"name": "residual", "rank": 0}],
    "residual series": [{"name": "residual", "kind": "series"}],
    "residual low-rank series": [{"name": "residual", "kind": "series", "rank": "C/8"}],
    "residual shared norms": [{"name": "residual", "norm": "shared"}],
    "residual some layers": [{"name": "residual", "layers": "1-2", "norm": "shared"}],
    "norm+residual": ["norm", {"name": "residual", "norm": "shared"}],
    "conv_lora": [{"name": "conv_lora", "rank": 2}],
    "conv_lora+residual": [{"name": "conv_lora", "layers": "0-1"}, "residual"],
    "conv_bottleneck": [{"name": "conv_bottleneck", "rank": 2}], "bias": ["bias"],
}
OF_BLOCKS = {
    "bottleneck": [{"name": "bottleneck", "width": 3}], "gate": ["gate"],
    "bottleneck+gate": [{"name": "bottleneck", "activation": "gelu", "scale": 0.3}, "gate"],
}
OF_LINEARS = {
    "residual ffn": [{"name": "residual", "where": "ffn", "norm": "shared"}],
    "residual ffn full": [{"name": "residual", "where": "ffn", "rank": "full"}],
    "bottleneck ffn": [{"name": "bottleneck", "where": "ffn"}],
    "bottleneck parallel": [{"name": "bottleneck", "parallel": True}],
}
OF_TRANSFORMERS = {
    "norm": ["norm"], **OF_BLOCKS, **OF_LINEARS,
    "bottleneck pair": [{"name": "bottleneck", "where": ["attention", "ffn"]}],
    "lora": ["lora"], "lora all": [{"name": "lora", "rank": 3, "where": "all", "alpha": 1}],
    "dora": [{"name": "dora", "where": "all", "rank": 2, "rslora": True}], "ia3": ["ia3"],
    "lora+dora+ia3": [{"name": "lora", "where": "value"}, "dora", "ia3"],
    "bias": ["bias"], "conv_lora": [{"name": "conv_lora", "layers": "last2"}],
    "conv_bottleneck": ["conv_bottleneck"], "weighted_sum": ["weighted_sum"],
    "weighted_sum last": [{"name": "weighted_sum", "start": "last"}],
    "layer_mix": [{"name": "layer_mix", "width": 5}],
    "wap": [{"name": "wap", "width": 8, "hidden": 6, "depth": 2, "heads": 2}],
    "wap of all": [{"name": "wap", "width": 12, "hidden": 6, "states": "weighted_sum"}],
    "prompt": [{"name": "prompt", "tokens": 2}],
    "prefix": [{"name": "prefix", "tokens": 3}],
    "reference gate": [{"name": "gate", "start": "reference"}],
    "all at once": ["prompt", "bottleneck", "lora", "weighted_sum", "gate", "prefix"],
}
SPECS = {
    "resnet": {**OF_MAPS, **OF_BLOCKS},
    "byols": {**OF_MAPS, **OF_LINEARS, "lora": [{"name": "lora", "where": "ffn"}],
              "dora": [{"name": "dora", "where": "ffn"}]},
    **dict.fromkeys(ARCHITECTURES, OF_TRANSFORMERS)}
# of those that differ from another in their layers or attention alone
for other in ("pre-norm", "wavlm"):
    SPECS[other] = {name: SPECS[other][name] for name in (
        "norm", "bottleneck", "bottleneck pair", "residual ffn", "lora", "dora", "ia3", "bias",
        "conv_lora", "weighted_sum", "weighted_sum last", "reference gate", "prompt", "prefix",
        "layer_mix", "all at once")}
CASES = [(backbone, spec) for backbone, specs in SPECS.items() for spec in specs]

NO_IDENTITY = {"weighted_sum", "layer_mix", "prompt", "prefix", "wap"}
MERGEABLE = {"norm", "residual", "lora", "dora", "ia3", "conv_lora", "bias"}
laws = pytest.mark.parametrize("backbone, spec", CASES, ids=[" ".join(case) for case in CASES])


def names_of(backbone, spec):
    return [item if isinstance(item, str) else item["name"] for item in SPECS[backbone][spec]]


@pytest.fixture
def build(make_model):
    """Give a function from backbone and adapters to a model with two corpora."""
    def make(backbone, spec=None, labels=None, **settings):
        normalisation = "corpus" if backbone == "resnet" else "none"
        adapters = [] if spec is None else SPECS[backbone][spec]
        return make_model(labels, backbone=BACKBONES[backbone], adapters=adapters,
                          normalisation=normalisation, **settings)

    return make


def on_base(build, base, backbone, spec):
    """Give a model with new adapters on the weights of a base without."""
    model = build(backbone, spec)
    model.backbone.load_state_dict(base.backbone.state_dict())
    model.pooling.load_state_dict(base.pooling.state_dict())
    model.remove_corpus("emodb")
    model.add_corpus("emodb", "abc")
    model.part("emodb").head.load_state_dict(base.part("emodb").head.state_dict())
    return model.eval()


def test_every_adapter_has_a_spec():
    found = {name for backbone, spec in CASES for name in names_of(backbone, spec)}
    assert found == set(ADAPTERS)


@pytest.mark.parametrize("backbone, spec", [
    (backbone, spec) for backbone, spec in CASES
    if not {"layer_mix", "wap"} & set(names_of(backbone, spec))])
def test_new_adapter_equals_base_before_training_if_it_says_so(
        backbone, spec, build, make_batch, shake):
    base = shake(build(backbone)).eval()
    model = on_base(build, base, backbone, spec)
    says = all(adapter.starts_as_identity for group in model.part("emodb").groups.values()
               for adapter in group.values())
    assert says is (spec == "weighted_sum last" or (
        not NO_IDENTITY & set(names_of(backbone, spec)) and spec != "reference gate"))
    batch = make_batch()
    assert ((model(batch) - base(batch)).abs().max() < 1e-6) == says


@pytest.mark.parametrize("backbone", list(ARCHITECTURES))
def test_exceptions_from_the_identity_start_exactly_so(backbone, build, make_batch, shake):
    base = shake(build(backbone)).eval()
    batch = make_batch(lengths=(9000, 5000))
    own, (states, lengths) = base.part("emodb"), base.backbone.states(batch.inputs, batch.lengths)

    def logits(frames):
        return own.head(base.pooling(frames, lengths))

    model = on_base(build, base, backbone, "weighted_sum")
    torch.testing.assert_close(model(batch), logits(states.mean(1)))
    model = on_base(build, base, backbone, "weighted_sum last")
    torch.testing.assert_close(model(batch), logits(states[:, -1]))
    model = on_base(build, base, backbone, "reference gate")
    for name, adapter in model.part("emodb").adapters["gate"].items():
        outputs = torch.randn(2, 3, 12)
        torch.testing.assert_close(adapter(None, outputs, None), 0.7310586 * outputs)


@laws
def test_off_equals_base_bit_for_bit_and_names_stay(backbone, spec, build, make_batch, shake):
    plain = build(backbone).backbone.eval()
    model = shake(build(backbone, spec)).eval()
    assert list(model.backbone.state_dict()) == list(plain.state_dict())
    plain.load_state_dict(model.backbone.state_dict())
    lengths = torch.tensor([20, 20]) if backbone == "resnet" else torch.tensor([9000, 4000])
    frames = torch.randn(2, 20, 64) if backbone == "resnet" else torch.randn(2, 9000) / 10
    model.select(None)
    assert torch.equal(model.backbone(frames, lengths)[0], plain(frames, lengths)[0])
    model.select("emodb")
    adapted = model.backbone(frames, lengths)[0]
    assert adapted.shape[2] == model.frame_dim("emodb")
    assert adapted.shape != plain(frames, lengths)[0].shape or not torch.equal(
        adapted, plain(frames, lengths)[0])
    detach(model.backbone)
    assert torch.equal(model.backbone(frames, lengths)[0], plain(frames, lengths)[0])


@laws
def test_counts_are_closed_form_and_real(backbone, spec, build):
    model = build(backbone, spec)
    plain = build(backbone).backbone
    stored = learnt = 0
    for item in model.settings.adapters:
        cls = ADAPTERS[item["name"]]
        config = cls.Config(**{key: value for key, value in item.items() if key != "name"})
        for role, _, module in place(cls, config, plain, item["name"]):
            count = cls.count(module, role, config)
            stored, learnt = stored + count[0], learnt + count[1]
    own = model.part("emodb").adapters
    assert sum(tensor.numel() for tensor in own.state_dict().values()) == stored > 0
    assert sum(parameter.numel() for parameter in own.parameters()) == learnt
    entry = budget(model)["corpora"]["emodb"]
    assert entry["adapters"] + entry["norms"] == stored


@pytest.mark.parametrize("backbone", list(BACKBONES))
def test_every_site_runs_once_in_a_pass(backbone, build):
    model = build(backbone).backbone.eval()
    calls = {}
    for names in model.sites().values():
        for name in names:
            calls[name] = 0
    for name in calls:
        model.get_submodule(name).register_forward_hook(
            lambda *_, name=name: calls.update({name: calls[name] + 1}))
    frames = torch.randn(2, 20, 64) if backbone == "resnet" else torch.randn(2, 9000) / 10
    model(frames, torch.tensor([frames.shape[1], frames.shape[1] // 2]))
    assert set(calls.values()) == {1}


@laws
def test_every_accepted_site_matters(backbone, spec, build, make_batch, shake):
    model = shake(build(backbone, spec)).eval()
    batch = make_batch(lengths=(9000, 9000))
    base = model(batch)
    for name, group in model.part("emodb").adapters.items():
        for key, adapter in group.items():
            if name == "bias" and key.endswith("k_proj"):
                continue  # the softmax over keys ignores it
            saved = {k: value.clone() for k, value in adapter.state_dict().items()}
            with torch.no_grad():
                for parameter in adapter.parameters():
                    parameter.add_(torch.randn_like(parameter))
            assert (model(batch) - base).abs().max() > 1e-6, (name, key)
            adapter.load_state_dict(saved)


@laws
def test_merged_equals_unmerged_or_is_refused(backbone, spec, build, make_batch, shake):
    model = shake(build(backbone, spec), 0.05).eval()
    names = set(names_of(backbone, spec))
    if not names <= MERGEABLE or ("ffn" in spec and backbone != "byols"):
        with pytest.raises(ConfigError, match="cannot be merged into the backbone"):
            merge(model, "emodb")
        return
    batch = make_batch(lengths=(5123, 2500))
    expected = model(batch)
    merged = merge(model, "emodb")
    assert merged.settings.adapters == []
    scale = max(1, float(expected.detach().abs().max()))
    assert (merged(batch) - expected).abs().max() <= 2e-5 * scale
    assert torch.equal(model(batch), expected)


def two_steps(model, make_batch, corpus, rate):
    """Train two steps by plain descent on one corpus."""
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    model.train()
    for _ in range(2):
        optimizer.zero_grad(set_to_none=True)
        model(make_batch(corpus)).square().sum().backward()
        optimizer.step()


@laws
def test_training_b_leaves_a_bit_identical(backbone, spec, build, make_batch, shake):
    model = shake(build(backbone, spec))
    apply_mode(model, "adapters", "tess")
    batch = make_batch("emodb")
    before = model.eval()(batch)
    state = {key: value.clone() for key, value in model.state_dict().items()}
    two_steps(model, make_batch, "tess", 0.1)
    assert torch.equal(model.eval()(batch), before)
    changed = {key for key, value in model.state_dict().items()
               if not torch.equal(value, state[key])}
    assert changed and all(key.startswith("private.corpus_tess") for key in changed)


@laws
def test_all_parts_of_an_adapter_learn_by_the_second_step(backbone, spec, build, make_batch):
    model = build(backbone, spec)
    apply_mode(model, "adapters", "emodb")
    two_steps(model, make_batch, "emodb", 0.01)
    for name, parameter in model.named_parameters():
        if not name.startswith("private.corpus_emodb."):
            assert parameter.grad is None, name
        elif not (".bias." in name and "k_proj" in name):  # the softmax over keys ignores it
            assert parameter.grad is not None and parameter.grad.abs().max() > 0, name


@laws
def test_saved_with_its_head_it_scores_the_same(backbone, spec, build, make_batch, shake,
                                                tmp_path):
    model = shake(build(backbone, spec)).eval()
    batch = make_batch()
    expected = model(batch)
    path = checkpoint.save(tmp_path / "whole.safetensors", model, {})
    assert torch.equal(checkpoint.load(path)[0](batch), expected)
    alone = checkpoint.save_corpus(tmp_path / "one.safetensors", model, "emodb", {})
    other = shake(build(backbone, spec)).eval()
    with pytest.raises(CheckpointError, match="another backbone"):
        checkpoint.load_corpus(alone, other)
    other.load_checkpoint_state({
        key: value for key, value in model.state_for_checkpoint().items()
        if not key.startswith("private.corpus_emodb")} | {
        key: value for key, value in other.state_for_checkpoint().items()
        if key.startswith("private.corpus_emodb")})
    assert not torch.equal(other(batch), expected)
    checkpoint.load_corpus(alone, other)
    assert torch.equal(other(batch), expected)


@laws
def test_logits_alone_equal_logits_in_any_batch(backbone, spec, build, make_batch, shake):
    model = shake(build(backbone, spec), 0.05).eval()
    batch = make_batch(lengths=(9000, 5123, 2000, 300, 1))
    together = model(batch)
    for row, length in enumerate(batch.lengths):
        alone = Batch(batch.inputs[row:row + 1, :length], batch.lengths[row:row + 1], "emodb")
        assert (model(alone)[0] - together[row]).abs().max() <= 1e-4 * max(1, together.abs().max())


@laws
def test_mixed_precision_gives_about_the_same(backbone, spec, build, make_batch, shake):
    model = shake(build(backbone, spec), 0.05)
    apply_mode(model, "adapters", "emodb")
    model.eval()
    batch = make_batch(lengths=(5123, 2500))
    expected = model(batch)
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(batch)
    logits.float().square().sum().backward()
    expected = expected.detach()
    assert (logits - expected).abs().max() <= 0.1 * max(1.0, float(expected.abs().max()))
    for name, parameter in model.part("emodb").adapters.named_parameters():
        assert parameter.grad is not None and bool(parameter.grad.isfinite().all()), name


@pytest.mark.parametrize("spec", ["all at once", "dora", "bias", "layer_mix"])
@pytest.mark.parametrize("backbone", list(ARCHITECTURES))
def test_layers_computed_again_give_the_same_gradients(backbone, spec, build, make_batch, shake,
                                                       monkeypatch):
    model = shake(build(backbone, spec), 0.05)
    apply_mode(model, "adapters", "emodb")
    model.eval()
    batch, found = make_batch(lengths=(5123, 2500)), []
    for again in (False, True):
        monkeypatch.setattr(model.backbone, "config", dataclasses.replace(
            model.backbone.config, gradient_checkpointing=again))
        model.zero_grad()
        model(batch).square().sum().backward()
        found.append([parameter.grad.clone() for parameter in
                      model.part("emodb").adapters.parameters()])
    for one, other in zip(*found):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("backbone, spec, moves", [
    ("byols", "residual ffn full", True), ("byols", "residual full", True),
    ("resnet", "residual full", True), ("resnet", "residual series", False),
    ("whisper", "residual ffn full", False), ("whisper", "lora", False)])
def test_recentring_changes_no_score(backbone, spec, moves, build, make_batch, shake):
    model = shake(build(backbone, spec), 0.05).eval()
    batches = [make_batch(corpus) for corpus in ("emodb", "tess")]
    before = [model(batch) for batch in batches]
    trunk = {key: value.clone() for key, value in model.backbone.state_dict().items()}
    model.recentre()
    for batch, expected in zip(batches, before):
        torch.testing.assert_close(model(batch), expected, atol=1e-4, rtol=1e-4)
    assert moves != all(torch.equal(value, trunk[key])
                        for key, value in model.backbone.state_dict().items())


def test_private_norms_start_from_loaded_weights(build, shake, tmp_path, make_model):
    from safetensors.torch import save_file

    from emokit.models.settings import ModelSettings
    from emokit.training.start import make_model as make

    class Source:
        head, head_labels, head_dimensions = "emodb", ("a", "b"), ()

    trained = shake(build("byols")).backbone
    state = {key: value.transpose(2, 3).contiguous() if value.dim() == 4 else value
             for key, value in trained.state_dict().items()}
    save_file(state, tmp_path / "weights.safetensors")
    settings = ModelSettings(backbone={**BACKBONES["byols"], "path": str(tmp_path)},
                             adapters=["norm"], normalisation="none")
    model, _ = make(settings, [Source()], 0)
    for site in model.backbone.sites()["norm"]:
        own = model.part("emodb").norms_at(site).own
        for key, value in trained.get_submodule(site).state_dict().items():
            assert torch.equal(own.state_dict()[key], value)
