"""Poolings over real positions, and heads."""

import pytest
import torch

from emokit.models import HEADS, POOLINGS


@pytest.mark.parametrize("name", list(POOLINGS))
def test_every_pooling_ignores_padding_and_batch_mates(name):
    cls = POOLINGS[name]
    pooling = cls(cls.Config(), 6)
    frames, lengths = torch.randn(4, 9, 6), torch.tensor([9, 4, 1, 6])
    embeddings = pooling(frames, lengths)
    assert embeddings.shape == (4, pooling.dim)
    for row, length in enumerate(lengths):
        alone = pooling(frames[row:row + 1, :length], lengths[row:row + 1])
        torch.testing.assert_close(embeddings[row], alone[0], atol=1e-6, rtol=1e-5)


def test_attention_follows_its_formula():
    cls = POOLINGS["attention"]
    pooling = cls(cls.Config(), 5)
    h = torch.randn(7, 5)
    scores = torch.stack([0.3 * pooling.query @ torch.tanh(pooling.weight @ row + pooling.bias)
                          for row in h])
    shares = torch.exp(scores) / torch.exp(scores).sum()
    torch.testing.assert_close(
        pooling(h[None], torch.tensor([7]))[0], (shares[:, None] * h).sum(0))


def test_attention_has_66_048_weights_at_dim_256():
    cls = POOLINGS["attention"]
    assert sum(p.numel() for p in cls(cls.Config(), 256).parameters()) == 66_048


def test_statistics_are_mean_and_population_deviation():
    cls = POOLINGS["statistics"]
    frames = torch.tensor([[[1.0], [3.0], [100.0]]])
    torch.testing.assert_close(
        cls(cls.Config(), 1)(frames, torch.tensor([2])), torch.tensor([[2.0, 1.0]]))


def test_statistics_of_one_position_have_finite_gradient():
    cls = POOLINGS["statistics"]
    frames = torch.ones(1, 1, 2, requires_grad=True)
    cls(cls.Config(), 2)(frames, torch.tensor([1])).sum().backward()
    assert bool(torch.isfinite(frames.grad).all())


@pytest.mark.parametrize("name", list(HEADS))
@pytest.mark.parametrize("n_classes", [1, 2, 7])
def test_every_head_gives_a_logit_per_class(name, n_classes):
    cls = HEADS[name]
    head = cls(cls.Config(), 8, n_classes)
    for training in (True, False):
        assert head.train(training)(torch.randn(1, 8)).shape == (1, n_classes)


@pytest.mark.parametrize("name, stored", [("linear", 257 * 6), ("dense", 33_408 + 129 * 6)])
def test_head_sizes_equal_the_specification(name, stored):
    cls = HEADS[name]
    assert sum(t.numel() for t in cls(cls.Config(), 256, 6).state_dict().values()) == stored
