import functools
import os
import signal
import time

import pytest

from emokit.core import processes
from emokit.core.errors import EmokitError, choices


def test_every_item_comes_back_with_its_result():
    power = functools.partial(pow, 2)
    assert dict(processes.run(power, range(20), 2)) == {n: 2 ** n for n in range(20)}


def test_one_process_is_this_one():
    assert [result for _, result in processes.run(lambda item: os.getpid(), "ab", 1)] == [
        os.getpid()] * 2


def test_errors_in_words_stay_so_and_bugs_keep_their_traceback():
    from emokit.core.files import beneath

    with pytest.raises(EmokitError, match="'../b' leaves its folder"):
        list(processes.run(functools.partial(beneath, "/data"), ["a", "../b"], 2))
    with pytest.raises(RuntimeError, match="(?s)Traceback.*TypeError"):
        list(processes.run(functools.partial(choices, "name"), [3, 4], 2))


def test_a_killed_process_is_an_error_in_words_and_not_a_wait():
    with pytest.raises(EmokitError, match="A weaver was killed.*Run the command again"):
        list(processes.run(signal.raise_signal, [signal.SIGKILL, signal.SIGKILL], 2, "weaver"))
    with pytest.raises(EmokitError, match="ended with status 3.*--jobs 1"):
        list(processes.run(os._exit, [3, 3], 2))


def test_what_a_function_prints_does_not_stand_between_the_answers():
    write = functools.partial(os.write, 1)
    assert dict(processes.run(write, [b"one\n", b"twice\n"], 2)) == {b"one\n": 4, b"twice\n": 6}


def test_ctrl_c_in_the_group_is_left_to_the_parent():
    assert len(list(processes.run(signal.raise_signal, [signal.SIGINT, signal.SIGTERM], 2))) == 2


def test_processes_end_when_nobody_wants_more():
    before = time.monotonic()
    running = processes.run(time.sleep, [0.01, 60], 2)
    assert next(running)[0] == 0.01
    running.close()
    assert time.monotonic() - before < 20


def test_a_module_of_the_same_name_in_the_working_folder_is_not_taken(tmp_path, monkeypatch):
    (tmp_path / "pickle.py").write_text("raise SystemExit(9)\n")
    monkeypatch.chdir(tmp_path)
    assert dict(processes.run(abs, [-1, -2], 2)) == {-1: 1, -2: 2}
