"""What `plan` and `run` say before anything trains: checkpoints, strategies that do not fit, and how long it takes."""

import re
from pathlib import Path

import pytest
import torch

from bench import api
from bench.engine.jobs.ahead import Seen, look
from bench.execute import ahead
from bench.network.build import build_named
from tests.commands.fabricate import fabricate

SUITE = """\
name: ahead
datasets: [{{name: digits, labels_per_class: [4]}}]
backbones: [{backbone}]
strategies: [{strategies}]
training: {{steps: 2, evaluations: 1}}
search: {{trials: 2, scope: cell, validation: {{folds: 2}}}}
repeats: 2
"""
NARROW = "{name: small_resnet, options: {width: 4}, weights: w.pth}"


@pytest.fixture
def suite(place):
    def written(strategies="scratch, linear_probe", backbone=NARROW):
        Path("x.yaml").write_text(SUITE.format(strategies=strategies, backbone=backbone))

    return written


@pytest.mark.parametrize("command", ["plan", "run"])
def test_a_checkpoint_of_another_network_is_refused_before_anything_trains(bench, suite, command):
    torch.save(build_named("small_resnet", 5, {"width": 8}).state_dict(), "w.pth")
    suite()
    said = bench(command, "x.yaml")
    assert said.code == 2
    line = said.err.splitlines()[-1]
    assert line.startswith("x.yaml:3:64: backbones[0].weights: small_resnet (w.pth): ")
    assert "9 of 65 tensors matched: stem.conv.weight is (8, 3, 3, 3), expected (4, 3, 3, 3)" in line
    assert not list(Path("results").glob("ahead/runs/*/*"))


def test_text_under_a_checkpoints_name_is_refused(bench, suite):
    Path("w.pth").write_text("hello")
    suite()
    said = bench("plan", "x.yaml")
    assert (said.code, "damaged or not a checkpoint (5 bytes)" in said.err) == (2, True)


def test_a_checkpoint_that_fits_is_planned_and_where_nothing_reads_it_none_is_looked_at(bench, suite):
    torch.save(build_named("small_resnet", 5, {"width": 4}).state_dict(), "w.pth")
    suite()
    assert bench("plan", "x.yaml").code == 0
    Path("w.pth").write_text("hello")
    suite("scratch")
    assert bench("plan", "x.yaml").code == 0


def test_looking_at_a_checkpoint_is_silent(suite, recwarn):
    torch.save(build_named("small_resnet", 5, {"width": 4}).state_dict(), "w.pth")
    suite("linear_probe")
    (cell,) = (plan := api.plan("x.yaml")).cells
    assert look(plan.jobs[cell.finals[0]].spec, Path("w.pth")) == Seen()
    assert not recwarn.list  # on the meta device, torch warns of each tensor that is filled


def test_a_strategy_that_does_not_fit_is_told_and_its_neighbours_are_not(bench, suite):
    suite("scratch, vpt, bitfit, norm_tune", "{name: small_resnet, options: {width: 4}}")
    said = bench("plan", "x.yaml", "--json")
    (note,) = [line for line in said.json["notes"] if "does not fit" in line]
    assert note == ("vpt does not fit small_resnet (random), and will be recorded as not applicable: needs a vision "
                    "transformer with blocks of attention and MLP")


def test_a_suite_without_scratch_says_what_it_cannot_tell(bench, suite):
    suite("linear_probe", "small_resnet")
    (note,) = bench("plan", "x.yaml", "--json").json["notes"]
    assert note == "This suite has no scratch baseline, so nothing here says whether transfer helps at all."
    suite("scratch", "small_resnet")
    assert bench("plan", "x.yaml", "--json").json["notes"] == []


def test_a_time_is_guessed_before_the_first_record_and_measured_after(bench, plan, roots, place):
    before = bench("plan", "suites/small.yaml").out
    assert re.search(r"25 are left: about .+ here, guessed from a short measurement", before)
    fabricate(plan, roots)
    Path(roots.store.path(plan.cells[0].finals[0])).unlink()
    assert "guessed" not in bench("plan", "suites/small.yaml").out


def test_the_guess_is_the_sum_by_hand(plan, roots, monkeypatch):
    """1,000 examples of 3 passes in the pretraining, at a thousandth of a second each."""
    from bench.commands import progress

    monkeypatch.setattr(progress, "count_gpus", lambda: 0)
    monkeypatch.setattr(progress, "num_cores", lambda: 2)
    only = next(key for key, job in plan.jobs.items() if job.kind == "pretrain")
    found = progress.read_progress(plan, roots)
    monkeypatch.setattr(progress.Progress, "left", {only: 1})
    job = plan.jobs[only]
    examples = progress.Estimator.of(plan)._facts_of(job.spec.data).num_train
    seconds = progress.STARTING + (3 * examples * 0.01 + progress.BETWEEN) / 2
    wanted = f"about {progress.duration(seconds)} here, guessed from a short measurement"
    assert progress.guessed(found, {ahead.network_of(job.spec.backbone): 0.01}) == wanted
    assert progress.guessed(found, {}) == ""


def test_a_look_is_remembered_and_its_failure_costs_nothing(bench, suite, monkeypatch):
    suite("scratch, vpt", "{name: small_resnet, options: {width: 4}}")
    first = bench("plan", "x.yaml").out

    def fork(*_):
        raise OSError("forks are out")

    monkeypatch.setattr("bench.fork_server.fork", fork)
    assert bench("plan", "x.yaml").out == first
    suite("scratch", "{name: small_resnet, options: {width: 5}}")
    assert "no estimate before the first records" in bench("plan", "x.yaml").out


def test_a_name_that_is_nearly_a_files(bench, suite):
    Path("weights").mkdir()
    Path("weights/best18.pth").write_text("x")
    suite(backbone="{name: small_resnet, weights: best18.pt}")
    said = bench("plan", "x.yaml").err.splitlines()
    assert said[0] == "not on this machine: weights best18.pt (x.yaml:3:43)"
    assert "did you mean 'weights/best18.pth'? `--data DIR`" in said[1]


def test_a_checkpoint_is_found_in_the_weights_of_a_data_folder(bench, suite):
    Path("mine/weights").mkdir(parents=True)
    torch.save(build_named("small_resnet", 5, {"width": 4}).state_dict(), "mine/weights/w.pth")
    suite()
    assert bench("plan", "x.yaml").code == 2
    assert bench("plan", "x.yaml", "--data", "mine").code == 0
