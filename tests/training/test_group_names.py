"""Names of groups: what came later leaves older names alone; other weights, another name."""

import json
import shutil

import pytest
import torch
from safetensors.torch import save_file

from emokit.models.backbones.byols import Byols, ByolsConfig
from emokit.models.backbones.hf import HuggingFace, HuggingFaceConfig
from emokit.testing import TINY_TRANSFORMERS
from emokit.training.config import group_signature
from emokit.training.settings import resolve
from emokit.training.start import weights_identity
from emokit.training.train import effective


def signature_of(flags, corpora, folded=False):
    config = effective(resolve(flags)[0])
    return group_signature(config, corpora, None, folded, weights_identity(config.backbone))


# names that groups had before adapters could be shared, from folders on disk
@pytest.mark.parametrize("flags, corpora, name", [
    ({"adapters": "residual", "epochs": 2}, ["emodb", "nemo"], "d9cfd3fb"),
    ({"regime": "single"}, ["emodb"], "f62a2b75")])
def test_groups_of_earlier_versions_keep_their_names(flags, corpora, name):
    assert signature_of(flags, corpora) == name


def test_shared_adapters_make_another_group_and_the_settings_stay_as_they_are():
    config = effective(resolve({"adapters": "residual(shared=true)"})[0])
    own = effective(resolve({"adapters": "residual"})[0])
    assert group_signature(config, ["a"], None, False) != group_signature(own, ["a"], None, False)
    assert own.adapters[0]["shared"] is False and config.adapters[0]["shared"] is True


def write_hf(path, seed, parts=1):
    """Write a tiny wav2vec 2.0 as the transformers library does, in one file or several."""
    path.mkdir()
    torch.manual_seed(seed)
    backbone = HuggingFace(HuggingFaceConfig(architecture=TINY_TRANSFORMERS["wav2vec2"]))
    (path / "config.json").write_text(json.dumps(TINY_TRANSFORMERS["wav2vec2"]))
    state = backbone.state_dict()
    if parts == 1:
        save_file(state, path / "model.safetensors")
        return path
    names = {name: f"model-{number % parts}.safetensors" for number, name in enumerate(state)}
    (path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))
    for part in sorted(set(names.values())):
        save_file({name: state[name] for name in state if names[name] == part}, path / part)
    return path


@pytest.mark.parametrize("parts", [1, 2])
def test_other_weights_in_the_same_folder_give_another_group(tmp_path, parts):
    path = write_hf(tmp_path / "encoder", 0, parts)
    flags = {"backbone": f"hf:{path}"}
    first = signature_of(flags, ["a"])
    # the same weights elsewhere, with more beside them that nobody reads
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(path, elsewhere)
    (elsewhere / "README.md").write_text("An encoder.")
    assert signature_of({"backbone": f"hf:{elsewhere}"}, ["a"]) == first
    shutil.rmtree(path)
    write_hf(path, 1, parts)
    assert signature_of(flags, ["a"]) != first


def test_other_weights_in_the_same_file_give_another_group(tmp_path):
    path, names = tmp_path / "byols.pth", []
    for seed in (0, 1, 0):
        torch.manual_seed(seed)
        backbone = Byols(ByolsConfig(width=4, size=8, bands=8))
        torch.save(backbone.state_dict(), path)
        names.append(signature_of({"backbone": f"byols:{path}"}, ["a"]))
    assert names[0] == names[2] != names[1]
    folder = tmp_path / "folder"
    folder.mkdir()
    shutil.copy(path, folder / "other_name.pth")
    assert signature_of({"backbone": f"byols:{folder}"}, ["a"]) == names[0]


def test_names_of_a_hub_and_random_weights_stand_for_themselves():
    assert weights_identity({"name": "hf", "path": "owner/encoder",
                             "architecture": TINY_TRANSFORMERS["wav2vec2"]}) is None
    assert weights_identity({"name": "byols", "path": None}) is None
    assert weights_identity({"name": "resnet", "width": 8}) is None
