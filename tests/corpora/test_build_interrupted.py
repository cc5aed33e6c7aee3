"""Kill a build wherever it stands; the next one gives what an unbroken one gives."""

import os
import resource
import signal
import subprocess
import sys
import time

import pytest
from build_tools import build, contents, make_corpus, specs_of

from emokit.core.errors import CorpusError, EmokitError
from emokit.corpora import blocks
from emokit.corpora.build import BuildOptions, build_corpora
from emokit.corpora.store import built_names, open_corpus

CHILD = """
import sys
sys.path[:0] = {path!r}
from emokit.corpora.build import BuildOptions, build_corpora
from emokit.corpora.spec import read_specs
build_corpora(read_specs({yaml!r}), {out!r}, BuildOptions(jobs={jobs}, report=False),
              lambda name, done, total: print(done, flush=True))
"""


def start(tmp_path, raw, jobs):
    specs_of(tmp_path, mine=raw)
    code = CHILD.format(path=sys.path, yaml=str(tmp_path / "corpora.yaml"),
                        out=str(tmp_path / "emoset"), jobs=jobs)
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("jobs", [1, 2])
def test_killed_build_goes_on_where_it_stopped(tmp_path, jobs):
    raw = make_corpus(tmp_path / "raw", n_speakers=5, per_class=20)
    build(tmp_path, "unbroken", mine=raw)
    child = start(tmp_path, raw, jobs)
    child.stdout.readline()
    child.stdout.readline()
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert not built_names(tmp_path / "emoset")
    calls = []
    build(tmp_path, mine=raw, progress=lambda *args: calls.append(args[1]))
    assert contents(tmp_path / "emoset" / "mine") == contents(tmp_path / "unbroken" / "mine")
    left = sorted(path.name for path in (tmp_path / "emoset").iterdir())
    assert left == [".index.csv.lock", ".mine.lock", "index.csv", "mine"]


def test_finished_blocks_are_not_decoded_again(tmp_path):
    raw = make_corpus(tmp_path / "raw", per_class=20)
    items = [blocks.Item(str(path.relative_to(raw)), size=path.stat().st_size,
                         mtime=path.stat().st_mtime_ns) for path in sorted(raw.rglob("*.wav"))]
    planned = blocks.plan_blocks(items)
    assert len(planned) > 4
    first = dict((block.index, rows) for block, rows in
                 blocks.decode_all(raw, planned, tmp_path / "work", 1))
    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "work").iterdir()}
    (tmp_path / "work" / f"{planned[2].key}.json").unlink()
    second = dict((block.index, rows) for block, rows in
                  blocks.decode_all(raw, planned, tmp_path / "work", 1))
    assert first == second
    again = [path for path in written if path.stat().st_mtime_ns != written[path]]
    assert {path.stem for path in again} == {planned[2].key}


def test_only_blocks_of_mended_files_are_decoded_again(tmp_path):
    raw = make_corpus(tmp_path / "raw", per_class=20)
    broken = raw / "s0" / "anger_0.wav"
    good = broken.read_bytes()
    broken.write_bytes(b"")
    with pytest.raises(CorpusError, match="cannot be read"):
        build(tmp_path, mine=raw)
    work = tmp_path / "emoset" / ".mine.building" / "blocks"
    before = {path.name for path in work.iterdir()}
    broken.write_bytes(good)
    os.utime(broken, ns=(1, 1))
    decoded = []
    real = blocks.decode_block

    def counted(*args):
        decoded.append(args[-1].key)
        return real(*args)

    blocks.decode_block = counted
    try:
        build(tmp_path, mine=raw)
    finally:
        blocks.decode_block = real
    assert len(decoded) == 1 and len(before) > 2 * 4
    build(tmp_path, "unbroken", mine=raw)
    one, two = (open_corpus(tmp_path / out / "mine") for out in ("emoset", "unbroken"))
    assert one.signature == two.signature


@pytest.mark.parametrize("finished", [True, False])
def test_a_kill_between_the_two_renames_is_mended(tmp_path, finished):
    raw = make_corpus(tmp_path / "raw")
    build(tmp_path, mine=raw)
    out = tmp_path / "emoset"
    before = contents(out / "mine")
    if finished:
        # what a kill leaves: the former folder aside, the finished one not yet in its place
        (out / "mine").rename(out / ".mine.building")
        (out / ".mine.old").mkdir()
    else:
        (out / "mine").rename(out / ".mine.old")
    results = build(tmp_path, mine=raw)
    assert results[0].state == "unchanged"
    assert contents(out / "mine") == before
    assert not (out / ".mine.old").exists()


