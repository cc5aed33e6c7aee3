"""One file over HTTP: going on where a broken download stopped, checked, and moved there whole."""

from __future__ import annotations

import functools
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from emokit.core.errors import CorpusError, EmokitError
from emokit.core.files import disk_errors

ATTEMPTS = 3
TIMEOUT = 60.0
"""Seconds without a byte after which a connection counts as broken."""

CHUNK = 1 << 16
"""Bytes; what has come of a chunk is lost when the connection breaks."""

Progress = Callable[[str, int, int], None]
"""Called with the file, megabytes done and megabytes in all (0 if the server does not say)."""


def download(url: str, place: Path, work: Path, expected: str | None, origin: str, mend: str,
             session, progress: Progress | None = None) -> None:
    """Bring a file to its place through pooch, which checks it; nothing happens if it is there.

    Args:
        work: folder on the same disk for what is not finished.
        expected: checksum, `md5:…` or `sha256:…`; None takes any file, also one that lies there.
        origin: where the checksum is from, a word for the message.
        mend: what else may help, the end of a message.
        session: of `requests`.

    Raises:
        CorpusError: the server refuses, or sends another file than expected.
        EmokitError: the connection broke off for good, or the disk has no room.
    """
    import pooch
    import requests

    pooch.get_logger().setLevel("ERROR")
    part = work / f"{place.name}.part"
    try:
        with disk_errors(place):
            work.mkdir(parents=True, exist_ok=True)
            pooch.retrieve(url, expected, place.name, place.parent,
                           downloader=functools.partial(_go_on, part, session, progress))
    except requests.HTTPError as error:
        raise CorpusError(f"The server answers {error.response.status_code} "
                          f"({error.response.reason}) to {url}; {mend}") from None
    except requests.RequestException as error:
        raise EmokitError(
            f"The connection for {url} failed ({type(error).__name__}). What has come is kept; "
            "run the command again to go on."
        ) from None
    except ValueError:
        raise CorpusError(
            f"{url} is not the file expected: it does not have the checksum {origin} "
            f"({expected}). It was removed. Run the command again; if that does not help, {mend}"
        ) from None


def _go_on(part: Path, session, progress, url: str, target: str, _pooch) -> None:
    """Download `url` to `target`, going on with `part`; a downloader as pooch wants it."""
    import requests

    for attempt in range(ATTEMPTS):
        try:
            _stream(url, part, session, progress)
            break
        except (requests.ConnectionError, requests.Timeout,
                requests.exceptions.ChunkedEncodingError):
            if attempt == ATTEMPTS - 1:
                raise
            time.sleep(attempt)
    with disk_errors(target):
        os.replace(part, target)
    _tag(part).unlink(missing_ok=True)


def _tag(part: Path) -> Path:
    """Name the file that says which version of a file the part belongs to."""
    return part.with_suffix(".tag")


def _stream(url: str, part: Path, session, progress) -> None:
    import requests

    have, tag = (part.stat().st_size, _tag(part)) if part.exists() else (0, _tag(part))
    mark = tag.read_text("utf-8") if have and tag.exists() else ""
    headers = {"Accept-Encoding": "identity"}
    if mark:
        # a server whose file has changed sends all of it
        headers |= {"Range": f"bytes={have}-", "If-Range": mark}
    with session.get(url, headers=headers, stream=True, timeout=TIMEOUT) as answer:
        if answer.status_code == 416:
            part.unlink()
            raise requests.ConnectionError("the part does not fit the file")
        answer.raise_for_status()
        if answer.status_code != 206 or not answer.headers.get(
                "Content-Range", "").startswith(f"bytes {have}-"):
            have = 0
        more = int(answer.headers.get("Content-Length") or 0)
        free = shutil.disk_usage(part.parent).free
        if more > free:
            raise EmokitError(f"{url} has {more / 1e6:,.0f} MB, more than the {free / 1e6:,.0f} MB "
                              f"free on the disk of '{part.parent}'. Make room or choose another "
                              "folder with --to.")
        with disk_errors(part):
            strong = answer.headers.get("ETag", "")
            mark = strong if strong.startswith('"') else answer.headers.get("Last-Modified", "")
            tag.write_text(mark, "utf-8")
            with open(part, "ab" if have else "wb") as file:
                for chunk in answer.iter_content(CHUNK):
                    file.write(chunk)
                    if progress:
                        progress(part.stem, file.tell() // 1_000_000, (have + more) // 1_000_000)
        if more and part.stat().st_size != have + more:
            raise requests.ConnectionError("the connection ended early")
