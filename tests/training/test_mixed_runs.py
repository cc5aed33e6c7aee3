"""Pooled runs whose batches hold several corpora: their loss, mixup across, and refusals."""

import numpy as np
import pytest
import torch

from emokit.corpora.store import open_emoset
from emokit.core.errors import ConfigError
from emokit.loading.batch import Targets
from emokit.training.feed import ThroughModel
from emokit.training.losses import class_weights
from emokit.training.mixup import Mixture
from emokit.training.objective import Objective
from emokit.training.train import effective, sources_of, train

POOLED = dict(regime="pooled", target="arousal", augment="none")


@pytest.fixture
def parts(configure, emoset):
    """Objective, sources, answers and targets of a batch of five from two corpora."""
    config = effective(configure(mixed_batches=True, balance="weights", label_smoothing=0.0,
                                 **POOLED)[0])
    sources = sources_of(config, open_emoset(emoset), None)
    answers = torch.randn(5, 2, generator=torch.Generator().manual_seed(1))
    classes, owners = torch.tensor([0, 1, 1, 0, 1]), torch.tensor([0, 1, 0, 1, 1])
    weights = [class_weights(source) for source in sources]
    assert not np.allclose(*weights)
    return Objective(sources, config, torch.device("cpu")), sources, answers, classes, owners, (
        lambda answer, owner, label: weights[owner][label] * -torch.log_softmax(
            answers[answer], 0)[label].item())


def test_each_utterance_weighs_as_its_class_does_in_its_own_corpus(parts):
    objective, sources, answers, classes, owners, loss = parts
    found = objective(answers, Targets(classes), sources[0], sources=owners)
    plain = np.mean([loss(i, owners[i], classes[i]) for i in range(5)])
    assert found.item() == pytest.approx(plain, rel=1e-6)


def test_mixup_across_corpora_takes_the_partners_class_by_the_partners_corpus(parts):
    objective, sources, answers, classes, owners, loss = parts
    partner, share = torch.tensor([1, 2, 3, 4, 0]), torch.tensor([0.5, 0.6, 0.7, 0.8, 0.9])
    found = objective(answers, Targets(classes), sources[0], Mixture(partner, share), owners)
    plain = np.mean([
        share[i].item() * loss(i, owners[i], classes[i])
        + (1 - share[i].item()) * loss(i, owners[partner[i]], classes[partner[i]])
        for i in range(5)])
    assert found.item() == pytest.approx(plain, rel=1e-6)


def test_a_run_counts_each_corpus_as_without_mixing(configure, emoset, tmp_path):
    counts = []
    for mixed in (True, False):
        group, _ = train(*configure(mixed_batches=mixed, epochs=2, **POOLED), emoset, tmp_path)
        cell, = group.cells()
        record = cell.history()[-1]
        counts.append({name: corpus["utterances"] for name, corpus in record["corpora"].items()})
        assert record["step"] == 10
        assert (record["corpora"]["emodb"]["train_loss"] is None) is mixed
        assert record["train_loss"] > 0
    assert counts[0] == counts[1]


def test_a_run_weighs_each_utterance_by_the_classes_of_its_own_corpus(
        configure, emoset, tmp_path, monkeypatch):
    seen, through = [], ThroughModel.logits

    def noted(self, model, batch, change):
        answers = through(self, model, batch, change)
        seen.append((batch.utterances, batch.targets.classes, torch.log_softmax(answers, 1)))
        return answers

    monkeypatch.setattr(ThroughModel, "logits", noted)
    config, explicit = configure(mixed_batches=True, balance="weights", label_smoothing=0.0,
                                 **POOLED)
    group, _ = train(config, explicit, emoset, tmp_path)
    weights = {source.name: class_weights(source)
               for source in sources_of(effective(config), open_emoset(emoset), None)}
    assert not np.allclose(*weights.values())
    names = [[utterance.partition("/")[0] for utterance in utterances] for utterances, _, _ in seen]
    assert any(len(set(some)) == 2 for some in names)
    losses = [np.mean([weights[name][label] * -row[label].item()
                       for name, label, row in zip(some, classes.tolist(), answers)])
              for some, (_, classes, answers) in zip(names, seen)]
    record, = group.cells()[0].history()
    assert record["train_loss"] == pytest.approx(
        np.average(losses, weights=[len(some) for some in names]), rel=1e-5)


@pytest.mark.parametrize("flags, words", [
    (dict(adapters="residual"), "--regime joint each corpus has weights of its own. Use --regime "
     "pooled"),
    (dict(regime="single"), "--regime single each corpus has weights of its own"),
    (dict(**POOLED, bucket=4), "undoes bucket=4. Set bucket=1"),
])
def test_mixing_is_refused_where_it_cannot_be(configure, flags, words):
    with pytest.raises(ConfigError, match=words):
        configure(mixed_batches=True, **flags)
