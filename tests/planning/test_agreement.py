"""Records that contradict each other about what they saw count as failed, and no others do."""

import dataclasses

import pytest

from bench.planning.agreement import agreeing
from tests.commands.fabricate import fabricate
from tests.datasets.pictured import class_folders
from tests.execute.plans import of_kind, tiny_plan
from tests.execute.running import TINY

A, B, C = ("ab" * 32, "bc" * 32, "de" * 32)
DIVIDED = TINY.replace(
    "{name: near, labels_per_class: 2, options: {train_per_class: 8, test_per_class: 4}}",
    "{name: 'folder:FOLDER', label: mine, labels_per_class: 2, test: {resplit: true}}",
).replace("scope: cell", "scope: repeat")
TWO_BACKBONES = TINY.replace("backbones:\n", """backbones:
  - {name: small_resnet, label: wide, options: {width: 8}, pretrain: {dataset: source, epochs: 1,
     options: {train_per_class: 4, test_per_class: 2}}}
""")


def made(folder, text=TINY):
    plan, roots, _ = tiny_plan(folder, text)
    return plan, {record.key: record for record in fabricate(plan, roots)}


def tells(records, key, **fields):
    records[key] = dataclasses.replace(records[key], result={**records[key].result, **fields})


def failed(plan, records):
    found = agreeing(plan, records)
    assert found.keys() == records.keys()
    assert all(found[key] is records[key] or found[key].status == "failed" for key in found)
    return {key: found[key].error for key in found if found[key].status == "failed"}


def cell(plan, strategy):
    return next(cell for cell in plan.cells if cell.strategy == strategy)


def test_what_agrees_stays_as_it_is(tmp_path):
    plan, records = made(tmp_path)
    assert failed(plan, records) == {}


def fits(plan):
    """Keys of the records of all trials and finals."""
    return {key for job in plan.jobs.values() if job.kind != "pretrain" for key in job.record_keys}


@pytest.mark.parametrize("kind", ["search", "final"])
def test_one_record_on_other_data_refuses_all_of_that_data(tmp_path, kind):
    """Trials and repeats of one cell, and the other strategies that it would be compared with."""
    plan, records = made(tmp_path)
    tells(records, of_kind(plan, kind)[0].record_keys[-1], dataset_sha256=A)
    found = failed(plan, records)
    assert found.keys() == fits(plan)
    assert set(found.values()) == {
        "refused: records differ in what they saw of near (abababababab and cdcdcdcdcdcd), and nothing says which are "
        "right; another version of a library may read it differently"
    }


@pytest.mark.parametrize("status", ["ok", "diverged"])
def test_trials_that_began_with_other_weights_are_refused(tmp_path, status):
    plan, records = made(tmp_path)
    (pretraining,) = of_kind(plan, "pretrain")
    tells(records, pretraining.key, tensors_sha256=A)
    search = plan.jobs[cell(plan, "linear_probe").searches[0]]
    for key, sha256 in zip(search.record_keys, (A, B, A), strict=True):
        tells(records, key, weights={"sha256": sha256})
    odd = search.record_keys[1]
    if status == "diverged":
        told = {"dataset_sha256": "cd" * 32, "weights": {"sha256": B}}
        records[odd] = dataclasses.replace(records[odd], status=status, result=told, error="loss not finite")
    assert failed(plan, records).keys() == {odd}


def test_trials_from_before_they_told_count_as_they_are(tmp_path):
    plan, records = made(tmp_path)
    for job in of_kind(plan, "search"):
        for key in job.record_keys:
            silent = {name: value for name, value in records[key].result.items()
                      if name not in ("dataset_sha256", "weights")}  # fmt: skip
            records[key] = dataclasses.replace(records[key], result=silent)
    assert failed(plan, records) == {}
    tells(records, plan.cells[0].finals[1], dataset_sha256=A)
    assert failed(plan, records).keys() == {key for one in plan.cells for key in one.finals}


@pytest.mark.parametrize("status", ["failed", "diverged"])
def test_what_has_no_score_is_not_averaged_but_tells_too(tmp_path, status):
    plan, records = made(tmp_path)
    key = plan.cells[0].finals[1]
    told = {"dataset_sha256": A} if status == "diverged" else {}
    records[key] = dataclasses.replace(records[key], status=status, result=told, error="RuntimeError: no")
    assert bool(agreeing(plan, records)[plan.cells[1].finals[0]].error) is (status == "diverged")


def test_repeats_that_divide_a_set_anew_agree_within_each_repeat(tmp_path):
    folder = class_folders(tmp_path / "mine")
    plan, records = made(tmp_path, DIVIDED.replace("FOLDER", str(folder)))
    for one in plan.cells:
        assert len(one.splits) == 2
        for search, key, sha256 in zip(one.searches, one.finals, (A, B), strict=True):
            for told in (*plan.jobs[search].record_keys, key):
                tells(records, told, dataset_sha256=sha256)
    assert failed(plan, records) == {}
    tells(records, plan.cells[0].finals[1], dataset_sha256=C)
    second = {key for one in plan.cells for key in (*plan.jobs[one.searches[1]].record_keys, one.finals[1])}
    assert failed(plan, records).keys() == second


def test_a_pretrainings_record_says_whose_weights_are_right(tmp_path):
    plan, records = made(tmp_path)
    (pretraining,) = of_kind(plan, "pretrain")
    probe = cell(plan, "linear_probe").finals
    for key in probe:
        tells(records, key, weights={"sha256": A})
    tells(records, pretraining.key, tensors_sha256=A)
    assert failed(plan, records) == {}
    tells(records, probe[1], weights={"sha256": B})
    assert failed(plan, records) == {
        probe[1]: "refused: began with other weights of small_resnet than its pretraining has left since: "
                  "bcbcbcbcbcbc, not abababababab"
    }


def test_a_pretraining_made_anew_refuses_all_that_began_with_the_old_one(tmp_path):
    plan, records = made(tmp_path)
    (pretraining,) = of_kind(plan, "pretrain")
    probe = cell(plan, "linear_probe").finals
    for key in probe:
        tells(records, key, weights={"sha256": A})
    tells(records, pretraining.key, tensors_sha256=B)
    assert failed(plan, records).keys() == set(probe)


def test_without_a_word_of_the_pretraining_all_that_differ_are_refused(tmp_path):
    """Records from before pretrainings told."""
    plan, records = made(tmp_path)
    probe = cell(plan, "linear_probe").finals
    for key, sha256 in zip(probe, (A, B), strict=True):
        tells(records, key, weights={"sha256": sha256})
    assert failed(plan, records).keys() == set(probe)


def test_what_is_built_on_a_refused_pretraining_is_refused(tmp_path):
    plan, records = made(tmp_path, TWO_BACKBONES)
    first, second = of_kind(plan, "pretrain")
    probes = [one for one in plan.cells if one.strategy == "linear_probe"]
    for one in probes:
        for key in one.finals:
            tells(records, key, weights={"sha256": A})
    tells(records, second.key, dataset_sha256=A)
    found = failed(plan, records)
    assert found.keys() == {first.key, second.key} | {key for one in probes for key in one.finals}
    assert found[probes[0].finals[0]] == "refused: its pretraining is refused"
