"""Weights that others trained, from a file of the user's; no pickle is ever executed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from emokit.core.errors import CheckpointError, culprits
from emokit.core.files import read_json

PRETRAINING = "pretraining.json"
"""What the folder of an encoder that emokit pre-trained says of how it came about."""

SUFFIXES = (".safetensors", ".npz", ".pth", ".pt", ".bin")


def weights_file(path: str | os.PathLike) -> Path:
    """Give the file that a path means: itself, or the only file of weights in a folder.

    Raises:
        CheckpointError: nothing there, none or several in the folder, or an unknown suffix.
    """
    path = Path(path)
    kinds = ", ".join(SUFFIXES)
    if path.is_dir():
        found = sorted(entry for entry in path.iterdir() if entry.suffix in SUFFIXES)
        if len(found) != 1:
            raise CheckpointError(
                f"Folder '{path}' holds {len(found)} files of weights ({kinds})"
                f"{': ' + culprits(entry.name for entry in found) if found else ''}. Name one file."
            )
        path = found[0]
    if not path.is_file():
        raise CheckpointError(f"There is no file or folder of weights '{path}'. Check the path.")
    if path.suffix not in SUFFIXES:
        raise CheckpointError(f"'{path}' is no file of weights. Its name must end in {kinds}.")
    return path


def read_weights(path: str | os.PathLike) -> dict[str, Tensor]:
    """Read named tensors on the CPU.

    Args:
        path: as `weights_file` takes it: safetensors, NumPy's npz, or what `torch.save` made of a
            plain state dict.

    Raises:
        CheckpointError: see `weights_file`; damaged, or something else than named tensors.
    """
    path = weights_file(path)
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        if path.suffix == ".npz":
            import numpy as np

            with np.load(path, allow_pickle=False) as arrays:
                return {name: torch.from_numpy(arrays[name]) for name in arrays.files}
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # each library has errors of its own for a damaged file
        why = (str(error).splitlines() or [type(error).__name__])[0][:100]
        raise CheckpointError(
            f"'{path}' cannot be read as named tensors ({why}). Fetch it again, or save its "
            "state dict as safetensors."
        ) from None
    if not isinstance(state, Mapping) or not all(isinstance(x, Tensor) for x in state.values()):
        raise CheckpointError(
            f"'{path}' holds something else than named tensors. Save its state dict alone."
        )
    return dict(state)


def refuse_misfits(expected: Mapping[str, Tensor], found: Mapping[str, Tensor], what: str) -> None:
    """Hold foreign tensors to those that an encoder needs, names and shapes.

    Raises:
        CheckpointError: with the first culprits.
    """
    shapes = [f"{name} {tuple(found[name].shape)} instead of {tuple(tensor.shape)}"
              for name, tensor in expected.items()
              if name in found and found[name].shape != tensor.shape]
    for words, names in (("lack", [name for name in expected if name not in found]),
                         ("have besides", [name for name in found if name not in expected]),
                         ("differ in shape", shapes)):
        if names:
            raise CheckpointError(f"The weights do not fit {what}: they {words} "
                                  f"{culprits(names)}. Name another file or set its sizes.")


def pretraining_facts(backbone: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Give what an encoder heard that emokit pre-trained: `target, fold, manifests` of the
    pre-training, and of those before it; empty for all other encoders.

    Args:
        backbone: its settings; `path` may name its folder.
    """
    path = Path(backbone.get("path") or "") / PRETRAINING
    if not backbone.get("path") or not path.is_file():
        return []
    facts = read_json(path)
    return [{name: facts[name] for name in ("target", "fold", "manifests")}, *facts["ancestors"]]
