"""The real process: exit codes, one line for Ctrl-C, and no half state."""

import signal
import subprocess
import sys

import pytest

EMOKIT = [sys.executable, "-m", "emokit"]


@pytest.mark.parametrize("words, code", [
    (["--version"], 0), (["runs", "--runs", "nowhere"], 0), (["corpora", "show", "none"], 1),
    (["trian"], 2)])
def test_exit_codes_of_the_process(words, code, tmp_path):
    done = subprocess.run([*EMOKIT, *words], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("Error: ") == (code > 0)


def test_ctrl_c_ends_in_one_line_and_the_same_command_goes_on(emoset, tmp_path, tiny_sets,
                                                              configure):
    from emokit.training.train import train

    words = [*EMOKIT, "train", "--regime", "single", "--corpora", "emodb", "--epochs", "25",
             "--batch-size", "8", "--device", "cpu", "--emoset", str(emoset), "--runs",
             str(tmp_path / "runs"), *tiny_sets]
    # a shell makes commands in the background, the tests among them, deaf to Ctrl-C
    process = subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                               preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    for line in process.stderr:
        if "epoch 2/25" in line:
            process.send_signal(signal.SIGINT)
            break
    out, rest = process.communicate()
    assert process.returncode == 130 and out == ""
    rest = [line for line in rest.splitlines() if line and " epoch " not in line]
    assert rest == ["Interrupted. Run the same command again to go on."]
    group, = (tmp_path / "runs").iterdir()
    assert not (group / "emodb-s0" / "metrics.json").exists()
    flags = dict(regime="single", corpora=["emodb"], epochs=25)
    again, tasks = train(*configure(**flags), emoset, tmp_path / "runs")
    assert again.name == group.name
    whole, others = train(*configure(**flags), emoset, tmp_path / "whole")
    one, other = tasks[0].cell, others[0].cell
    assert (one.folder / "last.safetensors").read_bytes() == (
        other.folder / "last.safetensors").read_bytes()
    assert [record["train_loss"] for record in one.history()] == [
        record["train_loss"] for record in other.history()]


def test_a_closed_pipe_is_no_traceback(tmp_path):
    process = subprocess.Popen([*EMOKIT, "corpora", "list", "--format", "json"],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path)
    process.stdout.close()
    error = process.stderr.read().decode()
    process.wait()
    assert "Traceback" not in error
