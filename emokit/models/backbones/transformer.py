"""What all pretrained speech transformers share: states of layers, sites, weights."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from emokit.core.errors import ConfigError
from emokit.models.adapters.attach import AttachedForward
from emokit.models.backbones.architectures import TransformerConfig
from emokit.models.backbones.base import Backbone
from emokit.models.backbones.layers import Readout, span_mask
from emokit.models.masking import all_real, position_mask
from emokit.models.pretrained import refuse_misfits

RATE = 16_000

_LAYER = re.compile(r"(?:^|\.)layers\.(\d+)(?:\.|$)")
"""In the name of a module within a layer; convolutions are `conv_layers`."""


class SpeechTransformer(Backbone):
    """Convolutions, transformer layers, and a readout over the states of all layers.

    State 0 is what the first layer takes, state n what layer n returns; the last one of pre-norm
    encoders has gone through their final norm. Frames past the lengths are 0. A subclass builds
    its modules under the names that the transformers library gives them and writes `begin`,
    `finish` and `sites`.

    Args:
        config: its settings, architecture included.

    Attributes:
        top: names of its modules and parameters at the top, as in foreign files.
        depth: layers that run; those above `layer` are not even made.
        readout: takes the states [B, N, T, D]: all of them where an adapter needs them or their
            mean is asked for, otherwise only the last.
    """

    input = "waveform"
    recipe = "transformer"
    started_mode = "finetune"
    Shape: ClassVar[type]
    top: ClassVar[tuple[str, ...]]
    prefixes: ClassVar[tuple[str, ...]] = ("",)

    def __init__(self, config: TransformerConfig):
        super().__init__(config)
        self.name = config.name
        self.shape = config.shape(config.architecture)
        dim, n_layers = self.size()
        self.dim, self.depth = dim, n_layers
        if not isinstance(config.layer, str):
            if not 0 <= config.layer <= n_layers:
                raise ConfigError(f"'layer' is {config.layer}, but the encoder has {n_layers} "
                                  f"layers. Choose 0 to {n_layers}, last or mean.")
            self.depth = config.layer
        self.is_cut = self.depth < n_layers
        self.readout = Readout(dim, self.n_states, config.layer == "mean")

    # what a subclass writes

    def size(self) -> tuple[int, int]:
        """Give (D, number of layers) of the architecture."""
        raise NotImplementedError

    def begin(self, waveform: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Give state 0 [B, T, D], lengths [B], and the mask [B, T, 1] of what layers attend to."""
        raise NotImplementedError

    def finish(self, states: Tensor, mask: Tensor | None) -> Tensor:
        """Give the last state from what the last layer returned."""
        return states

    def layer_list(self) -> Sequence[nn.Module]:
        """Give the layers that run, each `(states, mask, *layer_arguments()) -> states`."""
        raise NotImplementedError

    def layer_arguments(self) -> tuple:
        """Give what layers take besides states and mask."""
        return ()

    def fixed(self) -> list[nn.Module | nn.Parameter]:
        """Give what never learns under these settings."""
        return []

    # what they share

    @property
    def n_states(self) -> int:
        """Number of states, that of the first layer's input included."""
        return self.depth + 1

    def forward(self, frames: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Give frames [B, T, D] and their lengths, at least 1.

        Args:
            frames: waveform [B, S] in [-1, 1] at 16 kHz, zero past `lengths`.
            lengths: [B] samples.
        """
        states, lengths, mask = self._run(frames, lengths, self._needs_all())
        return self.read(states, lengths, mask), lengths

    def states(self, frames: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Give all states [B, N, T, D] and their lengths [B]; arguments as `forward`."""
        states, lengths, _ = self._run(frames, lengths, True)
        return states, lengths

    def read(self, states: Tensor, lengths: Tensor, mask: Tensor | None = None) -> Tensor:
        """Give frames [B, T, D] of states [B, N, T, D], by the readout and what sits there."""
        real = position_mask(lengths, states.shape[2])[:, :, None]
        return torch.where(real, self.readout(states, real if mask is None else mask), 0.0)

    def resume(self, states: Tensor, lengths: Tensor, first: int) -> Tensor:
        """Give frames [B, T, D] from states that were computed before; the layers above run.

        Args:
            states: [B, N, T, D], the last of them state `first`; all up to it where the readout
                takes all.
            lengths: [B], the frames that layers attend to.
        """
        size, keep = states.shape[2], self._needs_all()
        mask = None if all_real(lengths, size) else position_mask(lengths, size)[:, :, None]
        above = torch.stack(self.run_layers(states[:, -1], mask, keep, first), 1)
        return self.read(torch.cat([states[:, :-1], above], 1) if keep else above, lengths, mask)

    def _needs_all(self) -> bool:
        attached = self.readout.__dict__.get("forward")
        return self.readout.mean or (isinstance(attached, AttachedForward)
                                     and bool(attached.active))

    def _run(self, waveform: Tensor, lengths: Tensor, keep: bool):
        states, lengths, mask = self.begin(waveform, lengths)
        return torch.stack(self.run_layers(states, mask, keep), 1), lengths, mask

    def run_layers(self, states: Tensor, mask: Tensor | None, keep: bool = False, first: int = 0
                   ) -> list[Tensor]:
        """Give the last state from state `first` [B, T, D], in a list; with `keep` all from it."""
        kept, more = [states], self.layer_arguments()
        again = self.config.gradient_checkpointing and torch.is_grad_enabled()
        for layer in self.layer_list()[first:]:
            if again:
                states = checkpoint(layer, states, mask, *more, use_reentrant=False)
            else:
                states = layer(states, mask, *more)
            kept = [*kept, states] if keep else [states]
        if not self.is_cut:
            kept[-1] = self.finish(states, mask)
        return kept

    def layer_sites(self, where: str, names: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
        """Give the sites of the layers.

        Args:
            where: name of the list of layers.
            names: role to names within a layer, each with its dot; empty for the layer itself.
        """
        return {role: [f"{where}.{index}{name}" for index in range(self.depth) for name in several]
                for role, several in names.items()}

    def layer_of(self, site: str) -> int | None:
        """Give the number of the transformer layer; None of what lies outside of these."""
        found = _LAYER.search(site)
        return int(found[1]) if found else None

    def mask_spans(self, frames: Tensor, lengths: Tensor, instead: Tensor | float = 0.0) -> Tensor:
        """Mask frames [B, T, F] as the settings say, in training: spans of time become `instead`,
        spans of features 0."""
        config = self.config
        if self.training and config.mask_time:
            masked = span_mask(lengths, frames.shape[1], config.mask_time, config.mask_time_length)
            frames = torch.where(masked[:, :, None], instead, frames)
        if self.training and config.mask_features:
            size = frames.shape[2]
            masked = span_mask(torch.full_like(lengths, size), size, config.mask_features,
                               config.mask_features_length)
            frames = torch.where(masked[:, None], 0.0, frames)
        return frames

    def rate(self, own: float) -> float:
        """Give the rate of a dropout that has a rate of its own in the architecture."""
        dropout = self.config.backbone_dropout
        return own if dropout is None else dropout

    @property
    def works_when_frozen(self) -> tuple[str, ...]:
        """Settings because of which it stays in training mode while nothing of it learns."""
        return tuple(name for name in ("backbone_dropout", "mask_time", "mask_features")
                     if getattr(self.config, name))

    def requires_grad_(self, requires_grad: bool = True) -> SpeechTransformer:
        """Say whether it learns; what the settings keep fixed never does."""
        super().requires_grad_(requires_grad)
        for part in self.fixed():
            part.requires_grad_(False)
        return self

    def load_start(self) -> None:
        """Load the weights that the settings name, if they name some."""
        if self.config.path is not None:
            self.load_weights(self.config.weights(self.config.path))

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Load tensors under the names of the transformers library, with or without a head.

        Raises:
            CheckpointError: one is missing or of another shape.
        """
        weights = self._own(weights)
        expected = self.state_dict()
        unused = [name for name in weights if name not in expected and self._is_unused(name)]
        weights = {name: tensor.float() for name, tensor in weights.items() if name not in unused}
        refuse_misfits(expected, weights, f"an encoder '{self.shape.model_type}'")
        self.load_state_dict(weights)

    def _own(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Give the tensors of the encoder itself, by their names in it."""
        def below(prefix: str) -> dict[str, Tensor]:
            return {_modern(name[len(prefix):]): tensor for name, tensor in weights.items()
                    if name.startswith(prefix)
                    and name[len(prefix):].split(".")[0] in self.top}

        # the longest match, because 'encoder.' is a module of some and a prefix of others
        return max((below(prefix) for prefix in self.prefixes), key=len)

    def _is_unused(self, name: str) -> bool:
        """Whether a tensor belongs to what the settings leave out."""
        return False


def _modern(name: str) -> str:
    """Give the present name of a tensor of a weight norm."""
    for old, new in (("weight_g", "original0"), ("weight_v", "original1")):
        if name.endswith(f".conv.{old}"):
            return name.removesuffix(old) + f"parametrizations.weight.{new}"
    return name
