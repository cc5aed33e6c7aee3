"""Processes that decode blocks side by side: `python -m emokit.corpora.workers`, one line a block.

Own processes instead of a process pool, for three reasons: forking a process that has threads
(torch) may hang; spawned pools run the caller's script again unless it is guarded; and these end
by themselves when the parent is killed, because their standard input closes.
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

from emokit.core.errors import EmokitError
from emokit.corpora.blocks import Block, Item, Stored, decode_block


def decode_parallel(
    root: str | os.PathLike, blocks: Sequence[Block], folder: Path, jobs: int
) -> Iterator[tuple[Block, list[Stored]]]:
    """Decode blocks on `jobs` processes, giving each when it is done.

    Raises:
        EmokitError: a block cannot be written, or a process was killed.
    """
    todo: queue.SimpleQueue = queue.SimpleQueue()
    done: queue.SimpleQueue = queue.SimpleQueue()
    for block in blocks:
        todo.put(block)
    workers = [_start() for _ in range(jobs)]
    try:
        for worker in workers:
            threading.Thread(
                target=_serve, args=(worker, os.fspath(root), folder, todo, done), daemon=True
            ).start()
        for _ in blocks:
            answer = done.get()
            if isinstance(answer, Exception):
                raise answer
            yield answer
    finally:
        for worker in workers:
            worker.kill()
        for worker in workers:
            worker.wait()


def _start() -> subprocess.Popen:
    package = str(Path(__file__).resolve().parents[2])
    former = os.environ.get("PYTHONPATH")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [package, former]))}
    # what broken files make the decoders print would stand between the progress bars
    return subprocess.Popen(
        [sys.executable, "-m", "emokit.corpora.workers"], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, text=True,
    )


def _serve(worker, root, folder, todo, done) -> None:
    """Feed one process until nothing is left; runs in a thread of the parent."""
    while True:
        try:
            block = todo.get_nowait()
        except queue.Empty:
            return
        request = {"root": root, "folder": os.fspath(folder), "index": block.index,
                   "key": block.key, "items": [dataclasses.astuple(item) for item in block.items]}
        try:
            worker.stdin.write(json.dumps(request) + "\n")
            worker.stdin.flush()
            line = worker.stdout.readline()
        except (OSError, ValueError):
            line = ""
        if not line:
            done.put(EmokitError(
                "A decoding process was killed, perhaps because memory ran out. Run the command "
                "again: it continues where it stopped; --jobs sets how many work at once."
            ))
            return
        answer = json.loads(line)
        if "error" in answer:
            done.put(EmokitError(answer["error"]))
        elif "bug" in answer:
            done.put(RuntimeError(answer["bug"]))
        else:
            done.put((block, [Stored(*row) for row in answer["stored"]]))


def main() -> None:
    """Decode the blocks that stand on standard input, one answer a line, until it closes."""
    import traceback

    # Ctrl-C reaches the whole group; the parent ends us when it has put its own things in order
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for line in sys.stdin:
        request = json.loads(line)
        items = tuple(Item(*row) for row in request["items"])
        try:
            stored = decode_block(request["root"], Block(request["index"], items, request["key"]),
                                  Path(request["folder"]))
            answer = {"stored": [dataclasses.astuple(row) for row in stored]}
        except EmokitError as error:
            answer = {"error": str(error)}
        except Exception:
            answer = {"bug": traceback.format_exc()}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
