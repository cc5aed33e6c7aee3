"""What an MP3 file says of its own length, which libsndfile believes without a word."""

from __future__ import annotations

from typing import BinaryIO

TAGS = (b"Xing", b"Info", b"VBRI")
"""Names of the frames that hold the number of frames."""

_KBITS = {
    (3, 1): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
_MOST_FRAMES = 20_000


def length_is_known(file: BinaryIO) -> bool:
    """Tell whether the length of an MP3 can be computed from its start.

    It can where a Xing, Info or VBRI frame gives it, and where all frames have one bit rate. In
    a file of varying bit rate without such a frame decoders guess from the first frames, too long
    or too short.

    Args:
        file: opened for reading, of layer III; anywhere in it.

    Source:
        ISO/IEC 11172-3 and 13818-3, frame header; at most 20 000 frames, some eight minutes, are
        looked at.
    """
    file.seek(0)
    head = file.read(10)
    position = 0
    if head[:3] == b"ID3":
        position = 10 + sum((byte & 0x7F) << shift for byte, shift in zip(
            head[6:10], (21, 14, 7, 0)))
    file.seek(position)
    if any(tag in file.read(2048) for tag in TAGS):
        return True
    rates = set()
    for _ in range(_MOST_FRAMES):
        file.seek(position)
        header = file.read(4)
        frame = _frame(header)
        if frame is None:
            break
        kbits, size = frame
        rates.add(kbits)
        position += size
    return len(rates) == 1


def _frame(header: bytes) -> tuple[int, int] | None:
    """Give bit rate in kbit/s and length in bytes of the frame with this header, or None."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return None
    version, layer = header[1] >> 3 & 3, header[1] >> 1 & 3
    bits, rate, padding = header[2] >> 4, header[2] >> 2 & 3, header[2] >> 1 & 1
    if version == 1 or layer != 1 or not 0 < bits < 15 or rate == 3:
        return None
    kbits = _KBITS[3 if version == 3 else 2, layer][bits]
    samples = 144_000 if version == 3 else 72_000
    return kbits, samples * kbits // _RATES[version][rate] + padding
