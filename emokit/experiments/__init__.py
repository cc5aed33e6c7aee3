"""Whole protocols over many cells, and the evaluation of what they fitted."""

from emokit.core.registry import Registry

PROTOCOLS = Registry("experiment", {
    "emonet": "emokit.experiments.emonet:emonet",
    "within": "emokit.experiments.matrices:within",
    "cross": "emokit.experiments.matrices:cross",
    "leave-one-corpus-out": "emokit.experiments.matrices:leave_one_corpus_out",
    "peft": "emokit.experiments.peft:peft",
    "two-stage": "emokit.experiments.two_stage:two_stage",
})
"""A protocol is a function (grid, request) -> report, see `emokit.experiments.protocol`."""
