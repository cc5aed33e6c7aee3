"""Running out of memory, in words that name the knobs to turn."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from emokit.core.errors import EmokitError
from emokit.training.config import TrainConfig

_SIGNS = ("out of memory", "can't allocate memory", "not enough memory", "bad alloc",
          "storage size calculation overflowed")
"""How torch's allocators on CPU and GPU say it."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that an allocation failed, on CPU or GPU."""
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and any(
        sign in str(error).lower() for sign in _SIGNS))


@contextlib.contextmanager
def memory_in_words(config: TrainConfig, what: str) -> Iterator[None]:
    """Turn a failed allocation within the block into an error in words.

    Args:
        what: the cell that was being fitted.

    Raises:
        EmokitError: there was not enough memory; any other error passes as it is.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        window = "whole utterances" if config.window is None else f"{config.window:g} s"
        width = config.backbone.get("width")
        raise EmokitError(
            f"There is not enough memory for {what}. Lower batch_size (now {config.batch_size}), "
            f"window (now {window}) or the width of the backbone"
            f"{'' if width is None else f' (now {width})'}, or choose another --device."
        ) from None
