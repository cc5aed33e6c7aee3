"""Linear models on classical features: the floor that every trained network must pass."""

from emokit.core.registry import Registry

BASELINES = Registry("baseline", {
    "logmel": "emokit.baselines.logmel:LogMelStatistics",
})
"""Feature sets: a class with `Config`, `dim`, and a call `(waveform [S] float32) -> [dim]`."""
