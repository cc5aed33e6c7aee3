"""Contrastive loss against another implementation and by hand; masked prediction by hand."""

import math

import pytest
import torch

from emokit.core.errors import CheckpointError, ConfigError
from emokit.models.backbones.hf import HuggingFace, HuggingFaceConfig
from emokit.pretraining.config import ContrastiveConfig
from emokit.pretraining.contrastive import Contrastive, Quantiser, gumbel_temperature, perplexity
from emokit.pretraining.encoder import Learner, spread
from emokit.pretraining.masking import draw_mask, draw_negatives
from emokit.pretraining.pseudo_labels import PseudoLabels
from emokit.testing import TINY_TRANSFORMERS

SIZES = ContrastiveConfig(negatives=7, entries=6, code_dim=8, projection_dim=5)


def test_loss_equals_that_of_the_transformers_library():
    transformers = pytest.importorskip("transformers")
    shape = {**TINY_TRANSFORMERS["wav2vec2"], "mask_time_prob": 0.05}
    torch.manual_seed(0)
    theirs = transformers.Wav2Vec2ForPreTraining(transformers.Wav2Vec2Config(
        **{name: value for name, value in shape.items() if name != "model_type"},
        num_codevector_groups=2, num_codevectors_per_group=6, codevector_dim=8,
        proj_codevector_dim=5, num_negatives=7, contrastive_logits_temperature=0.1,
        diversity_loss_weight=0.1)).eval()
    encoder = HuggingFace(HuggingFaceConfig(architecture=shape))
    weights = theirs.state_dict()
    encoder.load_weights(weights)
    head = Contrastive.of_weights(
        {name: tensor for name, tensor in weights.items() if not name.startswith("wav2vec2.")},
        shape["conv_dim"][-1], encoder.dim, SIZES)
    ours = Learner(encoder, head).eval()
    # more codes are used if frames differ more
    with torch.no_grad():
        for quantiser in (theirs.quantizer, head.quantizer):
            quantiser.weight_proj.weight.mul_(4)
    inputs = torch.randn(3, 4000)
    lengths = torch.full((3,), 4000)
    n = int(encoder.n_frames(4000))
    draws = torch.Generator().manual_seed(1)
    hidden = draw_mask(torch.full((3,), n), n, 0.4, 5, 1, draws)
    negatives, has = draw_negatives(hidden, 7, draws)
    # theirs counts all frames, ours the hidden ones
    flat = hidden.flatten().nonzero()[:, 0]
    sampled = torch.zeros(3 * n, 7, dtype=torch.long)
    sampled[flat] = flat[negatives]
    with torch.no_grad():
        expected = theirs(inputs, mask_time_indices=hidden,
                          sampled_negative_indices=sampled.view(3, n, 7))
        loss, told = ours(inputs, lengths, hidden, negatives, has, 2.0)
    count = int(hidden.sum())
    assert int(told["counted"]) == count and len(told["shares"]) == 2
    assert told["nll"].item() == pytest.approx(expected.contrastive_loss.item(), rel=1e-4)
    assert loss.item() == pytest.approx(expected.loss.item() / count, rel=1e-4)
    assert perplexity(told["shares"]).sum().item() == pytest.approx(
        expected.codevector_perplexity.item(), rel=1e-5)


def test_training_shares_are_soft_and_noise_free():
    torch.manual_seed(0)
    quantiser = Quantiser(4, SIZES).train()
    features = torch.randn(50, 4)
    first, second = quantiser(features, 2.0), quantiser(features, 2.0)
    assert torch.equal(first[2], second[2]) and not torch.equal(first[1], second[1])
    logits = quantiser.weight_proj(features).view(50, 2, 6)
    assert torch.allclose(first[2], logits.softmax(-1).mean(0), atol=1e-6)


