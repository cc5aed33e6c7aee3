"""Statistics of the log-mel over whole utterances: the dependency-free floor."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch

from emokit.features.logmel import LogMel


class LogMelStatistics:
    """Six statistics per band of the log-mel: 64 x 6 = 384 numbers.

    Mean, standard deviation, 10th, 50th and 90th percentile, and mean absolute difference of
    neighbouring frames.

    Source: emokit's own choice; the mean and deviation alone give the orientation figures of
        docs/results.md.
    """

    @dataclasses.dataclass(frozen=True)
    class Config:
        """No settings: a floor that everyone can tune is no floor."""

    def __init__(self, config: Config | None = None):
        self.config = config or self.Config()
        self.frontend = LogMel(LogMel.Config())

    @property
    def dim(self) -> int:
        """Numbers per utterance."""
        return 6 * self.frontend.dim

    def __call__(self, waveform: np.ndarray) -> np.ndarray:
        """Describe one utterance.

        Args:
            waveform: [S] float32 or int16 at 16 kHz, S >= 1.

        Returns:
            [dim] float64, finite; differences of a single frame are 0.
        """
        with torch.inference_mode():
            frames, lengths = self.frontend(
                torch.from_numpy(np.array(waveform))[None], torch.tensor([len(waveform)])
            )
        values = frames[0, :int(lengths[0])].double().numpy()
        steps = np.abs(np.diff(values, axis=0)) if len(values) > 1 else np.zeros_like(values)
        return np.concatenate([
            values.mean(axis=0), values.std(axis=0),
            *np.percentile(values, (10, 50, 90), axis=0), steps.mean(axis=0),
        ])
