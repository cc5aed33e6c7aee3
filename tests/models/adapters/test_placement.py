"""Which adapters sit where, as `train --print-parameters` tells it."""

import json

import pytest

from emokit.core.config import parse_spec
from emokit.models.budget import budget
from emokit.models.placement import placement
from emokit.training.config import TrainConfig
from emokit.training.parameters import parameter_table

WHISPER = {"name": "hf", "architecture": {
    "model_type": "whisper", "d_model": 12, "encoder_layers": 3, "num_mel_bins": 8,
    "encoder_attention_heads": 2, "encoder_ffn_dim": 20, "max_source_positions": 40}}
SPEC = parse_spec("lora(rank=2,layers=last2)+bias(corpora=tess)+gate(shared=true)")


def test_rows_name_role_sites_and_numbers(make_model):
    model = make_model(backbone=WHISPER, normalisation="none", adapters=SPEC)
    rows = {(row["role"], row.get("adapter")): row for row in placement(model)}
    assert rows["query", "lora"]["sites"] == 2 and rows["query", "lora"]["of"] == 3
    assert rows["query", "lora"]["stored"] == 2 * 2 * (12 + 12)
    assert rows["query", "lora"]["corpora"] == 2 and rows["query", "bias"]["corpora"] == 1
    assert rows["conv", "bias"]["stored"] == 24 and rows["other", "bias"]["stored"] == 12
    assert ("key", "bias") not in rows and rows["key", None]["of"] == 3  # keys have no bias there
    assert rows["block", "gate"]["shared"] and rows["block", "gate"]["stored"] == 36
    size = sum(tensor.numel() for tensor in model.backbone.state_dict().values())
    assert rows["block", "gate"]["share"] == 36 / size
    found = budget(model)
    assert found["parts"]["adapters"] == sum(
        row["stored"] * (1 if row["shared"] else row["corpora"])
        for row in rows.values() if "adapter" in row)


@pytest.mark.parametrize("format", ["table", "latex", "markdown"])
def test_people_get_two_tables(format):
    config = TrainConfig(backbone=WHISPER, adapters=SPEC, normalisation="none")
    text = parameter_table(config, {"emodb": "abc", "tess": "ab"}, format)
    assert "whole model" in text and "all together" in text and "together" in text


def test_programs_get_rows_of_one(make_model):
    config = TrainConfig(backbone=WHISPER, adapters=SPEC, normalisation="none")
    rows = {row["what"]: row for row in json.loads(
        parameter_table(config, {"emodb": "abc", "tess": "ab"}, "json"))}
    assert rows["lora at value"]["stored"] == 96 and rows["sites ffn"]["of"] == 3
    assert rows["one of each adapter"]["stored"] == (
        rows["tess"]["adapters"] + rows["gate at block"]["stored"])
    config = TrainConfig(backbone=WHISPER, normalisation="none")
    assert "one of each adapter" not in parameter_table(config, {"emodb": "abc"}, "json")
