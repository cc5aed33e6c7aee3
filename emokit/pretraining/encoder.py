"""An encoder that learns without labels: its start, what it hides, and the folder it ends in."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from emokit.core.config import to_mapping
from emokit.core.errors import ConfigError
from emokit.core.files import read_json, write_bytes, write_json
from emokit.models.backbones import BACKBONES
from emokit.models.backbones.hf import CONFIG, PREPROCESSOR, find
from emokit.models.pretrained import PRETRAINING
from emokit.models.settings import part
from emokit.pretraining.config import PretrainConfig
from emokit.pretraining.contrastive import Contrastive
from emokit.pretraining.pseudo_labels import PseudoLabels

_HEADS = ("quantizer", "project_q", "project_hid")


class Learner(nn.Module):
    """An encoder, and the head that is dropped when it is taken up for fine-tuning.

    Args:
        encoder: of the families of wav2vec 2.0 or WavLM.
        head: `Contrastive` or `PseudoLabels`.
        visible_weight: of the loss over frames that are not hidden, beside that over those that
            are; for `PseudoLabels`.
    """

    def __init__(self, encoder, head: Contrastive | PseudoLabels, visible_weight: float = 0.0):
        super().__init__()
        self.encoder, self.head, self.visible_weight = encoder, head, visible_weight

    @property
    def is_contrastive(self) -> bool:
        """Whether the objective is that of wav2vec 2.0."""
        return isinstance(self.head, Contrastive)

    def forward(self, inputs: Tensor, lengths: Tensor, hidden: Tensor, *targets
                ) -> tuple[Tensor, dict[str, Tensor]]:
        """Give the loss and what is told of it, see the heads; and `spread` of the states.

        Args:
            inputs: waveform [B, S].
            lengths: [B] samples.
            hidden: [B, T] frames that are hidden.
            targets: of a contrastive head (negatives, has, temperature), otherwise clusters of
                hidden frames [M, N] and, with a `visible_weight`, (frames that are not hidden
                [B, T], their clusters).
        """
        features, lengths, mask = self.encoder.features(inputs, lengths)  # [B, T, C]
        states = self.encoder.embed(features, lengths, mask, hidden)
        encoded = self.encoder.run_layers(states, mask)[-1]
        states = encoded[hidden]  # [M, D]
        if self.is_contrastive:
            loss, told = self.head(states, features[hidden], *targets)
        else:
            loss, told = self.head(states, targets[0])
            if self.visible_weight:
                _, visible, clusters = targets
                loss = loss + self.visible_weight * self.head(encoded[visible], clusters)[0]
        return loss, {**told, "spread": spread(states)}


def spread(states: Tensor) -> Tensor:
    """Give how much directions of states [M, D] differ: sqrt(1 - ||mean of x / ||x||  ||^2).

    0 if all are alike, 1 if they cancel out.

    Example:
        >>> spread(torch.tensor([[1.0, 0.0], [2.0, 0.0]])), spread(torch.eye(2)) ** 2
        (tensor(0.), tensor(0.5000))
    """
    states = nn.functional.normalize(states.detach().float(), dim=1)
    return (1 - states.mean(0).square().sum()).clamp(min=0).sqrt()


def make_encoder(config: PretrainConfig):
    """Make the encoder that learns, with its start weights, and its own head if it has one.

    Returns:
        (encoder, the foreign weights of a quantiser and its projections, empty if there are none).

    Raises:
        ConfigError: a backbone that cannot learn so, or settings that mean nothing here.
        CheckpointError: weights that cannot be read.
    """
    cls, settings = part(BACKBONES, config.backbone)
    name = config.backbone["name"]
    kind = (getattr(settings, "architecture", None) or {}).get("model_type", "")
    if not hasattr(settings, "architecture") or kind == "whisper":
        what = f"'{name}'" if not kind else f"Whisper ('{config.backbone.get('path')}')"
        raise ConfigError(
            f"{what} has no convolutions whose frames could be hidden, so it cannot be "
            "pre-trained this way. Take wav2vec 2.0, HuBERT, data2vec-audio or WavLM "
            "(--backbone hf:FOLDER), make one (emokit pretrain scratch), or keep it frozen.")
    if settings.layer != "last":
        raise ConfigError(f"backbone.layer is {settings.layer}, but all layers learn here. Leave "
                          "it out; it can be set when the encoder is fine-tuned.")
    if settings.mask_time:
        raise ConfigError("backbone.mask_time means nothing here. Set mask_share and mask_span.")
    encoder = cls(settings)
    heads: dict[str, Tensor] = {}
    foreign: list[Tensor] = []
    if settings.path is not None:
        weights = dict(settings.weights(settings.path))
        heads = {key: weights.pop(key) for key in list(weights)
                 if key.split(".")[0] in _HEADS}
        encoder.load_weights(weights)
        foreign = [value for key, value in weights.items() if key.endswith("masked_spec_embed")]
    if not hasattr(encoder, "masked_spec_embed"):
        # a file may have it although its architecture masks nothing
        encoder.masked_spec_embed = nn.Parameter(
            foreign[0].float() if foreign else torch.rand(encoder.dim))
    return encoder, heads


def objective_of(config: PretrainConfig, heads: Mapping[str, Tensor]) -> str:
    """Give which objective the settings mean.

    Raises:
        ConfigError: a contrastive one for an encoder without quantiser.
    """
    if config.objective == "auto":
        return "contrastive" if heads or config.new_quantiser else "masked"
    path = config.backbone.get("path")
    if config.objective == "contrastive" and path and not heads and not config.new_quantiser:
        raise ConfigError(
            f"The encoder '{path}' comes without the quantiser that the contrastive objective "
            "needs; fine-tuned encoders have lost it. "
            "Take the pre-trained one, begin with a new quantiser (--new-quantiser), or take "
            "--objective masked.")
    return config.objective


def make_head(config: PretrainConfig, encoder, heads: Mapping[str, Tensor]
              ) -> Contrastive | PseudoLabels:
    """Make the head of the objective."""
    if objective_of(config, heads) == "masked":
        return PseudoLabels(encoder.dim, config.clusters)
    features = encoder.shape.conv_dim[-1]
    if config.new_quantiser or not heads:
        return Contrastive(features, encoder.dim, config.contrastive)
    groups = read_json(find(config.backbone["path"], CONFIG)).get("num_codevector_groups", 2)
    return Contrastive.of_weights(heads, features, encoder.dim, dataclasses.replace(
        config.contrastive, groups=groups, code_dim=groups))


def apply_learns(learner: Learner, learns: str) -> None:
    """Say what learns: everything, or all but the convolutions."""
    learner.requires_grad_(True)
    for parameter in learner.encoder.feature_extractor.parameters():
        parameter.requires_grad_(learns == "all")
    for parameter in learner.encoder.parameters(recurse=False):
        # the embedding of hidden frames, which the encoder's own settings would keep fixed
        parameter.requires_grad_(True)


def write_encoder(folder: Path, learner: Learner, facts: Mapping[str, Any]) -> None:
    """Write an encoder as the transformers library lays it out, with the quantiser if it has one.

    Weights first, `config.json` last, so that what can be opened is whole. `pretraining.json`
    holds the facts.
    """
    from safetensors.torch import save

    encoder, kind = learner.encoder, learner.encoder.shape.model_type
    architecture = {**to_mapping(encoder.shape), "mask_time_prob": max(
        encoder.shape.mask_time_prob, 0.05)}
    prefix = ""
    tensors: dict[str, Tensor] = {}
    if learner.is_contrastive:
        own = learner.head.config
        architecture |= {
            "architectures": ["Wav2Vec2ForPreTraining"], "num_codevector_groups": own.groups,
            "num_codevectors_per_group": own.entries, "codevector_dim": own.code_dim,
            "proj_codevector_dim": own.projection_dim, "num_negatives": own.negatives,
            "contrastive_logits_temperature": own.logit_temperature,
            "diversity_loss_weight": own.diversity}
        prefix = {"wav2vec2": "wav2vec2."}.get(kind, "")
        tensors |= learner.head.state_dict()
    tensors |= {prefix + name: tensor for name, tensor in encoder.state_dict().items()}
    data = save({name: tensor.detach().float().cpu().contiguous()
                 for name, tensor in tensors.items()}, {"format": "pt"})
    write_bytes(folder / "model.safetensors", data)
    write_json(folder / PREPROCESSOR, {
        "feature_extractor_type": "Wav2Vec2FeatureExtractor", "feature_size": 1,
        "sampling_rate": 16_000, "padding_value": 0.0, "return_attention_mask": True,
        "do_normalize": encoder.shape.do_normalize})
    write_json(folder / PRETRAINING, facts)
    write_json(folder / CONFIG, architecture)
