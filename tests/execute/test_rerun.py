"""Which records `--rerun` removes: what went wrong, what was built upon it, and nothing else."""

from dataclasses import replace

import pytest

from bench.execute.rerun import forget
from bench.execute.roots import forget_lost_weights, missing_records
from tests.execute.plans import fill, of_kind, record_of, tiny_plan
from tests.execute.running import TINY, TRAININGS


def forgotten(plan, roots, everything=False):
    """The keys of the removed records."""
    count = forget(plan, plan, roots, everything)
    gone = {
        key for job in plan.jobs.values() for key in job.record_keys if roots.store_of(job).read(key) is None
    }
    assert count == len(gone)
    return gone


def finals_of(plan, search):
    return {job.key for job in of_kind(plan, "final") if search.key in job.needs}


def test_nothing_wrong_nothing_forgotten(tmp_path):
    plan, roots, _ = tiny_plan(tmp_path)
    fill(plan, roots)
    assert forgotten(plan, roots) == set()


def test_a_failed_final_goes_alone(tmp_path):
    plan, roots, _ = tiny_plan(tmp_path)
    final = of_kind(plan, "final")[0]
    fill(plan, roots, bad={final.key})
    assert forgotten(plan, roots) == {final.key}


@pytest.mark.parametrize(("sampler", "followers"), [("tpe", 2), ("grid", 0), ("bracket", 2), ("random", 0)])
def test_a_failed_trial_takes_its_finals_and_what_a_sampler_learnt_from_it(tmp_path, sampler, followers):
    plan, roots, _ = tiny_plan(tmp_path, TINY.replace("sampler: tpe", f"sampler: {sampler}"))
    search = of_kind(plan, "search")[0]
    first = search.record_keys[0]
    fill(plan, roots, bad={first})
    assert forgotten(plan, roots) == {*search.record_keys[: 1 + followers], *finals_of(plan, search)}


def test_a_failed_pretraining_takes_all_that_started_from_it(tmp_path):
    plan, roots, _ = tiny_plan(tmp_path)
    (pretraining,) = of_kind(plan, "pretrain")
    fill(plan, roots, bad={pretraining.key})
    built = {job.key for job in plan.jobs.values() if pretraining.key in job.needs}
    expected = {pretraining.key}
    for job in plan.jobs.values():
        if job.key in built or set(job.needs) & built:
            expected |= set(job.record_keys)
    assert forgotten(plan, roots) == expected
    assert len(expected) == 1 + 3 + 2  # the probe's; scratch stays


def test_everything_spares_the_pretraining_that_other_suites_share(tmp_path):
    plan, roots, _ = tiny_plan(tmp_path)
    fill(plan, roots)
    (pretraining,) = of_kind(plan, "pretrain")
    gone = forgotten(plan, roots, everything=True)
    assert len(gone) == TRAININGS - 1
    assert pretraining.key not in gone


def test_what_saw_different_data_goes_together(tmp_path):
    """Trials too: a search that nobody can vouch for may have chosen another point."""
    plan, roots, _ = tiny_plan(tmp_path)
    fill(plan, roots)
    odd = roots.store.read(of_kind(plan, "final")[0].key)
    roots.store.write(replace(odd, result={**odd.result, "dataset_sha256": "ab" * 32}))
    assert forgotten(plan, roots) == {key for job in plan.jobs.values() if job.kind != "pretrain"
                                      for key in job.record_keys}  # fmt: skip


def test_a_filter_removes_its_own_share_of_what_contradicts_each_other(tmp_path):
    plan, roots, _ = tiny_plan(tmp_path)
    fill(plan, roots)
    probe = plan.select(["strategy=linear_probe"])
    for cell in probe.cells:
        for key in (*cell.finals, *plan.jobs[cell.searches[0]].record_keys):  # agree with each other
            odd = roots.store.read(key)
            roots.store.write(replace(odd, result={**odd.result, "dataset_sha256": "ab" * 32}))
    forget(plan, probe, roots, everything=False)
    assert set(missing_records(plan, roots)) == {job.key for job in probe.jobs.values() if job.kind != "pretrain"}


def test_diverged_is_a_result_and_stays(tmp_path):
    plan, roots, _ = tiny_plan(tmp_path)
    fill(plan, roots)
    final = of_kind(plan, "final")[0]
    roots.store.write(record_of(final, roots, status="diverged"))
    assert forgotten(plan, roots) == set()


def test_a_filtered_plan_leaves_other_cells_alone(tmp_path):
    plan, roots, _ = tiny_plan(tmp_path)
    fill(plan, roots)
    probe = plan.select(["strategy=linear_probe"])
    wanted = {key for job in probe.jobs.values() if job.kind != "pretrain" for key in job.record_keys}
    forget(plan, probe, roots, everything=True)
    assert set(missing_records(plan, roots)) == {job.key for job in probe.jobs.values() if job.kind != "pretrain"}
    assert sum(missing_records(plan, roots).values()) == len(wanted)


@pytest.mark.parametrize("damage", [b"", b"weighty", None])
def test_lost_weights_make_a_pretraining_unfinished(tmp_path, damage, caplog):
    plan, roots, _ = tiny_plan(tmp_path)
    fill(plan, roots)
    (pretraining,) = of_kind(plan, "pretrain")
    (weights,) = roots.shared.root.glob("weights/*/*")
    weights.unlink() if damage is None else weights.write_bytes(damage)
    assert missing_records(plan, roots) == {pretraining.key: 1}
    assert roots.shared.read(pretraining.key) is not None
    forget_lost_weights(plan, roots)
    assert roots.shared.read(pretraining.key) is None
    (line,) = caplog.messages
    assert line.startswith("weights missing: " if damage is None else "weights damaged: ")
    assert line.endswith("; they are trained again")


def test_lost_weights_are_left_to_the_runner_that_trains_them(tmp_path):
    plan, roots, _ = tiny_plan(tmp_path)
    fill(plan, roots)
    (pretraining,) = of_kind(plan, "pretrain")
    next(roots.shared.root.glob("weights/*/*")).unlink()
    with roots.shared.lock(pretraining.key):
        forget_lost_weights(plan, roots)
    assert roots.shared.read(pretraining.key) is not None


def test_damaged_records_are_counted_once_at_the_start(tmp_path, caplog):
    plan, roots, _ = tiny_plan(tmp_path)
    fill(plan, roots)
    final, other = (job.key for job in of_kind(plan, "final")[:2])
    for key in (final, other):
        roots.store.path(key).write_bytes(b"")
    assert missing_records(plan, roots) == {final: 1, other: 1}
    first = roots.store.path(min(final, other))
    assert caplog.messages == [f"damaged record files, counted as absent: 2, the first {first}: empty; what is made "
                               f"anew moves its old file to {roots.store.damaged}"]  # fmt: skip


@pytest.mark.parametrize("kinds", [["pretrain"], ["pretrain", "final"]])
def test_damaged_records_are_moved_within_their_own_store(tmp_path, caplog, kinds):
    plan, roots, _ = tiny_plan(tmp_path)
    fill(plan, roots)
    for kind in kinds:
        job = of_kind(plan, kind)[0]
        roots.store_of(job).path(job.key).write_bytes(b"")
    missing_records(plan, roots)
    places = [roots.store.damaged] * ("final" in kinds) + [roots.shared.damaged]
    assert caplog.messages[0].endswith(f"moves its old file to {' and '.join(map(str, places))}")
