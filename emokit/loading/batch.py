"""The batch: what the loader gives and the model takes."""

from __future__ import annotations

import dataclasses

import torch


@dataclasses.dataclass
class Targets:
    """What a batch should become; each kind with its own mask of known rows.

    Args:
        classes: [B] int64, index into the corpus's class list; -1 where unknown.
        soft: [B, K] float, rows sum to 1, or None.
        dimensions: [B, R] float32, those of the corpus's head in its order, on [0, 1], NaN where
            unknown; or None.
    """

    classes: torch.Tensor
    soft: torch.Tensor | None = None
    dimensions: torch.Tensor | None = None


@dataclasses.dataclass
class Batch:
    """Utterances of one corpus, padded to the longest.

    One corpus per batch, because adapters, norms and heads are the corpus's own. What mixes
    corpora runs under the one id of a pooled model.

    Args:
        inputs: [B, S] waveform (float32 in [-1, 1], or int16 straight from the store) or
            [B, T, F] features; whatever lies past `lengths` is ignored.
        lengths: [B] int64 samples or frames that are real, at least 1.
        corpus: id of the corpus.
        utterances: B utterance ids.
        targets: None when only scoring.
        sources: [B] int64, index of each utterance's corpus in the run's list, where there are
            several.
    """

    inputs: torch.Tensor
    lengths: torch.Tensor
    corpus: str
    utterances: tuple[str, ...] = ()
    targets: Targets | None = None
    sources: torch.Tensor | None = None

    def to(self, device: torch.device | str, non_blocking: bool = True) -> Batch:
        """Move all tensors to a device."""
        def move(tensor):
            return None if tensor is None else tensor.to(device, non_blocking=non_blocking)

        targets = self.targets and Targets(
            move(self.targets.classes), move(self.targets.soft), move(self.targets.dimensions)
        )
        return Batch(move(self.inputs), move(self.lengths), self.corpus, self.utterances, targets,
                     move(self.sources))

    def pin(self) -> Batch:
        """Pin the tensors in host memory, so that `to` overlaps with computing."""
        def pin(tensor):
            return None if tensor is None else tensor.pin_memory()

        targets = self.targets and Targets(
            pin(self.targets.classes), pin(self.targets.soft), pin(self.targets.dimensions)
        )
        return Batch(pin(self.inputs), pin(self.lengths), self.corpus, self.utterances, targets,
                     pin(self.sources))
