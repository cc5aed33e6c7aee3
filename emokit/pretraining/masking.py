"""Which frames are hidden from an encoder, and which others stand beside the right answer."""

from __future__ import annotations

import torch
from torch import Tensor


def start_probability(share: float, span: int) -> float:
    """Give the chance that a span starts at a frame: 1 - (1 - share)^(1 / span).

    A frame is hidden unless none of the `span` places before it starts a span, so each is hidden
    with probability `share`, whatever overlaps.

    Example:
        >>> round(start_probability(0.49, 10), 4)
        0.0651
    """
    return 1 - (1 - share) ** (1 / span)


def draw_mask(lengths: Tensor, size: int, share: float, span: int, least: int,
              generator: torch.Generator) -> Tensor:
    """Draw which frames are hidden, [B, size] bool, none past the lengths.

    Starts are independent, also in the `span - 1` places before the first frame, so that every
    frame is hidden with probability `share`. An utterance with fewer than `least` spans gets
    spans at random places until it has as many; spans are cut at both ends of an utterance, so
    that one shorter than a span takes part too.

    Args:
        lengths: [B] frames, on the CPU.
        share: expected share of hidden frames, in (0, 1).
        span: frames of a span.
        least: spans that an utterance has at least; they may overlap.
        generator: of the CPU.

    Source:
        Baevski et al. 2020 (wav2vec 2.0), who start spans at a probability p of .065 for spans
        of 10. Deviations: the share is the setting; spans that reach into the utterance from
        before its first frame, without which its beginning is hidden less often.
    """
    chance = start_probability(share, span)
    places = size + span - 1  # a start at place i hides frames i - span + 1 to i
    start = torch.rand(len(lengths), places, generator=generator) < chance
    place = torch.arange(places)
    useful = place < lengths[:, None] + span - 1
    start &= useful
    # the order in which places would be taken if spans are missing
    order = torch.rand(len(lengths), places, generator=generator)
    order = order.masked_fill(start | ~useful, 2.0).argsort(1).argsort(1)
    start |= (order < (least - start.sum(1, keepdim=True)).clamp(min=0)) & useful
    total = torch.nn.functional.pad(start.long().cumsum(1), (1, 0))
    hidden = total[:, span:] > total[:, :-span]
    return hidden & (torch.arange(size) < lengths[:, None])


def draw_negatives(hidden: Tensor, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw distractors for each hidden frame among the other hidden frames of its utterance.

    Uniformly with replacement; frames are counted as `hidden.nonzero()` lists them.

    Args:
        hidden: [B, T] bool, on the CPU.
        n: distractors of each frame.

    Returns:
        (distractors [M, n] as indices into the M hidden frames, which frames have any [M] bool:
        the only hidden frame of an utterance has none, and its row is without meaning).
    """
    counts = hidden.sum(1)
    first = (counts.cumsum(0) - counts).repeat_interleave(counts)  # [M]
    others = (counts - 1).repeat_interleave(counts)
    own = torch.arange(int(counts.sum())) - first
    draws = torch.rand(len(own), n, generator=generator, dtype=torch.float64)
    picked = (draws * others[:, None]).long()
    # skip the frame itself
    picked += picked >= own[:, None]
    last = counts.repeat_interleave(counts)[:, None] - 1
    return first[:, None] + torch.minimum(picked, last), others > 0
