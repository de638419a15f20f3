"""The commands of this folder with small counts; what takes no run of a suite is part of every test run."""

import os
import subprocess
import sys

import pytest

from tests.execute.plans import of_kind, record_of, tiny_plan
from tests.execute.running import REPOSITORY
from tests.faults import flips

EVERY = 97  # bits; no multiple of eight, so that all bits of a byte have their turn


@pytest.fixture
def final(tmp_path):
    plan, roots, _ = tiny_plan(tmp_path)
    return record_of(of_kind(plan, "final")[0], roots)


@pytest.mark.parametrize("file", ["record", "baseline"])
def test_a_flipped_bit_is_noticed(tmp_path, final, file):
    find = {"record": lambda: flips.flip_record(tmp_path / "alone", final, EVERY),
            "baseline": lambda: flips.flip_baseline(tmp_path, EVERY)}[file]  # fmt: skip
    tried, accepted = find()
    assert tried > 100
    assert accepted == []


def run(tmp_path, line):
    command, *options = line.split()
    return subprocess.run(
        [sys.executable, "-m", f"tests.faults.{command}", *options],
        cwd=REPOSITORY, env={**os.environ, "TMPDIR": str(tmp_path)}, capture_output=True, text=True, check=False,
    )


def test_two_writers_of_one_file_leave_it_whole(tmp_path):
    done = run(tmp_path, "race --count 40")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("line", ["kills --count 20", "silent", "flips", "storage"])
def test_command_ends_well(tmp_path, line):
    done = run(tmp_path, line)
    assert done.returncode == 0, done.stdout + done.stderr
