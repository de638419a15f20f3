"""Exit code 1 says that the gate is red, and nothing else: every command, with folders that cannot be used, with a full
disk behind standard output, and with a crash anywhere in it."""

import functools
import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import typer

import bench as package
from bench import errors
from bench.cli import app, main
from bench.commands import doctor, schema
from bench.commands.doctor import machine
from bench.commands.suites import Folders, plan_from_file, remember
from bench.execute.ledger import Summary
from bench.execute.roots import Roots
from bench.gate import baseline, history
from bench.gate.accept import snapshot
from bench.gate.tonight import tonight_of
from tests.commands.fabricate import fabricate
from tests.commands.gated import BASELINE, FIVE, change, here, raised

KNOWN = {0, errors.REFUSED, errors.INCOMPLETE, errors.BLIND, errors.NOTHING}
SUITE, LISTED = "suites/small.yaml", "suites/listed.yaml"
TYPED = {
    "run": (SUITE, "--gpus", "0"), "plan": (SUITE,), "fetch": (SUITE,), "list": ("runs",), "status": ("small",),
    "show": ("KEY",), "report": (), "schema": (), "doctor": (), "gate": (SUITE, "--gpus", "0", "--github"),
    "baseline accept": (SUITE, "--gpus", "0"), "baseline history": ("small",),
    "init": ("cells.npz", "--output", "mine.yaml", "--force"), "completion": ("bash",),
    "export": ("small", "--to", "csv"), "compare": ("small", "--results-b", "results"),
    "splits export": (SUITE, "splits"), "splits import": (LISTED, "parts.json"),
    "slurm": (SUITE, "--tasks", "2"), "winner": ("small", "--task", "digits@4", "--strategy", "scratch"),
}  # fmt: skip
POINTS = 3  # crashes tried in each command
# They make an exit code of an error, so none of their own may come.
LAST = {"cli.py", "errors.py", "endings.py", "output.py", "text.py"}


def commands(group=None, before=""):
    """Name -> command, groups opened."""
    found = {}
    for name, one in (group or typer.main.get_command(app)).commands.items():
        found |= commands(one, f"{before}{name} ") if hasattr(one, "commands") else {f"{before}{name}": one}
    return found


