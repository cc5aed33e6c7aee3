"""What every backbone is: frames in, frames out, and named sites where adapters may sit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn


class Backbone(nn.Module):
    """Base of backbones; a subclass sets `name`, `Config`, `input`, `dim` and writes the rest.

    Attributes:
        name: as in `BACKBONES`.
        input: name of the front end it takes, or "waveform".
        dim: D, size of an output frame.
        recipe: preset that fills the training settings.
        started_mode: what learns, if nobody says so, where the settings name weights to start
            from (`path`): everything alike (scratch), or the rest of the model faster (finetune)
            and with adapters these alone.
        works_when_frozen: settings because of which it stays in training mode while nothing of it
            learns.

    A site is a module that `forward` calls exactly once per pass, with its input as first
    argument.
    """

    name: str
    Config: type
    input: str
    dim: int
    recipe = "small"
    started_mode = "scratch"
    works_when_frozen: Sequence[str] = ()

    def __init__(self, config: Any):
        super().__init__()
        self.config = config

    def forward(self, frames: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Give frames [B, T, D] and lengths [B]; real positions are a prefix."""
        raise NotImplementedError

    @classmethod
    def recognises(cls, weights: Mapping[str, Tensor]) -> bool:
        """Say whether foreign tensors are of such an encoder; then `of_weights` makes it."""
        return False

    @classmethod
    def of_weights(cls, weights: Mapping[str, Tensor]) -> Backbone:
        """Make the encoder, in evaluation mode, that foreign tensors are of."""
        raise NotImplementedError

    def load_start(self) -> None:
        """Load pretrained weights that the settings name; called for new models only, since a
        checkpoint holds all weights."""

    @classmethod
    def start_files(cls, config: Any) -> list[Path]:
        """Give the files of this disk that `load_start` reads; none of a hub's."""
        return []

    def sites(self) -> dict[str, list[str]]:
        """Give {role: names of its modules}, in the order of `forward`."""
        raise NotImplementedError

    def site_mask(self, args: tuple, kwargs: dict) -> Tensor | None:
        """Give which positions of a site's output are real, from the site's arguments.

        Broadcasts over the output, 1 (True) where real; None means all are.
        """
        return args[1] if len(args) > 1 else kwargs.get("mask")

    def with_inputs(self, args: tuple, kwargs: dict, inputs: Tensor, mask: Tensor | None
                    ) -> tuple[tuple, dict]:
        """Give a site's arguments with other inputs and mask, for adapters that add positions.

        Args:
            args, kwargs: what the site was called with.
            inputs: its new first argument, with more positions.
            mask: which of them are real, as `site_mask` gives it; None if all are.
        """
        if len(args) > 1:
            return (inputs, mask, *args[2:]), kwargs
        if args:
            return (inputs,), {**kwargs, "mask": mask} if "mask" in kwargs else kwargs
        first = next(iter(kwargs))
        return (), {**kwargs, first: inputs, **({"mask": mask} if "mask" in kwargs else {})}

    def layer_of(self, site: str) -> int | None:
        """Give the number of the layer that a site belongs to; None if layers have no numbers."""
        return None

    def norm_after(self, site: str) -> str | None:
        """Name the norm that alone takes a site's output, or None; merging shifts its mean."""
        return None
