"""learn(): one pre-training, from random weights to a finished adapter."""

from __future__ import annotations

import dataclasses
import io
import logging
import math
import time
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from emokit.core.errors import EmokitError
from emokit.core.files import write_bytes, write_json
from emokit.core.seeding import derive, seed_everything, torch_generator
from emokit.pretraining.local_attributes import saved
from emokit.pretraining.local_attributes.branches import (
    Branches, as_states, assign, losses, real_frames, teacher_decay, total,
)
from emokit.pretraining.local_attributes.config import LocalAttributesConfig
from emokit.pretraining.local_attributes.data import FrameSet, refuse_short
from emokit.pretraining.local_attributes.heldout import held_out
from emokit.pretraining.local_attributes.monitors import EpochFigures, collapsed, in_words
from emokit.pretraining.local_attributes.optim import make_optimizer, scheduled_rate
from emokit.pretraining.local_attributes.prototypes import FIT_FRAMES, START_FRAMES
from emokit.training.run import METRICS, RESUME, Cell

log = logging.getLogger("emokit")


@dataclasses.dataclass
class Progress:
    """Where a pre-training stands at the end of an epoch."""

    epoch: int = 0
    step: int = 0
    bad: int = 0


def learn(site: nn.Module, train: FrameSet, dev: FrameSet, config: LocalAttributesConfig,
          seed: int, cell: Cell, facts: dict[str, Any], device: torch.device) -> dict[str, Any]:
    """Learn a WAP-Transformer on frozen states, and leave the complete cell behind.

    Everything random derives from `seed`, so that a run that was stopped after any epoch and
    started again ends with the same weights as an unbroken one. Dev is only looked at: it decides
    nothing.

    Args:
        site: the encoder's readout, for its sizes.
        train, dev: frozen states.
        facts: what the file shall say besides its weights.

    Returns:
        The content of `metrics.json`.

    Raises:
        ConfigError: settings that do not fit what there is.
        EmokitError: it collapsed, or losses were no finite numbers.
    """
    refuse_short(train, config.attributes, config.mask_span)
    learner = _Learner(site, train, dev, config, seed, cell, facts, device)
    learner.begin()
    with learner.bar() as bar:
        while not learner.is_done:
            learner.epoch(bar)
    return learner.finish()


