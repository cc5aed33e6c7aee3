"""What a training loop is fed with: through the whole model, or from frozen states."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from torch import Tensor

from emokit.audio.augment import make as make_augmentations
from emokit.loading.batch import Batch
from emokit.loading.dataset import TrainBatches, load
from emokit.loading.sampler import Plan
from emokit.loading.source import Source
from emokit.training import frozen
from emokit.training.config import TrainConfig
from emokit.training.predict import Scores, on_own_answers, score
from emokit.training.states import FOLDER, TooManyStates, states

log = logging.getLogger("emokit")


class ThroughModel:
    """Batches of audio, logits and dev scores through the whole model.

    Args:
        sources: the run's corpora.
        config: its settings.
        seed: of the run.
        pin: pin memory, for a GPU.
    """

    def __init__(self, sources: Sequence[Source], config: TrainConfig, seed: int, pin: bool):
        self.sources, self.config, self.seed, self.pin = sources, config, seed, pin
        self.changes = [change for change in make_augmentations(config.augment)
                        if change.domain == "waveform"]

    def batches(self, plans: Sequence[Plan]) -> Iterator[Batch]:
        """Give the batches of an epoch, in order."""
        data = TrainBatches(self.sources, plans, self.config.window, self.changes, self.seed)
        return load(data, self.config.workers, self.pin)

    def logits(self, model, batch: Batch, change: Callable | None) -> Tensor:
        """Give answers [B, K + R] of the head; `change` as `augment` of the model."""
        return model(batch, change)

    def score(self, model, source: Source) -> Scores:
        """Score dev as `predict.score` does, to the last bit."""
        return score(model, source, "dev", self.config.window, self.config.scoring)


class FromStates(ThroughModel):
    """The same for a model of which only what is last learns: the rest runs once per crop.

    Training sees one scoring crop of each utterance, drawn every epoch. Where something is to
    change what the frozen part hears, or drops or masks within it, training goes through the model
    and dev alone from states.
    """

    def __init__(self, model, sources: Sequence[Source], config: TrainConfig, seed: int,
                 pin: bool, level: str):
        super().__init__(sources, config, seed, pin)
        self.level = level
        changes = [name for name in ("augment", "mixup") if getattr(config, name)]
        changes += [f"backbone.{name}" for name in model.backbone.works_when_frozen]
        if changes:
            log.warning("%s changes what the frozen part gives, so every epoch runs through it. "
                        "Without, it runs once.", " and ".join(changes))

        def keep(source: Source, partition: str, beside: int = 0) -> frozen.States:
            return states(model, source, source.rows[partition], config.window, config.scoring,
                          self._folder(source), level, beside=beside)

        self.dev = {source.name: keep(source, "dev") for source in sources}
        self.train = None if changes else [
            keep(source, "train", self.dev[source.name].values.nbytes) for source in sources]

    def _folder(self, source: Source) -> Path:
        if os.access(source.corpus.folder, os.W_OK):
            return source.corpus.folder / FOLDER
        if not hasattr(self, "_temporary"):
            self._temporary = tempfile.TemporaryDirectory(prefix="emokit-states-")
            log.warning("'%s' cannot be written, so frozen states are kept for this run only",
                        source.corpus.folder)
        return Path(self._temporary.name) / source.name

    def batches(self, plans: Sequence[Plan]) -> Iterator[Batch]:
        if self.train is None:
            return super().batches(plans)
        data = frozen.StateBatches(self.sources, self.train, plans, self.seed)
        # no thread beside: it would cost more than reading a few kilobytes
        return (data[number].pin() if self.pin else data[number] for number in range(len(data)))

    def logits(self, model, batch: Batch, change: Callable | None) -> Tensor:
        if self.train is None:
            return super().logits(model, batch, change)
        return frozen.logits(model, batch, self.level)

    def score(self, model, source: Source) -> Scores:
        return on_own_answers(source, "dev", self.dev[source.name].answers(model))


def make_feed(model, sources: Sequence[Source], config: TrainConfig, seed: int, pin: bool
              ) -> ThroughModel:
    """Give what feeds the training of a model, by what of it learns."""
    # states are kept by corpus, so batches over several go through the model
    level = None if config.mixed_batches else frozen.frozen_level(model)
    if level is not None:
        try:
            return FromStates(model, sources, config, seed, pin, level)
        except TooManyStates as error:
            if level == "embedding":
                raise
            log.warning("%s So every epoch runs through the frozen part.",
                        str(error).partition(". ")[0] + ".")
    return ThroughModel(sources, config, seed, pin)