def places():
    """(command, option) for every option that is a folder or a file."""
    return [(name, param.opts[0]) for name, one in commands().items() for param in one.params
            if param.param_type_name == "option" and param.metavar in ("DIR", "FILE")]  # fmt: skip


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A suite that has run, been gated and accepted, with two nights; and the key of a record."""
    place = tmp_path_factory.mktemp("world")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setattr(os, "fsync", os.fstat)
        Path("suites").mkdir()
        labels = np.arange(20) % 2
        images = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3), np.uint8)
        np.savez("cells.npz", x_train=images, y_train=labels, x_test=images[::-1], y_test=labels)
        Path(SUITE).write_text(FIVE)
        Path(LISTED).write_text("name: listed\ndatasets: [{name: 'npz:cells.npz', splits: cells.csv}]\n"
                                "backbones: [small_resnet]\nstrategies: [scratch]\nsearch: {scope: cell}\n")
        Path("parts.json").write_text('{"train": [0, 1, 2, 3, 4, 5], "val": [6, 7], "test": [9, 8]}')
        folders = Folders(Path("results"), Path("reports"))
        plan = plan_from_file(Path(SUITE), (), folders)
        remember(plan, (), folders)
        key = fabricate(plan, folders.roots("small"))[0].key
        gated = Roots(here(), "small")
        fabricate(plan, gated)
        raised(plan, gated.store)
        tonight = tonight_of(plan, {**gated.store.scan()[0], **gated.shared.scan()[0]})
        for when in ("1970-01-01T00:00:00Z", "1970-01-02T00:00:00Z"):
            history.keep(Path("results/history"), tonight, when)
        baseline.write(BASELINE, snapshot(tonight, "1970-01-02T00:00:00Z"))
    return place, key


@pytest.fixture
def typed(bench, world, tmp_path, monkeypatch, nothing_is_tried_again):
    """`typed("plan", ...)`: the command with what it needs, and more, in a copy of the world."""
    place, key = world
    shutil.copytree(place, tmp_path, dirs_exist_ok=True)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr("bench.commands.run.run_plan", lambda *_: Summary())  # what is missing stays so
    same = SimpleNamespace(is_same=True, sentence="the same")  # made-up records have no network
    monkeypatch.setattr("bench.winner.package.package", lambda *_: SimpleNamespace(files={"use.py": b""}, check=same))
    monkeypatch.setattr(doctor, "ask", lambda: {name: {"name": name} for name in doctor.TRIED})
    monkeypatch.setattr(doctor, "check_devices", lambda answers: doctor.Check("devices", "ok", ""))
    monkeypatch.setattr(machine, "available_memory", lambda: 1 << 50)

    def run(command, *more):
        return bench(*command.split(), *(key if word == "KEY" else word for word in TYPED[command]), *more)

    return run


def test_every_command_is_here_and_ends_well(typed):
    assert commands().keys() == TYPED.keys()
    assert {name: typed(name).code for name in TYPED} == dict.fromkeys(TYPED, 0)


@pytest.mark.parametrize(("command", "option"), places())
def test_a_file_where_a_folder_should_be(typed, command, option):
    """In its place, above it, and where a file is asked for: a folder."""
    Path("taken").write_text("")
    Path("folder").mkdir()
    for where in ("taken", "taken/below", "folder", "x" * 300):
        said = typed(command, option, where)
        assert said.code in KNOWN, (where, said.err)
        assert all(len(line) < 800 for line in said.err.splitlines())


@pytest.mark.parametrize(("command", "option", "where"), [
    ("run", "--reports", "taken"), ("report", "--reports", "taken"), ("gate", "--reports", "taken"),
    ("baseline history", "--reports", "taken"), ("run", "--results", "taken"), ("status", "--results", "taken"),
    ("report", "--results", "taken"), ("list", "--results", "taken"), ("show", "--results", "taken"),
    ("gate", "--results", "taken"), ("doctor", "--results", "taken"), ("gate", "--junit", "taken/j.xml"),
    ("gate", "--history", "taken"), ("run", "--reports", "/proc/nowhere"),
])  # fmt: skip
def test_what_cannot_be_written_or_read_is_3_and_named(typed, command, option, where):
    Path("taken").write_text("")
    said = typed(command, option, where)
    assert said.code == errors.INCOMPLETE, said.err
    assert where in said.err + said.out


@pytest.mark.parametrize("command", TYPED)
def test_a_full_disk_behind_standard_output(typed, command, monkeypatch):
    with open("/dev/full", "w") as full:  # noqa: PTH123
        monkeypatch.setattr(sys, "stdout", full)
        said = typed(command)
    assert said.code == errors.INCOMPLETE
    assert "cannot write to standard output: the disk is full (ENOSPC)" in said.err


@pytest.mark.parametrize("command", TYPED)
def test_a_crash_is_70_wherever_it_comes(typed, command, monkeypatch, tmp_path):
    """The same error in the k-th call of a function of ours; a few are made good, as by a catalogue's listing."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    calls = Crashing(None)
    assert calls.within(typed, command).code == 0
    draw = random.Random(command)  # noqa: S311
    codes = [Crashing(draw.randrange(calls.count)).within(typed, command).code for _ in range(POINTS)]
    assert set(codes) <= {errors.FAULT, *KNOWN}
    assert errors.FAULT in codes
    assert list(tmp_path.glob("transfer-bench-*.txt"))


class Crashing:
    """Raises in the call of that number; None: counts only."""

    def __init__(self, at):
        self.at, self.count = at, 0

    def within(self, typed, command):
        sys.settrace(self._called)
        try:
            return typed(command)
        finally:
            sys.settrace(None)

    def _called(self, frame, *_):
        if not is_ours(frame.f_code.co_filename) or frame.f_code.co_name.startswith("<"):
            return
        self.count += 1
        if self.count - 1 == self.at:
            raise RuntimeError(f"planted in {Path(frame.f_code.co_filename).name}")


@functools.cache
def is_ours(path):
    return Path(path).is_relative_to(Path(package.__file__).parent) and Path(path).name not in LAST


def test_a_regression_stays_one_though_nothing_of_it_can_be_written(typed, monkeypatch):
    plan = plan_from_file(Path(SUITE), (), Folders(Path("results"), Path("reports")))
    change(plan, Roots(here(), "small").store, (-0.10, -0.11, -0.09, -0.12, -0.10))
    Path("taken").write_text("")
    with open("/dev/full", "w") as full:  # noqa: PTH123
        monkeypatch.setattr(sys, "stdout", full)
        said = typed("gate", "--reports", "taken", "--junit", "taken/j.xml", "--history", "taken/h")
    assert said.code == errors.REGRESSED
    assert said.err.count("cannot write") == 3, said.err


