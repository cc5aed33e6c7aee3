"""Folders of the transformers library: what is read, what is refused, and in which words."""

import json
import sys

import pytest
import torch
from safetensors.torch import save_file

from emokit.core.config import from_mapping, to_mapping
from emokit.core.errors import CheckpointError, ConfigError
from emokit.models.backbones.hf import HuggingFace, HuggingFaceConfig
from emokit.testing import TINY_TRANSFORMERS

BATCH = torch.linspace(-1, 1, 1800).sin().view(2, 900), torch.tensor([900, 500])


@pytest.fixture
def folder(tmp_path):
    """A folder as the library saves it: config.json of a tiny HuBERT, preprocessor and weights."""
    architecture = dict(TINY_TRANSFORMERS["hubert"])
    del architecture["do_normalize"]
    (tmp_path / "config.json").write_text(json.dumps(
        {**architecture, "architectures": ["HubertForCTC"], "vocab_size": 32, "layerdrop": 0.1}))
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"do_normalize": True}))
    backbone = HuggingFace(HuggingFaceConfig(architecture=architecture))
    save_file({f"hubert.{key}": tensor.half() for key, tensor in backbone.state_dict().items()},
              tmp_path / "model.safetensors")
    return tmp_path


def started(path, **settings):
    backbone = HuggingFace(HuggingFaceConfig(path=str(path), **settings)).eval()
    backbone.load_start()
    return backbone


def edit(folder, name="config.json", **changes):
    facts = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps({**facts, **changes}))


def test_a_folder_gives_architecture_and_weights_in_float32(folder):
    backbone = started(folder)
    assert (backbone.name, backbone.shape.model_type, backbone.dim) == ("hf", "hubert", 24)
    assert backbone.shape.do_normalize and "vocab_size" not in backbone.config.architecture
    assert {tensor.dtype for tensor in backbone.state_dict().values()} == {torch.float32}
    assert torch.equal(backbone(*BATCH)[0], started(folder)(*BATCH)[0])
    unlike = HuggingFace(HuggingFaceConfig(path=str(folder))).eval()
    assert not torch.equal(backbone(*BATCH)[0], unlike(*BATCH)[0])


def test_settings_written_out_need_the_folder_no_more(folder):
    written = to_mapping(HuggingFaceConfig(path=str(folder)))
    (folder / "config.json").unlink()
    again = from_mapping(HuggingFaceConfig, written)
    assert to_mapping(again) == written and HuggingFace(again).dim == 24


@pytest.mark.parametrize("write", ["pytorch_model.bin", "shards"])
def test_weights_may_lie_as_pytorch_writes_them_or_in_parts(folder, write):
    expected = started(folder)(*BATCH)[0]
    from safetensors.torch import load_file

    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    if write == "shards":
        names = sorted(weights)
        parts = {"model-00001-of-00002.safetensors": names[::2],
                 "model-00002-of-00002.safetensors": names[1::2]}
        for part, some in parts.items():
            save_file({name: weights[name] for name in some}, folder / part)
        (folder / "model.safetensors.index.json").write_text(json.dumps(
            {"weight_map": {name: part for part, some in parts.items() for name in some}}))
    else:
        torch.save(weights, folder / write)
    assert torch.equal(started(folder)(*BATCH)[0], expected)
    if write == "shards":
        (folder / "model-00002-of-00002.safetensors").unlink()
        with pytest.raises(CheckpointError, match="lacks parts of its weights"):
            started(folder)


def test_the_waveform_is_normalised_as_the_folder_or_the_settings_say(folder):
    loud = BATCH[0] * 3, BATCH[1]
    same, plain = started(folder), started(folder, normalise=False)
    torch.testing.assert_close(same(*BATCH)[0], same(*loud)[0], atol=1e-4, rtol=1e-4)
    assert (plain(*BATCH)[0] - plain(*loud)[0]).abs().max() > 1e-3
    edit(folder, "preprocessor_config.json", do_normalize=False)
    assert torch.equal(started(folder)(*BATCH)[0], plain(*BATCH)[0])


def refused(path, words, kind=ConfigError, **settings):
    with pytest.raises(kind, match=words):
        started(path, **settings)


def test_a_folder_without_what_is_needed_is_refused_in_words(folder):
    (folder / "model.safetensors").unlink()
    refused(folder, "has no weights, neither model.safetensors nor pytorch_model.bin. Fetch",
            CheckpointError)
    (folder / "config.json").unlink()
    refused(folder, "has no config.json, which says what the weights are of. Name the folder")
    refused(folder / "nowhere", "There is no folder '.*nowhere'. Give hf:FOLDER")
    refused("./nowhere", "There is no folder './nowhere'")


