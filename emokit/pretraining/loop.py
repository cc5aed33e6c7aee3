"""fit(): one encoder from its start to its best and last weights, without labels."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import itertools
import logging
import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from emokit.core.errors import EmokitError
from emokit.core.files import write_bytes, write_json
from emokit.core.seeding import derive, torch_generator
from emokit.corpora.store import RATE
from emokit.loading.dataset import load
from emokit.loading.source import Source
from emokit.models.masking import position_mask
from emokit.pretraining.clusters import Clusters
from emokit.pretraining.config import PretrainConfig
from emokit.pretraining.contrastive import gumbel_temperature
from emokit.pretraining.data import Clip, Clips, endless, held_out_plans, pack
from emokit.pretraining.encoder import Learner, write_encoder
from emokit.pretraining.figures import Told, figures_of, in_words
from emokit.pretraining.guards import Skipped, refuse_collapse
from emokit.pretraining.masking import draw_mask, draw_negatives
from emokit.pretraining.optim import make_optimizer, rate_of
from emokit.training.loop import precision_of
from emokit.training.predict import scoring
from emokit.training.run import METRICS, RESUME, Cell

log = logging.getLogger("emokit")

BEST, LAST = "best", "last"
"""Folders of encoders in a cell."""


@dataclasses.dataclass
class Progress:
    """Where a run stands; all of it is saved for resuming."""

    step: int = 0
    heard: int = 0  # samples
    skipped: int = 0
    in_a_row: int = 0
    best_step: int = 0
    best_loss: float = math.inf


def fit(learner: Learner, sources: Sequence[Source], clusters: Clusters | None,
        config: PretrainConfig, seed: int, cell: Cell, facts: Mapping[str, Any]
        ) -> dict[str, Any]:
    """Pre-train an encoder and leave the complete cell behind.

    Everything random derives from `seed`, the step or epoch, and a name, so a run that was
    stopped and started again ends with the same weights and history as an unbroken one. The best
    weights are those with the lowest loss on held-out speakers; without such the last.

    Args:
        learner: on its device, `apply_learns` done.
        sources: as `make_sources` gives them.
        clusters: what a masked objective predicts.
        facts: what the encoder's folder shall say of it.

    Returns:
        The content of `metrics.json`.

    Raises:
        EmokitError: the loss is no longer finite, or it has collapsed.
    """
    trainer = _Trainer(learner, sources, clusters, config, seed, cell, facts)
    trainer.resume()
    with trainer.bar() as bar:
        while trainer.state.step < config.steps:
            trainer.interval(bar)
    return trainer.finish()


class _Trainer:
    """The loop's state; `fit` reads as the algorithm."""

    def __init__(self, learner, sources, clusters, config, seed, cell, facts):
        self.learner, self.sources, self.clusters = learner, list(sources), clusters
        self.config, self.seed, self.cell, self.facts = config, seed, cell, facts
        self.device = next(learner.parameters()).device
        self.optimizer = make_optimizer(learner, config)
        self.learning = [one for one in learner.parameters() if one.requires_grad]
        self.autocast, _, _ = precision_of(config, self.device)
        self.state, self.history = Progress(), []
        self.skipped = Skipped()
        self.shares = None if clusters is None else clusters.shares
        self.measured = held_out_plans(self.sources, config, seed)
        self.batches_an_epoch = len(pack(self.sources, "train", config.window,
                                         config.batch_seconds, config.bucket,
                                         np.random.default_rng(0), 0))

    def bar(self):
        """Make the progress bar over the whole run; off when stderr is no terminal."""
        from tqdm import tqdm

        return tqdm(total=self.config.steps, initial=self.state.step, unit="step",
                    desc=self.cell.name, disable=None, dynamic_ncols=True, smoothing=0.05)

    # ---- one interval between records

    def interval(self, bar) -> None:
        started, told = time.monotonic(), Told()
        heard = self.state.heard
        self.learner.train()
        last = min(self.config.steps,
                   (self.state.step // self.config.every + 1) * self.config.every)
        plans = list(itertools.islice(self.plans, last - self.state.step))
        with contextlib.closing(self._load(plans)) as batches:
            for batch in batches:
                self._step(batch, told)
                bar.update()
        trained = time.monotonic() - started
        record = self._record(told, self.state.heard - heard, trained, time.monotonic())
        refuse_collapse(record, self.config, self.cell.name)
        self._select(record)
        self.history.append(record)
        self.cell.append_history(record)
        self._save_resume()
        if bar.disable:
            log.info("%s step %d/%d %s", self.cell.name, self.state.step, self.config.steps,
                     in_words(record))
        else:
            bar.set_postfix_str(in_words(record), refresh=False)

    def _load(self, plans):
        return load(Clips(self.sources, plans, self.config.window, self.learner.encoder.hop,
                          self.seed), self.config.workers)

    def _step(self, batch: Clip, told: Told) -> None:
        state, config = self.state, self.config
        for group in self.optimizer.param_groups:
            group["lr"] = rate_of(config, state.step)
        self.optimizer.zero_grad(set_to_none=True)
        torch.manual_seed(derive(self.seed, "step", state.step))
        with self.autocast:
            loss, found = self._answer(batch, state.step, "train", state.step)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(
            self.learning, config.clip_norm if config.clip_norm is not None else math.inf)
        if self.skipped.admit([loss.item(), norm.item()], state.step, batch.utterances):
            self.optimizer.step()
            told.add(found)
        state.skipped, state.in_a_row = self.skipped.total, self.skipped.in_a_row
        state.step += 1
        state.heard += int(batch.lengths.sum())

    def _answer(self, batch: Clip, step: int, *purpose):
        """Give loss and what is told of a batch; what is drawn depends on seed and purpose."""
        encoder, config = self.learner.encoder, self.config
        lengths = encoder.n_frames(batch.lengths.clamp(min=encoder.shortest))
        draws = torch_generator(self.seed, "mask", *purpose)
        hidden = draw_mask(lengths, int(lengths.max()), config.mask_share, config.mask_span,
                           config.mask_least, draws)
        if self.learner.is_contrastive:
            own = self.learner.head.config
            targets = [*draw_negatives(hidden, own.negatives, draws)]
            more = [gumbel_temperature(own, step)]
        else:
            clusters, more = self._clusters_of(batch, lengths), []
            targets = [clusters[hidden]]
            if self.learner.visible_weight:
                visible = position_mask(lengths, hidden.shape[1]) & ~hidden
                targets += [visible, clusters[visible]]
        loss, told = self.learner(*(tensor.to(self.device) for tensor in (
            batch.inputs, batch.lengths, hidden, *targets)), *more)
        return loss, {**told, "hidden": hidden.sum(), "frames": lengths.sum(),
                      "batches": torch.tensor(1.0)}

    def _clusters_of(self, batch: Clip, lengths: torch.Tensor) -> torch.Tensor:
        """Give the cluster numbers of a batch's frames, [B, T, N]."""
        encoder = self.learner.encoder
        made = torch.zeros(len(lengths), int(lengths.max()), len(self.clusters.sizes),
                           dtype=torch.long)
        for place, (index, row, first, n) in enumerate(zip(
                batch.sources.tolist(), batch.rows.tolist(), batch.first.tolist(),
                lengths.tolist())):
            source = self.sources[index]
            whole = max(int(source.corpus.audio.lengths[row]), encoder.shortest)
            numbers = self.clusters.of(source.name, row, encoder.n_frames(whole), first, n)
            made[place, :n] = torch.from_numpy(numbers.astype(np.int64)).T
        return made

    # ---- records

    def _measure(self) -> dict[str, Any]:
        """Give the figures on held-out speakers: the same crops, masks and distractors always."""
        if not self.measured:
            return {}
        told = Told()
        with scoring(self.learner), contextlib.closing(self._load(self.measured)) as batches:
            for number, batch in enumerate(batches):
                told.add(self._answer(batch, self.state.step, "held out", number)[1])
        figures = figures_of(told, self.shares)
        return {f"held_out_{name}": figures[name] for name in (
            "loss", "accuracy", "chance", "perplexity")}

    def _record(self, told: Told, heard: int, trained: float, measuring: float
                ) -> dict[str, Any]:
        state = self.state
        if not told.sums:
            raise EmokitError(
                f"No step up to {state.step} of {self.cell.name} had a finite loss. Lower "
                "--learning-rate, or take --precision float32.")
        record = {"step": state.step, "epochs": round(state.step / self.batches_an_epoch, 3),
                  "hours": round(state.heard / RATE / 3600, 4),
                  "learning_rate": rate_of(self.config, state.step - 1)}
        if self.learner.is_contrastive:
            record["gumbel_temperature"] = gumbel_temperature(
                self.learner.head.config, state.step - 1)
        record |= {**figures_of(told, self.shares), "skipped": state.skipped, **self._measure()}
        return {**record, "seconds": round(trained + time.monotonic() - measuring, 3),
                "hours_per_hour": round(heard / RATE / max(trained, 1e-9), 1)}

    def _select(self, record: dict[str, Any]) -> None:
        state = self.state
        loss = record.get("held_out_loss", -math.inf)
        if loss < state.best_loss or not self.measured:
            state.best_step, state.best_loss = state.step, loss
            if self.measured:
                self._write(BEST, record)

    # ---- files

    def _write(self, name: str, record: dict[str, Any]) -> None:
        write_encoder(self.cell.folder / name, self.learner, {
            **self.facts, "step": record["step"], "figures": record})

    def _save_resume(self) -> None:
        data = io.BytesIO()
        torch.save({"learner": self.learner.state_dict(), "optimizer": self.optimizer.state_dict(),
                    "progress": dataclasses.asdict(self.state), "history": self.history}, data)
        write_bytes(self.cell.folder / RESUME, data.getbuffer())

    def resume(self) -> None:
        """Take up where the last record was made, if there is one."""
        path = self.cell.folder / RESUME
        if not path.is_file():
            self.cell.write_history([])
            self.plans = endless(self.sources, self.config, self.seed)
            return
        try:
            saved = torch.load(path, map_location=self.device, weights_only=True)
        except Exception as error:
            # a pickle may break in any way; its content is never trusted, only refused
            raise EmokitError(
                f"'{path}' cannot be read ({type(error).__name__}). Remove it to begin anew."
            ) from None
        self.state, self.history = Progress(**saved["progress"]), saved["history"]
        self.skipped = Skipped(self.state.skipped, self.state.in_a_row)
        self.learner.load_state_dict(saved["learner"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.cell.write_history(self.history)
        self.plans = endless(self.sources, self.config, self.seed, self.state.step)
        log.info("%s goes on after step %d", self.cell.name, self.state.step)

    def finish(self) -> dict[str, Any]:
        """Write last weights and metrics; drop resume.pt."""
        last = self.history[-1]
        self._write(LAST, last)
        if not self.measured:
            self._write(BEST, last)
        best = next(record for record in self.history
                    if record["step"] == self.state.best_step)
        metrics = {
            "step": self.state.best_step, "steps": self.state.step, "figures": best,
            "epochs": last["epochs"], "hours": last["hours"], "skipped": self.state.skipped,
            "seconds": round(sum(record["seconds"] for record in self.history), 1),
            "hours_per_hour": float(np.median([one["hours_per_hour"] for one in self.history])),
        }
        write_json(self.cell.folder / METRICS, metrics)
        (self.cell.folder / RESUME).unlink(missing_ok=True)
        return metrics
