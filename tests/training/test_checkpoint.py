"""A checkpoint alone rebuilds the model; anything else is refused."""

import json

import numpy as np
import pytest
import torch

from emokit.core.errors import CheckpointError
from emokit.loading.dataset import collate
from emokit.models.model import EmotionModel
from emokit.models.settings import ModelSettings
from emokit.training import checkpoint

NAMES = ("core", "mask", "add", "seq", "head", "adapters")
SETTINGS = ModelSettings(
    frontend={"name": "logmel", "bands": 16},
    backbone={"name": "resnet", "width": 4, "blocks": 1}, adapters=[{"name": "residual"}])


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    model = EmotionModel(SETTINGS, {name: ("x", "y", f"z_{name}") for name in NAMES})
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return model.eval()


@pytest.fixture
def path(model, tmp_path):
    return checkpoint.save(tmp_path / "model.safetensors", model, {"seed": 0})


@pytest.fixture
def batch_of(rng):
    waveforms = [rng.uniform(-0.2, 0.2, n).astype(np.float32) for n in (3000, 5000)]

    def make(corpus):
        return collate(waveforms, corpus)

    return make


@pytest.mark.parametrize("name", NAMES)
def test_corpus_named_core_mask_add_survives_save_and_load(model, path, batch_of, name):
    again, found = checkpoint.load(path)
    assert set(again.labels) == set(NAMES) and again.labels[name] == ("x", "y", f"z_{name}")
    with torch.inference_mode():
        assert torch.equal(again(batch_of(name)), model(batch_of(name)))


def test_second_model_in_process_loads_the_same(path, batch_of):
    (one, _), (two, _) = checkpoint.load(path), checkpoint.load(path)
    states = one.state_dict(), two.state_dict()
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


def test_checkpoint_alone_rebuilds_the_model(path):
    found = checkpoint.inspect(path)
    assert found.settings.adapters == [{"name": "residual"}] and found.facts == {"seed": 0}
    model, _ = checkpoint.load(path)
    assert not model.training and model.settings == found.settings


def rewrite(path, change):
    """Change tensors and metadata of a file, and write it again."""
    from safetensors import safe_open
    from safetensors.torch import save_file

    with safe_open(path, "pt") as file:
        meta = json.loads(file.metadata()["emokit"])
        tensors = {key: file.get_tensor(key) for key in file.keys()}
    change(tensors, meta)
    save_file(tensors, path, {"emokit": json.dumps(meta)})


def drop(tensors, meta):
    del tensors[sorted(tensors)[0]]


def add(tensors, meta):
    tensors["backbone.more"] = torch.zeros(2)


def reshape(tensors, meta):
    tensors[sorted(tensors)[-1]] = torch.zeros(1, 2, 3)


@pytest.mark.parametrize("change, message", [
    (drop, "lacks"), (add, "has too many backbone.more"), (reshape, "differ in shape")])
def test_missing_or_extra_tensor_is_an_error(path, change, message):
    rewrite(path, change)
    with pytest.raises(CheckpointError, match=message):
        checkpoint.load(path)


def test_foreign_settings_and_kinds_are_errors(model, path, tmp_path):
    part = checkpoint.save_corpus(tmp_path / "part.safetensors", model, "mask", {})
    with pytest.raises(CheckpointError, match="only the part of corpus 'mask'"):
        checkpoint.load(part)
    with pytest.raises(CheckpointError, match="holds a whole model with "):
        checkpoint.load_corpus(path, model)
    rewrite(part, lambda tensors, meta: meta["labels"].update(mask=["a", "b", "c"]))
    with pytest.raises(CheckpointError, match="answers a, b, c, the model's 'mask' x, y"):
        checkpoint.load_corpus(part, model)


def test_any_cut_off_file_is_refused(path):
    data = path.read_bytes()
    for size in (0, 1, 7, 8, 100, 5000, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:size])
        with pytest.raises(CheckpointError, match="truncated"):
            checkpoint.load(path)


@pytest.mark.parametrize("data", [
    b"\x02\0\0\0\0\0\0\0[]", b"\x04\0\0\0\0\0\0\0null", b"\x02\0\0\0\0\0\0\0{}",
    b"\x0a\0\0\0\0\0\0\0{\"a\": {}}\x20", b"\x03\0\0\0\0\0\0\0\xff\xfe\xfd",
    b"not weights at all, but long enough to look like some file"])
def test_foreign_bytes_are_refused_in_words(tmp_path, data):
    path = tmp_path / "foreign.safetensors"
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match="foreign.safetensors"):
        checkpoint.load(path)


def test_an_epoch_writes_at_most_best_and_last(joint):
    weights = sorted(path.name for path in (joint.folder / "joint-s0").glob("*.safetensors"))
    assert weights == ["best.safetensors", "last.safetensors"]
    assert not list(joint.folder.rglob("*.pt")) and not list(joint.folder.rglob("*.tmp*"))


def test_checkpoints_are_found_by_group_cell_or_path(joint, runs):
    best = joint.folder / "joint-s0" / "best.safetensors"
    for name in (joint.name, joint.name[:-3], f"{joint.name}/joint-s0", str(joint.folder),
                 str(joint.folder / "joint-s0"), str(best), f"{joint.name}/"):
        assert checkpoint.find(runs, name).resolve() == best.resolve()
    assert checkpoint.find(runs, joint.name, "last").name == "last.safetensors"
    for name in ("", "/", "nothing", "nothing/joint-s0", f"{joint.name}/emodb-s9"):
        with pytest.raises(CheckpointError):
            checkpoint.find(runs, name)
