"""Losses against their definitions, written a second time, and against torch."""

import math

import numpy as np
import pytest
import torch

from emokit.core.errors import ConfigError
from emokit.corpora.store import open_emoset
from emokit.loading.source import make_source
from emokit.training.config import TrainConfig
from emokit.training.losses import class_losses, class_weights, ordinal_ranks
from emokit.training.mixup import Mixture, draw

CLASSES = torch.tensor([0, 2, 1, 2, 0])


@pytest.fixture
def logits():
    return torch.randn(5, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def class_loss(*arguments, **named):
    return class_losses(*arguments, **named).mean()


def softmax(row):
    top = max(row)
    total = sum(math.exp(value - top) for value in row)
    return [math.exp(value - top) / total for value in row]


def plainly(logits, loss_of_row, weights=(1, 1, 1)):
    total = 0.0
    for row, truth in zip(logits.tolist(), CLASSES.tolist()):
        total += weights[truth] * loss_of_row(softmax(row), truth)
    return total / len(CLASSES)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_equals_its_definition_and_torch(logits, smoothing):
    def row_loss(p, truth):
        target = [smoothing / 3 + (1 - smoothing) * (k == truth) for k in range(3)]
        return -sum(t * math.log(q) for t, q in zip(target, p))

    loss = class_loss(logits, CLASSES, TrainConfig(label_smoothing=smoothing))
    assert loss.item() == pytest.approx(plainly(logits, row_loss), rel=1e-6)
    assert loss.item() == pytest.approx(torch.nn.CrossEntropyLoss(
        label_smoothing=smoothing)(logits, CLASSES).item(), rel=1e-6)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_loss_equals_its_definition(logits, gamma):
    loss = class_loss(logits, CLASSES, TrainConfig(loss="focal", focal_gamma=gamma))
    assert loss.item() == pytest.approx(plainly(
        logits, lambda p, truth: -(1 - p[truth]) ** gamma * math.log(p[truth])), rel=1e-6)


def test_focal_loss_has_a_gradient_where_the_truth_is_certain():
    logits = torch.tensor([[200.0, 0.0, 0.0]], requires_grad=True)
    class_loss(logits, torch.tensor([0]), TrainConfig(loss="focal", focal_gamma=0.5)).backward()
    assert torch.isfinite(logits.grad).all()


def test_ordinal_loss_equals_its_definition(logits):
    ranks = [2.0, 0.0, 1.0]

    def row_loss(p, truth):
        target = softmax([-abs(ranks[truth] - rank) for rank in ranks])
        return -sum(t * math.log(q) for t, q in zip(target, p))

    loss = class_loss(logits, CLASSES, TrainConfig(loss="ordinal"), ranks=torch.tensor(ranks))
    assert loss.item() == pytest.approx(plainly(logits, row_loss), rel=1e-6)


def test_weighted_loss_divides_by_the_batch_not_by_the_weights(logits):
    weights = torch.tensor([3.0, 0.5, 1.0])
    loss = class_loss(logits, CLASSES, TrainConfig(), weights)
    assert loss.item() == pytest.approx(plainly(
        logits, lambda p, truth: -math.log(p[truth]), (3, 0.5, 1)), rel=1e-6)
    builtin = torch.nn.functional.cross_entropy(logits.float(), CLASSES, weights)
    assert loss.item() == pytest.approx(
        builtin.item() * weights[CLASSES].sum().item() / 5, rel=1e-5)


def test_losses_are_measured_in_float32_whatever_the_logits_are(logits):
    assert class_loss(logits.bfloat16(), CLASSES, TrainConfig()).dtype == torch.float32


def test_class_weights_are_n_over_k_n_k_and_zero_where_train_has_none(emoset):
    corpus, = open_emoset(emoset, ["emodb"])
    source = make_source(corpus)
    counts = source.class_counts()
    np.testing.assert_allclose(class_weights(source), counts.sum() / (3 * counts), rtol=1e-6)
    pooled = make_source(corpus, "canonical4", pooled=True)
    weights = class_weights(pooled)
    assert weights[1] == 0 and weights[pooled.classes[pooled.rows["train"]]].mean() == (
        pytest.approx(1))


def test_ordinal_needs_an_order():
    order = ["low", "mid", "high"]
    assert ordinal_ranks(order, ("high", "low"), "c").tolist() == [2, 0]
    with pytest.raises(ConfigError, match="needs ordinal_order to rank every class of 'c'; "
                                          "missing: high"):
        ordinal_ranks(["low", "mid"], ("high", "low"), "c")
    with pytest.raises(ConfigError, match="lowest first"):
        ordinal_ranks([], ("a", "b"), "c")


def test_mixup_of_cross_entropy_is_cross_entropy_with_mixed_targets(logits):
    mixture = Mixture(torch.tensor([1, 2, 3, 4, 0]),
                      torch.tensor([0.5, 0.6, 0.7, 0.8, 1.0], dtype=torch.float64))
    soft = torch.nn.functional.one_hot(CLASSES, 3).double()
    soft = mixture.share[:, None] * soft + (1 - mixture.share[:, None]) * soft[mixture.partner]
    config = TrainConfig()
    loss = mixture.losses(class_losses(logits, CLASSES, config),
                          class_losses(logits, CLASSES[mixture.partner], config)).mean()
    expected = torch.nn.functional.cross_entropy(logits, soft)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    frames = torch.randn(5, 4, 2, dtype=torch.float64)
    torch.testing.assert_close(mixture.frames(frames)[1], 0.6 * frames[1] + 0.4 * frames[2])
    torch.testing.assert_close(mixture.frames(frames)[4], frames[4])


def test_mixup_draws_a_permutation_and_shares_of_a_folded_beta():
    from scipy.stats import beta, kstest

    mixture = draw(0.4, 4000, np.random.default_rng(0), "cpu")
    assert sorted(mixture.partner.tolist()) == list(range(4000))
    share = mixture.share.numpy()
    assert share.min() >= 0.5 and share.max() <= 1

    def folded(x):
        return beta.cdf(x, 0.4, 0.4) - beta.cdf(1 - x, 0.4, 0.4)

    assert kstest(share, folded).pvalue > 0.01
