"""Every training setting, once: read by the command line, YAML files, run folders and docs."""

from __future__ import annotations

import dataclasses

from emokit.core.config import knob, signature, to_mapping
from emokit.models.settings import ModelSettings

REGIMES = ("joint", "single", "pooled")
MODES = ("scratch", "finetune", "head", "adapters")
FROZEN_MODES = ("head", "adapters")
"""Modes in which what corpora share does not learn."""
VIEWS = ("emotion", "canonical7", "canonical4", "arousal-valence", "arousal", "valence")
TARGETS = (*VIEWS, "dimensions", *(f"{view}+dimensions" for view in VIEWS))
OPTIMIZERS = ("sgd", "adamw", "adam", "rmsprop", "adadelta")
SCHEDULES = ("cosine", "plateau", "constant")
SAMPLERS = ("round_robin", "proportional", "temperature")
LOSSES = ("crossentropy", "focal", "ordinal")
DIMENSION_LOSSES = ("ccc", "rmse")
BALANCES = ("weights", "sampling", "none")
SCORINGS = ("multi", "whole", "center", "emonet")
PRECISIONS = ("auto", "float32", "bf16")


@dataclasses.dataclass(frozen=True)
class TrainConfig(ModelSettings):
    """Settings of one group of runs; those of the model are inherited."""

    # what is fitted
    regime: str = knob("joint", "One model for all corpora with private parts (joint), one model "
                       "per corpus (single), or one with nothing private (pooled).",
                       choices=REGIMES)
    mode: str | None = knob(None, "What learns: everything from random weights (scratch) or from a "
                            "start (finetune), the head (the rest then runs once, so a recipe's "
                            "augmentation is left out), or adapters, norms and head. A start is "
                            "--init, or a backbone with weights of its own. Default: scratch "
                            "without one (and with byols); otherwise, in regime single, adapters "
                            "if any are named; otherwise finetune.", choices=MODES)
    init: str | None = knob(None, "Start from this run: a group, GROUP/CELL or GROUP/CORPUS below "
                            "--runs, or a checkpoint file.")
    copy_from: str | None = knob(None, "Corpora that the start does not know begin as a copy of "
                                 "this corpus's adapters, norms and head there, instead of as the "
                                 "average model; what the start knows stays in the model.")
    new_head: bool = knob(False, "Heads begin anew, even where the start has one that fits.")
    freeze: list[str] = knob([], "Parts that do not learn although the mode would have them "
                             "learn: backbone, pooling, head, norm, adapters, one adapter (lora) "
                             "or some of its tensors (lora.a).")
    target: str = knob("emotion", "What is learnt: the corpus's own classes (emotion), those of a "
                       "label view, arousal, valence and dominance on [0, 1] (dimensions), or "
                       "both, joined by +.", choices=TARGETS)
    # data
    window: float | None = knob(3.0, "Crop length in seconds, in training and scoring; the whole "
                                "utterance if none.", above=0.0)
    scoring: str = knob("multi", "Which crops of a long utterance are scored and averaged.",
                        choices=SCORINGS)
    augment: list[dict] = knob([], "Augmentations, e.g. noise(probability=0.5)+specaugment.")
    mixup: float = knob(0.0, "Alpha of mixup within the batch: how much frames and losses of two "
                        "utterances mix; 0 none.", minimum=0.0)
    mixed_batches: bool = knob(False, "Batches of regime pooled draw from all corpora, by the "
                               "sampler's shares, instead of from one; mixup then mixes across "
                               "corpora.")
    sampler: str = knob("temperature", "Which corpus gives the next batch.", choices=SAMPLERS)
    temperature: float = knob(0.5, "Exponent on corpus sizes for sampler temperature: 0 uniform, "
                              "1 proportional.", minimum=0.0, maximum=1.0)
    corpora_per_step: int = knob(1, "Batches, each of one corpus, averaged in one step.", minimum=1)
    batch_size: int = knob(64, "Utterances per batch.", minimum=1)
    bucket: int = knob(1, "Batches that are made together from utterances sorted by length, so "
                       "that little of them is padding; 1: every batch at random.", minimum=1)
    balance: str = knob("weights", "Class balance within a corpus: loss weights, sampling, or "
                        "none.", choices=BALANCES)
    # objective
    loss: str = knob("crossentropy", "Loss of the classes.", choices=LOSSES)
    focal_gamma: float = knob(2.0, "Exponent of the focal loss.", minimum=0.0)
    ordinal_order: list[str] = knob([], "Classes from lowest to highest, for loss ordinal.")
    dimensions_loss: str = knob("ccc", "Loss of the dimensions: 1 - CCC of the batch, or RMSE.",
                                choices=DIMENSION_LOSSES)
    dimensions_weight: float = knob(1.0, "Weight of the dimensions' loss beside that of the "
                                    "classes.", above=0.0)
    label_smoothing: float = knob(0.0, "Probability spread evenly over all classes.",
                                  minimum=0.0, below=1.0)
    # optimisation
    optimizer: str = knob("sgd", "Optimiser, one for all corpora.", choices=OPTIMIZERS)
    learning_rate: float = knob(0.1, "Peak learning rate.", above=0.0)
    finetune_rate: float = knob(0.1, "Factor on the learning rate of the backbone in mode "
                                "finetune.", above=0.0)
    rates: dict[str, float] = knob({}, "Peak learning rates of parts that have one of their own, "
                                   "e.g. rates.head=5e-4; parts are named as in freeze.")
    momentum: float = knob(0.9, "Momentum of SGD and RMSprop.", minimum=0.0, below=1.0)
    weight_decay: float = knob(1e-4, "Weight decay of backbone, pooling and heads; norms have "
                               "none.", minimum=0.0)
    adapter_weight_decay: float | None = knob(None, "Weight decay of adapters; by default it "
                                              "follows the size of the corpus's train partition.",
                                              minimum=0.0)
    clip_norm: float | None = knob(None, "Largest norm of the gradient.", above=0.0)
    schedule: str = knob("plateau", "Learning rate: warm-up then cosine to zero, plateau steps of "
                         "a tenth, or constant after warm-up.", choices=SCHEDULES)
    warmup: float = knob(0.0, "Share of all steps over which the rate rises from zero.",
                         minimum=0.0, below=1.0)
    plateau_epochs: int = knob(20, "Epochs without a better dev score that end a plateau "
                               "stage.",
                               minimum=1)
    plateau_stages: int = knob(3, "Plateau stages, each at a tenth of the rate before.", minimum=1)
    plateau_rise: float = knob(0.005, "Rise in the dev score (UAR, CCC, or their mean) that "
                               "counts as better for a plateau.",
                               minimum=0.0)
    epochs: int = knob(200, "Epochs at most, for the whole run.", minimum=1)
    patience: int | None = knob(None, "Stop after so many epochs without a better dev score: "
                                "UAR, of dimensions CCC, of both their mean.",
                                minimum=1)
    average_share: float = knob(0.0, "Time constant of the moving average of weights and norm "
                                "statistics that is scored and saved, as a share of all steps; 0 "
                                "takes the weights themselves.", minimum=0.0, maximum=1.0)
    precision: str = knob("auto", "Numbers in training: bf16 autocast on a GPU (auto), or as "
                          "named. Scoring is always float32.", choices=PRECISIONS)
    # selects cells within a group, so no part of its signature
    preset: str | None = knob(None, "Recipe that fills what nobody set: small, base, emonet or a "
                              "YAML file; default: the backbone's own.", cosmetic=True)
    corpora: list[str] = knob([], "Built corpora to use; default all.", cosmetic=True)
    seeds: list[int] = knob([0], "Seeds, one cell each.", cosmetic=True)
    folds: str = knob("none", "none: the default partitions; all; J: one fold; auto: folds only "
                      "where few speakers make one split too small.", cosmetic=True)
    device: str = knob("auto", "cpu, cuda, cuda:1, …; auto takes a GPU if there is one.",
                       cosmetic=True)
    compile: bool = knob(False, "Compile the backbone with torch.compile.", cosmetic=True)
    workers: int = knob(0, "Loader processes; 0 loads in a thread of the main process.", minimum=0,
                        cosmetic=True)

    def model_settings(self) -> ModelSettings:
        """Give the part of the settings that decides the model."""
        names = [field.name for field in dataclasses.fields(ModelSettings)]
        return ModelSettings(**{name: getattr(self, name) for name in names})


