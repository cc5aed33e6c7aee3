"""Which utterances an encoder learns from, in batches counted in seconds."""

from __future__ import annotations

import dataclasses
import itertools
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from emokit.audio.crop import random_crop
from emokit.core.errors import ConfigError, CorpusError, culprits
from emokit.core.files import read_csv
from emokit.core.seeding import generator
from emokit.corpora.store import RATE, BuiltCorpus
from emokit.loading.batch import Batch
from emokit.loading.dataset import collate
from emokit.loading.sampler import Plan
from emokit.loading.source import Source, fold_of, folds_of, partition_column
from emokit.pretraining.config import PretrainConfig

log = logging.getLogger("emokit")

HELD_OUT = "held_out"
"""Rows of train whose speakers are kept to measure on."""

HELD_OUT_SECONDS = 300
"""Held-out speech that is measured on, at most."""

_FEWEST = 3  # speakers of a corpus below which none is held out


def make_sources(corpora: Sequence[BuiltCorpus], config: PretrainConfig, seed: int
                 ) -> list[Source]:
    """Give the utterances of train, those of some speakers held out; no label is read.

    Returns:
        A source for each corpus with utterances, `rows` by train, held_out, dev and test; the
        latter two only to hold others to them.

    Raises:
        CorpusError: no train utterance is left, or speakers of train speak in dev or test too.
        ConfigError: an utterance asked for that is not of train, or nobody can be held out.
    """
    wanted = None if config.utterances is None else read_utterances(config.utterances)
    if config.fold is not None:
        folds_of(corpora, str(config.fold))
    columns = {corpus.name: partition_column(corpus, fold_of(corpus, config.fold))
               for corpus in corpora}
    if wanted is not None:
        _refuse_unseen(wanted, corpora, columns, config.utterances)
    sources = []
    for corpus in corpora:
        column, fold = columns[corpus.name]
        rows = {name: np.flatnonzero(column == name) for name in ("train", "dev", "test")}
        if wanted is not None:
            names = corpus.manifest["utterance"].iloc[rows["train"]]
            rows["train"] = rows["train"][names.isin(wanted).to_numpy()]
        if len(rows["train"]):
            _refuse_speakers(corpus, rows, config)
            rows |= _hold_out(corpus, rows["train"], config.held_out, seed)
            sources.append(Source(corpus, corpus.name, (), (),
                                  np.full(len(column), -1, np.int64), rows, fold))
    if not any(len(source.rows["train"]) for source in sources):
        raise CorpusError(
            f"No train utterance of {culprits(corpus.name for corpus in corpora)} is left to learn "
            "from. Choose other --corpora, another --fold, or lower --held-out.")
    if config.held_out and not any(len(source.rows[HELD_OUT]) for source in sources):
        raise ConfigError(
            f"No corpus has {_FEWEST} known speakers in train, so none can be held out to measure "
            "on. Go on without: --held-out 0, which takes the last weights as the best.")
    return sources


def read_utterances(path: str) -> set[str]:
    """Read ids from a file with one a line, or from a table with a column 'utterance'.

    Raises:
        ConfigError: no such file, or it names none.
    """
    file = Path(path)
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The utterances cannot be read from '{path}' ({error}). Name a text "
                          "file with an id a line.") from None
    if lines and "utterance" in lines[0].split(","):
        found = set(read_csv(file)["utterance"])
    else:
        found = {line.strip() for line in lines if line.strip()}
    if not found:
        raise ConfigError(f"'{path}' names no utterance. Write an id a line, such as "
                          "emodb/03a01Wa.")
    return found


def _refuse_unseen(wanted: set[str], corpora: Sequence[BuiltCorpus], columns: Mapping, path: str
                   ) -> None:
    """Refuse ids that no corpus has, and those of dev or test."""
    where = {name: partition for corpus in corpora for name, partition in zip(
        corpus.manifest["utterance"], columns[corpus.name][0])}
    unknown = sorted(name for name in wanted if name not in where)
    if unknown:
        raise ConfigError(f"{len(unknown)} of {len(wanted)} utterances in '{path}' are in no built "
                          f"corpus: {culprits(unknown)}. Check the ids, or build their corpus.")
    others = sorted(name for name in wanted if where[name] != "train")
    if others:
        kinds = sorted({where[name] or "no partition" for name in others})
        raise ConfigError(
            f"{len(others)} of {len(wanted)} utterances in '{path}' are of {' and '.join(kinds)}, "
            f"not of train: {culprits(others)}. What an encoder has heard, even without labels, "
            "cannot test it; take them off the list.")


def _refuse_speakers(corpus: BuiltCorpus, rows: Mapping[str, np.ndarray], config: PretrainConfig
                     ) -> None:
    speakers = corpus.manifest["speaker"].to_numpy(dtype=object)
    others = set(speakers[np.concatenate([rows["dev"], rows["test"]])])
    both = sorted((set(speakers[rows["train"]]) & others) - {""})
    if not both:
        return
    words = (f"{len(both)} speakers of train of '{corpus.name}' speak in dev or test too: "
             f"{culprits(both)}")
    if not config.shared_speakers:
        raise CorpusError(f"{words}. Leave the corpus out with --corpora, or take it nevertheless "
                          "with --shared-speakers.")
    log.warning("%s.", words)


