"""fit(): one model, from its start to its best and last checkpoint."""

from __future__ import annotations

import dataclasses
import io
import logging
import math
import time
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import torch

from emokit.audio.augment import make as make_augmentations
from emokit.core.errors import EmokitError
from emokit.core.files import write_bytes, write_csv, write_json
from emokit.core.seeding import derive, generator, torch_generator
from emokit.loading.sampler import EpochSampler
from emokit.loading.source import Source
from emokit.training import checkpoint
from emokit.training.average import WeightAverage
from emokit.training.config import TrainConfig
from emokit.training.feed import make_feed
from emokit.training.mixup import draw as draw_mixture
from emokit.training.objective import Objective
from emokit.training.optim import make_optimizer, scheduled_rate, set_rate
from emokit.training.predict import place, prediction_table, score
from emokit.training.resume import moving_state, resting, restore, state_hash
from emokit.training.run import BEST, LAST, METRICS, RESUME, Cell
from emokit.training.selection import figures, in_words, means

log = logging.getLogger("emokit")


@dataclasses.dataclass
class Progress:
    """Where a run stands at the end of an epoch; all of it is saved for resuming."""

    epoch: int = 0
    step: int = 0
    stage: int = 0
    best_epoch: int = -1
    best_score: float = -math.inf
    best_loss: float = math.inf
    plateau_score: float = -math.inf
    plateau_epoch: int = 0
    stopped: str = ""


def fit(model, sources: Sequence[Source], config: TrainConfig, seed: int, cell: Cell,
        facts: dict[str, Any], new_adapters: Collection[str] = ()) -> dict[str, Any]:
    """Train a model on its sources and leave the complete cell behind.

    Everything random derives from `seed`, an epoch and a name, so a run that was stopped after
    any epoch and started again ends with the same weights and history as an unbroken one.
    Selection sees dev alone: mean over corpora of the dev UAR (CCC for dimensions, the mean of
    both for both), ties to the lower dev loss, then the earlier epoch. Test audio is not opened.

    Args:
        model: an EmotionModel on its device, `apply_mode` done, normalisation set.
        sources: what is trained on; each has train and dev rows.
        facts: what the checkpoint shall say besides.
        new_adapters: names of those that the start did not have.

    Returns:
        The content of `metrics.json`.

    Raises:
        EmokitError: the loss is no longer finite.
    """
    trainer = _Trainer(model, sources, config, seed, cell, facts, new_adapters)
    trainer.resume()
    with trainer.bar() as bar:
        while not trainer.state.stopped:
            trainer.epoch(bar)
    return trainer.finish()


