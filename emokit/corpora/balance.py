"""Dividing groups (speakers, sentences) into parts of given sizes that look alike."""

from __future__ import annotations

import itertools

import numpy as np

EXHAUSTIVE = 600_000
"""Largest number of divisions that are all tried; 12 speakers into 3 parts are 531 441."""

NEAR = 0.02
"""Divisions whose cost is this close to the best count as equally good; the seed picks one."""

_RESTARTS, _ROUNDS, _PROPOSALS = 8, 64, 64


def divide(
    counts: np.ndarray, shares: np.ndarray, targets: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Put each group into one part so that sizes, classes and shares come close to the targets.

    Every division is tried while there are at most `EXHAUSTIVE` of them, otherwise eight random
    greedy ones are improved by moving and swapping groups. The cost of a division is

        sum_p |n_p/N - t_p| + sum_p mean_k |n_pk/N_k - t_p| + sum_p t_p mean_g |s_pg - s_g|
        + 10 (number of pairs of part and class without utterance) + 100 (number of empty parts)

    with n_pk utterances of class k in part p, t_p the target, s_pg the share of property g (say,
    female) in part p.

    Args:
        counts: [S, K] utterances of each group in each class, at least as many groups as parts.
        shares: [S, G] utterances of each group with property g; G may be 0.
        targets: [P] wished share of all utterances, sum 1.
        rng: picks among near-equal divisions.

    Returns:
        [S] part of each group; no part is empty.
    """
    counts = np.asarray(counts, float)
    shares = np.asarray(shares, float).reshape(len(counts), -1)
    n_parts = len(targets)
    if n_parts ** len(counts) <= EXHAUSTIVE:
        return _exhaustive(counts, shares, targets, rng)
    return _local_search(counts, shares, targets, rng)


def cost(counts, shares, targets, divisions: np.ndarray) -> np.ndarray:
    """Give the cost of divisions [M, S] as [M]; the formula is in `divide`."""
    inside = [(divisions == part).astype(float) for part in range(len(targets))]
    return _cost(np.stack([rows @ counts for rows in inside], 1),
                 np.stack([rows @ shares for rows in inside], 1), targets)


def _cost(by_class: np.ndarray, by_share: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Give the cost of M divisions from what is in each part, [M, P, K] and [M, P, G]."""
    totals = by_class[0].sum(0)
    n_all, wished = totals.sum(), targets[:, None]
    size = by_class.sum(2)
    result = np.abs(size / n_all - targets).sum(1)
    result += np.abs(by_class / np.maximum(totals, 1) - wished).mean(2).sum(1)
    result += 10 * ((by_class == 0) & (totals > 0)).sum((1, 2)) + 100 * (size == 0).sum(1)
    if by_share.shape[2]:
        share = by_share / np.maximum(size, 1)[:, :, None]
        result += (np.abs(share - by_share[0].sum(0) / n_all).mean(2) * targets).sum(1)
    return result


def _exhaustive(counts, shares, targets, rng) -> np.ndarray:
    n_groups, n_parts = len(counts), len(targets)
    # the parts of a division are the digits of its number
    powers = n_parts ** np.arange(n_groups)
    costs = np.concatenate([
        cost(counts, shares, targets, (numbers[:, None] // powers) % n_parts)
        for numbers in np.array_split(np.arange(n_parts ** n_groups),
                                      max(1, n_parts ** n_groups // 2**15))
    ])
    near = np.flatnonzero(costs <= costs.min() + NEAR)
    return (near[rng.integers(len(near))] // powers) % n_parts


def _local_search(counts, shares, targets, rng) -> np.ndarray:
    best, best_cost = None, np.inf
    n_groups, n_parts, n_classes = len(counts), len(targets), counts.shape[1]
    facts = np.concatenate([counts, shares], 1)
    rows = np.arange(_PROPOSALS)
    for _ in range(_RESTARTS):
        division = _greedy(counts, targets, rng)
        inside = np.stack([facts[division == part].sum(0) for part in range(n_parts)])
        now = _cost(inside[None, :, :n_classes], inside[None, :, n_classes:], targets)[0]
        for _ in range(_ROUNDS):
            # move one group, or let two swap their parts
            one, other = rng.integers(n_groups, size=(2, _PROPOSALS))
            swap = rng.random(_PROPOSALS) < 0.5
            to = np.where(swap, division[other], rng.integers(n_parts, size=_PROPOSALS))
            proposals = np.repeat(inside[None], _PROPOSALS, 0)
            gain = facts[one] - facts[other] * swap[:, None]
            np.add.at(proposals, (rows, division[one]), -gain)
            np.add.at(proposals, (rows, to), gain)
            costs = _cost(proposals[:, :, :n_classes], proposals[:, :, n_classes:], targets)
            pick = int(costs.argmin())
            if costs[pick] < now - 1e-12:
                now, inside = costs[pick], proposals[pick]
                if swap[pick]:
                    division[other[pick]] = division[one[pick]]
                division[one[pick]] = to[pick]
        if now < best_cost - 1e-12:
            best, best_cost = division, now
    return best


def _greedy(counts, targets, rng) -> np.ndarray:
    """Deal groups, large ones first, each to the part that lacks most of what it brings."""
    sizes = counts.sum(1)
    order = np.lexsort((rng.random(len(counts)), -sizes))
    wanted = np.outer(targets, counts.sum(0))
    division = np.zeros(len(counts), int)
    for rank, group in enumerate(order):
        if rank < len(targets):
            part = rank
        else:
            need = wanted / np.maximum(np.outer(targets, counts.sum(0)), 1e-9)
            part = int((need @ counts[group]).argmax())
        division[group] = part
        wanted[part] -= counts[group]
    return division


def deal(keys: list[tuple], strata: list[object], targets: np.ndarray,
         rng: np.random.Generator) -> list[int]:
    """Put single items into parts, stratum by stratum, so that each part gets its share of each.

    Args:
        keys: identity of each item; the result does not depend on their order.
        strata: what each item's share is kept for, say its class.
        targets: [P] wished shares, sum 1.

    Returns:
        The part of each item. Strata with fewer items than parts fill the parts that lack most.
    """
    result = [0] * len(keys)
    n_dealt, dealt = 0, np.zeros(len(targets))
    for _, members in itertools.groupby(
        sorted(range(len(keys)), key=lambda index: (str(strata[index]), keys[index])),
        key=lambda index: str(strata[index]),
    ):
        members = [*members]
        filled = np.zeros(len(targets))
        for rank, index in enumerate(rng.permutation(members), 1):
            # whoever lacks most of this stratum; where that ties, who lacks most of all items
            n_dealt += 1
            lack = np.round(targets * rank - filled, 9)
            part = int(np.lexsort((-np.round(targets * n_dealt - dealt, 9), -lack))[0])
            filled[part] += 1
            dealt[part] += 1
            result[index] = part
    return result
