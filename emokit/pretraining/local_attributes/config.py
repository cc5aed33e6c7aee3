"""Every setting of the pre-training with local attributes, once."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from emokit.core.config import assign, from_mapping, knob, merge, parse_spec, signature, to_mapping
from emokit.core.errors import ConfigError, choices
from emokit.core.files import read_yaml

CLUSTERINGS = ("online", "offline", "frozen")
TARGETS = ("hard", "soft", "balanced")
DISTILLATIONS = ("frame", "utterance", "prototypes", "none")
_WAP = ("width", "hidden", "depth", "heads", "dropout", "states", "normalise",
        "positions")


@dataclasses.dataclass(frozen=True)
class LocalAttributesConfig:
    """Settings of one group of pre-trainings; all but the name of the parts is ours, see docs."""

    backbone: dict[str, Any] | str = knob({}, "Frozen speech transformer whose states are learnt "
                                          "from, e.g. hf:PATH_OR_ID.")
    # the module that learns, as the adapter `wap` has them
    width: int = knob(256, "Numbers per frame inside the WAP-Transformer.", minimum=2)
    hidden: int = knob(1024, "Numbers in the middle of its feed-forward parts.", minimum=1)
    depth: int = knob(3, "Its layers.", minimum=1)
    heads: int | None = knob(None, "Its attention heads; one for 64 numbers if unset.", minimum=1)
    dropout: float = knob(0.1, "Share that it sets to zero in training.", minimum=0.0, below=1.0)
    states: str = knob("last", "What it takes: the encoder's last state, or the weighted sum of "
                       "all.", choices=("last", "weighted_sum"))
    normalise: bool = knob(True, "Bring each frame of a state to mean 0 and deviation 1 first, "
                           "because single numbers of middle states can be many times the others.")
    positions: str = knob("attention", "Where sines of a frame's place are added: to the queries "
                          "and keys of each layer, or once to the frames, whose clusters are then "
                          "largely those of places.", choices=("attention", "frames"))
    # masks
    mask_share: float = knob(0.49, "Expected share of the frames that are masked.", above=0.0,
                             below=1.0)
    mask_span: int = knob(10, "Frames of one mask.", minimum=1)
    # attributes
    attributes: list[int] = knob([256], "Clusters of the teacher's frames; several numbers for "
                                 "several clusterings at once.")
    clustering: str = knob("online", "Clusters that follow the teacher batch by batch (online), "
                           "k-means over all its frames every few epochs (offline), or k-means "
                           "over the encoder's states, once (frozen).", choices=CLUSTERINGS)
    centred: bool = knob(True, "Take the frames' mean off before they are compared with clusters; "
                         "without, what all frames share may leave one cluster.")
    cluster_decay: float = knob(0.99, "Decay of the online clusters' moving counts and sums.",
                                minimum=0.0, below=1.0)
    reseed_share: float = knob(0.01, "An online cluster below this share of the mean count begins "
                               "anew at a frame of the batch; 0 never.", minimum=0.0, below=1.0)
    refresh_epochs: int = knob(10, "Epochs between two offline clusterings.", minimum=1)
    target: str = knob("hard", "What is predicted of a masked frame: its nearest cluster, a "
                       "softmax over all, or shares balanced over the batch (Sinkhorn).",
                       choices=TARGETS)
    target_temperature: float = knob(0.1, "Divides the cosines of soft targets.", above=0.0)
    sinkhorn_temperature: float = knob(0.05, "Divides the cosines of balanced targets.", above=0.0)
    sinkhorn_rounds: int = knob(3, "Rounds of column then row scaling of balanced targets.",
                                minimum=1)
    # teacher and losses
    teacher_decay: float = knob(0.996, "Decay of the teacher's moving average at the start; it "
                                "rises to 1 by a cosine.", minimum=0.0, maximum=1.0)
    mask_weight: float = knob(1.0, "Weight of the masked prediction of attributes.", minimum=0.0)
    distillation: str = knob("frame", "Self-distillation: the student predicts the teacher's "
                             "frames, their mean over the utterance, its distribution over the "
                             "clusters as DINO does, or nothing.", choices=DISTILLATIONS)
    distillation_weight: float = knob(1.0, "Weight of the self-distillation.", minimum=0.0)
    student_temperature: float = knob(0.1, "Of the student's distribution over clusters.",
                                      above=0.0)
    teacher_temperature: float = knob(0.04, "Of the teacher's distribution over clusters.",
                                      above=0.0)
    centre_decay: float = knob(0.9, "Decay of the mean that is taken from the teacher's cosines "
                               "before its distribution over clusters.", minimum=0.0, below=1.0)
    histogram_weight: float = knob(0.0, "Weight of predicting an utterance's attribute histogram "
                                   "from the student's mean.", minimum=0.0)
    # optimisation
    learning_rate: float = knob(5e-4, "Peak learning rate of AdamW.", above=0.0)
    weight_decay: float = knob(0.01, "Weight decay; norms and biases have none.", minimum=0.0)
    warmup: float = knob(0.1, "Share of all steps over which the rate rises; then a half cosine "
                         "to zero.", minimum=0.0, below=1.0)
    clip_norm: float = knob(1.0, "Largest norm of the gradient.", above=0.0)
    batch_seconds: float = knob(600.0, "Seconds of speech per batch, padding included.", above=0.0)
    epochs: int = knob(60, "Epochs.", minimum=1)
    steps: int = knob(20_000, "Steps at most.", minimum=1)
    window: float | None = knob(15.0, "Longer utterances are cut into crops of so many seconds; "
                                "whole if none.", above=0.0)
    precision: str = knob("auto", "Numbers in training: bf16 autocast on a GPU (auto), or as "
                          "named.", choices=("auto", "float32", "bf16"))
    # when to stop
    stop_perplexity: float = knob(0.1, "Stop where the perplexity of the attributes' use falls "
                                  "below this share of their number.", minimum=0.0, below=1.0)
    stop_spread: float = knob(0.1, "Stop where the spread of the teacher's frames falls below "
                              "this; 1 where all directions are used alike.", minimum=0.0)
    stop_epochs: int = knob(3, "For so many epochs in a row.", minimum=1)
    bad_steps: int = knob(10, "Steps with a loss that is no finite number before it stops.",
                          minimum=1)
    # which cells
    corpora: list[str] = knob([], "Built corpora to learn from; default all.")
    seeds: list[int] = knob([0], "Seeds, one cell each.", cosmetic=True)
    folds: str = knob("none", "none: the default partitions; all; J: one fold; auto: folds only "
                      "where few speakers make one split too small.", cosmetic=True)
    device: str = knob("auto", "cpu, cuda, cuda:1, …; auto takes a GPU if there is one.",
                       cosmetic=True)

    def __post_init__(self):
        if not self.backbone:
            raise ConfigError("There is no encoder to learn from. Name one: --backbone "
                              "hf:PATH_OR_ID.")
        sizes = self.attributes
        if not sizes or min(sizes) < 2 or len(set(sizes)) < len(sizes):
            raise ConfigError(f"'attributes' is {sizes}; expected different numbers of clusters, "
                              "each at least 2.")
        if len(set(self.seeds)) < len(self.seeds) or not self.seeds or min(self.seeds) < 0:
            raise ConfigError(f"--seeds is {self.seeds}; name each seed once, from 0.")
        if self.clustering != "online" and self.target != "hard":
            raise ConfigError(f"'target' is '{self.target}', which compares frames with clusters "
                              f"in every batch; with clustering {self.clustering} each frame has "
                              "one. Set target to hard, or clustering to online.")
        if self.clustering == "frozen" and self.distillation == "prototypes":
            raise ConfigError("'distillation' is 'prototypes', but with clustering frozen the "
                              "clusters are those of the encoder's states. Set distillation to "
                              "frame, or clustering to online.")
        if not self.mask_weight and not self.histogram_weight and (
                self.distillation == "none" or not self.distillation_weight):
            raise ConfigError("All losses have the weight 0, so nothing would be learnt. Leave "
                              "one above 0.")

    def wap(self) -> dict[str, Any]:
        """Give the settings of the adapter `wap` that learns, all that a start must agree in."""
        return {name: getattr(self, name) for name in _WAP}


def resolve(flags: Mapping[str, Any], sets: Sequence[str] = (), file: str | Path | None = None
            ) -> LocalAttributesConfig:
    """Combine defaults, a YAML file, `--set` and flags; the later wins.

    Raises:
        ConfigError: unknown keys, wrong types, values out of range.
    """
    settings: dict[str, Any] = {}
    lines: Mapping[tuple, int] = {}
    if file is not None:
        settings, lines = read_yaml(file)
        if not isinstance(settings, dict):
            raise ConfigError(f"'{file}' holds no settings as 'key: value'.")
    settings = _expanded(settings)
    flags = _expanded(flags)
    if "backbone" in flags:
        settings = merge(settings, {"backbone": dict(flags["backbone"])})
    known = {field.name for field in dataclasses.fields(LocalAttributesConfig)}
    for assignment in sets:
        key = assignment.partition("=")[0].split(".")[0].strip()
        if key not in known:
            raise ConfigError(f"--set '{assignment}': unknown setting '{key}'. "
                              f"{choices(key, known)}")
        assign(settings, assignment)
    settings = _expanded(merge(settings, flags))

    def where(key: str) -> str:
        return f"{file}:{lines[(key,)]}" if (key,) in lines and key not in flags else ""

    return from_mapping(LocalAttributesConfig, settings, where)


def _expanded(settings: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(settings)
    if isinstance(result.get("backbone"), str):
        result["backbone"] = parse_spec(result["backbone"])[0]
    for key in ("attributes", "seeds", "corpora"):
        if key in result and not isinstance(result[key], (list, tuple)):
            result[key] = [result[key]]
    return result


def group_signature(config: LocalAttributesConfig, corpora: Sequence[str], folded: bool,
                    weights: str | None) -> str:
    """Hash what makes two pre-trainings cells of one group.

    Args:
        corpora: those learnt from.
        folded: whether cells are folds.
        weights: hash of the encoder's weights, where they lie on this disk.
    """
    settings = to_mapping(config)
    for name in ("seeds", "folds", "device", "corpora"):
        settings.pop(name)
    if weights is not None:
        # equal paths may hold other weights, and equal weights lie in many places
        settings["backbone"]["path"] = weights
    return signature([settings, sorted(corpora), folded])
