"""Every setting of pre-training, once: read by the command line, YAML files, run folders, docs."""

from __future__ import annotations

import copy
import dataclasses
import importlib.resources
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from emokit.core.config import assign, from_mapping, knob, merge, parse_spec
from emokit.core.errors import ConfigError, choices
from emokit.core.files import read_yaml
from emokit.training.config import PRECISIONS

KINDS = ("tapt", "ptapt", "scratch")
"""Continued on its own objective, on clusters of a teacher, or from random weights."""

OBJECTIVES = ("auto", "contrastive", "masked")
LEARNS = ("all", "transformer")


@dataclasses.dataclass(frozen=True)
class ContrastiveConfig:
    """Settings of the contrastive objective; defaults are those of wav2vec 2.0 base."""

    negatives: int = knob(100, "Distractors of each hidden frame, other hidden frames of its "
                          "utterance.", minimum=1)
    logit_temperature: float = knob(0.1, "What cosines are divided by.", above=0)
    diversity: float = knob(0.1, "Weight of the loss that has all codes used.", minimum=0)
    groups: int = knob(2, "Codebooks, each giving one part of a code. This and the three sizes "
                       "that follow are those of the encoder's own quantiser, where it has one.",
                       minimum=1)
    entries: int = knob(320, "Codes of a codebook.", minimum=2)
    code_dim: int = knob(256, "Numbers of a code, all groups together.", minimum=1)
    projection_dim: int = knob(256, "Numbers of what is compared.", minimum=1)
    gumbel_start: float = knob(2.0, "Temperature of the Gumbel softmax at the first step.",
                               above=0)
    gumbel_end: float = knob(0.5, "Its lowest temperature.", above=0)
    gumbel_decay: float = knob(0.999995, "Factor on it at each step.", above=0, maximum=1)

    def __post_init__(self):
        if self.code_dim % self.groups:
            raise ConfigError(f"contrastive.code_dim is {self.code_dim}, which {self.groups} "
                              "groups do not divide. Choose another number.")


@dataclasses.dataclass(frozen=True)
class PretrainConfig:
    """Settings of one group of pre-trained encoders."""

    # what learns, and from what
    backbone: dict[str, Any] | str | None = knob(
        None, "Encoder to adapt: wav2vec 2.0, HuBERT, data2vec-audio or WavLM, as hf:FOLDER, "
        "hf:OWNER/NAME or torchaudio:BUNDLE.")
    objective: str = knob("auto", "contrastive (wav2vec 2.0), masked (the clusters of hidden "
                          "frames), or contrastive where the encoder comes with a quantiser and "
                          "masked otherwise (auto).", choices=OBJECTIVES)
    new_quantiser: bool = knob(False, "Begin the contrastive objective with a quantiser and "
                               "projections of random weights.")
    learns: str = knob("all", "Everything, or all but the convolutions (transformer).",
                       choices=LEARNS)
    corpora: list[str] = knob([], "Built corpora to use; default all.")
    utterances: str | None = knob(None, "Learn from these utterances of train alone: a file with "
                                  "an id a line, or a table with a column 'utterance'.")
    fold: int | None = knob(None, "Test fold whose train utterances are used, as in --folds of "
                            "train; the default partitions otherwise.", minimum=0)
    shared_speakers: bool = knob(False, "Take corpora in which speakers of train speak in dev or "
                                 "test too.")
    held_out: float = knob(0.1, "Share of the speakers of train that are kept to measure on, by "
                           "corpus; one at least of three or more. 0: none.", minimum=0, below=1)
    # batches
    window: float | None = knob(10.0, "Crop length in seconds; the whole utterance if none.",
                                above=0.0)
    batch_seconds: float = knob(250.0, "Seconds of a batch at most, padding included.", above=0)
    bucket: int = knob(16, "Batches that are made together from utterances sorted by length.",
                       minimum=1)
    # what is hidden
    mask_share: float = knob(0.49, "Expected share of hidden frames.", above=0.0, below=1.0)
    mask_span: int = knob(10, "Frames hidden in a row.", minimum=1)
    mask_least: int = knob(1, "Spans that each utterance has at least.", minimum=1)
    contrastive: ContrastiveConfig = knob(ContrastiveConfig(), "Settings of the contrastive "
                                          "objective.")
    # clusters to predict
    teacher: str = knob("self", "Whose frames are clustered, for masked: mfcc, logmel, the "
                        "encoder as it starts (self, or self(layer=6)), another backbone "
                        "(hf:FOLDER, byols:FILE, …), or a trained model as GROUP/CELL.")
    clusters: list[int] = knob([500], "Sizes of the clusterings, all of which are predicted.")
    visible_weight: float = knob(0.0, "Weight of naming the clusters of frames that are not "
                                 "hidden, beside those that are.", minimum=0)
    cluster_frames: int = knob(100, "Frames for each cluster of the largest clustering, at most, "
                               "that the centres are found on.", minimum=1)
    cluster_rounds: int = knob(20, "Passes over them at most.", minimum=1)
    # optimisation
    steps: int = knob(20_000, "Steps, a batch each.", minimum=1)
    every: int = knob(500, "Steps from one record, measurement and point to resume from to the "
                      "next.", minimum=1)
    learning_rate: float = knob(1e-4, "Peak learning rate of AdamW.", above=0.0)
    weight_decay: float = knob(0.01, "Weight decay of all but norms and biases.", minimum=0.0)
    warmup: float = knob(0.005, "Share of the steps over which the rate rises from zero.",
                         minimum=0.0, below=1.0)
    flat: float = knob(0.05, "Share of the steps that follow at the peak; then it falls to zero.",
                       minimum=0.0, below=1.0)
    clip_norm: float | None = knob(1.0, "Largest norm of the gradient.", above=0.0)
    precision: str = knob("auto", "Numbers in training: bf16 autocast on a GPU (auto), or as "
                          "named. Measuring is always float32.", choices=PRECISIONS)
    # when to stop
    lowest_perplexity: float = knob(2.0, "Stop where fewer codes of a codebook, or fewer clusters "
                                    "of the answers, are as good as used.", minimum=0)
    lowest_spread: float = knob(0.01, "Stop where states of hidden frames differ less, from 0 "
                                "(all alike) to 1.", minimum=0)
    # select cells within a group, so no part of its signature
    seeds: list[int] = knob([0], "Seeds, one encoder each.", cosmetic=True)
    device: str = knob("auto", "cpu, cuda, cuda:1, …; auto takes a GPU if there is one.",
                       cosmetic=True)
    workers: int = knob(0, "Loader processes; 0 loads in a thread of the main process.", minimum=0,
                        cosmetic=True)

    def __post_init__(self):
        if isinstance(self.backbone, str):
            object.__setattr__(self, "backbone", _one(self.backbone, "backbone"))
        if self.objective != "contrastive" and (
                not self.clusters or min(self.clusters) < 2
                or len(set(self.clusters)) < len(self.clusters)):
            raise ConfigError(f"clusters is {self.clusters}; it must name one or several different "
                              "sizes of at least 2, such as 64,512.")


