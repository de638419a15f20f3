"""The script for `sbatch`; tests/execute/test_shards.py runs one."""

import shlex
import subprocess
import sys


def test_a_script_with_all_that_was_typed(bench, place):
    typed = ("--set", "repeats=3", "--filter", "strategy=l*", "--results", "my results", "--cache", "/a b", "--offline")
    said = bench("slurm", "suites/small.yaml", "--tasks", "2", "--cap", "1", "--gpus-per-task", "1", "--cpus-per-task",
                 "8", "--time", "02:00:00", *typed)  # fmt: skip
    assert (said.code, said.err) == (0, "")
    asked = [line.removeprefix("#SBATCH ") for line in said.out.splitlines() if line.startswith("#SBATCH ")]
    assert asked == ["--job-name=small", "--array=1-2%1", "--ntasks=1", "--cpus-per-task=8", "--gpus-per-task=1",
                     "--time=02:00:00", "--signal=B:TERM@120", "--requeue", "--open-mode=append"]  # fmt: skip
    *_, there, _, last = said.out.splitlines()
    assert shlex.split(there) == ["cd", "--", str(place)]
    command = shlex.split(last)
    assert command[:6] == ["exec", sys.executable, "-m", "bench", "run", "suites/small.yaml"]
    assert all(word in command for word in typed)
    assert command[-2:] == ["--shard", "$SLURM_ARRAY_TASK_ID/2"]
    assert subprocess.run(["bash", "-n"], input=said.out, text=True).returncode == 0


def test_more_tasks_than_pieces(bench):
    said = bench("slurm", "suites/small.yaml", "--tasks", "9")
    assert said.code == 0
    assert "comes apart into 6 pieces, so 3 of them will find nothing to do" in said.err


def test_a_dry_run_of_a_shard_without_a_cell(bench):
    words = "run", "suites/small.yaml", "--shard", "0/2", "--dry-run"
    said = bench(*words)
    assert (said.code, said.out) == (0, "no cell; pretrainings: 1\n")
    assert bench(*words, "--json").json == {"suite": "small", "cells": 0, "trainings": 1}
