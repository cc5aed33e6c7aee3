"""The file that a pre-training leaves: both branches and their clusters."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from emokit.core.config import from_mapping
from emokit.models.adapters.wap import WapAdapter, WapConfig
from emokit.pretraining.local_attributes.branches import Branches
from emokit.pretraining.local_attributes.prototypes import Prototypes
from emokit.training.adapter_start import FILE, KIND, inspect_pretrained
from emokit.training.checkpoint import SCHEMA, read_tensors, write

__all__ = ["FILE", "load", "save"]

_SPACE, _KEPT = "clusters", ("centres", "counts", "offset", "origin")


def save(path: Path, branches: Branches, facts: Mapping[str, Any]) -> Path:
    """Write teacher, student and clusters; what predicted from the student is left out."""
    state = {f"{branch}.{name}": tensor for branch in ("teacher", "student")
             for name, tensor in getattr(branches, branch).state_dict().items()}
    for prototypes in branches.prototypes:
        for name in _KEPT:
            state[f"{_SPACE}.{len(prototypes)}.{name}"] = getattr(prototypes, name)
    return write(path, state, {
        "schema": SCHEMA, "kind": KIND, "settings": branches.config.wap(),
        "encoder": facts["encoder"], "clustering": branches.config.clustering,
        "facts": dict(facts)})


def load(path: Path, site: torch.nn.Module, branch: str = "teacher"
         ) -> tuple[WapAdapter, list[Prototypes], dict[str, Any]]:
    """Rebuild one branch and the clusters, in evaluation mode on the CPU.

    Args:
        site: the encoder's readout, for its sizes.

    Returns:
        (the branch, its clusterings, what the file says of itself).

    Raises:
        CheckpointError: damaged, or something else.
    """
    meta, tensors = inspect_pretrained(path), read_tensors(path)
    adapter = WapAdapter(site, from_mapping(WapConfig, meta["settings"], str(path)))
    adapter.load_state_dict({name.removeprefix(f"{branch}."): tensor
                             for name, tensor in tensors.items() if name.startswith(f"{branch}.")})
    clusterings = []
    for name in sorted(name for name in tensors if name.endswith(".centres")):
        base = name.removesuffix("centres")
        prototypes = Prototypes(*tensors[name].shape)
        for key in _KEPT:
            getattr(prototypes, key).copy_(tensors[base + key])
        clusterings.append(prototypes)
    return adapter.eval(), clusterings, meta
