"""What is installed here, and the one line that mends each thing that is missing."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterable
from typing import Any

REQUIRED = ("torch", "torchaudio", "librosa", "soundfile", "soxr", "click", "pandas", "yaml",
            "tqdm", "numpy", "sklearn", "scipy", "statsmodels", "matplotlib", "jinja2",
            "safetensors", "pooch")
_PACKAGES = {"yaml": "pyyaml", "sklearn": "scikit-learn"}
_FOR_DEVELOPERS = ("test", "docs")


def examine() -> list[dict[str, Any]]:
    """Try every part.

    Returns:
        Rows with `part`, `state` (`ok`, `missing`: works without; `broken`: mend it), `found` and
        `mend`, the line to type.
    """
    rows = [_row("python", "ok", platform.python_version())]
    rows += [_package(name) for name in REQUIRED]
    rows += [_device(), _processors(), _mp3(), _ffmpeg(), *_extras(_requirements()), _disk(),
             _corpora()]
    return rows


def _row(part: str, state: str, found: str, mend: str = "") -> dict[str, Any]:
    return {"part": part, "state": state, "found": found, "mend": mend}


def _package(name: str) -> dict[str, Any]:
    package = _PACKAGES.get(name, name)
    try:
        importlib.import_module(name)
        return _row(package, "ok", importlib.metadata.version(package))
    except ImportError as error:
        if name == "torchaudio" and importlib.util.find_spec(name):
            return _torchaudio(error)
        return _row(package, "broken", "not installed", f"pip install {package}")
    except OSError as error:
        if name == "torchaudio":
            return _torchaudio(error)
        return _row(package, "broken", _first_line(error),
                    f"pip install --force-reinstall {package}")


def _torchaudio(error: Exception) -> dict[str, Any]:
    """Explain the CUDA build of torchaudio beside a torch without CUDA.

    emokit needs only its Python part, which loads once the compiled part is out of the way. Until
    then everything works but pretrained bundles.
    """
    folder = os.path.dirname(importlib.util.find_spec("torchaudio").origin)
    found = "a CUDA build beside a torch without CUDA"
    if "cuda" not in str(error) and "torchaudio" not in str(error):
        found = _first_line(error)
    return _row("torchaudio", "missing", found, f"rm -r '{folder}/lib'")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:100]


def _device() -> dict[str, Any]:
    try:
        import torch
    except (ImportError, OSError):
        return _row("device", "broken", "torch does not load", "pip install torch")
    if torch.cuda.is_available():
        names = {torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())}
        return _row("device", "ok", f"cuda: {torch.cuda.device_count()} x {', '.join(names)}")
    if torch.version.cuda is None:
        return _row("device", "ok", "cpu (this torch has no CUDA)")
    return _row("device", "ok", "cpu (no GPU is visible)")


def _processors() -> dict[str, Any]:
    try:
        usable = len(os.sched_getaffinity(0))
    except AttributeError:
        usable = os.cpu_count() or 1
    return _row("processors", "ok", f"{usable} usable of {os.cpu_count()}")


def _mp3() -> dict[str, Any]:
    try:
        import soundfile
    except (ImportError, OSError):
        return _row("mp3", "broken", "soundfile does not load", "pip install soundfile")
    if "MP3" in soundfile.available_formats():
        return _row("mp3", "ok", f"libsndfile {soundfile.__libsndfile_version__}")
    return _row("mp3", "missing", f"libsndfile {soundfile.__libsndfile_version__} has no MP3",
                "pip install --upgrade soundfile")


def _ffmpeg() -> dict[str, Any]:
    """Find the program that gives the sound of films, and tell its version."""
    program = shutil.which("ffmpeg")
    if program is None:
        return _row("ffmpeg", "missing", "not installed: no films (AVI, MP4, WebM), no M4A",
                    "apt install ffmpeg")
    try:
        result = subprocess.run([program, "-version"], capture_output=True, text=True, check=True,
                                timeout=30)
    except (OSError, subprocess.SubprocessError) as error:
        return _row("ffmpeg", "missing", f"'{program}' does not run: {_first_line(error)}",
                    "apt install --reinstall ffmpeg")
    # ffmpeg version 6.1.1-3ubuntu5 Copyright (c) 2000-2023 the FFmpeg developers
    words = result.stdout.split()
    return _row("ffmpeg", "ok", words[2] if words[:2] == ["ffmpeg", "version"] else program)


def _requirements() -> list[str]:
    try:
        return importlib.metadata.requires("emokit") or []
    except importlib.metadata.PackageNotFoundError:
        # run from a folder that was never installed
        return []


def _extras(lines: Iterable[str]) -> list[dict[str, Any]]:
    """Look for the packages of each extra that emokit has for its users.

    Args:
        lines: requirements, such as `audformat>=1.3; extra == "interop"`.
    """
    rows = []
    for line in lines:
        match = re.match(r"""([\w.-]+).*;.*\bextra == ["']([\w-]+)["']""", line)
        if match and match[2] not in _FOR_DEVELOPERS:
            package, extra = match.groups()
            try:
                rows.append(_row(package, "ok", importlib.metadata.version(package)))
            except importlib.metadata.PackageNotFoundError:
                rows.append(_row(package, "missing", f"not installed, extra {extra}",
                                 f"pip install 'emokit[{extra}]'"))
    return rows


def _disk() -> dict[str, Any]:
    free = shutil.disk_usage(".").free / 2**30
    return _row("disk", "ok", f"{free:.1f} GiB free here; a built corpus takes 0.11 GiB an hour")


def _corpora() -> dict[str, Any]:
    root = os.environ.get("EMOKIT_CORPORA", "")
    if not root:
        return _row("EMOKIT_CORPORA", "missing", "not set", "export EMOKIT_CORPORA=/your/corpora")
    if not os.path.isdir(root):
        return _row("EMOKIT_CORPORA", "broken", f"no folder '{root}'",
                    "export EMOKIT_CORPORA=/your/corpora")
    return _row("EMOKIT_CORPORA", "ok", root)
