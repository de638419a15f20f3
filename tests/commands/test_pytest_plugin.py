"""`pytest --bench-suite FILE`: every cell is a test. In a process of its own, as people run it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import bench as package
from tests.made_up import edit

from .gated import BASELINE, FIVE, change, raised


def run(*arguments):
    environment = {**os.environ, "PYTHONPATH": str(Path(package.__file__).parents[1])}
    environment.pop("PYTEST_ADDOPTS", None)
    typed = [sys.executable, "-m", "pytest", "-rA", "-p", "no:cacheprovider", "-p", "no:xdist", *arguments]
    done = subprocess.run(typed, env=environment, capture_output=True, text=True, check=False)
    assert "INTERNALERROR" not in done.stdout + done.stderr
    return done


def test_without_a_baseline_a_cell_passes_when_it_was_trained(measured):
    plan, store = measured
    BASELINE.unlink()
    change(plan, store, (0,), status="failed")
    done = run("--bench-suite", "suites/small.yaml")
    assert done.returncode == 1
    assert "1 failed, 5 passed, 1 skipped" in done.stdout, done.stdout
    assert "went wrong: failed:" in done.stdout  # tried again, with weights that were made up
    assert "no baseline at results/baselines/small.json" in done.stdout
    assert "Traceback" not in done.stdout


def test_against_a_baseline_a_regression_fails_with_its_numbers(measured, bench):
    plan, store = measured
    raised(plan, store)
    assert bench("baseline", "accept", "suites/small.yaml").code == 0
    cell = change(plan, store, (-0.10, -0.11, -0.09, -0.12, -0.10))
    done = run("--bench-suite", "suites/small.yaml")
    assert "2 failed, 5 passed" in done.stdout
    assert f"FAILED suites/small.yaml::{cell.task}" in done.stdout
    assert "FAILED suites/small.yaml::the suite as a whole" in done.stdout
    assert "regressed" in done.stdout


def test_what_the_plan_has_no_more_is_a_test_that_fails(measured, bench, place):
    assert bench("baseline", "accept", "suites/small.yaml").code == 0
    (place / "suites" / "small.yaml").write_text(FIVE.replace("linear_probe, ", ""))
    done = run("--bench-suite", "suites/small.yaml")
    assert "3 failed, 4 passed" in done.stdout, done.stdout
    assert "missing" in done.stdout


def test_nothing_comparable_is_no_success(measured, bench):
    assert bench("baseline", "accept", "suites/small.yaml").code == 0
    edit(BASELINE, lambda text: re.sub(r'(?<=\.)[0-9a-f]{8}(?=", "seconds)', "0" * 8, text))
    done = run("--bench-suite", "suites/small.yaml")
    assert done.returncode == 1
    assert "1 failed, 6 skipped" in done.stdout


def test_other_tests_run_beside_it_only_when_asked_for(measured, place):
    (place / "test_mine.py").write_text("def test_mine(): pass\n")
    cells = run("--bench-suite", "suites/small.yaml", "-k", "linear_probe or mine")
    assert "2 passed, 5 deselected" in cells.stdout
    assert "8 passed" in run("test_mine.py", "--bench-suite", "suites/small.yaml").stdout


@pytest.mark.parametrize(("suite", "message"), [("suites/nowhere.yaml", "no such file"),
                                                ("suites/bad.yaml", "suites/bad.yaml:1:1")])  # fmt: skip
def test_a_wrong_suite_is_told_in_its_own_words(place, suite, message):
    (place / "suites" / "bad.yaml").write_text("nmae: x\n")
    done = run("--bench-suite", suite)
    assert done.returncode in (2, 4)
    assert message in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_a_session_without_a_suite_imports_nothing_of_ours(place):
    (place / "test_mine.py").write_text(
        "import sys\ndef test_mine(): assert [m for m in sys.modules if m.startswith('bench.')] == "
        "['bench.pytest_plugin']\n"
    )
    assert "1 passed" in run("test_mine.py").stdout