_LATER = {"copy_from": None, "new_head": False, "freeze": [], "rates": {}, "bucket": 1,
          "mixed_batches": False, "dimensions_loss": "ccc", "dimensions_weight": 1.0}
"""Settings that came after others had trained; left as they are, groups keep their names."""


def group_signature(config: TrainConfig, corpora: list[str], start: str | None,
                    folded: bool, weights: str | None = None) -> str:
    """Hash what makes two runs comparable cells of one group.

    Seeds, the number of a fold and, where each model sees one corpus, the corpus stay out. A joint
    or pooled model is another one with other corpora, so their list counts there. Results by fold
    and on one split are never compared, so whether there are folds counts too.

    Args:
        start: hash of the weights that `init` names, or None: equal paths may hold other weights.
        folded: whether cells are folds.
        weights: hash of the pretrained weights that the backbone starts from, where they lie on
            this disk.
    """
    settings = to_mapping(config)
    from emokit.core.config import cosmetic_fields

    for name in cosmetic_fields(type(config)):
        settings.pop(name)
    for name, value in _LATER.items():
        if settings[name] == value:
            del settings[name]
    for item in settings["adapters"]:
        if not item.get("shared"):
            item.pop("shared", None)
    if weights is not None:
        # equal paths may hold other weights, and equal weights lie in many places
        settings["backbone"]["path"] = weights
    settings["init"] = start
    return signature([settings, sorted(corpora) if config.regime != "single" else None, folded])
