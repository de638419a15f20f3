"""What cannot be done is said in one line, with an exit code that a script can read."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import bench as package
from bench.commands import schema

USAGE = [
    (("--bogus",), "No such option: --bogus. See python -m bench --help"),
    (("plan", "suites/small.yaml", "--bogus"), "No such option: --bogus. See python -m bench plan --help"),
    (("lst",), "No such command 'lst'. Did you mean 'list'? See python -m bench --help"),
    (("plan",), "Missing argument 'SUITE'. See python -m bench plan --help"),
    (("list", "suite"), "'suite' is not one of 'suites', 'datasets', 'backbones', 'strategies', 'references', 'runs'"),
    (("run", "suites/small.yaml", "--workers", "many"), "Invalid value for '--workers'"),
    (("run", "suites/small.yaml", "--rerun", "some"), "'some' is not one of 'failed', 'all'"),
    (("list", "datasets", "--timm", "x"), "--timm goes with `list backbones`, not with `list datasets`"),
]


@pytest.mark.parametrize(("typed", "said"), USAGE, ids=lambda value: value[0] if isinstance(value, tuple) else "")
def test_usage(bench, typed, said):
    answer = bench(*typed)
    assert answer.code == 2
    assert said in answer.error
    assert not answer.out


def test_nothing_typed_is_a_call_for_help(bench):
    answer = bench()
    assert answer.code == 2
    assert "run" in answer.out
    assert not answer.err


@pytest.mark.parametrize("command", ["plan", "run", "status", "report"])
def test_a_missing_suite_names_the_nearest(bench, command):
    answer = bench(command, "suites/smal.yaml")
    assert answer.code == 2
    assert answer.error == "suites/smal.yaml: no such file; did you mean suites/small.yaml?"
    assert not Path("results").exists()


@pytest.mark.parametrize("command", ["plan", "run", "status", "report"])
def test_an_invalid_suite_says_all_its_problems(bench, command):
    path = Path("suites/small.yaml")
    path.write_text(path.read_text().replace("epochs: 1", "epochs: no").replace("linear_probe", "liner_probe"))
    answer = bench(command, "suites/small.yaml", *(["--reports", "r"] if command in ("run", "report") else []))
    assert answer.code == 2
    assert answer.err.startswith("suites/small.yaml:")
    assert not Path("results").exists()


@pytest.mark.parametrize("command", ["plan", "status", "report"])
def test_an_unknown_run(bench, command):
    Path("suites/small.yaml").rename("suites/other.yaml")
    assert bench(command, "small").error == "unknown run 'small': no suite has run here yet (looked in results)"


def test_an_unknown_run_names_the_nearest(bench, ran):
    answer = bench("status", "smal")
    assert answer.code == 2
    assert answer.error == "unknown run 'smal'; did you mean 'small'? Known: small (looked in results)"


@pytest.mark.parametrize("name", ["x" * 5000, "", ".", ".."])
def test_no_name_of_a_run_leads_out_of_the_results(bench, ran, name):
    assert bench("status", name).code == 2


def test_a_run_takes_no_other_values(bench, ran):
    answer = bench("plan", "small", "--set", "repeats=3")
    assert (answer.code, "--set goes with a suite's file" in answer.error) == (2, True)


@pytest.mark.parametrize("command", ["plan", "run"])
def test_a_filter_that_leaves_nothing(bench, command):
    answer = bench(command, "suites/small.yaml", "--filter", "strategy=lora*")
    assert answer.code == 5
    assert answer.error == "the filter leaves none of the suite's 6 cells"


def test_a_filter_by_an_unknown_axis(bench):
    answer = bench("plan", "suites/small.yaml", "--filter", "strategie=x")
    assert answer.code == 2
    assert "did you mean 'strategy'?" in answer.error


def test_a_report_of_nothing(bench):
    answer = bench("report")
    assert (answer.code, answer.error) == (5, "no suite has run here yet (looked in results)")


def test_too_many_trainings_are_refused_by_run_and_shown_by_plan(bench):
    answer = bench("run", "suites/small.yaml", "--max-runs", "10")
    assert answer.code == 2
    assert "6 cells make 24 trainings, over the 10 allowed: each has 2 trials and 2 repeats" in answer.error
    assert bench("plan", "suites/small.yaml").code == 0


def test_more_gpus_than_there_are(bench, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    answer = bench("run", "suites/small.yaml", "--gpus", "2")
    assert (answer.code, answer.error) == (2, "--gpus 2: this machine has 0; leave it out to use the CPU")


def test_results_that_cannot_be_written(bench):
    Path("taken").write_text("")
    answer = bench("run", "suites/small.yaml", "--results", "taken")
    assert answer.code == 3
    assert answer.error.startswith("cannot write in taken")


def test_an_interrupt(bench, monkeypatch):
    def interrupted(markdown):
        raise KeyboardInterrupt

    monkeypatch.setattr(schema, "show_schema", interrupted)
    assert (bench("schema").code, bench("schema").error) == (130, "interrupted")


def test_a_reader_that_has_enough():
    """`bench schema | head -1`."""
    root = str(Path(package.__file__).parents[1])
    command = [sys.executable, "-m", "bench", "schema"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": root}, **pipes) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0