def test_gumbel_choices_follow_the_softmax_of_the_logits():
    torch.manual_seed(0)
    config = ContrastiveConfig(groups=1, entries=3, code_dim=2)
    quantiser = Quantiser(1, config).train()
    with torch.no_grad():
        quantiser.weight_proj.bias.copy_(torch.tensor([0.0, 1.0, 2.0]))
    _, chosen, _ = quantiser(torch.zeros(20_000, 1), 0.7)
    shares = torch.bincount(chosen, minlength=3) / 20_000
    # adding Gumbel noise and taking the largest draws from the softmax, at any temperature
    assert torch.allclose(shares, torch.tensor([0.0, 1.0, 2.0]).softmax(0), atol=0.015)


def test_contrastive_loss_by_hand():
    config = ContrastiveConfig(negatives=2, groups=1, entries=3, code_dim=2, projection_dim=2,
                               diversity=0.5, logit_temperature=0.5)
    head = Contrastive(1, 2, config).eval()
    with torch.no_grad():
        # the feature alone chooses the code: -1, 0, 1 give codes 0, 1, 2
        head.quantizer.weight_proj.weight.copy_(torch.tensor([[-2.0], [0.0], [2.0]]))
        head.quantizer.weight_proj.bias.copy_(torch.tensor([0.0, 1.0, 0.0]))
        head.quantizer.codevectors.copy_(torch.tensor([[[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]]))
        for linear in (head.project_q, head.project_hid):
            linear.weight.copy_(torch.eye(2))
            linear.bias.zero_()
    features = torch.tensor([[-1.0], [0.0], [1.0]])
    states = torch.tensor([[2.0, 0.0], [0.0, 3.0], [0.0, 1.0]])
    negatives = torch.tensor([[1, 2], [0, 2], [0, 1]])
    loss, told = head(states, features, negatives, torch.tensor([True, True, True]), 1.0)

    def nll(right, *others):
        return -math.log(math.exp(right / 0.5) / sum(math.exp(one / 0.5)
                                                     for one in (right, *others)))

    # cosines: state 0 with codes (1, 0, -1), state 1 with (0, 1, 0), state 2 likewise
    sums = nll(1, 0, -1) + nll(1, 0, 0) + nll(0, 0, 1)
    assert told["nll"].item() == pytest.approx(sums, rel=1e-5)
    # all three codes are used equally, so that the second part is 0
    assert loss.item() == pytest.approx(sums / 3, rel=1e-4)
    assert int(told["hits"]) == 2 and told["chance"].item() == pytest.approx(1)
    loss, told = head(states[:1], features[:1], torch.zeros(1, 2, dtype=torch.long),
                      torch.tensor([False]), 1.0)
    # a frame without distractor counts for the codes alone: one of three is used
    assert int(told["counted"]) == 0 and loss.item() == pytest.approx(0.5 * 2 / 3, rel=1e-4)


def test_distractor_of_the_same_code_is_left_out():
    head = Contrastive(1, 2, ContrastiveConfig(groups=1, entries=2, code_dim=2)).eval()
    same = torch.zeros(3, 1)
    loss, told = head(torch.randn(3, 2), same, torch.tensor([[1, 2], [0, 2], [0, 1]]),
                      torch.ones(3, dtype=torch.bool), 1.0)
    # nothing to tell apart: no loss, no hit, and chance is certainty
    assert told["nll"].item() == 0 and int(told["hits"]) == 0
    assert told["chance"].item() == 3


def test_gradients_reach_every_tensor_of_the_contrastive_head():
    torch.manual_seed(0)
    head = Contrastive(4, 6, SIZES).train()
    states = torch.randn(20, 6, requires_grad=True)
    hidden = torch.ones(2, 10, dtype=torch.bool)
    negatives, has = draw_negatives(hidden, 7, torch.Generator().manual_seed(0))
    loss, _ = head(states, torch.randn(20, 4), negatives, has, 2.0)
    loss.backward()
    assert all(one.grad is not None and one.grad.abs().sum() > 0 for one in head.parameters())
    assert states.grad.abs().sum() > 0


def test_temperature_falls_to_its_end():
    config = ContrastiveConfig()
    assert gumbel_temperature(config, 0) == 2
    assert gumbel_temperature(config, 100_000) == pytest.approx(2 * 0.999995 ** 100_000)
    # 2 * .999995^n = .5 at n = ln 4 / 5e-6 = 277 259
    assert gumbel_temperature(config, 277_300) == 0.5


def test_perplexity_counts_codes_in_use():
    shares = torch.tensor([[0.25] * 4, [1.0, 0, 0, 0], [0.5, 0.5, 0, 0]])
    assert torch.allclose(perplexity(shares), torch.tensor([4.0, 1, 2]), atol=1e-4)


def test_spread_is_between_alike_and_cancelling_out():
    assert spread(torch.ones(5, 3)).item() == pytest.approx(0, abs=1e-3)
    assert spread(torch.tensor([[1.0, 0], [-2.0, 0]])).item() == pytest.approx(1)


def test_quantiser_that_does_not_fit_is_refused():
    weights = Contrastive(4, 6, SIZES).state_dict()
    with pytest.raises(CheckpointError, match="differ in shape quantizer.weight_proj.weight"):
        Contrastive.of_weights(weights, 5, 6, SIZES)


def test_code_dim_must_be_divisible_by_groups():
    with pytest.raises(ConfigError, match="code_dim is 7, which 2 groups do not divide"):
        ContrastiveConfig(code_dim=7)


def test_masked_prediction_sums_the_losses_of_all_clusterings():
    torch.manual_seed(0)
    head = PseudoLabels(6, [3, 5], hidden=4)
    states = torch.randn(10, 6)
    clusters = torch.stack([torch.randint(3, (10,)), torch.randint(5, (10,))], 1)
    loss, told = head(states, clusters)
    total, hits = 0.0, []
    for part, wanted in zip(head.heads, clusters.T):
        hidden = torch.tanh(states @ part[0].weight.T + part[0].bias)
        shares = (hidden @ part[2].weight.T + part[2].bias).softmax(1)
        total -= shares[torch.arange(10), wanted].log().mean().item()
        hits.append(int((shares.argmax(1) == wanted).sum()))
    assert loss.item() == pytest.approx(total, rel=1e-5)
    assert told["nll"].item() == pytest.approx(10 * total, rel=1e-5)
    assert told["hits"].tolist() == hits and int(told["counted"]) == 10


def test_batch_without_hidden_frames_has_no_loss():
    head = PseudoLabels(6, [3])
    loss, told = head(torch.zeros(0, 6), torch.zeros(0, 1, dtype=torch.long))
    assert loss.item() == 0 and int(told["counted"]) == 0


def test_visible_frames_count_by_their_weight():
    torch.manual_seed(0)
    encoder = HuggingFace(HuggingFaceConfig(architecture=TINY_TRANSFORMERS["hubert"]))
    head = PseudoLabels(encoder.dim, [3])
    inputs, lengths = torch.randn(1, 2000), torch.tensor([2000])
    hidden = torch.zeros(1, int(encoder.n_frames(2000)), dtype=torch.bool)
    hidden[0, 5:9] = True
    clusters = torch.randint(3, (hidden.numel(), 1))
    mine, others = clusters[hidden[0]], clusters[~hidden[0]]

    def loss(weight, *targets):
        with torch.no_grad():
            return Learner(encoder, head, weight).eval()(inputs, lengths, hidden, *targets)

    alone, told = loss(0.0, mine)
    visible, _ = loss(1.0, mine, ~hidden, others)
    half, found = loss(0.5, mine, ~hidden, others)
    assert half.item() == pytest.approx((alone.item() + visible.item()) / 2, rel=1e-5)
    assert visible > alone and found["counted"] == told["counted"] == 4
