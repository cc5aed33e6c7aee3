"""Student and teacher, what predicts from the student, and the losses."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from emokit.models.adapters.wap import WapAdapter, WapConfig
from emokit.models.masking import position_mask
from emokit.models.pooling import masked_mean
from emokit.pretraining.local_attributes.config import LocalAttributesConfig
from emokit.pretraining.local_attributes.prototypes import Prototypes, sinkhorn


def teacher_decay(start: float, progress: float) -> float:
    """Give the teacher's decay: 1 - (1 - start) (1 + cos(pi progress)) / 2.

    Example:
        >>> [round(teacher_decay(0.996, progress), 3) for progress in (0, 0.5, 1)]
        [0.996, 0.998, 1.0]
    """
    return 1 - (1 - start) * (1 + math.cos(math.pi * min(1.0, progress))) / 2


class Branches(nn.Module):
    """A student that sees masked frames and a teacher that sees all; the teacher never learns.

    Args:
        site: the encoder's readout, for its sizes.
        config: of the pre-training.

    Attributes:
        student, teacher: WAP-Transformers, equal at first; what is handed on is one of them.
        mask: e [d], stands for masked frames.
        norm, classifiers: logits P LN(z) of the attributes, one matrix for each clustering.
        predictor: g, of the teacher's frames.
        histograms: logits of an utterance's attributes, one matrix for each clustering.
        prototypes: the clusterings; of encoder states where they are frozen.
    """

    def __init__(self, site: nn.Module, config: LocalAttributesConfig):
        super().__init__()
        self.config, width = config, config.width
        self.student = WapAdapter(site, WapConfig(**config.wap()))
        self.mask = nn.Parameter(torch.randn(width) * 0.02)
        self.norm = nn.LayerNorm(width)
        self.classifiers = nn.ModuleList(nn.Linear(width, n, bias=False)
                                         for n in config.attributes)
        self.predictor = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))
        self.histograms = nn.ModuleList(
            nn.Linear(width, n) for n in (config.attributes if config.histogram_weight else ()))
        self.teacher = copy.deepcopy(self.student).requires_grad_(False)
        space = site.site_width if config.clustering == "frozen" else width
        self.prototypes = nn.ModuleList(Prototypes(n, space, config.centred)
                                        for n in config.attributes)

    def train(self, mode: bool = True) -> Branches:
        """Set the mode; the teacher stays without dropout."""
        super().train(mode)
        self.teacher.eval()
        return self

    def see(self, branch: WapAdapter, states: Tensor, real: Tensor, masked: Tensor | None = None
            ) -> Tensor:
        """Give what a branch makes of states, [B, T, d].

        Args:
            states: [B, N, T, D].
            real: [B, T] bool.
            masked: [B, T] bool, frames that are replaced by the mask before positions are added.
        """
        frames = branch.begin(states)
        if masked is not None:
            frames = torch.where(masked[:, :, None], self.mask.to(frames.dtype), frames)
        return branch.enrich(frames, None if bool(real.all()) else real[:, :, None])

    @torch.no_grad()
    def follow(self, decay: float) -> None:
        """Move the teacher: phi <- decay phi + (1 - decay) theta; buffers are copied."""
        for theirs, ours in zip(self.teacher.parameters(), self.student.parameters()):
            theirs.lerp_(ours, 1 - decay)
        for theirs, ours in zip(self.teacher.buffers(), self.student.buffers()):
            theirs.copy_(ours)


def assign(prototypes: Prototypes, frames: Tensor, config: LocalAttributesConfig) -> Tensor:
    """Give the targets of frames [N, d]: [N] long of hard ones, shares [N, K] of the others."""
    cosines = prototypes.cosines(frames)
    if config.target == "soft":
        return torch.softmax(cosines / config.target_temperature, 1)
    if config.target == "balanced":
        return sinkhorn(torch.exp(cosines / config.sinkhorn_temperature), config.sinkhorn_rounds)
    return cosines.argmax(1)


def losses(branches: Branches, student: Tensor, teacher: Tensor, real: Tensor, masked: Tensor,
           targets: Sequence[Tensor]) -> dict[str, Tensor]:
    """Give the parts of the loss, each a number; those of weight 0 are left out.

    `mask`: mean over masked frames of CE(target, softmax(P LN(z))), over clusterings the mean.
    `distillation`: mean of 1 - cos(g(z), z'), over real frames or over utterances, or
    cross entropy between the branches' distributions over clusters. `histogram`: cross entropy of
    each utterance's shares of attributes.

    Args:
        student, teacher: z and z' [B, T, d].
        real, masked: [B, T] bool, masked within real.
        targets: for each clustering those of the n real frames, as `assign` gives them.
    """
    config, found = branches.config, {}
    hidden = masked[real]  # [n]
    if config.mask_weight and bool(hidden.any()):
        seen = branches.norm(student[masked])
        found["mask"] = torch.stack([
            functional.cross_entropy(classify(seen).float(), target[hidden])
            for classify, target in zip(branches.classifiers, targets)]).mean()
    if config.distillation != "none" and config.distillation_weight:
        found["distillation"] = _distilled(branches, student, teacher, real)
    if config.histogram_weight:
        found["histogram"] = _histogram(branches, student, real, targets)
    return found


def total(found: Mapping[str, Tensor], config: LocalAttributesConfig) -> Tensor:
    """Give the weighted sum of the parts."""
    return sum(getattr(config, f"{name}_weight") * value for name, value in found.items())


def _distilled(branches: Branches, student: Tensor, teacher: Tensor, real: Tensor) -> Tensor:
    config = branches.config
    if config.distillation == "frame":
        said, truth = branches.predictor(student[real]), teacher[real]
    elif config.distillation == "utterance":
        lengths = real.sum(1)
        said = branches.predictor(masked_mean(student, lengths))
        truth = masked_mean(teacher, lengths)
    else:
        return _dino(branches, student[real], teacher[real])
    return (1 - functional.cosine_similarity(said.float(), truth.float(), dim=-1)).mean()


def _dino(branches: Branches, student: Tensor, teacher: Tensor) -> Tensor:
    """Cross entropy between distributions over clusters; the teacher's is centred and sharp."""
    config, parts = branches.config, []
    said = branches.predictor(student)
    for prototypes in branches.prototypes:
        with torch.no_grad():
            cosines = prototypes.cosines(teacher)
            shares = torch.softmax((cosines - prototypes.middle) / config.teacher_temperature, 1)
            if branches.training:
                prototypes.middle.lerp_(cosines.mean(0), 1 - config.centre_decay)
        logits = prototypes.cosines(said) / config.student_temperature
        parts.append(-(shares * torch.log_softmax(logits, 1)).sum(1).mean())
    return torch.stack(parts).mean()


def _histogram(branches: Branches, student: Tensor, real: Tensor, targets: Sequence[Tensor]
               ) -> Tensor:
    owner = torch.arange(len(real), device=real.device)[:, None].expand_as(real)[real]
    mean, parts = masked_mean(student, real.sum(1)), []
    for classify, prototypes, target in zip(branches.histograms, branches.prototypes, targets):
        shares = functional.one_hot(target, len(prototypes)).float() if target.dim() == 1 \
            else target
        counts = torch.zeros(len(real), len(prototypes), device=real.device)
        counts = counts.index_add(0, owner, shares)
        logits = torch.log_softmax(classify(mean).float(), 1)
        parts.append(-(counts / counts.sum(1, keepdim=True) * logits).sum(1).mean())
    return torch.stack(parts).mean()


def as_states(values: Tensor, width: int) -> Tensor:
    """Give states [B, N, T, D] of values [B, T, N D]."""
    return values.unflatten(2, (-1, width)).transpose(1, 2)


def real_frames(lengths: Tensor, size: int) -> Tensor:
    """Give which frames are real, [B, size] bool."""
    return position_mask(lengths, size)
