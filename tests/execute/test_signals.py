"""Ctrl-C, SIGTERM and SIGKILL, each to a run whose training waits at a gate until the test opens it."""

import os
import signal
import subprocess
import sys

import pytest

from tests.execute.running import finish, locks_are_free, record_files, until

GATED = """
name: gated
datasets:
  - {{name: near, labels_per_class: 2, options: {{train_per_class: 8, test_per_class: 4}}}}
backbones:
  - {{name: misbehaving, options: {{mode: gate, healed: {gate}}}}}
strategies: [scratch]
training: {{steps: 2, batch_size: 8, evaluations: 1}}
search: {{scope: cell, trials: 2, sampler: grid, pruner: none, validation: holdout, holdout: 0.5}}
engine: {{fleet: 1}}
repeats: 1
"""


@pytest.fixture
def gate(tmp_path):
    return tmp_path / "gate.open"


@pytest.fixture
def at_gate(launcher, tmp_path, gate):
    """A run that is inside its first training."""
    command = launcher.run(tmp_path, text=GATED.format(gate=gate), workers=1)
    until(gate.with_suffix(".entered").exists, f"the training to begin: {command.stderr}")
    return command


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_one_signal_finishes_and_writes_the_training_at_hand(launcher, at_gate, tmp_path, gate, number, code):
    at_gate.send(number)
    at_gate.says("once more stops at once")
    gate.touch()
    assert finish(at_gate, code)["trainings"] == 1
    assert "run the same command again" in at_gate.stderr
    assert len(record_files(tmp_path)) == 1
    rest = finish(launcher.run(tmp_path, text=GATED.format(gate=gate), workers=1))
    assert rest["trainings"] == 2


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_two_signals_stop_at_once(at_gate, tmp_path, number, code):
    at_gate.send(number)
    at_gate.says("once more stops at once")
    at_gate.send(number)
    assert at_gate.wait() == code
    assert at_gate.stderr.splitlines()[-1].startswith("stopped at once; finished trainings are kept")
    assert "Traceback" not in at_gate.stderr
    assert record_files(tmp_path) == []
    assert locks_are_free(tmp_path)


def test_workers_end_with_a_killed_runner_even_in_a_training(launcher, at_gate, tmp_path, gate):
    assert not locks_are_free(tmp_path)
    at_gate.send(signal.SIGKILL)
    at_gate.wait()
    until(lambda: locks_are_free(tmp_path), "the worker to end")
    assert record_files(tmp_path) == []
    gate.touch()
    assert finish(launcher.run(tmp_path, text=GATED.format(gate=gate)))["trainings"] == 3


@pytest.mark.parametrize("first_ends", ["finished", "killed"])
def test_second_runner_waits_for_the_job_of_the_first(launcher, at_gate, tmp_path, gate, first_ends):
    second = launcher.run(tmp_path, text=GATED.format(gate=gate), workers=1)
    second.says("waiting for another runner: near @ 2 · scratch")
    if first_ends == "killed":
        at_gate.send(signal.SIGKILL)
        at_gate.wait()
    gate.touch()
    trained = 0 if first_ends == "killed" else finish(at_gate)["trainings"]
    assert trained + finish(second)["trainings"] == 3


def test_records_that_cannot_be_written_stop_the_run_in_one_line(launcher, at_gate, tmp_path, gate):
    runs = tmp_path / "results" / "gated" / "runs"
    runs.rename(runs.with_name("elsewhere"))
    runs.touch()
    gate.touch()
    assert at_gate.wait() == 3
    (only,) = [line for line in at_gate.stderr.splitlines() if line.startswith("cannot ")]
    assert "a file stands where a folder is needed (" in only
    assert "Traceback" not in at_gate.stderr
    runs.unlink()
    runs.with_name("elsewhere").rename(runs)
    assert finish(launcher.run(tmp_path, text=GATED.format(gate=gate)))["trainings"] == 3


def test_unwritable_results_are_refused_before_any_training(launcher, tmp_path):
    (tmp_path / "results").touch()
    command = launcher.run(tmp_path)
    assert command.wait() == 3
    assert command.stderr.count("\n") == 1
    assert command.stderr.startswith("cannot write ")
    assert command.stdout == ""


def test_ctrl_c_while_workers_start(environment, tmp_path):
    """The real command: every process of the terminal gets the signal, the server in the midst of its imports too."""
    (tmp_path / "suite.yaml").write_text(GATED.format(gate=tmp_path / "gate.open"))
    line = [sys.executable, "-m", "bench", "run", "suite.yaml", "--json"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(line, cwd=tmp_path, env=environment, process_group=0, text=True, **pipes) as process:
        try:
            until(lambda: "forkserver" in children_of(process.pid), "the server to start")
            os.killpg(process.pid, signal.SIGINT)
            out, err = process.communicate(timeout=60)  # these end with the last process that inherited them
        finally:
            process.kill()
    assert process.returncode == 130, err
    assert err == "stopped; run the same command again to go on\n"
    assert '"trainings": 0' in out


def children_of(pid):
    listed = subprocess.run(["ps", "-o", "args=", "--ppid", str(pid)], capture_output=True, text=True)
    return listed.stdout
