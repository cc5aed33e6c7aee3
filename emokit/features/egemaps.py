"""eGeMAPS by openSMILE, whose licence allows no commercial use."""

from __future__ import annotations

import dataclasses
import warnings

import numpy as np

from emokit.core.errors import EmokitError

RATE = 16_000


class Egemaps:
    """eGeMAPSv02 of openSMILE: 88 functionals; the extra `opensmile`, for non-commercial use.

    Source:
        Eyben et al. 2016 (eGeMAPS); Eyben, Wöllmer, Schuller 2010 (openSMILE), through audEERING's
        package `opensmile`, whose numbers these are.
    """

    slow = True
    library = "opensmile"
    dim = 88
    notice = ("eGeMAPS comes from openSMILE, which is free for private, research and educational "
              "use only, not for commercial use: https://github.com/audeering/opensmile-python")

    @dataclasses.dataclass(frozen=True)
    class Config:
        """No settings: the set is a standard."""

    def __init__(self, config: Config | None = None):
        self.config = config or self.Config()
        try:
            import opensmile
        except ImportError:
            raise EmokitError(
                "Baseline 'egemaps' needs openSMILE, which is free for non-commercial use. "
                "Install it with: pip install 'emokit[opensmile]'. Or take 'functionals'."
            ) from None
        self.smile = opensmile.Smile(feature_set=opensmile.FeatureSet.eGeMAPSv02,
                                     feature_level=opensmile.FeatureLevel.Functionals)

    def __call__(self, waveform: np.ndarray) -> np.ndarray:
        """Describe one utterance.

        Args:
            waveform: [S] float32 in [-1, 1] at 16 kHz.

        Returns:
            [88] float32; all NaN if it is shorter than openSMILE can describe (some 60 ms).
        """
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Segment too short")
            table = self.smile.process_signal(np.asarray(waveform, np.float32), RATE)
        return table.to_numpy()[0]
