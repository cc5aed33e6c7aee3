"""`emokit baseline` as people call it, with every feature set and with wrong input."""

import importlib.util
import json
import shutil

import pytest

from emokit.baselines import BASELINES
from emokit.corpora.store import open_corpus


@pytest.fixture(scope="module")
def own(emoset, tmp_path_factory):
    """Give a copy of a built corpus, in which features may be kept."""
    folder = tmp_path_factory.mktemp("baseline")
    shutil.copytree(emoset / "emodb", folder / "emoset" / "emodb",
                    ignore=shutil.ignore_patterns("features"))
    return folder


@pytest.fixture(scope="module")
def weights(own):
    """Save a tiny BYOL-S in a folder of its own."""
    import torch

    from emokit.models.backbones.byols import Byols, ByolsConfig

    (own / "encoder").mkdir()
    torch.save(Byols(ByolsConfig(width=3, bands=16, size=6)).state_dict(),
               own / "encoder" / "tiny.pth")
    return own / "encoder"


@pytest.fixture(scope="module")
def transformer(own):
    """Save a tiny wav2vec 2.0 as the transformers library does."""
    from safetensors.torch import save_file

    from emokit.models.backbones.hf import HuggingFace, HuggingFaceConfig
    from emokit.testing import TINY_TRANSFORMERS

    folder, architecture = own / "transformer", TINY_TRANSFORMERS["wav2vec2"]
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(architecture))
    save_file(HuggingFace(HuggingFaceConfig(architecture=architecture)).state_dict(),
              folder / "model.safetensors")
    return folder


@pytest.mark.parametrize("name", list(BASELINES))
def test_every_feature_set_is_fitted_and_evaluated(cli, own, weights, transformer, name):
    if name == "egemaps" and importlib.util.find_spec("opensmile") is None:
        pytest.skip("the extra 'opensmile' is not installed")
    place = ["--emoset", own / "emoset", "--runs", own / "runs"]
    paths = {"embedding": f":{weights}", "states": f":hf:{transformer}"}
    result = cli("baseline", name + paths.get(name, ""), *place, "--refit-on", "train+dev",
                 "--jobs", 1, "--format", "json")
    assert result.exit_code == 0, result.stderr
    row, = json.loads(result.stdout)
    assert row["cell"] == "emodb-s0" and 0 <= row["dev_uar"] <= 1
    assert row["partition"] == "auto"
    assert row["fitted_on"] == "train+dev"
    assert row["classifier"] == ("logistic" if name in paths else "svm")
    assert row["missing"] <= len(open_corpus(own / "emoset" / "emodb").manifest)
    assert ("not for commercial use" in result.stderr) == (name == "egemaps")
    assert f"Next: emokit evaluate baseline-{name}-" in result.stderr
    result = cli("evaluate", f"baseline-{name}", *place, "--reports", own / "reports",
                 "--format", "csv")
    assert result.exit_code == 0 and "emodb" in result.stdout, result.stderr


def test_the_path_of_an_embedding_is_asked_for_and_refused_elsewhere(refused):
    assert "needs the encoder's file: embedding:PATH" in refused("baseline", "embedding", code=2)
    assert "needs a pretrained speech transformer: states:PATH" in refused(
        "baseline", "states", code=2)
    assert "'logmel' takes no file; it is 'x.pth'" in refused("baseline", "logmel:x.pth", code=2)
    assert "'embeding' is not" in refused("baseline", "embeding:x.pth", code=2)
    assert "'trees' is not" in refused("baseline", "logmel", "--classifier", "trees", code=2)
    assert "'test' is not" in refused("baseline", "logmel", "--refit-on", "test", code=2)


def test_what_is_no_encoder_is_refused_in_one_line_and_writes_nothing(refused, own, tmp_path):
    import torch

    place = ["--emoset", own / "emoset", "--runs", tmp_path / "runs"]
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.pth").write_bytes(b"not weights")
    torch.save({"a": torch.zeros(2)}, tmp_path / "other.pth")
    for name, message in {"none.pth": "There is no file or folder", "empty": "holds 0 files",
                          "broken.pth": "cannot be read as named tensors",
                          "other.pth": "no encoder that emokit knows"}.items():
        assert message in refused("baseline", f"embedding:{tmp_path / name}", *place)
    line = refused("baseline", "logmel", "--jobs", 0, *place)
    assert "'jobs' is 0; it must be at least 1" in line
    assert not (tmp_path / "runs").exists()
