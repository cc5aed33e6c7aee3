"""Waveforms to frames: front ends that run batched on the device."""

from emokit.core.registry import Registry

FRONT_ENDS = Registry("front end", {"logmel": "emokit.features.logmel:LogMel"})