def test_a_killed_worker_is_an_error_in_words_and_the_next_build_goes_on(tmp_path):
    raw = make_corpus(tmp_path / "raw", per_class=20)
    specs = specs_of(tmp_path, mine=raw)

    def kill_workers(name, done, total):
        listing = subprocess.run(["ps", "-ww", "-o", "pid=,args=", "--ppid", str(os.getpid())],
                                 capture_output=True, text=True, check=False).stdout
        for line in listing.splitlines():
            if "emokit.core.processes" in line:
                os.kill(int(line.split()[0]), signal.SIGKILL)

    with pytest.raises(EmokitError, match="decoding process was killed.*again"):
        build_corpora(specs, tmp_path / "emoset", BuildOptions(jobs=2, report=False), kill_workers)
    build(tmp_path, mine=raw)
    assert len(open_corpus(tmp_path / "emoset" / "mine").manifest) == 300


def test_workers_end_with_their_parent(tmp_path):
    raw = make_corpus(tmp_path / "raw", per_class=20)
    child = start(tmp_path, raw, jobs=2)
    child.stdout.readline()
    children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(child.pid)], text=True,
                              capture_output=True, check=False).stdout.split()
    child.kill()
    child.wait()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and any(_runs(pid) for pid in children):
        time.sleep(0.05)
    assert not any(_runs(pid) for pid in children)


def _runs(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().split()[2] != "Z"
    except OSError:
        return False


def test_a_full_disk_is_one_line_and_leaves_nothing_under_the_final_name(tmp_path):
    """/dev/full refuses every byte, as a full disk does."""
    raw = make_corpus(tmp_path / "raw")
    specs = specs_of(tmp_path, mine=raw)
    items = [blocks.Item(str(path.relative_to(raw)), size=path.stat().st_size)
             for path in sorted(raw.rglob("*.wav"))]
    work = tmp_path / "emoset" / ".mine.building" / "blocks"
    work.mkdir(parents=True)
    for block in blocks.plan_blocks(items):
        (work / f"{block.key}.partial").symlink_to("/dev/full")
    with pytest.raises(EmokitError, match="disk is full"):
        list(blocks.decode_all(raw, blocks.plan_blocks(items), work, 1))
    with pytest.raises(EmokitError, match="disk is full"):
        list(blocks.decode_all(raw, blocks.plan_blocks(items), work, 2))
    assert not built_names(tmp_path / "emoset")
    build_corpora(specs, tmp_path / "emoset", BuildOptions(jobs=1, report=False))
    assert len(open_corpus(tmp_path / "emoset" / "mine").manifest) == 30


def test_a_limit_on_file_size_is_one_line(tmp_path):
    raw = make_corpus(tmp_path / "raw", per_class=20)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    former = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
        with pytest.raises(EmokitError, match="Cannot write") as caught:
            build(tmp_path, mine=raw)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, former)
    assert "\n" not in str(caught.value)
    assert not built_names(tmp_path / "emoset")
    build(tmp_path, mine=raw)
    assert built_names(tmp_path / "emoset") == ["mine"]


def test_two_builds_of_one_corpus_do_not_meet(tmp_path):
    raw = make_corpus(tmp_path / "raw", per_class=20)
    errors = []

    def second(name, done, total):
        if not errors:
            try:
                build(tmp_path, mine=raw)
            except CorpusError as error:
                errors.append(str(error))

    build(tmp_path, mine=raw, progress=second)
    assert "Another process is building 'mine'" in errors[0]


def test_a_vanished_file_is_named(tmp_path):
    raw = make_corpus(tmp_path / "raw", per_class=20)
    gone = []

    def vanish(name, done, total):
        if not gone:
            gone.append(sorted(raw.rglob("*.wav"))[-1])
            gone[0].unlink()

    with pytest.raises(CorpusError, match=r"s4/sadness_9.wav \(there is no such file\)"):
        build(tmp_path, mine=raw, progress=vanish)