class _Learner:
    """The loop's state; `learn` reads as the algorithm."""

    def __init__(self, site, train, dev, config, seed, cell, facts, device):
        seed_everything(derive(seed, "weights") % 2**31)
        self.branches = Branches(site, config).to(device)
        self.width = site.site_width
        self.train, self.dev, self.config, self.seed = train, dev, config, seed
        self.cell, self.facts, self.device = cell, facts, device
        self.optimizer = make_optimizer(self.branches, config)
        sizes = [len(train.epoch(config.batch_seconds, seed, epoch))
                 for epoch in range(config.epochs)]
        ends = np.cumsum(sizes)
        # the last epoch that begins before the limit of steps
        self.n_epochs = min(config.epochs, int(np.searchsorted(ends, config.steps)) + 1)
        self.n_steps = int(min(ends[-1], config.steps))
        self.batch_frames = train.n_frames / float(np.mean(sizes))
        bf16 = config.precision == "bf16" or (
            config.precision == "auto" and device.type == "cuda"
            and torch.cuda.is_bf16_supported())
        self.autocast = torch.autocast(device.type, torch.bfloat16, enabled=bf16)
        self.state, self.history = Progress(), []
        # attributes of all train frames, where a clustering is not asked anew for each batch
        self.ids: list[Tensor] = []

    @property
    def is_done(self) -> bool:
        return self.state.epoch >= self.n_epochs

    def bar(self):
        """Make the progress bar over steps; off when stderr is no terminal."""
        from tqdm import tqdm

        return tqdm(total=self.n_steps, initial=self.state.step, unit="step", desc=self.cell.name,
                    disable=None, dynamic_ncols=True)

    # ---- where it begins

    def begin(self) -> None:
        """Take up where the last complete epoch ended, or begin anew."""
        path = self.cell.folder / RESUME
        if not path.is_file():
            self.cell.write_history([])
            if self.config.clustering == "online":
                self._start_clusters()
            return
        try:
            found = torch.load(path, map_location=self.device, weights_only=True)
        except Exception as error:
            # a pickle may break in any way; its content is never trusted, only refused
            raise EmokitError(f"'{path}' cannot be read ({type(error).__name__}). Remove it to "
                              "begin anew.") from None
        if found["facts"] != self.facts:
            raise EmokitError(f"'{self.cell.folder}' was begun on another build of its corpora. "
                              "Remove that folder to begin anew.")
        self.state, self.history = Progress(**found["progress"]), found["history"]
        self.branches.load_state_dict(found["branches"])
        self.optimizer.load_state_dict(found["optimizer"])
        self.ids = [ids.cpu() for ids in found["ids"]]
        self.cell.write_history(self.history)
        log.info("%s goes on after epoch %d", self.cell.name, self.state.epoch)

    def _start_clusters(self) -> None:
        frames = self._teacher_frames(self.train.sample(START_FRAMES, self.seed, "clusters"))
        for number, prototypes in enumerate(self.branches.prototypes):
            prototypes.cpu().start(torch.from_numpy(frames), self.batch_frames,
                                   derive(self.seed, "clusters", number))
            prototypes.to(self.device)

    def _cluster(self) -> None:
        """Fit k-means, and give every train frame its attributes."""
        frozen = self.config.clustering == "frozen"
        frames = self._frames(frozen)
        some = self.train.sample(FIT_FRAMES, self.seed, "clusters")
        self.ids = []
        for number, prototypes in enumerate(self.branches.prototypes):
            prototypes.cpu().fit(frames[some], derive(self.seed, "clusters", number,
                                                      self.state.epoch))
            self.ids.append(torch.cat([
                prototypes.cosines(torch.from_numpy(part)).argmax(1)
                for part in np.array_split(frames, max(1, len(frames) // 10_000))]).int())
            prototypes.to(self.device)

    def _teacher_frames(self, positions: np.ndarray) -> np.ndarray:
        return self._frames(False)[positions]

    @torch.inference_mode()
    def _frames(self, of_encoder: bool) -> np.ndarray:
        """Give all train frames [n, d], of the teacher or of the encoder's last state."""
        width = self.width if of_encoder else self.config.width
        found = np.zeros((self.train.n_frames, width), np.float32)
        self.branches.eval()
        for batch in self.train.in_order(self.config.batch_seconds):
            real = real_frames(batch.lengths, batch.values.shape[1])
            frames = batch.values[:, :, -width:] if of_encoder else self.branches.see(
                self.branches.teacher, as_states(batch.values.to(self.device), self.width),
                real.to(self.device)).float().cpu()
            found[batch.at] = frames[real].numpy()
        return found

    # ---- one epoch

    def epoch(self, bar) -> None:
        started = time.monotonic()
        clustering, epoch = self.config.clustering, self.state.epoch
        if clustering != "online" and (epoch == 0 or (
                clustering == "offline" and epoch % self.config.refresh_epochs == 0)):
            self._cluster()
        plans = self.train.epoch(self.config.batch_seconds, self.seed, epoch)
        figures = EpochFigures(self.config, len(plans), int(self.train.lengths.max()))
        self.branches.train()
        for items in plans:
            if self.state.step >= self.n_steps:
                break
            self._step(self.train.batch(items), figures)
            bar.update()
        trained = time.monotonic() - started
        self.state.epoch += 1
        record = {
            "epoch": self.state.epoch, "step": self.state.step,
            "learning_rate": self.optimizer.param_groups[0]["lr"], **figures.record(),
            "bad_steps": self.state.bad,
            **{f"dev_{name}": value for name, value in held_out(
                self.branches, self.dev, self.width, self.seed, self.device,
                figures.commonest()).items()},
            "hours_per_hour": round(figures.n_seconds / trained, 1),
            "seconds": round(time.monotonic() - started, 3)}
        self.history.append(record)
        self.cell.append_history(record)
        self._refuse_collapse()
        self._save_resume()
        if bar.disable:
            log.info("%s epoch %d/%d %s", self.cell.name, self.state.epoch, self.n_epochs,
                     in_words(record, self.config))

    def _step(self, batch, figures: EpochFigures) -> None:
        config, branches, state = self.config, self.branches, self.state
        progress = state.step / self.n_steps
        rate = scheduled_rate(config, state.step, self.n_steps)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        torch.manual_seed(derive(self.seed, "dropout", state.step))
        masked = self.train.masks(batch, config.mask_share, config.mask_span, self.seed,
                                  state.epoch).to(self.device)
        states = as_states(batch.values.to(self.device), self.width)
        real = real_frames(batch.lengths, batch.values.shape[1]).to(self.device)
        state.step += 1
        with self.autocast:
            with torch.no_grad():
                teacher = branches.see(branches.teacher, states, real)
            frames = teacher[real]  # [n, d]
            targets = self._targets(frames, batch.at)
            student = branches.see(branches.student, states, real, masked)
            found = losses(branches, student, teacher, real, masked, targets)
        loss = total(found, config)
        self.optimizer.zero_grad(set_to_none=True)
        if not found:
            # crops of one frame each have nothing to predict
            return
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(branches.parameters(), config.clip_norm)
        value = float(loss.detach())
        if not (math.isfinite(value) and math.isfinite(float(norm))):
            self._count_bad(value)
            return
        self.optimizer.step()
        branches.follow(teacher_decay(config.teacher_decay, progress))
        if config.clustering == "online":
            draws = torch_generator(self.seed, "reseed", state.step)
            for prototypes, target in zip(branches.prototypes, targets):
                figures.reseeded += prototypes.update(
                    frames, target, config.cluster_decay, config.reseed_share, draws)
        figures.add(found, frames, targets, real.nonzero()[:, 1], int(masked.sum()), float(
            self.train.seconds[batch.items].sum()))

    def _targets(self, frames: Tensor, at: np.ndarray) -> list[Tensor]:
        """Give for each clustering the targets of the batch's real frames."""
        if self.ids:
            return [ids[torch.from_numpy(at)].long().to(self.device) for ids in self.ids]
        return [assign(prototypes, frames, self.config) for prototypes in self.branches.prototypes]

    def _count_bad(self, loss: float) -> None:
        self.state.bad += 1
        if self.state.bad >= self.config.bad_steps:
            raise EmokitError(
                f"{self.cell.name}: the loss was no finite number in {self.state.bad} steps (now "
                f"{loss}, in epoch {self.state.epoch + 1}). Lower learning_rate, or set "
                "precision=float32.")

    def _refuse_collapse(self) -> None:
        why = collapsed(self.history, self.config)
        if why is not None:
            # what has collapsed shall not go on from here
            (self.cell.folder / RESUME).unlink(missing_ok=True)
            raise EmokitError(f"{self.cell.name} collapsed in epoch {self.state.epoch}: {why}")

    # ---- files

    def _save_resume(self) -> None:
        data = io.BytesIO()
        torch.save({
            "branches": self.branches.state_dict(), "optimizer": self.optimizer.state_dict(),
            "progress": dataclasses.asdict(self.state), "history": self.history,
            "ids": self.ids, "facts": self.facts}, data)
        write_bytes(self.cell.folder / RESUME, data.getbuffer())

    def finish(self) -> dict[str, Any]:
        """Write the adapter and the metrics; drop resume.pt."""
        last = self.history[-1]
        for n in self.config.attributes:
            accuracy, blind = last["dev_accuracy"][str(n)], max(
                last["dev_majority"][str(n)], last["dev_place"][str(n)])
            if accuracy <= blind:
                log.warning(
                    "%s: of %d attributes the masked ones are predicted no better than without "
                    "listening, by the commonest, or the commonest at that place (%.3f against "
                    "%.3f). Learn longer, or set another mask_share.", self.cell.name, n, accuracy,
                    blind)
        saved.save(self.cell.folder / saved.FILE, self.branches, self.facts)
        metrics = {**{key: value for key, value in last.items() if key != "seconds"},
                   "epochs": self.state.epoch,
                   "seconds": round(sum(record["seconds"] for record in self.history), 1)}
        write_json(self.cell.folder / METRICS, metrics)
        (self.cell.folder / RESUME).unlink(missing_ok=True)
        return metrics
