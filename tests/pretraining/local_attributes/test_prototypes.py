"""Clusters against numbers worked out by hand."""

import numpy as np
import pytest
import torch
from sklearn.metrics import normalized_mutual_info_score

from emokit.core.errors import ConfigError
from emokit.pretraining.local_attributes.branches import assign
from emokit.pretraining.local_attributes.prototypes import Prototypes, plus_plus, sinkhorn

DRAWS = torch.Generator().manual_seed(0)


def test_one_frame_moves_a_cluster_by_the_golden_amount():
    prototypes = Prototypes(1, 1)
    prototypes.counts.fill_(1.0)
    prototypes.sums.fill_(2.0)
    assert prototypes.update(torch.tensor([[4.0]]), torch.tensor([0]), 0.9, 0.0, DRAWS) == 0
    assert prototypes.counts.item() == pytest.approx(1.0)
    assert prototypes.centres.item() == pytest.approx(2.2)


def test_soft_shares_weigh_what_hard_ones_count():
    frames, hard = torch.randn(7, 3), torch.tensor([0, 1, 1, 0, 1, 0, 0])
    one, other = Prototypes(2, 3), Prototypes(2, 3)
    for prototypes, shares in ((one, hard), (other, torch.nn.functional.one_hot(hard).float())):
        prototypes.counts.fill_(2.0)
        prototypes.update(frames, shares, 0.5, 0.0, DRAWS)
    torch.testing.assert_close(one.centres, other.centres)


def test_sinkhorn_converges_to_the_golden_matrix():
    found = sinkhorn(torch.tensor([[2.0, 1], [1, 1], [4, 1], [3, 1]]), 200)
    torch.testing.assert_close(found, torch.tensor(
        [[.4733, .5267], [.31, .69], [.6425, .3575], [.5741, .4259]]), atol=1e-4, rtol=0)
    torch.testing.assert_close(found.sum(0), torch.tensor([2.0, 2.0]))


def blobs():
    draws = torch.Generator().manual_seed(1)
    truth = torch.arange(4).repeat_interleave(50)
    centres = 5 * torch.eye(4)
    return centres[truth] + 0.2 * torch.randn(200, 4, generator=draws), truth


@pytest.mark.parametrize("way", ["start", "fit"])
def test_four_separate_blobs_are_recovered(way):
    frames, truth = blobs()
    prototypes = Prototypes(4, 4)
    if way == "start":
        prototypes.start(frames, 100, 0)
        assert prototypes.counts.sum().item() == pytest.approx(100)
    else:
        prototypes.fit(frames.numpy(), 0)
    found = prototypes.cosines(frames).argmax(1)
    assert normalized_mutual_info_score(truth, found) == pytest.approx(1.0)


def test_an_unused_cluster_begins_anew_at_a_frame_and_is_counted():
    frames, _ = blobs()
    prototypes = Prototypes(3, 4)
    prototypes.start(frames, 200, 0)
    prototypes.counts[2], prototypes.sums[2] = 1e-6, 1.0
    target = torch.zeros(200).long()
    target[100:] = 1
    assert prototypes.update(frames, target, 0.5, 0.01, DRAWS) == 1
    assert (frames - prototypes.centres[2]).abs().sum(1).min() < 1e-5
    assert prototypes.counts[2] > 10


def test_balanced_targets_use_all_clusters_where_hard_ones_use_one(branches):
    made = branches(target="balanced", attributes=[2])
    prototypes = made.prototypes[0]
    prototypes.centres[:] = torch.tensor([[1.0] * 8, [0.5] + [1.0] * 7])
    frames = 1 + 0.1 * torch.randn(40, 8, generator=torch.Generator().manual_seed(0))
    shares = assign(prototypes, frames, made.config)
    torch.testing.assert_close(shares.sum(1), torch.ones(40))
    assert 0.4 < float(shares[:, 0].mean()) < 0.6


def test_chosen_frames_lie_in_every_blob():
    frames, truth = blobs()
    for seed in range(5):
        assert len(set(truth[plus_plus(frames, 4, seed)].tolist())) == 4


def test_what_all_frames_share_does_not_hide_what_they_differ_in():
    frames, truth = blobs()
    found = {}
    for centred in (True, False):
        prototypes = Prototypes(4, 4, centred)
        prototypes.start(frames + 1e5, 100, 0)
        for step in range(20):
            nearest = prototypes.cosines(frames + 1e5).argmax(1)
            prototypes.update(frames + 1e5, nearest, 0.5, 0.0, DRAWS)
        found[centred] = normalized_mutual_info_score(truth, nearest)
    assert found[True] == pytest.approx(1.0) and found[False] < 0.9


def test_fewer_frames_than_clusters_is_said_in_words():
    with pytest.raises(ConfigError, match="'attributes' is 9, but there are 4 frames"):
        Prototypes(9, 2).fit(np.zeros((4, 2)), 0)
