"""Sound out of films and other containers that libsndfile does not know, by the ffmpeg program."""

from __future__ import annotations

import io
import os
import shutil
import struct
import subprocess

FFMPEG_MARKS = (
    (0, b"\x1a\x45\xdf\xa3", "WebM or Matroska"), (4, b"ftyp", "MP4 or M4A"),
    (8, b"AVI ", "AVI"), (0, b"FLV", "Flash video"), (0, b"\x30\x26\xb2\x75", "ASF or WMA"),
    (0, b"\xff\xf1", "AAC"), (0, b"\xff\xf9", "AAC"), (0, b"\x00\x00\x01\xba", "MPEG"),
)
"""(position, bytes, container) by which a file is told, whatever its name."""

_CUT_SHORT = ("prematurely", "corrupt input packet", "partial file", "truncated")


class ContainerError(Exception):
    """Why no sound came out of a container, in words, without the name of the file."""


def container(head: bytes) -> str:
    """Name the container that the first bytes of a file belong to, or give "".

    Example:
        >>> container(b"RIFF\\x00\\x00\\x00\\x00AVI LIST")
        'AVI'
    """
    return next((name for at, mark, name in FFMPEG_MARKS if head[at:at + len(mark)] == mark), "")


def sound_of(path: str | os.PathLike, head: bytes, size: int) -> io.BytesIO:
    """Give the first sound track of a film as a WAV file in memory, rate and channels its own.

    Samples are 32-bit floats, which hold every 16- and 24-bit sample exactly.

    Args:
        path: the file.
        head: its first bytes, at least 12.
        size: its length in bytes.

    Raises:
        ContainerError: ffmpeg is not installed, no sound, damaged or cut short.
    """
    kind = container(head) or "an MP3 of varying bit rate without its length"
    if kind == "AVI":
        (length,) = struct.unpack("<I", head[4:8])
        # beyond 1 GiB the number belongs to the first part alone
        if size < length + 8 and length < 2**30:
            raise ContainerError(f"truncated: {size} bytes where its header says {length + 8}")
    program = shutil.which("ffmpeg")
    if program is None:
        raise ContainerError(
            f"{kind}, which takes the ffmpeg program; install it (apt install ffmpeg, or "
            "conda install ffmpeg) or convert the file to WAV or FLAC")
    # file: keeps ffmpeg from taking a name with a colon for an address
    result = subprocess.run(
        [program, "-nostdin", "-v", "error", "-xerror", "-i", f"file:{os.fspath(path)}",
         "-map", "0:a:0", "-c:a", "pcm_f32le", "-f", "wav", "-bitexact", "pipe:1"],
        capture_output=True, check=False)
    lines = result.stderr.decode("utf-8", "replace").strip().splitlines() or ["no reason"]
    # a file that ends too early is an error to us, but not to ffmpeg
    if result.returncode or any(word in line for line in lines for word in _CUT_SHORT):
        if any("matches no streams" in line for line in lines):
            raise ContainerError(f"{kind} without a sound track")
        raise ContainerError(f"damaged or truncated {kind}: ffmpeg says '{lines[-1][-120:]}'")
    return io.BytesIO(result.stdout)
