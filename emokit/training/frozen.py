"""Frozen states of scoring crops, and training and scoring from them instead of from audio."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from emokit.core.seeding import generator
from emokit.loading.batch import Batch
from emokit.loading.dataset import make_targets
from emokit.loading.sampler import Plan
from emokit.loading.source import Source
from emokit.training.predict import batches, mean_answers, scoring


BELOW_READOUT = ("layers", "last")
"""Levels of states that a backbone's readout, and what sits there, still has to read."""

_BELOW = re.compile(r"(state|states)([1-9]\d*)")


def below_layer(level: str) -> tuple[int, bool] | None:
    """Read a level of what lies below a layer: its number, and whether all states below count.

    Example:
        >>> below_layer("state2"), below_layer("states2"), below_layer("layers")
        ((2, False), (2, True), None)
    """
    found = _BELOW.fullmatch(level)
    return None if found is None else (int(found[2]), found[1] == "states")


@dataclasses.dataclass(frozen=True)
class States:
    """Frozen states of the scoring crops of some utterances of one corpus.

    Crops are in the order in which `predict.batches` scores them, so that reading is sequential
    and a head sees the very batches that the whole model would.

    Args:
        head: id of the model's part that the corpus uses.
        level: what they are, see `emokit.training.states`.
        rows: [n] manifest rows, ascending.
        crops: [m, 3] int64 (index into rows, start, stop) in samples.
        lengths: [m] states of each crop; 1 where they are embeddings.
        values: [sum of lengths, D], memory-mapped; of layers the N states of a frame in a row.
    """

    head: str
    level: str
    rows: np.ndarray
    crops: np.ndarray
    lengths: np.ndarray
    values: np.ndarray

    @functools.cached_property
    def offsets(self) -> np.ndarray:
        """Crop i has states offsets[i] to offsets[i + 1], [m + 1]."""
        return np.concatenate([[0], np.cumsum(self.lengths)])

    @functools.cached_property
    def _by_row(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        order = np.lexsort((self.crops[:, 1], self.crops[:, 0]))
        first = np.searchsorted(self.crops[order, 0], np.arange(len(self.rows)))
        return order, first, np.bincount(self.crops[:, 0], minlength=len(self.rows))

    def draw(self, rows: np.ndarray, shares: np.ndarray) -> np.ndarray:
        """Give one crop of each row, [B] indices into `crops`.

        Args:
            rows: [B] manifest rows, all among `rows`.
            shares: [B] in [0, 1); crop floor(share n) of n, in the order of their starts.
        """
        order, first, count = self._by_row
        index = np.searchsorted(self.rows, rows)
        return order[first[index] + (shares * count[index]).astype(int)]

    def inputs(self, crops: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Give the states of crops, [B, D] or [B, T', D] padded with zeros, and their lengths."""
        if self.level == "embedding":
            return torch.tensor(np.asarray(self.values[crops])), torch.ones(len(crops)).long()
        lengths = self.lengths[crops]
        padded = torch.zeros(len(crops), int(lengths.max()), self.values.shape[1])
        for row, crop, length in zip(padded, crops, lengths):
            first = self.offsets[crop]
            row[:length] = torch.tensor(np.asarray(self.values[first:first + length]))
        return padded, torch.from_numpy(lengths)

    def answers(self, model) -> np.ndarray:
        """Score the utterances by what comes after the states.

        Returns:
            [n, K + R] float64; for embeddings made on this kind of device the same bits as
            `predict.crop_answers`.
        """
        device = next(model.parameters()).device

        def scored():
            position = 0
            for some in batches(map(tuple, self.crops.tolist())):
                inputs, lengths = self.inputs(np.arange(position, position + len(some)))
                position += len(some)
                batch = Batch(inputs, lengths, self.head).to(device)
                yield some, logits(model, batch, self.level)

        with scoring(model):
            return mean_answers(scored(), len(self.rows), model.part(self.head))


def logits(model, batch: Batch, level: str = "") -> Tensor:
    """Give a head's answers [B, K + R] from a batch of states.

    Args:
        batch: its inputs are embeddings [B, D], frames [B, T', D], or states of layers
            [B, T', N D].
        level: of the states, where they are those of layers.
    """
    inputs, below = batch.inputs, below_layer(level)
    if below or level in BELOW_READOUT:
        model.select(batch.corpus)
        inputs = inputs.unflatten(2, (-1, model.backbone.dim)).transpose(1, 2)  # [B, N, T', D]
        inputs = model.backbone.resume(inputs, batch.lengths, below[0]) if below else (
            model.backbone.read(inputs, batch.lengths))
    if inputs.dim() == 3:
        inputs = model.pool(batch.corpus, inputs, batch.lengths)
    return model.part(batch.corpus).head(inputs)


def frozen_level(model) -> str | None:
    """Give up to where nothing learns, so that it can run once: see `emokit.training.states`.

    Returns:
        `embedding` where heads alone learn; `layers` where besides those only what mixes the
        states of layers or pools does, or `last` where that takes the last state alone; `state2`
        where adapters in layers from number 2 on learn too, `states2` where states below are
        mixed; None otherwise.
    """
    parts = [model.part(corpus) for corpus in model.corpora]
    learning = {id(parameter) for parameter in model.parameters() if parameter.requires_grad}
    above = _ids(part.head for part in parts)
    if learning and learning <= above:
        return "embedding"
    mixes = [adapter for part in parts for site in model.backbone.sites().get("states", ())
             for _, adapter in part.at(site)]
    poolings = [part.pooling for part in parts if part.pooling is not None]
    above |= _ids([*mixes, *poolings, *([] if model.pooling is None else [model.pooling])])
    if mixes and learning and learning <= above:
        return "last" if all(adapter.reads_last for adapter in mixes) else "layers"
    first = _first_layer(model, parts, learning, above)
    if not first:
        return None
    mixed = model.backbone.readout.mean or not all(adapter.reads_last for adapter in mixes)
    return f"{'states' if mixed else 'state'}{first}"


def _first_layer(model, parts: Sequence, learning: set[int], above: set[int]) -> int | None:
    """Give the lowest transformer layer where an adapter learns; None if something else does."""
    backbone = model.backbone
    if not hasattr(backbone, "resume") or getattr(backbone.config, "padded", False):
        # padding is heard there, so states of an utterance alone do not suffice
        return None
    layers, known = [], set(above)
    for part in parts:
        for group in part.groups.values():
            for key, adapter in group.items():
                own = _ids([adapter])
                if own & learning - above:
                    layers.append(backbone.layer_of(key.replace("/", ".")))
                    known |= own
    return min(layers) if layers and None not in layers and learning <= known else None


def _ids(modules: Iterable[torch.nn.Module]) -> set[int]:
    return {id(parameter) for module in modules for parameter in module.parameters()}


class StateBatches(torch.utils.data.Dataset):
    """Batches of one epoch from states: of each utterance one scoring crop, drawn every epoch.

    Args:
        sources: the run's corpora.
        states: of their train rows, in the same order.
        plans: the epoch's batches.
        seed: of the run.
    """

    def __init__(self, sources: Sequence[Source], states: Sequence[States], plans: Sequence[Plan],
                 seed: int):
        self.sources, self.states, self.plans = sources, states, plans
        epochs = {plan.epoch for plan in plans}
        # one draw a row of the manifest, so that the size of batches moves none
        self.shares = {
            (index, epoch): generator(seed, "crop", epoch, source.name).random(
                len(source.classes))
            for index, source in enumerate(sources) for epoch in epochs}
        self.names = [source.corpus.manifest["utterance"].to_numpy(dtype=object)
                      for source in sources]

    def __len__(self) -> int:
        return len(self.plans)

    def __getitem__(self, number: int) -> Batch:
        plan = self.plans[number]
        source, kept = self.sources[plan.source], self.states[plan.source]
        shares = self.shares[plan.source, plan.epoch][plan.rows]
        inputs, lengths = kept.inputs(kept.draw(plan.rows, shares))
        values = None if source.values is None else source.values[plan.rows]
        return Batch(inputs, lengths, source.head, tuple(self.names[plan.source][plan.rows]),
                     make_targets(source.classes[plan.rows], values))