@pytest.mark.parametrize("name, content", [
    ("model.safetensors.index.json", []), ("model.safetensors.index.json", {"metadata": {}}),
    ("model.safetensors.index.json", {"weight_map": {"a": 3}}), ("preprocessor_config.json", [])])
def test_a_file_of_the_library_that_holds_something_else_is_refused_in_words(
        folder, name, content):
    if name.startswith("model"):
        (folder / "model.safetensors").unlink()
    (folder / name).write_text(json.dumps(content))
    refused(folder, f"{name}' is not as the transformers library writes it. Fetch it again",
            CheckpointError)


@pytest.mark.parametrize("changes, words", [
    ({"num_conv_pos_embedding_groups": 7}, "has 7 groups of .* which do not divide 24. Mend"),
    ({"conv_kernel": [0, 3]}, "has a convolution of size 0. Mend config.json"),
    ({"conv_stride": [2, -1]}, "has a convolution of size 0. Mend config.json")])
def test_an_architecture_that_cannot_be_is_refused_in_words(folder, changes, words):
    edit(folder, "config.json", **changes)
    refused(folder, words)


@pytest.mark.parametrize("changes, words", [
    ({"model_type": "bert"}, "a model of architecture 'bert', which emokit cannot .* wav2vec2"),
    ({"model_type": "wav2vec"}, "Did you mean 'wav2vec2'?"),
    ({"model_type": None}, "architecture 'None'"),
    ({"add_adapter": True}, "its own adapter behind the layers .*'add_adapter'.*Choose the model"),
    ({"adapter_attn_dim": 16}, "its own adapters in the layers"),
    ({"conv_pos_batch_norm": True}, "a batch norm before its positions"),
    ({"hidden_act": "snake"}, "Unknown activation 'snake'.*gelu"),
    ({"feat_extract_norm": "batch"}, "'feat_extract_norm' is 'batch'"),
    ({"num_attention_heads": 5}, "24 numbers a frame cannot have 5 attention heads"),
    ({"conv_dim": [12]}, "different lengths"),
    ({"hidden_size": "wide"}, "'hidden_size' is 'wide'; expected a whole number")])
def test_architectures_that_emokit_does_not_have_are_refused(folder, changes, words):
    edit(folder, **changes)
    refused(folder, words)


def test_weights_of_another_size_are_refused(folder):
    edit(folder, intermediate_size=44)
    refused(folder, "differ in shape .*intermediate_dense", CheckpointError)
    edit(folder, model_type="wavlm")
    refused(folder, "an encoder 'wavlm': they lack", CheckpointError)


def test_settings_without_a_meaning_are_refused(folder):
    refused(folder, "'padded' means nothing for a 'hubert'. Leave it out", padded=True)
    refused(folder, "'layer' is 'first'; expected last, mean or a number", layer="first")
    with pytest.raises(ConfigError, match="neither 'path' nor 'architecture' .*hf:PATH_OR_ID"):
        HuggingFace(HuggingFaceConfig())
    with pytest.raises(ConfigError, match="'normalise' means nothing for a 'whisper'"):
        HuggingFaceConfig(architecture=TINY_TRANSFORMERS["whisper"], normalise=True)
    with pytest.raises(ConfigError, match="unknown setting 'hidden_sizes'.*'hidden_size'"):
        HuggingFaceConfig(architecture={"model_type": "wavlm", "hidden_sizes": 3})


def test_the_hub_needs_its_library_and_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    refused("microsoft/wavlm-base", r"pip install 'emokit\[ssl\]'. Or name a folder")


def test_a_model_of_the_hub_that_cannot_be_had_is_told_in_words(monkeypatch, tmp_path):
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    refused("microsoft/wavlm-base", "not been fetched before, and the hub cannot be reached. Give")
    refused("a/b/c", "no folder here and cannot be fetched from the hub")


def test_what_the_hub_left_on_this_machine_is_used_offline(folder, monkeypatch, tmp_path):
    constants = pytest.importorskip("huggingface_hub.constants")
    cache = tmp_path / "cache"
    snapshot = cache / "models--some--hubert" / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text("0" * 40)
    for name in ("config.json", "preprocessor_config.json", "model.safetensors"):
        (snapshot / name).write_bytes((folder / name).read_bytes())
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    import huggingface_hub

    fetch = huggingface_hub.hf_hub_download
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda *args, **more:
                        fetch(*args, cache_dir=cache, **more))
    assert torch.equal(started("some/hubert")(*BATCH)[0], started(folder)(*BATCH)[0])