def test_a_crash_after_the_verdict_is_no_regression(typed, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr("bench.report.render", lambda *_: [][0])
    said = typed("gate")
    assert said.code == errors.FAULT
    (kept,) = tmp_path.glob("transfer-bench-*.txt")
    assert said.err.splitlines()[-1] == (
        "a fault of this program, neither of the suite nor of the results: IndexError: list index out of range; "
        f"its traceback is in {kept}")  # fmt: skip
    assert "in render" not in said.err
    assert "Traceback" in kept.read_text()


def test_where_no_file_can_be_had_the_traceback_is_told(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    monkeypatch.setattr(schema, "show_schema", lambda markdown: [][0])
    monkeypatch.setattr(sys, "argv", ["bench", "schema"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == errors.FAULT
    assert "\nIndexError: list index out of range\n" in capsys.readouterr().err


@pytest.mark.parametrize(("raised", "code"), [
    (SystemExit("text"), 70), (SystemExit(1), 70), (SystemExit(None), 70), (SystemExit(143), 143), (MemoryError(), 70),
    (KeyboardInterrupt(), 130), (typer.Abort(), 70), (OSError(28, "full", "x"), 3), (OSError("odd"), 70),
    (OSError(28, "full"), 70), (PermissionError(13, "closed"), 70),
    (BrokenPipeError(32, "pipe"), 70), (FileNotFoundError(2, "gone", "results/x"), 3),
], ids=repr)  # fmt: skip
def test_whatever_is_raised_has_its_code(bench, raised, code, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def shown(markdown):
        raise raised

    monkeypatch.setattr(schema, "show_schema", shown)
    assert bench("schema").code == code


def test_a_file_that_fails_where_nobody_expected_it(bench, monkeypatch, tmp_path):
    """One line, and a traceback for whoever has to find out where: it may be a mistake of ours."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def shown(markdown):
        raise FileNotFoundError(2, "gone", "results/x")

    monkeypatch.setattr(schema, "show_schema", shown)
    said = bench("schema")
    (kept,) = tmp_path.glob("transfer-bench-*.txt")
    assert said.error == f"results/x: it is not there, or no more (ENOENT); the traceback is in {kept}"
    assert "in shown" in kept.read_text()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    assert bench("schema").error == "results/x: it is not there, or no more (ENOENT)"


def in_a_shell(line):
    """(exit code, standard error) of a line of bash, in which $bench is the command."""
    root = str(Path(package.__file__).parents[1])
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False,
                          env={**os.environ, "PYTHONPATH": root, "bench": f"{sys.executable} -m bench"})  # fmt: skip
    return done.returncode, done.stderr


@pytest.mark.parametrize(("line", "code", "said"), [
    ("$bench schema >&-", 0, ""),  # closed: nobody wants to read
    ("$bench schema 2>&-", 0, ""),
    ("$bench nonsense 2>/dev/full", 2, ""),
    ("$bench nonsense 2>&-", 2, ""),
    ("$bench schema >/dev/full", 3, "cannot write to standard output: the disk is full (ENOSPC)\n"),
    ("cd /; set -o pipefail; $bench nonsense 2>&1 | true", 2, ""),
    ("mkdir gone; cd gone; rmdir ../gone; $bench list runs --results ../taken/x", 3, "cannot read ../taken/x"),
])  # fmt: skip
def test_streams_that_take_nothing(place, line, code, said):
    (place / "taken").write_text("")
    found = in_a_shell(line)
    assert (found[0], found[1][: len(said)]) == (code, said)


def test_a_library_that_is_missing_is_a_fault_too(place):
    (place / "typer.py").write_text("raise ImportError('planted')")
    code, said = in_a_shell(f"PYTHONPATH={place}:$PYTHONPATH $bench schema")
    assert code == errors.FAULT
    assert "planted" in said
    for nowhere in ("2>&-", "2>/dev/full", ">&- 2>&-"):
        assert in_a_shell(f"PYTHONPATH={place}:$PYTHONPATH $bench schema {nowhere}")[0] == errors.FAULT, nowhere
