"""What a stopped run goes on from: all that moves, and a hash of what does not."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from typing import Any

from torch import Tensor, nn

from emokit.core.errors import EmokitError, culprits


def resting(model) -> list[str]:
    """Name the tensors of a model that no step changes: parameters that do not learn.

    Norms that every corpus replaces are none of them: a plateau stage makes them anew.
    """
    replaced = tuple(f"backbone.{site}." for site in model.replaced_sites())
    return sorted(name for name, parameter in model.named_parameters(remove_duplicate=False)
                  if not parameter.requires_grad and not (replaced and name.startswith(replaced)))


def moving_state(model: nn.Module, names: Collection[str]) -> dict[str, Tensor]:
    """Give the state of a model without the tensors `names`."""
    left_out = set(names)
    return {name: tensor for name, tensor in model.state_dict().items() if name not in left_out}


def state_hash(model: nn.Module, names: Collection[str]) -> str:
    """Hash tensors of a model with their names."""
    state, digest = model.state_dict(), hashlib.sha256()
    for name in names:
        digest.update(f"{name} {tuple(state[name].shape)}".encode())
        digest.update(state[name].detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def restore(model: nn.Module, state: Mapping[str, Any], names: Collection[str], where: Any
            ) -> None:
    """Load what `moving_state` gave, or the whole state.

    Args:
        names: tensors that may be left out.
        where: file, for messages.

    Raises:
        EmokitError: other tensors than those of the model.
    """
    own = model.state_dict()
    wrong = [name for name in own if name not in state and name not in set(names)]
    wrong += [name for name in state if name not in own or own[name].shape != state[name].shape]
    if wrong:
        raise EmokitError(f"'{where}' is of another model ({culprits(wrong)}). Remove it to begin "
                          "the cell anew.")
    model.load_state_dict(state, strict=False)
