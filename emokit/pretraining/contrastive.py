"""The objective of wav2vec 2.0: tell the quantised hidden frame from others of the utterance."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from emokit.models.pretrained import refuse_misfits
from emokit.pretraining.config import ContrastiveConfig

_EPSILON = 1e-7  # in the logarithm of the perplexity, as in the transformers library


def gumbel_temperature(config: ContrastiveConfig, step: int) -> float:
    """Give the temperature of a step: max(end, start * decay^step)."""
    return max(config.gumbel_end, config.gumbel_start * config.gumbel_decay ** step)


class Quantiser(nn.Module):
    """The nearest of V codes in each of G codebooks, chosen by a Gumbel softmax.

    In training a code is drawn with probabilities softmax((logits + Gumbel noise) / temperature)
    and the gradient is that of the soft choice; in evaluation it is the likeliest.

    Args:
        dim: features of a frame.
        config: its sizes.

    Source:
        Baevski et al. 2020 (wav2vec 2.0), section 2 and appendix B; tensors are named as in the
        transformers library.
    """

    def __init__(self, dim: int, config: ContrastiveConfig):
        super().__init__()
        groups, entries = config.groups, config.entries
        self.groups, self.entries = groups, entries
        self.codevectors = nn.Parameter(torch.empty(1, groups * entries, config.code_dim // groups))
        nn.init.uniform_(self.codevectors)
        self.weight_proj = nn.Linear(dim, groups * entries)
        nn.init.normal_(self.weight_proj.weight)
        nn.init.zeros_(self.weight_proj.bias)

    def forward(self, features: Tensor, temperature: float
                ) -> tuple[Tensor, Tensor, Tensor]:
        """Give codes [M, code_dim] of features [M, C], their numbers, and shares [G, V] of codes.

        The shares are the mean of what the diversity is measured on: soft choices without noise
        in training, the choices themselves in evaluation.
        """
        logits = self.weight_proj(features).float().unflatten(1, (self.groups, self.entries))
        hard = functional.one_hot(logits.argmax(-1), self.entries).to(logits.dtype)
        if self.training:
            chosen = functional.gumbel_softmax(logits, temperature, hard=True)  # [M, G, V]
            shares = logits.softmax(-1).mean(0)
        else:
            chosen, shares = hard, hard.mean(0)
        codes = self.codevectors.unflatten(1, (self.groups, self.entries))[0]  # [G, V, d]
        with torch.autocast(features.device.type, enabled=False):
            vectors = torch.einsum("mgv,gvd->mgd", chosen, codes.float()).flatten(1)
        number = torch.zeros(len(logits), dtype=torch.long, device=logits.device)
        for group in chosen.detach().argmax(-1).unbind(1):
            number = number * self.entries + group
        return vectors, number, shares


def perplexity(shares: Tensor) -> Tensor:
    """Give exp(-sum p log p) of shares [..., V]: how many codes are as good as used, 1 to V."""
    return torch.exp(-(shares * torch.log(shares + _EPSILON)).sum(-1))


class Contrastive(nn.Module):
    """Quantiser, projections and loss of wav2vec 2.0.

    L = mean over hidden t of -log( exp(cos(c_t, q_t) / kappa) / sum over q of
    exp(cos(c_t, q) / kappa) ) + alpha (G V - sum_g perplexity_g) / (G V), q the right code and its
    distractors, kappa `logit_temperature`, alpha `diversity`. A distractor that equals the right
    code is left out.

    Args:
        features: C of the frames that are quantised.
        dim: D of the encoder's states.
        config: settings.

    Source:
        Baevski et al. 2020 (wav2vec 2.0), equations 2 to 4; the transformers library sums where
        this takes the mean over hidden frames, a factor on both parts. Tensors are named as there.
    """

    def __init__(self, features: int, dim: int, config: ContrastiveConfig):
        super().__init__()
        self.config = config
        self.quantizer = Quantiser(features, config)
        self.project_q = nn.Linear(config.code_dim, config.projection_dim)
        self.project_hid = nn.Linear(dim, config.projection_dim)

    @classmethod
    def of_weights(cls, weights: Mapping[str, Tensor], features: int, dim: int,
                   config: ContrastiveConfig) -> Contrastive:
        """Make it with the quantiser and projections of a foreign checkpoint.

        All sizes but the number of codebooks come from the tensors.

        Raises:
            CheckpointError: tensors that do not fit each other or the encoder.
        """
        _, codes, size = weights["quantizer.codevectors"].shape
        config = dataclasses.replace(
            config, entries=codes // config.groups, code_dim=size * config.groups,
            projection_dim=len(weights["project_hid.weight"]))
        made = cls(features, dim, config)
        refuse_misfits(made.state_dict(), weights, "the quantiser of wav2vec 2.0")
        made.load_state_dict({name: tensor.float() for name, tensor in weights.items()})
        return made

    def forward(self, states: Tensor, features: Tensor, negatives: Tensor, has: Tensor,
                temperature: float) -> tuple[Tensor, dict[str, Tensor]]:
        """Give the loss and what is told of it.

        Args:
            states: [M, D], what the encoder makes of the hidden frames.
            features: [M, C], the frames themselves.
            negatives, has: [M, n] and [M], as `draw_negatives` gives them.
            temperature: of the Gumbel softmax.

        Returns:
            (loss, sums over the frames that have a distractor: `nll`, `hits` of the right code,
            `chance` of a hit by guessing, `counted` frames; and `shares` of codes [G, V]).
        """
        config = self.config
        codes, chosen, shares = self.quantizer(features, temperature)
        targets, guesses = self.project_q(codes).float(), self.project_hid(states).float()
        same = chosen[negatives] == chosen[:, None]  # [M, n]
        with torch.autocast(states.device.type, enabled=False):
            targets, guesses = (functional.normalize(values, dim=-1, eps=1e-8)
                                for values in (targets, guesses))
            right = (guesses * targets).sum(-1, keepdim=True)
            # all pairs of a batch take less memory than the distractors' vectors
            others = (guesses @ targets.T).gather(1, negatives)
            logits = torch.cat([right, others.masked_fill(same, float("-inf"))], 1)
            logits = logits / config.logit_temperature  # [M, 1 + n]
        nll = torch.where(has, -logits.log_softmax(1)[:, 0], 0.0).sum()
        counted = has.sum()
        total = config.groups * config.entries
        lacking = (total - perplexity(shares).sum()) / total
        rivals = (~same).sum(1)
        told = {
            "nll": nll, "counted": counted, "hits": (
                (logits[:, 0] > logits[:, 1:].amax(1)) & has & (rivals > 0)).sum(),
            "chance": torch.where(has, 1 / (1 + rivals), 0.0).sum(), "shares": shares}
        return nll / counted.clamp(min=1) + config.diversity * lacking, {
            name: value.detach() for name, value in told.items()}
