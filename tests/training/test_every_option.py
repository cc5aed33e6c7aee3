"""Every setting does something: it makes another group, and other weights or other scores."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from emokit.core.config import cosmetic_fields, field_choices
from emokit.models.settings import ModelSettings
from emokit.training import checkpoint
from emokit.training.config import TrainConfig
from emokit.training.settings import resolve

SINGLE = {"regime": "single", "corpora": ["emodb"]}
COPIED = {**SINGLE, "init": "OTHER", "mode": "finetune", "target": "canonical4"}
SGD = {**SINGLE, "optimizer": "sgd", "learning_rate": 0.05}
LONG = {**SINGLE, "epochs": 4}
PLATEAU = {**SINGLE, "epochs": 6, "schedule": "plateau", "plateau_epochs": 1, "plateau_rise": 0.9,
           "plateau_stages": 3}
RATED = {"regime": "single", "corpora": ["rated"], "target": "dimensions"}
ORDINAL = {**SINGLE, "loss": "ordinal", "ordinal_order": ["sadness", "neutral", "anger"]}

# field: (what must be set besides, its value, another value)
PROBES = {
    # the model
    "frontend": (SINGLE, "logmel(bands=16)", "logmel(bands=12)"),
    "backbone": (SINGLE, "resnet(width=4,blocks=1)", "resnet(width=5,blocks=1)"),
    "pooling": (SINGLE, "attention", "statistics"),
    "head": (SINGLE, "linear", "dense"),
    "adapters": ({}, "residual", "residual(rank=full)"),
    "normalisation": (SINGLE, "corpus", "none"),
    "shared_pooling": ({}, True, False),
    # what is fitted
    "regime": ({"corpora": ["emodb"]}, "joint", "single"),
    "mode": ({**SINGLE, "init": "BASE"}, "finetune", "head"),
    "init": (SINGLE, None, "BASE"),
    "copy_from": (COPIED, "ravdess", None),
    "new_head": ({**SINGLE, "init": "BASE", "mode": "head"}, False, True),
    "freeze": ({**SINGLE, "init": "BASE", "mode": "adapters", "adapters": "residual"}, [],
               ["residual.up"]),
    "target": (SINGLE, "emotion", "arousal"),
    # data
    "window": (SINGLE, 3.0, 0.2),
    "scoring": ({**SINGLE, "window": 0.2}, "multi", "center"),
    "augment": (SINGLE, "none", "noise(probability=1)"),
    "mixup": (SINGLE, 0.0, 1.0),
    "mixed_batches": ({"regime": "pooled", "target": "arousal"}, False, True),
    "sampler": ({"epochs": 2}, "round_robin", "proportional"),
    "temperature": ({"epochs": 2}, 0.0, 1.0),
    "corpora_per_step": ({}, 1, 2),
    "batch_size": (SINGLE, 8, 4),
    "bucket": (SINGLE, 1, 2),
    # one class against three, since the emotions themselves are balanced
    "balance": ({"regime": "single", "corpora": ["ravdess"], "target": "arousal"}, "none",
                "weights"),
    # the objective
    "loss": (SINGLE, "crossentropy", "focal"),
    "focal_gamma": ({**SINGLE, "loss": "focal"}, 2.0, 1.0),
    "ordinal_order": (ORDINAL, ["sadness", "neutral", "anger"], ["neutral", "sadness", "anger"]),
    "dimensions_loss": (RATED, "ccc", "rmse"),
    "dimensions_weight": ({**RATED, "target": "emotion+dimensions"}, 1.0, 3.0),
    "label_smoothing": (SINGLE, 0.1, 0.0),
    # optimisation
    "optimizer": (SINGLE, "adamw", "rmsprop"),
    "learning_rate": (SINGLE, 0.003, 0.001),
    "finetune_rate": ({**SINGLE, "mode": "finetune", "init": "BASE"}, 0.1, 1.0),
    "rates": (SINGLE, {}, {"head": 0.1}),
    "momentum": (SGD, 0.9, 0.0),
    "weight_decay": (SINGLE, 0.01, 0.5),
    "adapter_weight_decay": ({"adapters": "residual", "optimizer": "sgd"}, None, 0.5),
    "clip_norm": (SGD, None, 0.01),
    "schedule": ({**SINGLE, "epochs": 2}, "cosine", "constant"),
    "warmup": (SINGLE, 0.0, 0.9),
    "plateau_epochs": (PLATEAU, 1, 2),
    "plateau_stages": (PLATEAU, 3, 2),
    "plateau_rise": (PLATEAU, 0.9, 0.0),
    "epochs": (SINGLE, 1, 2),
    "patience": ({**LONG, "learning_rate": 1e-9}, None, 1),
    "average_share": (LONG, 0.0, 0.5),
    "precision": (SINGLE, "float32", "bf16"),
}
MORE = {
    "balance": ({"regime": "single", "corpora": ["ravdess"], "target": "arousal"}, "weights",
                "sampling"),
    "sampler": ({"epochs": 2}, "round_robin", "temperature"),
    "mode": ({**SINGLE, "init": "BASE", "adapters": "residual"}, "head", "adapters"),
    "regime": ({"target": "arousal"}, "joint", "pooled"),
    "augment": (SINGLE, "none", "specaugment(frequency_width=12)"),
    "normalisation": (SINGLE, "corpus", "utterance"),
    "target": (RATED, "dimensions", "emotion+dimensions"),
    "loss": ({**ORDINAL, "loss": None}, "crossentropy", "ordinal"),
    "schedule": (PLATEAU, "constant", "plateau"),
}
"""Further values of the same fields."""
FIELDS = [field.name for field in dataclasses.fields(TrainConfig)]


@pytest.fixture(scope="module")
def outcome(emoset, rated, runs, joint):
    """Fit a group and give (its name, a hash of all weights, all dev probabilities)."""
    from emokit.training.train import train

    tiny = {"frontend": "logmel(bands=16)", "backbone": "resnet(width=4,blocks=1,stem_stride=2)",
            "epochs": 1, "batch_size": 8, "device": "cpu", "augment": "none"}

    def run(flags):
        settings = {**tiny, **flags}
        if settings.get("init") == "BASE":
            settings["init"] = joint.name
            for part in ("frontend", "backbone"):
                settings.pop(part)
        if settings.get("init") == "OTHER":
            other = {**tiny, "regime": "single", "corpora": ["ravdess"], "target": "canonical4"}
            settings["init"] = train(*resolve(other), emoset, runs)[0].name
            for part in ("frontend", "backbone"):
                settings.pop(part)
        folder = rated if settings.get("corpora") == ["rated"] else emoset
        group, tasks = train(*resolve(settings), folder, runs)
        weights, scores = {}, []
        for task in tasks:
            for which in ("best", "last"):
                path = task.cell.folder / f"{which}.safetensors"
                weights |= {f"{which}.{name}": tensor.numpy().tobytes()
                            for name, tensor in checkpoint.read_tensors(path).items()}
            for corpus in task.corpora:
                table = pd.read_csv(task.cell.predictions(corpus.name, "dev"))
                scores += [(name, table[name].tolist()) for name in table
                           if name.startswith("p_") or name in ("arousal", "valence")]
        return group.name, weights, scores

    return run


def test_every_setting_has_a_probe():
    effective = set(FIELDS) - cosmetic_fields(TrainConfig)
    assert effective - set(PROBES) == set(), "a new setting needs a probe in PROBES"
    assert set(PROBES) <= effective


@pytest.mark.parametrize("name, probe", [*PROBES.items(), *MORE.items()])
def test_every_option_changes_signature_and_effect(outcome, name, probe):
    besides, value, other = probe
    one, two = (outcome({**besides, name: choice}) for choice in (value, other))
    assert one[0] != two[0], f"{name} makes no other group"
    assert one[1] != two[1] or one[2] != two[2], f"{name} does nothing"


@pytest.mark.parametrize("name, value", [
    ("workers", 1), ("device", "cpu"), ("corpora", ["emodb"]), ("seeds", [0]), ("folds", "none"),
    ("preset", "small"), ("compile", False)])
def test_cosmetic_settings_stay_out_of_the_signature(configure, emoset, runs, name, value):
    from emokit.corpora.store import open_emoset
    from emokit.training.train import effective, plan

    assert name in cosmetic_fields(TrainConfig)
    corpora = open_emoset(emoset, ["emodb"])
    names = {plan(effective(configure(**{**SINGLE, **flags})[0]), corpora, runs, "x")[0].name
             for flags in ({}, {name: value})}
    assert len(names) == 1


def test_loader_processes_change_no_weight(fit, outcome, runs, emoset, configure, tmp_path):
    from emokit.training.train import train

    flags = dict(SINGLE, augment="noise(probability=1)+gain+specaugment", window=0.2)
    cells = [train(*configure(**flags, workers=workers), emoset, tmp_path / str(workers))[1][0].cell
             for workers in (0, 2)]
    one, two = ((cell.folder / "last.safetensors").read_bytes() for cell in cells)
    assert one == two


CHOICES = [(field.name, word) for field in dataclasses.fields(TrainConfig)
           if field_choices(field) and field.name not in ("mode", "regime")
           for word in field_choices(field)]
PARTS = [("pooling", word) for word in (
    "attention", "average", "statistics", "statistics_attention")] + [
    ("head", word) for word in ("linear", "dense", "projector")]


def test_the_parts_below_are_all_there_are():
    from emokit.models import HEADS, POOLINGS

    assert {word for name, word in PARTS if name == "pooling"} == set(POOLINGS)
    assert {word for name, word in PARTS if name == "head"} == set(HEADS)
    assert {field.name for field in dataclasses.fields(ModelSettings)} <= set(PROBES)


@pytest.mark.parametrize("name, word", CHOICES + PARTS)
def test_every_listed_choice_trains_one_epoch(outcome, name, word):
    rated_ = name.startswith("dimensions") or "dimensions" in str(word)
    besides = ORDINAL if word == "ordinal" else RATED if rated_ else SINGLE
    _, weights, scores = outcome({**besides, name: word})
    assert all(np.isfinite(np.frombuffer(value, np.float32)).all() for value in weights.values())
    assert scores