def _hold_out(corpus: BuiltCorpus, train: np.ndarray, share: float, seed: int
              ) -> dict[str, np.ndarray]:
    """Divide rows of train by speaker; those of unknown speakers are learnt from."""
    speakers = corpus.manifest["speaker"].to_numpy(dtype=object)[train]
    known = sorted(set(speakers) - {""})
    n = max(round(share * len(known)), 1 if share and len(known) >= _FEWEST else 0)
    kept = generator(seed, "held out", corpus.name).permutation(np.array(known, object))[:n]
    held = np.isin(speakers, kept)
    return {"train": train[~held], HELD_OUT: train[held]}


def hours(sources: Sequence[Source], part: str) -> float:
    """Give how long the utterances of one part are together."""
    return sum(int(source.corpus.audio.lengths[source.rows[part]].sum())
               for source in sources) / RATE / 3600


# batches

def pack(sources: Sequence[Source], part: str, window: float | None, seconds: float, bucket: int,
         rng: np.random.Generator, epoch: int) -> list[Plan]:
    """Put the utterances of a part into batches of so many seconds, padding included.

    Utterances are shuffled; those that make about `bucket` batches are sorted by length and cut
    so that number times longest stays within `seconds`; then the batches are shuffled. One
    utterance that is longer makes a batch of its own.
    """
    rows = np.concatenate([source.rows[part] for source in sources])
    index = np.concatenate([np.full(len(source.rows[part]), number)
                            for number, source in enumerate(sources)])
    samples = np.concatenate([source.samples(window)[source.rows[part]] for source in sources])
    limit = seconds * RATE
    order = rng.permutation(len(rows))
    share = np.floor(np.cumsum(samples[order]) / (bucket * limit)).astype(int)
    plans = []
    for number in np.unique(share):
        some = order[share == number]
        some = some[np.argsort(samples[some], kind="stable")]
        first = 0
        while first < len(some):
            last = first + 1
            while last < len(some) and (last + 1 - first) * samples[some[last]] <= limit:
                last += 1
            taken = some[first:last]
            plans.append(Plan(int(index[taken[0]]), rows[taken], epoch, index[taken]))
            first = last
    return [plans[number] for number in rng.permutation(len(plans))]


def held_out_plans(sources: Sequence[Source], config: PretrainConfig, seed: int) -> list[Plan]:
    """Give the batches that are measured on, the same ones every time."""
    rng = generator(seed, "measured")
    plans = pack(sources, HELD_OUT, config.window, config.batch_seconds, config.bucket, rng, 0) \
        if any(len(source.rows[HELD_OUT]) for source in sources) else []
    kept, total = [], 0.0
    for plan in plans:
        if total >= HELD_OUT_SECONDS:
            break
        kept.append(plan)
        total += sum(int(sources[number].samples(config.window)[row])
                     for number, row in zip(plan.sources, plan.rows)) / RATE
    return kept


@dataclasses.dataclass
class Clip(Batch):
    """A batch of crops, each from a whole number of the encoder's frames into its utterance.

    Args:
        first: [B], that number.
        rows: [B] manifest rows.
    """

    first: torch.Tensor | None = None
    rows: np.ndarray | None = None


class Clips(torch.utils.data.Dataset):
    """Batches by number: a random crop of each utterance.

    Crops depend on seed, epoch and utterance alone.

    Args:
        sources: as `make_sources` gives them.
        plans: the batches.
        window: seconds, or None for whole utterances.
        hop: samples of a frame; crops begin at a multiple.
        seed: of the run.
    """

    def __init__(self, sources: Sequence[Source], plans: Sequence[Plan], window: float | None,
                 hop: int, seed: int):
        self.sources, self.plans, self.hop, self.seed = sources, plans, hop, seed
        self.window = None if window is None else round(window * RATE)
        self.names = [source.corpus.manifest["utterance"].to_numpy(dtype=object)
                      for source in sources]

    def __len__(self) -> int:
        return len(self.plans)

    def __getitem__(self, number: int) -> Clip:
        plan = self.plans[number]
        waveforms, names, first = [], [], []
        for index, row in zip(plan.sources.tolist(), plan.rows.tolist()):
            audio, name = self.sources[index].corpus.audio, self.names[index][row]
            n_samples = int(audio.offsets[row + 1] - audio.offsets[row])
            start, stop = random_crop(n_samples, self.window,
                                      generator(self.seed, "crop", plan.epoch, name))
            shift = start % self.hop
            waveforms.append(audio.read(row, start - shift, stop - shift))
            names.append(name)
            first.append(start // self.hop)
        batch = collate(waveforms, self.sources[plan.source].name, names)
        return Clip(batch.inputs, batch.lengths, batch.corpus, batch.utterances,
                    sources=torch.from_numpy(np.asarray(plan.sources)),
                    first=torch.tensor(first), rows=plan.rows)


def endless(sources: Sequence[Source], config: PretrainConfig, seed: int, step: int = 0
            ) -> Iterator[Plan]:
    """Give batches of train, one epoch after the other, from that of a step on.

    Each epoch depends on seed and its number alone, so a resumed run needs no state of it.
    """
    passed = 0
    for epoch in itertools.count():
        plans = pack(sources, "train", config.window, config.batch_seconds, config.bucket,
                     generator(seed, "shuffle", epoch), epoch)
        yield from plans[max(0, step - passed):]
        passed += len(plans)
