"""Whether a model begins with the very weights that another one ended with."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emokit.core.errors import CheckpointError, culprits
from emokit.models.private import key_of
from emokit.training import checkpoint

_MEASURED = ("own.mean", "own.std")
"""What is measured on each corpus and not learnt."""


def check_handover(model, corpus: str, base: Path, former: str, with_head: bool) -> str:
    """Hold what serves a corpus to the file of weights that it begins from, bit by bit.

    Backbone, shared parts, and of the two corpora adapters, norms, pooling and head; the
    normalisation is each corpus's own.

    Args:
        model: that begins.
        corpus: of the model.
        base: the file.
        former: corpus of the file whose part is taken over.
        with_head: whether the head is taken over.

    Returns:
        Hash of these tensors, the same on both sides.

    Raises:
        CheckpointError: a tensor is another one, or has no place in the model.
    """
    theirs = _part(checkpoint.read_tensors(base), former, with_head)
    ours = _part(model.state_dict(), corpus, with_head)
    digest, wrong = hashlib.sha256(), []
    for name, tensor in sorted(theirs.items()):
        value = _bytes(tensor)
        if name not in ours or _bytes(ours[name]) != value:
            wrong.append(name)
        digest.update(name.encode())
        digest.update(value)
    if wrong:
        raise CheckpointError(
            f"'{corpus}' does not begin with the weights that '{base}' ended with: {len(wrong)} of "
            f"{len(theirs)} tensors are others, {culprits(wrong)}. Use backbone, pooling and "
            "adapters of the start, and train the start again if its file was changed.")
    return digest.hexdigest()[:16]


def _part(state: Mapping[str, Any], corpus: str, with_head: bool) -> dict[str, Any]:
    """Give the tensors that serve a corpus, its own under names without it."""
    prefix, found = f"private.{key_of(corpus)}.", {}
    for name, tensor in state.items():
        if name.startswith(prefix):
            name = f"own.{name.removeprefix(prefix)}"
        elif name.startswith("private."):
            continue
        if name not in _MEASURED and (with_head or not name.startswith("own.head.")):
            found[name] = tensor
    return found


def _bytes(tensor) -> bytes:
    return tensor.detach().cpu().contiguous().numpy().tobytes()
