"""Counts of adapters on published architectures, against closed forms and the literature."""

import functools

import pytest
import torch

from emokit.core.config import parse_spec
from emokit.models.adapters import ADAPTERS
from emokit.models.adapters.base import place
from emokit.models.backbones import BACKBONES
from emokit.models.budget import budget
from emokit.models.model import EmotionModel
from emokit.models.settings import ModelSettings

LARGE = {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16,
         "intermediate_size": 4096, "do_stable_layer_norm": True, "feat_extract_norm": "layer"}
SHAPES = {
    "base": {"model_type": "wav2vec2"},
    "large": {"model_type": "wav2vec2", "conv_bias": True, **LARGE},
    "wavlm base": {"model_type": "wavlm"},
    "wavlm large": {"model_type": "wavlm", **LARGE},
}


@functools.lru_cache(maxsize=None)
def backbone_of(shape):
    cls = BACKBONES["hf"]
    with torch.device("meta"):
        return cls(cls.Config(architecture=SHAPES[shape]))


def count(shape, item):
    cls = ADAPTERS[item["name"]]
    config = cls.Config(**{key: value for key, value in item.items() if key != "name"})
    return sum(cls.count(module, role, config)[0]
               for role, _, module in place(cls, config, backbone_of(shape), item["name"])
               if role != "norm" or item["name"] != "residual")


ALL_LAYERS = "query|key|value|attention_output|ffn_in|ffn_out"


@pytest.mark.parametrize("spec, base, large", [
    ("bottleneck(width=64)", 1_189_632, 3_171_840),
    ("bottleneck(width=128)", 2_370_048, 6_319_104),
    ("bottleneck(width=64,where=attention|ffn)", 2_379_264, 6_343_680),
    ("lora(rank=8)", 294_912, 786_432),
    ("lora(rank=8,where=query|key|value)", 442_368, 1_179_648),
    ("lora(rank=8,where=query|key|value|attention_output)", 589_824, 1_572_864),
    ("lora(rank=8,where=all)", 1_327_104, 3_538_944),
    ("lora(rank=16,where=ffn_in|ffn_out)", 1_474_560, 3_932_160),
    ("dora(rank=8)", 313_344, 835_584),
    (f"dora(rank=8,where={ALL_LAYERS})", 1_410_048, 3_760_128),
    ("ia3", 55_296, 147_456),
    (f"bias(where={ALL_LAYERS}|norm)", 101_376, 270_336),
    ("bias", 104_704, 281_088),
    ("norm", 36_864, 98_304),
    ("gate", 9_216, 24_576),
    ("weighted_sum", 13, 25),
    ("prompt(tokens=5)", 46_080, 122_880),
    ("prefix(tokens=30)", 552_960, 1_474_560),
    ("residual(rank=full,where=ffn)", 7_077_888, 25_165_824),
    ("layer_mix(width=512)", 4_737_024 + 12, 12_619_776 + 24),
    ("bottleneck+lora(where=all)+weighted_sum+gate", 2_525_965, 6_735_385),
    ("bottleneck+lora+weighted_sum+gate", 1_493_773, 3_982_873),
    ("wap", 2_369_280 + 768 * 256 + 256 + 3, 2_631_683),
    ("wap(width=768,hidden=3072)", 21_263_616 + 3, 22_050_819),
    ("wap(width=1024,hidden=4096)", 37_788_672 + 768 * 1024 + 1024 + 3, 37_788_675),
    ("conv_lora(rank=8)", 40_960, 40_960),
])
def test_counts_equal_the_published_table(spec, base, large):
    for shape, expected in (("base", base), ("large", large)):
        assert sum(count(shape, item) for item in parse_spec(spec)) == expected


def test_wavlm_has_eight_more_biases_in_a_layer():
    assert count("wavlm base", {"name": "bias"}) == 104_800
    assert count("wavlm large", {"name": "bias"}) == 277_696


@pytest.mark.parametrize("shape, stored, share", [("base", 94_371_712, .0158),
                                                  ("large", 315_438_720, .0126)])
def test_the_combination_is_what_a_model_gets(shape, stored, share):
    spec = parse_spec("bottleneck+lora+weighted_sum+gate")
    with torch.device("meta"):
        model = EmotionModel(
            ModelSettings(backbone={"name": "hf", "architecture": SHAPES[shape]},
                          normalisation="none", adapters=spec), {"emodb": "abcd", "tess": "abcd"})
    found = budget(model)
    adapters = found["corpora"]["tess"]["adapters"]
    assert adapters == sum(count(shape, item) for item in spec)
    assert adapters / stored == pytest.approx(share, abs=5e-5)
    assert found["parts"]["adapters"] == 2 * adapters
    trunk = sum(parameter.numel() for parameter in model.backbone.parameters())
    assert found["parts"]["backbone"] + found["parts"]["norms"] == trunk == stored
