"""librosa, whose compiled functions emokit keeps where no other process writes."""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import logging
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from emokit.core.config import signature
from emokit.core.files import remove_tree

log = logging.getLogger("emokit")

PREFIX = "librosa-"
_WARM_UP = "import sys; from emokit.audio.compiled import warm_up; warm_up(sys.argv[1])"


@functools.cache
def load_librosa():
    """Import librosa and give it; the first time on a machine this compiles for half a minute.

    numba keeps what it compiled in pairs of files and replaces one after the other. Two processes
    that compile the same function at once leave halves that do not fit, and every process that
    reads them dies by segmentation fault. So one process of its own compiles everything that
    emokit calls into a folder that becomes visible as a whole; afterwards files are only read.
    Works on network file systems, too, since nothing is locked: of two that compile, one folder
    stays. NUMBA_CACHE_DIR, where somebody has set it, is obeyed instead.

    Source: numba issue 10128, "Race condition in GUFunc caching can lead to segmentation faults".
    """
    import numba

    if not numba.config.CACHE_DIR:
        numba.config.CACHE_DIR = str(_folder())
    import librosa

    return librosa


def _folder() -> Path:
    """Give the folder of this machine and these versions, compiled into if it is not there."""
    import pooch

    home = Path(pooch.os_cache("emokit"))
    folder = home / f"{PREFIX}{_key()}"
    if folder.is_dir():
        return folder
    try:
        home.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=home))
    except OSError as error:
        log.info("librosa is compiled for this process alone: %s", error)
        return _private()
    log.info("compiling functions of librosa into %s, once, half a minute", folder)
    try:
        done = subprocess.run([sys.executable, "-c", _WARM_UP, str(partial)], check=False,
                              capture_output=True)
        if done.returncode:
            log.warning("librosa could not be compiled beforehand (exit %d); it is compiled for "
                        "this process alone.", done.returncode)
            return _private()
        try:
            partial.rename(folder)
        except OSError:  # another process was first
            log.debug("%s is there by now", folder)
        return folder
    finally:
        remove_tree(partial)


def _private() -> Path:
    import atexit

    folder = Path(tempfile.mkdtemp(prefix="emokit-librosa-"))
    atexit.register(remove_tree, folder)
    return folder


def _key() -> str:
    """Hash what compiled code depends on: versions, where librosa lies, and the processor."""
    from llvmlite import binding

    place = Path(importlib.util.find_spec("librosa").origin)
    versions = [importlib.metadata.version(name) for name in ("librosa", "numba", "llvmlite")]
    return signature([*versions, sys.version, str(place), place.stat().st_mtime_ns,
                      binding.get_host_cpu_name(), binding.get_host_cpu_features().flatten()])


def warm_up(folder: str) -> None:
    """Compile into a folder what emokit calls of librosa, for numbers of the same types."""
    import numba

    numba.config.CACHE_DIR = folder
    import librosa

    waveform = np.sin(np.arange(16_000) * 0.1).astype(np.float32)
    librosa.yin(waveform, fmin=60, fmax=500, sr=16_000)
    librosa.feature.zero_crossing_rate(waveform)
    mel = librosa.power_to_db(librosa.feature.melspectrogram(y=waveform, sr=16_000))
    librosa.onset.onset_strength(S=mel, sr=16_000)
    librosa.feature.spectral_contrast(y=waveform, sr=16_000, fmin=100.0)
