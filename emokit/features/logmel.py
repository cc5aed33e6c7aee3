"""Log-mel energies, batched on the device."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from emokit.core.config import knob
from emokit.core.errors import ConfigError
from emokit.features.base import FrontEnd, as_waveform

LOG_FLOOR = 1e-6
"""Added to every mel power before the logarithm (EmoNet's reference code)."""

CACHED = 2**19
"""Windowed samples that are transformed at a time on a CPU."""


def hertz_to_mel(frequency: np.ndarray | float) -> np.ndarray:
    """Give HTK mels: 1127 ln(1 + f / 700)."""
    return 1127.0 * np.log1p(np.asarray(frequency, dtype=np.float64) / 700.0)


def mel_weights(rate: int, n_fft: int, bands: int, low: float, high: float) -> np.ndarray:
    """Give triangles that are linear in mel, peak 1, without the DC bin.

    With bands + 2 points m_0 … m_{bands+1} evenly spaced in mel from `low` to `high`, band k
    weighs a bin of mel m by max(0, min((m - m_k) / d, (m_{k+2} - m) / d)), d the spacing.

    Returns:
        [n_fft // 2 + 1, bands] float32. A band narrower than the bin spacing can be all zero.
    """
    mels = hertz_to_mel(np.linspace(0, rate / 2, n_fft // 2 + 1))[:, None]
    edges = np.linspace(hertz_to_mel(low), hertz_to_mel(high), bands + 2)
    spacing = edges[1] - edges[0]
    rising, falling = (mels - edges[:-2]) / spacing, (edges[2:] - mels) / spacing
    weights = np.maximum(0, np.minimum(rising, falling))
    weights[0] = 0
    return weights.astype(np.float32)


@dataclasses.dataclass(frozen=True)
class LogMelConfig:
    """Settings of the log-mel front end; EmoNet's: hop 512, bands 128, center false."""

    rate: int = knob(16_000, "Sample rate of the waveforms, Hz.", minimum=1)
    n_fft: int = knob(1024, "Length of the Hann window and the transform, samples.", minimum=2)
    hop: int = knob(256, "Step from frame to frame, samples.", minimum=1)
    bands: int = knob(64, "Mel bands.", minimum=1)
    low: float = knob(20.0, "Lower end of the first band, Hz.", minimum=0)
    high: float = knob(8000.0, "Upper end of the last band, Hz.", above=0)
    center: bool = knob(
        True, "Centre frame t on sample t * hop, with zeros outside the utterance.")


class LogMel(FrontEnd):
    """ln(P + 1e-6) of mel powers P, always computed in float32.

    Centred: T = 1 + floor(S / hop). Otherwise T = 1 + floor((S - n_fft) / hop), and a clip
    shorter than the window is padded with zeros to one frame.

    Example:
        >>> front_end = LogMel(LogMelConfig())
        >>> frames, lengths = front_end(torch.zeros(1, 16_000), torch.tensor([16_000]))
        >>> frames.shape, lengths
        (torch.Size([1, 63, 64]), tensor([63]))

    Source:
        HTK mel scale; settings of EIHW/EmoNet's reference front end. Deviations: centred on zeros
        (there: no padding, so clips below one window have no frame), hop 256 and 64 bands.
        Reflected padding is not offered, because it would see the padding of a batch.
    """

    name = "logmel"
    Config = LogMelConfig

    def __init__(self, config: LogMelConfig = LogMelConfig()):
        super().__init__(config)
        if not config.low < config.high <= config.rate / 2:
            raise ConfigError(
                f"front end logmel: bands from {config.low} to {config.high} Hz do not fit "
                f"rate {config.rate} Hz. Set low < high <= rate / 2."
            )
        self.dim = config.bands
        weights = mel_weights(config.rate, config.n_fft, config.bands, config.low, config.high)
        # both follow from the config, so checkpoints need not hold them
        self.register_buffer("weights", torch.from_numpy(weights), persistent=False)
        self.register_buffer("window", torch.from_numpy(
            np.hanning(config.n_fft + 1)[:-1].astype(np.float32)), persistent=False)

    def n_frames(self, lengths: Tensor) -> Tensor:
        """Give the number of real frames for numbers of samples."""
        config = self.config
        covered = lengths if config.center else (lengths - config.n_fft).clamp(min=0)
        return 1 + torch.div(covered, config.hop, rounding_mode="floor")

    def forward(self, inputs: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Give frames [B, T, F] and their lengths.

        Args:
            inputs: [B, S] float32 in [-1, 1] or int16; what lies past `lengths` is ignored.
            lengths: [B] samples.
        """
        config = self.config
        with torch.autocast(inputs.device.type, enabled=False):
            waveform = as_waveform(inputs, lengths)
            side = config.n_fft // 2 if config.center else 0
            short = max(0, config.n_fft - waveform.shape[1] - 2 * side)
            waveform = functional.pad(waveform, (side, side + short))
            rows = len(waveform)
            if waveform.device.type == "cpu" and not torch.compiler.is_compiling():
                # what fits a core's cache is five times faster
                rows = max(1, CACHED * config.hop // (waveform.shape[1] * config.n_fft))
            powers = [self._mel_powers(part) for part in waveform.split(rows)]
            powers = powers[0] if len(powers) == 1 else torch.cat(powers)
            return torch.log(powers + LOG_FLOOR), self.n_frames(lengths)

    def _mel_powers(self, waveform: Tensor) -> Tensor:
        frames = waveform.unfold(1, self.config.n_fft, self.config.hop) * self.window
        spectrum = torch.fft.rfft(frames)  # [B, T, n_fft / 2 + 1]
        power = spectrum.real.square().addcmul_(spectrum.imag, spectrum.imag)
        return power @ self.weights  # [B, T, F]