class _Trainer:
    """The loop's state; `fit` reads as the algorithm."""

    def __init__(self, model, sources, config, seed, cell, facts, new_adapters=()):
        self.model, self.sources, self.config = model, list(sources), config
        self.seed, self.cell, self.facts = seed, cell, facts
        self.device = next(model.parameters()).device
        sizes: dict[str, int] = {}
        for source in self.sources:
            sizes[source.head] = sizes.get(source.head, 0) + len(source.rows["train"])
        self.new_adapters = new_adapters
        self.optimizer = make_optimizer(model, config, sizes, new_adapters)
        # walking through 26 corpora's modules at each step takes longer than clipping
        self.learning = [one for one in model.parameters() if one.requires_grad]
        self.sizes = sizes
        self.sampler = EpochSampler(
            [(source.name, source.classes, source.rows["train"]) for source in self.sources],
            config.batch_size, config.sampler, config.temperature,
            config.balance == "sampling", seed, config.bucket,
            [source.samples(config.window) for source in self.sources], config.mixed_batches,
        )
        per_epoch = math.ceil(len(self.sampler) / config.corpora_per_step)
        self.n_steps = config.epochs * per_epoch
        self.average = None
        if config.average_share:
            self.average = WeightAverage(model, config.average_share * self.n_steps)
        self.answering = self.average.model if self.average else model
        self.frame_augmentations = [change for change in make_augmentations(config.augment)
                                    if change.domain == "frames"]
        self.feed = make_feed(model, self.sources, config, seed, self.device.type == "cuda")
        self.objective = Objective(self.sources, config, self.device)
        self.autocast, _, _ = precision_of(config, self.device)
        # a frozen encoder stands in the checkpoints, so that what goes on need not repeat it
        self.resting = resting(model)
        self.resting_hash = state_hash(model, self.resting)
        self.state, self.history = Progress(), []
        self.head_steps: dict[str, int] = {}
        self.rate = config.learning_rate

    def bar(self):
        """Make the progress bar over the whole run; off when stderr is no terminal."""
        from tqdm import tqdm

        total = sum(len(plan.rows) for plan in self.sampler.plans(0)) * self.config.epochs
        done = sum(record["utterances"] for record in self.history)
        return tqdm(total=total, initial=done, unit="utt", desc=self.cell.name, disable=None,
                    dynamic_ncols=True, smoothing=0.05)

    # ---- one epoch

    def epoch(self, bar) -> None:
        started = time.monotonic()
        losses, counts = self._train_epoch(bar)
        trained = time.monotonic() - started
        dev = self._score_dev()
        record = self._record(losses, counts, dev, trained, time.monotonic() - started)
        self._select(record)
        self.history.append(record)
        self.cell.append_history(record)
        self._save_resume()
        if bar.disable:
            log.info("%s epoch %d/%d loss %.3f dev %s (best %.3f) %d utt/s",
                     self.cell.name, self.state.epoch, self.config.epochs, record["train_loss"],
                     in_words(record, "dev_"), self.state.best_score,
                     record["utterances_per_second"])

    def _train_epoch(self, bar):
        state, config = self.state, self.config
        self.model.train()
        plans = self.sampler.plans(state.epoch)
        sums = torch.zeros(len(self.sources), device=self.device)
        counts = np.zeros(len(self.sources), dtype=int)
        pending = 0
        for number, batch in enumerate(self.feed.batches(plans)):
            plan = plans[number]
            source = self.sources[plan.source]
            if pending == 0:
                self.rate = scheduled_rate(config, state.step, self.n_steps, state.stage)
                set_rate(self.optimizer, self.rate)
                self.optimizer.zero_grad(set_to_none=True)
            loss = self._loss(batch.to(self.device), source)
            in_step = min(config.corpora_per_step, len(plans) - number + pending)
            (loss / in_step).backward()
            # no .item() here: reading a value from a GPU would make the step wait for it
            sums[plan.source] += loss.detach() * len(batch.utterances)
            counts += np.bincount(plan.sources, minlength=len(counts))
            pending += 1
            if pending == in_step:
                self._step()
                pending = 0
            bar.update(len(batch.utterances))
            bar.set_postfix(self._postfix(source.head), refresh=False)
        state.epoch += 1
        return sums.cpu().numpy(), counts

    def _postfix(self, corpus: str) -> dict[str, str]:
        last = self.history[-1] if self.history else {}
        shown = {"corpus": corpus, "epoch": f"{self.state.epoch + 1}/{self.config.epochs}"}
        if last:
            shown |= {"loss": f"{last['train_loss']:.3f}", "dev": in_words(last, "dev_"),
                      "best": f"{self.state.best_score:.3f}"}
        return shown

    def _loss(self, batch, source: Source):
        # dropout of one corpus must not depend on how often others were drawn
        n = self.head_steps[source.head] = self.head_steps.get(source.head, 0) + 1
        _seed(self.device, derive(self.seed, "dropout", source.head, n))
        mixture = None
        if self.config.mixup:
            draws = generator(self.seed, "mixup", source.head, n)
            mixture = draw_mixture(self.config.mixup, len(batch.lengths), draws, self.device)
        with self.autocast:
            changes = self._frame_changes(source.head, n, mixture)
            answers = self.feed.logits(self.model, batch, changes)
        return self.objective(answers, batch.targets, source, mixture, batch.sources)

    def _frame_changes(self, head: str, n: int, mixture):
        """Give what happens to the normalised frames of step `n` of a head, or None."""
        if not self.frame_augmentations and mixture is None:
            return None

        def change_frames(frames, lengths):
            if mixture is not None:
                frames = mixture.frames(frames)
            draws = torch_generator(self.seed, "frames", head, n)
            for change in self.frame_augmentations:
                frames = change(frames, lengths, draws)
            return frames

        return change_frames

    def _step(self) -> None:
        if self.config.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(self.learning, self.config.clip_norm)
        self.optimizer.step()
        self.state.step += 1
        if self.average:
            self.average.update(self.state.step)

    def _score_dev(self) -> dict[str, tuple[float, float]]:
        return {source.name: figures(source, self.feed.score(self.answering, source))
                for source in self.sources}

    def _record(self, losses, counts, dev, trained: float, seconds: float) -> dict[str, Any]:
        total = float(losses.sum() / counts.sum())
        if not math.isfinite(total):
            raise EmokitError(
                f"The loss of {self.cell.name} became {total} in epoch {self.state.epoch}. "
                "Lower learning_rate, or set clip_norm=1."
            )
        corpora = {}
        for index, source in enumerate(self.sources):
            # a batch of several corpora has one loss for all of them
            mean = None if self.config.mixed_batches or not counts[index] else float(
                losses[index] / counts[index])
            corpora[source.name] = {
                "train_loss": mean, "utterances": int(counts[index]),
                **{f"dev_{name}": value for name, value in dev[source.name].items()
                   if name != "n"}}
        return {"epoch": self.state.epoch, "step": self.state.step, "stage": self.state.stage,
                "learning_rate": self.rate, "train_loss": total,
                **{f"dev_{name}": value for name, value in means(dev).items()},
                "utterances": int(counts.sum()), "corpora": corpora,
                "seconds": round(seconds, 3),
                "utterances_per_second": round(float(counts.sum() / max(trained, 1e-9)), 1)}

    def _select(self, record: dict[str, Any]) -> None:
        state, config = self.state, self.config
        score, loss = record["dev_score"], record["dev_loss"]
        if (score, -loss) > (state.best_score, -state.best_loss):
            state.best_score, state.best_loss, state.best_epoch = score, loss, state.epoch
            self._save(BEST, record)
        if score > state.plateau_score + config.plateau_rise:
            state.plateau_score, state.plateau_epoch = score, state.epoch
        if state.epoch >= config.epochs:
            state.stopped = "epochs"
        elif config.patience and state.epoch - state.best_epoch >= config.patience:
            state.stopped = "patience"
        elif (config.schedule == "plateau"
              and state.epoch - state.plateau_epoch >= config.plateau_epochs):
            self._next_stage()

    def _next_stage(self) -> None:
        """Go on from the best weights at a tenth of the rate, or end."""
        state = self.state
        if state.stage + 1 >= self.config.plateau_stages:
            state.stopped = "plateau"
            return
        state.stage += 1
        state.plateau_epoch = state.epoch
        best = checkpoint.read_tensors(self.cell.folder / BEST)
        for model in {self.model, self.answering}:
            model.load_checkpoint_state(best)
        self.optimizer = make_optimizer(self.model, self.config, self.sizes, self.new_adapters)

    # ---- files

    def _save(self, name: str, record: dict[str, Any]) -> None:
        checkpoint.save(self.cell.folder / name, self.answering, {
            **self.facts, "epoch": record["epoch"],
            **{name: record[name] for name in ("dev_uar", "dev_ccc") if name in record}})

    def _save_resume(self) -> None:
        data = io.BytesIO()
        torch.save({
            "model": moving_state(self.model, self.resting), "resting": self.resting_hash,
            "optimizer": self.optimizer.state_dict(),
            "progress": dataclasses.asdict(self.state), "history": self.history,
            "head_steps": self.head_steps, "facts": self.facts,
            "average": moving_state(self.average.model, self.resting) if self.average else None,
        }, data)
        write_bytes(self.cell.folder / RESUME, data.getbuffer())

    def resume(self) -> None:
        """Take up where the last complete epoch ended, if there is one."""
        path = self.cell.folder / RESUME
        if not path.is_file():
            self.cell.write_history([])
            return
        try:
            saved = torch.load(path, map_location=self.device, weights_only=True)
        except Exception as error:
            # a pickle may break in any way; its content is never trusted, only refused
            raise EmokitError(
                f"'{path}' cannot be read ({type(error).__name__}). Remove it to begin the cell "
                "anew."
            ) from None
        for fact, words in (("manifests", "another build of its corpora"),
                            ("init", "other weights than --init means now")):
            if saved["facts"][fact] != self.facts[fact]:
                raise EmokitError(
                    f"'{self.cell.folder}' was begun on {words}. Remove that folder to begin anew."
                )
        # files from before there was a hash hold all tensors
        if saved.get("resting", self.resting_hash) != self.resting_hash:
            raise EmokitError(
                f"'{self.cell.folder}' was begun on other weights of what is frozen. Remove that "
                "folder to begin anew."
            )
        self.state = Progress(**saved["progress"])
        self.history, self.head_steps = saved["history"], saved["head_steps"]
        restore(self.model, saved["model"], self.resting, path)
        self.optimizer.load_state_dict(saved["optimizer"])
        if self.average:
            restore(self.average.model, saved["average"], self.resting, path)
        self.cell.write_history(self.history)
        log.info("%s goes on after epoch %d", self.cell.name, self.state.epoch)

    def finish(self) -> dict[str, Any]:
        """Write last checkpoint, dev predictions of the best one, metrics; drop resume.pt."""
        self._save(LAST, self.history[-1])
        best, _ = checkpoint.load(self.cell.folder / BEST)
        place(best, self.device)
        dev = {}
        for source in self.sources:
            scores = score(best, source, "dev", self.config.window, self.config.scoring)
            dev[source.name] = figures(source, scores)
            write_csv(self.cell.predictions(source.name, "dev"),
                      prediction_table(source, "dev", scores))
        metrics = {
            "dev": dev, **{f"dev_{name}": value for name, value in means(dev).items()},
            "epoch": self.state.best_epoch, "epochs": self.state.epoch,
            "stopped": self.state.stopped,
            "seconds": round(sum(record["seconds"] for record in self.history), 1),
            "utterances_per_second": float(np.median(
                [record["utterances_per_second"] for record in self.history])),
        }
        write_json(self.cell.folder / METRICS, metrics)
        (self.cell.folder / RESUME).unlink(missing_ok=True)
        return metrics


def _seed(device: torch.device, seed: int) -> None:
    """Seed the generator that dropout draws from."""
    if device.type == "cpu":
        torch.default_generator.manual_seed(seed)
    else:
        # sees to every kind of device, and takes as long as the step of a head
        torch.manual_seed(seed)


def precision_of(config: TrainConfig, device: torch.device):
    """Give (autocast context, its name, why) for training steps."""
    wanted = config.precision
    if wanted == "auto":
        bf16 = device.type == "cuda" and torch.cuda.is_bf16_supported()
        why = "auto: a GPU with bf16" if bf16 else f"auto: {device.type} without fast bf16"
    else:
        bf16, why = wanted == "bf16", "as set"
    context = torch.autocast(device.type, torch.bfloat16, enabled=bf16)
    return context, "bf16" if bf16 else "float32", why
