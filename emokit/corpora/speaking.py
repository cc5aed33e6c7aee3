"""Stand-ins spoken into files, side by side: `python -m emokit.corpora.speaking`.

Own processes instead of a pool, for the reasons that `workers.py` gives. Each gets its share of
the list and answers one line a file; when the parent is gone, the next answer ends it.
"""

from __future__ import annotations

import dataclasses
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from emokit.core.errors import CorpusError, EmokitError
from emokit.core.files import atomic, disk_errors
from emokit.corpora.utterance import StandIn

_FORMATS = {".wav": ("WAV", "PCM_16"), ".flac": ("FLAC", "PCM_16"),
            ".mp3": ("MP3", "MPEG_LAYER_III")}
_WORTH_A_PROCESS = 40


def write_audio(path: str | os.PathLike, samples, rate: int) -> Path:
    """Write samples as 16-bit WAV or FLAC or as MP3, as the name asks, whole or not at all.

    Args:
        samples: [S] or [S, channels], float in [-1, 1] or int16.
        rate: Hz.

    Raises:
        CorpusError: another extension.
        EmokitError: the disk refuses.
    """
    import soundfile

    path = Path(path)
    try:
        kind, subtype = _FORMATS[path.suffix.lower()]
    except KeyError:
        raise CorpusError(
            f"Cannot write '{path}' as audio. Choices: {', '.join(_FORMATS)}."
        ) from None
    with atomic(path) as partial:
        try:
            soundfile.write(partial, samples, rate, format=kind, subtype=subtype)
            # libsndfile does not tell of a disk that filled up when it closes a file
            whole = soundfile.info(partial).frames >= len(samples)
        except soundfile.LibsndfileError:
            whole = False
        if not whole:
            # where the disk is the cause, this says so in its words
            with disk_errors(path):
                partial.write_bytes(b"\0" * 2 * len(samples))
            raise EmokitError(f"Cannot write '{path}': libsndfile gave up. Run the command again.")
    return path


def speak_all(folder: Path, name: str, items: Sequence[StandIn], seed: int,
              jobs: int = 1) -> Iterator[str]:
    """Speak stand-ins into files below `folder`, giving each path when it is there.

    Raises:
        EmokitError: a file cannot be written, or a process was killed.
    """
    jobs = min(jobs, -(-len(items) // _WORTH_A_PROCESS))
    if jobs < 2:
        yield from _speak(folder, name, items, seed)
        return
    answers: queue.SimpleQueue = queue.SimpleQueue()
    workers = []
    try:
        for share in (items[first::jobs] for first in range(jobs)):
            workers.append(_start())
            request = {"folder": os.fspath(folder), "name": name, "seed": seed,
                       "items": [dataclasses.asdict(item) for item in share]}
            threading.Thread(target=_listen, args=(workers[-1], request, answers),
                             daemon=True).start()
        for _ in items:
            answer = answers.get()
            if isinstance(answer, Exception):
                raise answer
            yield answer
    finally:
        for worker in workers:
            worker.kill()
        for worker in workers:
            worker.wait()


def _speak(folder: str | os.PathLike, name: str, items: Sequence[StandIn],
           seed: int) -> Iterator[str]:
    from emokit.corpora.voice import synthesise

    for item in items:
        samples, rate = synthesise(item, name, seed)
        write_audio(Path(folder) / item.path, samples, rate)
        yield item.path


def _start() -> subprocess.Popen:
    package = str(Path(__file__).resolve().parents[2])
    former = os.environ.get("PYTHONPATH")
    environment = {
        **os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [package, former])),
        # the processes are the parallelism
        "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1",
    }
    return subprocess.Popen(
        [sys.executable, "-m", "emokit.corpora.speaking"], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, text=True,
    )


def _listen(worker: subprocess.Popen, request: dict, answers: queue.SimpleQueue) -> None:
    """Give one process its share and pass on what it answers; runs in a thread of the parent."""
    given = 0
    try:
        worker.stdin.write(json.dumps(request))
        worker.stdin.close()
        for line in worker.stdout:
            answer = json.loads(line)
            if "error" in answer:
                answers.put(EmokitError(answer["error"]))
            elif "bug" in answer:
                answers.put(RuntimeError(answer["bug"]))
            else:
                answers.put(answer["path"])
            given += 1
    except (OSError, ValueError):
        pass
    if given < len(request["items"]):
        answers.put(EmokitError(
            "A process that writes synthetic voices was killed, perhaps because memory ran out. "
            "Run the command again: it continues where it stopped."
        ))


def main() -> None:
    """Speak the share that stands on standard input, one answer a line."""
    import traceback

    # Ctrl-C reaches the whole group; the parent ends us
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    request = json.load(sys.stdin)
    items = [StandIn(**item) for item in request["items"]]
    try:
        for path in _speak(request["folder"], request["name"], items, request["seed"]):
            print(json.dumps({"path": path}), flush=True)
    except EmokitError as error:
        print(json.dumps({"error": str(error)}), flush=True)
    except Exception:
        print(json.dumps({"bug": traceback.format_exc()}), flush=True)


if __name__ == "__main__":
    main()
