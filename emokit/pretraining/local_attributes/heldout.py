"""How well masked attributes of speakers that were not learnt from are predicted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from emokit.pretraining.local_attributes.branches import Branches, as_states, real_frames
from emokit.pretraining.local_attributes.data import FrameSet

HELD_OUT_SECONDS = 1200.0
"""Speech of dev that is looked at after every epoch."""


@torch.inference_mode()
def held_out(branches: Branches, dev: FrameSet, width: int, seed: int, device,
             by_place: Sequence[np.ndarray]) -> dict[str, Any]:
    """Score masked prediction on dev, under the same masks in every epoch, without dropout.

    Args:
        dev: its frozen states.
        width: D of the encoder.
        by_place: for each clustering the commonest attribute of train at each place, [longest].

    Returns:
        For each number K of attributes: `accuracy`, the share of masked frames whose attribute
        is predicted; `majority`, that of the commonest attribute among them; `place`, what one
        gets by naming the commonest of train at their places; `loss`, mean cross entropy (log K
        by chance); `agreement`, share of all frames of which the unmasked student
        and the teacher have the same attribute, where clusters follow the teacher.
    """
    config = branches.config
    was_training = branches.training
    branches.eval()
    sums = {n: np.zeros(4) for n in config.attributes}  # right, loss, agreeing, right by place
    counts = {n: np.zeros(n) for n in config.attributes}
    n_masked = n_frames = 0
    chosen = dev.some(HELD_OUT_SECONDS, seed, "dev")
    for batch in dev.in_order(config.batch_seconds, chosen):
        states = as_states(batch.values.to(device), width)
        real = real_frames(batch.lengths, batch.values.shape[1]).to(device)
        masked = dev.masks(batch, config.mask_share, config.mask_span, seed, "dev").to(device)
        teacher = branches.see(branches.teacher, states, real)
        open_student = branches.see(branches.student, states, real)
        seen = branches.norm(branches.see(branches.student, states, real, masked)[masked])
        n_masked, n_frames = n_masked + int(masked.sum()), n_frames + int(real.sum())
        places = masked.nonzero()[:, 1].cpu().numpy()
        for classify, prototypes, common in zip(branches.classifiers, branches.prototypes,
                                                by_place):
            n = len(prototypes)
            compared = states[:, -1] if config.clustering == "frozen" else teacher
            target = prototypes.cosines(compared[masked]).argmax(1)
            logits = classify(seen).float()
            sums[n][0] += float((logits.argmax(1) == target).sum())
            sums[n][1] += float(functional.cross_entropy(logits, target, reduction="sum"))
            if config.clustering != "frozen":
                sums[n][2] += float((prototypes.cosines(teacher[real]).argmax(1)
                                     == prototypes.cosines(open_student[real]).argmax(1)).sum())
            blind = common[places.clip(max=len(common) - 1)]
            sums[n][3] += (blind == target.cpu().numpy()).sum()
            counts[n] += torch.bincount(target, minlength=n).cpu().numpy()
    branches.train(was_training)
    found: dict[str, Any] = {"accuracy": {}, "majority": {}, "place": {}, "loss": {}}
    for n, (right, loss, agreeing, placed) in sums.items():
        found["accuracy"][str(n)] = float(right) / max(1, n_masked)
        found["majority"][str(n)] = float(counts[n].max()) / max(1, n_masked)
        found["place"][str(n)] = float(placed) / max(1, n_masked)
        found["loss"][str(n)] = float(loss) / max(1, n_masked)
        if config.clustering != "frozen":
            found.setdefault("agreement", {})[str(n)] = float(agreeing) / max(1, n_frames)
    return found
