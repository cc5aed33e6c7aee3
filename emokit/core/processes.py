"""A function over many items, on several processes of our own.

Own processes instead of a pool, for three reasons: forking a process that has threads (torch) may
hang; spawned pools run the caller's script again unless it is guarded; and these end by themselves
when the parent is killed, because their standard input closes.
"""

from __future__ import annotations

import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from emokit.core.errors import EmokitError


def run(function: Callable[[Any], Any], items: Sequence[Any], jobs: int,
        what: str = "working process") -> Iterator[tuple[Any, Any]]:
    """Give (item, function(item)) for all items, each when it is done.

    Nothing is kept here: a caller who wants to go on after a kill gives the items that are left.

    Args:
        function: of a module, or a `functools.partial` of one; runs in this process if `jobs` or
            the number of items is 1.
        items: what pickle takes, as are the results.
        jobs: processes.
        what: their name in messages.

    Raises:
        EmokitError: the function raised it, or a process was killed.
        RuntimeError: any other error of the function, with its traceback.

    Example:
        >>> sorted(run(abs, [-2, 1], jobs=2))
        [(-2, 2), (1, 1)]
    """
    jobs = min(jobs, len(items))
    if jobs < 2:
        for item in items:
            yield item, function(item)
        return
    todo: queue.SimpleQueue = queue.SimpleQueue()
    done: queue.SimpleQueue = queue.SimpleQueue()
    for item in items:
        todo.put(item)
    workers: list[subprocess.Popen] = []
    try:
        for _ in range(jobs):
            workers.append(_start())
            threading.Thread(target=_feed, args=(workers[-1], function, todo, done, what),
                             daemon=True).start()
        for _ in items:
            item, answer = done.get()
            if isinstance(answer, Exception):
                raise answer
            yield item, answer
    finally:
        for worker in workers:
            worker.kill()
        for worker in workers:
            worker.wait()


def _start() -> subprocess.Popen:
    # with the parent's own path, and not that of the folder where somebody keeps a signal.py
    code = (f"import sys; sys.path[:] = {sys.path!r}; "
            "from emokit.core.processes import serve; serve()")
    # the processes are the parallelism
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    # what broken files make the decoders print would stand between the progress bars
    return subprocess.Popen([sys.executable, "-c", code], env=environment, stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def _feed(worker: subprocess.Popen, function, todo, done, what: str) -> None:
    """Give one process an item after the other until none is left; a thread of the parent."""
    item = None
    try:
        pickle.dump(function, worker.stdin)
        while True:
            item = todo.get_nowait()
            pickle.dump(item, worker.stdin)
            worker.stdin.flush()
            done.put((item, pickle.load(worker.stdout)))
    except queue.Empty:
        pass
    except (OSError, EOFError, ValueError, pickle.UnpicklingError):
        status = worker.wait()
        why = "was killed, perhaps because memory ran out" if status < 0 else \
            f"ended with status {status}; with --jobs 1 you see why"
        done.put((item, EmokitError(
            f"A {what} {why}. Run the command again: it continues where it stopped; --jobs sets "
            "how many work at once."
        )))


def serve() -> None:
    """Call the function on standard input with each item that follows, until the parent is gone."""
    import traceback

    # Ctrl-C reaches the whole group, a batch system ends every process of a job; the parent ends
    # us when it has put its own things in order
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    source, target = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    # whatever a library prints must not stand between the answers
    os.dup2(2, 1)
    try:
        function = pickle.load(source)
        while True:
            item = pickle.load(source)
            try:
                answer = function(item)
            except EmokitError as error:
                answer = error
            except Exception:
                answer = RuntimeError(traceback.format_exc())
            pickle.dump(answer, target)
            target.flush()
    except (EOFError, BrokenPipeError):
        # the parent has gone; what is left in the buffer has no reader
        os._exit(0)
