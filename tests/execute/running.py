"""Commands that run beside a test, and what to ask of them."""

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
DEADLINE = 90.0  # seconds; the machine may be busy

TINY = """
name: tiny
datasets:
  - {name: near, labels_per_class: 2, options: {train_per_class: 8, test_per_class: 4}}
backbones:
  - name: small_resnet
    options: {width: 4}
    pretrain: {dataset: source, epochs: 1, options: {train_per_class: 4, test_per_class: 2}}
strategies: [scratch, linear_probe]
training: {steps: 2, batch_size: 8, evaluations: 1}
search: {scope: cell, trials: 3, sampler: tpe, pruner: none, validation: holdout, holdout: 0.5}
repeats: 2
"""
TRAININGS = 1 + 2 * (3 + 2)  # one pretraining; two strategies of three trials and two finals


def until(condition, what):
    """The first true value of `condition()`."""
    wait = threading.Event()
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        wait.wait(0.005)
    raise AssertionError(f"waited {DEADLINE:g} s for {what}")


@dataclass
class Command:
    """One `python -m bench` that a launcher has started."""

    pid: int
    folder: Path

    @property
    def stdout(self):
        return (self.folder / "stdout").read_text(errors="replace")

    @property
    def stderr(self):
        return (self.folder / "stderr").read_text(errors="replace")

    def send(self, number):
        os.kill(self.pid, number)

    def says(self, text):
        until(lambda: text in self.stderr, f"{text!r} in {self.stderr!r}")

    def wait(self):
        path = self.folder / "exit"
        until(path.exists, f"the end of {self.pid}; it said {self.stderr[-2000:]!r}")
        return int(path.read_text())

    def summary(self):
        """Of a command with --json."""
        return json.loads(self.stdout)


@dataclass
class Launcher:
    process: object  # subprocess.Popen
    folder: Path
    count: int = 0

    def start(self, *arguments, stderr=None, environment=None, own_server=False):
        """`own_server`: as from a shell, with a worker server of its own, which takes ten seconds to start."""
        self.count += 1
        folder = self.folder / str(self.count)
        folder.mkdir()
        (folder / "stdout").touch()
        (folder / "stderr").touch()
        request = {
            "arguments": [str(a) for a in arguments],
            "stdout": str(folder / "stdout"),
            "stderr": stderr or str(folder / "stderr"),
            "exit": str(folder / "exit"),
            "environment": environment or {},
            "own_server": own_server,
        }
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return Command(int(self.process.stdout.readline()), folder)

    def run(self, place, *arguments, text=TINY, workers=2, **how):
        """Starts `bench run` on a suite of that text, with its records and reports in `place`."""
        place.mkdir(parents=True, exist_ok=True)
        suite = place / "suite.yaml"
        suite.write_text(text)
        where = ("--results", place / "results", "--reports", place / "reports", "--workers", workers, "--json")
        return self.start("run", suite, *where, *arguments, **how)


def environment_in(folder):
    """Of a command that finds this code and a third party's backbone `misbehaving`."""
    shutil.copy(HERE / "misbehaving.py", folder / "bench_misbehaving.py")
    about = folder / "bench_misbehaving-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: bench-misbehaving\nVersion: 1\n")
    (about / "entry_points.txt").write_text("[bench.backbones]\nmisbehaving = bench_misbehaving:BACKBONE\n")
    path = os.pathsep.join([str(folder), str(REPOSITORY)])
    return {**os.environ, "PYTHONPATH": path, "CUDA_VISIBLE_DEVICES": "", "COLUMNS": "100", "TERM": "xterm"}


@contextlib.contextmanager
def launched(folder, environment):
    """A launcher whose worker server has imported everything; the commands run in `folder`."""
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, HERE / "launcher.py"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, cwd=folder, env=environment,
        )
    with process:
        assert process.stdout.readline() == "ready\n", (folder / "log").read_text()
        yield Launcher(process, folder)
        process.stdin.close()
        process.wait(60)


def finish(command, code=0):
    """The summary of a command that ends with that code."""
    assert command.wait() == code, command.stderr
    return command.summary()


def record_files(place):
    return sorted(place.glob("results/*/runs/*/*.json"))


def numbers(place):
    """Every number of every record by its file's name, wall times and memory aside, as text."""
    kept = {}
    for path in record_files(place):
        raw = json.loads(path.read_text())
        whole = [raw["key"], raw["kind"], raw["status"], raw["spec"], raw["result"], raw["cost"].get("logical")]
        kept[path.stem] = json.dumps(whole, sort_keys=True)
    return kept


def contents(place):
    return json.dumps(numbers(place), sort_keys=True).encode()


def locks_are_free(place):
    for path in place.glob("results/*/locks/*.lock"):
        with path.open("r+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
    return True


def kill_at(command, place, count):
    """SIGKILL as soon as there are so many records; False where the command was quicker."""
    until(lambda: len(record_files(place)) >= count or (command.folder / "exit").exists(), f"{count} records")
    if (command.folder / "exit").exists():
        return False
    command.send(signal.SIGKILL)
    return command.wait() == -signal.SIGKILL