def resolve(kind: str, flags: Mapping[str, Any], sets: Sequence[str] = (),
            file: str | Path | None = None) -> PretrainConfig:
    """Combine defaults, the recipe of a kind, file, `--set` and flags; the later wins.

    Raises:
        ConfigError: unknown keys, wrong types, values out of range, or no encoder.
    """
    settings = read_recipe(kind)
    lines: dict[tuple, int] = {}
    if file is not None:
        given, lines = read_yaml(file)
        if not isinstance(given, dict):
            raise ConfigError(f"'{file}' holds no settings as 'key: value'.")
        settings = merge(settings, _expanded(given))
    named = _expanded(flags)
    # what a flag names must be there before --set reaches into it, yet flags win over --set
    settings = merge(settings, copy.deepcopy(named))
    for assignment in sets:
        assign(settings, assignment)
    settings = merge(settings, {key: value for key, value in named.items() if key != "backbone"})
    config = from_mapping(PretrainConfig, _expanded(settings), lambda key: (
        f"{file}:{lines[(key,)]}" if (key,) in lines else ""))
    if not config.backbone:
        raise ConfigError("Name the encoder to adapt: --backbone hf:FOLDER. Without one at hand: "
                          "emokit pretrain scratch.")
    return config


def read_recipe(kind: str) -> dict[str, Any]:
    """Read the recipe of a kind of pre-training."""
    if kind not in KINDS:
        raise ConfigError(f"There is no pre-training '{kind}'. {choices(kind, KINDS)}")
    folder = importlib.resources.files("emokit.pretraining.recipes")
    with importlib.resources.as_file(folder / f"{kind}.yaml") as path:
        return read_yaml(path)[0]


def _expanded(settings: Mapping[str, Any]) -> dict[str, Any]:
    settings = dict(settings)
    if isinstance(settings.get("backbone"), str):
        settings["backbone"] = _one(settings["backbone"], "backbone")
    return settings


def _one(text: str, what: str) -> dict[str, Any]:
    items = parse_spec(text)
    if len(items) != 1:
        raise ConfigError(f"{what} is '{text}'; it names one encoder.")
    return items[0]
