"""Trainings that crash, hang, flood or raise: each leaves its record, and the suite goes on."""

import json

import pytest

from tests.execute.running import finish, record_files

WRONG = {  # mode -> status, what the error says
    "segfault": ("crashed", "worker killed by signal 11"),
    "exit": ("crashed", "worker ended with code 1"),
    "sys_exit": ("crashed", "worker ended with code 7"),
    "raise": ("failed", "RuntimeError: built badly"),
    "memory": ("oom", "MemoryError"),
    "stall": ("timeout", "took longer than --timeout 3 s"),
    "assert": ("failed", "AcceleratorError: CUDA error: device-side assert triggered"),
}
MODES = [*WRONG, "print"]
SUITE = """
name: wrong
datasets:
  - {{name: near, labels_per_class: 2, options: {{train_per_class: 8, test_per_class: 4}}}}
backbones:
  - {{name: small_resnet, options: {{width: 4}}}}
{bad}
strategies: [scratch]
training: {{steps: 2, batch_size: 8, evaluations: 1}}
search: {{scope: cell, trials: 1, sampler: grid, validation: holdout, holdout: 0.5}}
engine: {{fleet: 1}}
repeats: 1
"""
BAD = "  - {{name: misbehaving, label: {mode}, options: {{mode: {mode}, healed: {healed}}}}}"


@pytest.fixture(scope="module")
def wrong(launcher, tmp_path_factory):
    """The folder, the suite's text, the summary and the standard error of a run in which nearly all goes wrong."""
    place = tmp_path_factory.mktemp("wrong")
    bad = "\n".join(BAD.format(mode=mode, healed=place / "healed") for mode in MODES)
    text = SUITE.format(bad=bad)
    command = launcher.run(place, "--timeout", 3, text=text)
    return place, text, finish(command, code=3), command.stderr


def by_mode(place):
    found = {}
    for path in record_files(place):
        raw = json.loads(path.read_text())
        mode = raw["spec"]["backbone"]["options"].get("mode", "")
        found.setdefault(mode, {})[raw["kind"]] = (raw["status"], raw["error"])
    return found


@pytest.mark.parametrize("mode", WRONG)
def test_what_goes_wrong_becomes_records(wrong, mode):
    status, error = WRONG[mode]
    records = by_mode(wrong[0])[mode]
    assert set(records) == {"trial", "final"}
    assert records["trial"][0] == status
    assert records["trial"][1].startswith(error)
    # Nothing was found to train with, so nothing is tried again.
    assert records["final"] == ("failed", "none of the 1 trials of its search has a score")


def test_the_rest_of_the_suite_is_trained(wrong):
    records = by_mode(wrong[0])
    assert records[""] == records["print"] == {"trial": ("ok", None), "final": ("ok", None)}
    assert wrong[2]["trainings"] == 2 * (len(MODES) + 1)
    assert wrong[2]["failed"] == 2 * len(WRONG)


def test_a_flood_of_prints_stays_out_of_the_terminal_and_off_the_disk(wrong):
    place, _, _, stderr = wrong
    assert "xxx" not in stderr
    assert len(stderr) < 10_000
    assert "Traceback" not in stderr
    # A log is cut before the next job, so at most the last training's flood is left.
    assert sum(path.stat().st_size for path in place.glob("results/wrong/logs/*")) <= 210_000_000


def test_crashes_are_told_with_their_log(wrong):
    lines = [line for line in wrong[3].splitlines() if "worker killed by signal 11" in line]
    assert len(lines) == 1
    assert all("; its log: " in line and line.endswith(".log") for line in lines)


def test_what_a_device_fails_at_is_told_as_tried_once_more_and_then_as_failed(wrong):
    lines = [line for line in wrong[3].splitlines() if "device-side assert" in line]
    assert [line.split("; ")[1] for line in lines if "; " in line] == [
        "tried once more in a fresh process", lines[1].split("; ")[1]
    ]
    assert "; its log: " in lines[1]


def test_a_device_that_fails_for_ever_in_a_process_costs_no_training(launcher, tmp_path):
    """Each process does some trainings, then its device is good for nothing: today's sticky CUDA errors."""
    bad = "  - {name: misbehaving, options: {mode: wear_out}}"
    text = SUITE.format(bad=bad).replace("trials: 1", "trials: 8").replace("repeats: 1", "repeats: 4")
    text = text.replace("  - {name: small_resnet, options: {width: 4}}\n", "").replace("name: wrong", "name: worn")
    command = launcher.run(tmp_path, text=text)
    summary = finish(command)
    assert (summary["trainings"], summary["failed"]) == (8 + 4, 0)
    assert 2 <= command.stderr.count("tried once more in a fresh process") <= 6


def test_without_rerun_what_went_wrong_stays(launcher, wrong):
    place, text, _, _ = wrong
    before = {path: path.stat().st_mtime_ns for path in record_files(place)}
    assert finish(launcher.run(place, text=text), code=3)["trainings"] == 0
    assert {path: path.stat().st_mtime_ns for path in record_files(place)} == before


def test_zz_rerun_failed_makes_exactly_those_again(launcher, wrong):
    """Last of this file, since it mends the records that the others read."""
    place, text, _, _ = wrong
    good = {path: path.stat().st_mtime_ns for path in record_files(place) if '"status": "ok"' in path.read_text()}
    (place / "healed").touch()
    summary = finish(launcher.run(place, "--rerun", "failed", text=text))
    assert summary["trainings"] == 2 * len(WRONG)
    assert {path: path.stat().st_mtime_ns for path in good} == good
    assert all(row["status"] == "ok" for row in summary["finals"])


def test_failed_pretraining_blocks_what_needs_it_and_nothing_else(launcher, tmp_path):
    healed = tmp_path / "healed"
    bad = f"""  - name: misbehaving
    options: {{mode: segfault, healed: {healed}}}
    pretrain: {{dataset: source, epochs: 1, options: {{train_per_class: 2, test_per_class: 1}}}}"""
    text = SUITE.format(bad=bad).replace("[scratch]", "[scratch, linear_probe]").replace("name: wrong", "name: blocked")
    command = launcher.run(tmp_path, text=text.replace("  - {name: small_resnet, options: {width: 4}}\n", ""))
    summary = finish(command, code=3)
    assert summary["blocked"] == 2  # the probe's search and its final; scratch needs no pretraining
    assert "2 jobs were left out because the pretraining they need has failed" in command.stderr
    healed.touch()
    again = finish(launcher.run(tmp_path, "--rerun", "failed", text=(tmp_path / "suite.yaml").read_text()))
    assert again["blocked"] == 0
    assert all(row["status"] == "ok" for row in again["finals"])
