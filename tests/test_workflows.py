"""CI's workflows are the commands that a person types: read from their files, they run in a fresh clone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
# What takes the place of the minutes that the real thing takes; everything else is run as it stands.
QUICK = {"SUITE": "suites/quick.yaml", "PYTEST_ADDOPTS": "tests/test_keys.py"}


def jobs(path):
    return yaml.safe_load(path.read_text())["jobs"]


def commands(path):
    return [step["run"] for job in jobs(path).values() for step in job["steps"] if "run" in step]


def test_they_are_the_two():
    assert [path.name for path in WORKFLOWS] == ["ci.yml", "nightly.yml"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_is_sound(path):
    told = yaml.safe_load(path.read_text())
    assert told["permissions"] == {"contents": "read"}
    assert "group" in told["concurrency"]
    for job in told["jobs"].values():
        assert job["timeout-minutes"] <= 90
        for step in job["steps"]:
            assert ("run" in step) != ("uses" in step)
            assert "${{" not in step.get("run", ""), "an input inside a command line can inject another command"


def test_the_nightly_job_is_alone_in_its_file_and_scheduled():
    told = yaml.safe_load((ROOT / ".github/workflows/nightly.yml").read_text())
    events = told[True]  # YAML 1.1 reads `on` as a truth value
    assert set(events) == {"schedule", "workflow_dispatch"}
    assert list(told["jobs"]) == ["gate"]
    uploads = [step for step in told["jobs"]["gate"]["steps"] if "upload-artifact" in step.get("uses", "")]
    assert [step["if"] for step in uploads] == ["always()"]


def test_the_nightly_suite_has_an_accepted_baseline():
    from bench.gate.baseline import read
    from bench.gate.fingerprint import fingerprint
    from bench.planning.enumerate import make_plan
    from bench.suite.load import load_suite

    plan = make_plan(load_suite(ROOT / "suites/nightly.yaml"), ROOT / "results/.cache")
    baseline = read(ROOT / "results/baselines/nightly.json")
    assert (baseline.dirty, baseline.allowed, baseline.repeats) == (False, (), 5)
    known = {(str(cell), rows[0].fingerprint): len(rows) for cell, rows in baseline.cells().items()}
    wanted = {
        (f"{cell.task} · {cell.backbone} · {cell.strategy}", fingerprint(plan, cell)): 5 for cell in plan.cells
    }
    assert known == wanted


QUICK_SUITE = """\
name: quick
datasets:
  - {name: digits, labels_per_class: [4]}
backbones:
  - {name: small_resnet, options: {width: 4}, pretrain: {dataset: source, epochs: 1, options: {train_per_class: 8}}}
strategies: [linear_probe, ridge_probe]
training: {steps: 4}
search: {scope: cell, trials: 2, validation: {folds: 2}}
repeats: 2
"""


@pytest.mark.slow
@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_the_commands_of_a_workflow_run_in_a_fresh_clone(tmp_path, path):
    """In an environment of their own. Only the suite is another one, and tox is given one file of tests."""
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    (clone / "suites" / "quick.yaml").write_text(QUICK_SUITE)
    places = {"PATH": f"{tmp_path / 'venv' / 'bin'}{os.pathsep}{os.environ['PATH']}",
              "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md")}  # fmt: skip
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("TOX", "PYTEST", "VIRTUAL_ENV"))}
    environment = {**kept, **places, **QUICK}

    def typed(command):
        return subprocess.run(["bash", "-c", command], cwd=clone, env=environment, capture_output=True, text=True,
                              check=False)  # fmt: skip

    for command in commands(path):
        if "bench gate" in command:
            accepted = typed('python -m bench baseline accept "$SUITE"')
            assert accepted.returncode == 0, accepted.stderr
        done = typed(command)
        assert done.returncode == 0, (command, done.stdout[-3000:], done.stderr[-3000:])
    if path.stem == "nightly":
        assert "gate: green" in (tmp_path / "summary.md").read_text()
        assert (clone / "reports" / "junit.xml").is_file()
        assert (clone / "reports" / "quick.html").is_file()
