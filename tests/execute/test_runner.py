"""The runner's bookkeeping, with workers that are played: what they say, and when they die, is a script."""

import dataclasses

import pytest

from bench.errors import StoreError
from bench.execute import runner as runner_module
from bench.execute.executor import Died, NoWorkers
from bench.execute.messages import Broken, Done, Lost, Recorded, Starting, Stuck
from bench.execute.runner import VAIN_STARTS
from tests.execute.plans import of_kind, record_of
from tests.execute.played import begins, statuses
from tests.execute.running import TRAININGS
from tests.made_up import result_of


def test_all_goes_well(stage):
    assert stage.run(workers=2).trainings == TRAININGS
    assert stage.closed == [False]
    assert stage.run().trainings == 0
    assert stage.started == 2  # nothing to do: no worker is started


def test_death_between_recorded_and_finished_loses_and_repeats_nothing(stage):
    def strange(worker):
        yield from list(stage.do(worker))[:-1]
        yield Died(-11)

    stage.once(strange)
    summary = stage.run()
    assert (summary.trainings, summary.failed) == (TRAININGS, 0)
    assert set(statuses(stage)) == {"ok"}


def test_death_in_a_training_is_its_record(stage):
    def strange(worker):
        yield begins(stage, worker)
        yield Died(-9)

    stage.once(strange)
    summary = stage.run()
    assert summary.failed == 1
    (crashed,) = [r for s in (stage.roots.store, stage.roots.shared) for r in s.scan()[0].values() if r.status != "ok"]
    assert crashed.error == "worker killed by signal 9 (out of memory?)"
    assert any("its log: " in line for line in stage.lines)


def test_a_death_in_a_fleet_blames_nobody_and_all_is_tried_one_by_one(stage):
    together = []

    def strange(worker):
        together.append(worker.bundle)
        yield begins(stage, worker, number=2)
        yield Died(-9)

    def play(worker):
        if worker.bundle.jobs[0].kind == "search" and not together:
            return strange(worker)
        if together and any(job.key == other.key for job in worker.bundle.jobs for other in together[0].jobs):
            alone.append(worker.bundle)
        return stage.do(worker)

    alone = []
    stage.play = play
    summary = stage.run()
    assert (summary.trainings, summary.failed) == (TRAININGS, 0)
    assert set(statuses(stage)) == {"ok"}
    assert not together[0].alone
    assert [bundle.alone for bundle in alone] == [True] * len(together[0].jobs)
    assert any("in 2 trainings; tried one by one" in line for line in stage.lines)


def test_a_death_while_a_fleet_is_built_blames_nobody(stage):
    """Its trainings are announced, and none has begun."""

    def strange(worker):
        yield Starting(begins(stage, worker, number=2).records, 0)
        yield Died(-9)

    stage.once(strange, "search")
    summary = stage.run()
    assert (summary.trainings, summary.failed) == (TRAININGS, 0)
    assert any("in 2 trainings; tried one by one" in line for line in stage.lines)


def test_a_search_is_told_by_its_best_trial(stage):
    """Planted: the last trial is not the best one; the first of each search is there already, as after a break."""
    scores = {}
    for job in stage.plan.jobs.values():
        if job.kind == "search":
            scores |= dict(zip(job.record_keys, (0.5, 0.9, 0.4), strict=True))
            stage.roots.store.write(record_with(job, job.record_keys[0], scores, stage))

    def play(worker):
        for job in worker.bundle.jobs:
            for key in job.record_keys:
                if stage.roots.store_of(job).read(key) is None:
                    record = record_with(job, key, scores, stage)
                    stage.roots.store_of(job).write(record)
                    yield Recorded.of(record)
        yield Done(True)

    stage.play = play
    stage.run()
    searches = [line for line in stage.lines if "search" in line]
    assert len(searches) > 0
    assert all(": best 0.900," in line for line in searches)


def record_with(job, key, scores, stage):
    record = record_of(job, stage.roots, key)
    told = result_of(record.kind, score=scores.get(key, 0.1))
    kept = {name: value for name, value in record.result.items() if name == "weights_sha256"}
    return dataclasses.replace(record, result={**told, **kept})


def test_finals_of_a_probe_train_together_and_others_do_not(stage):
    given = []
    stage.play = lambda worker: given.append(worker.bundle) or stage.do(worker)
    stage.run()
    finals = [bundle.jobs for bundle in given if bundle.jobs[0].kind == "final"]
    together = {len(jobs): any(any(phase.rates[:-1]) for phase in jobs[0].spec.recipe.phases) for jobs in finals}
    assert together == {2: False, 1: True}  # the probe's two repeats; those of scratch one by one


def test_death_after_the_write_and_before_its_announcement_keeps_the_record(stage):
    def strange(worker):
        job = worker.bundle.jobs[0]
        key = job.record_keys[0]
        yield begins(stage, worker)
        stage.roots.store_of(job).write(record_of(job, stage.roots, key))
        yield Died(-9)

    stage.once(strange)
    summary = stage.run()
    assert (summary.trainings, summary.failed) == (TRAININGS, 0)
    assert set(statuses(stage)) == {"ok"}


def test_death_before_any_training_gives_the_job_to_the_next_worker(stage):
    stage.once(lambda worker: [Died(1)])
    assert stage.run().trainings == TRAININGS
    assert stage.started == 2


def test_workers_that_never_train_end_the_run_with_the_end_of_their_log(stage):
    def play(worker):
        worker.setup.log.parent.mkdir(parents=True, exist_ok=True)
        worker.setup.log.write_text("RuntimeError: no such device\n")
        yield Died(1)

    stage.play = play
    with pytest.raises(NoWorkers, match="code 1; the end of .*\n  RuntimeError: no such device") as caught:
        stage.run()
    assert caught.value.exit_code == 3
    assert stage.started == VAIN_STARTS
    assert stage.closed == [True]


def test_idle_workers_that_die_are_not_replaced_for_ever(stage):
    stage.speakers = lambda pool: list(pool.workers)
    stage.play = lambda worker: [Died(1)]
    with pytest.raises(NoWorkers):
        stage.run(workers=2)
    assert stage.started == 2 * VAIN_STARTS


def test_a_device_that_does_not_work_leaves_the_run_to_the_others(stage):
    first = []

    def play(worker):
        first.append(worker.setup.log)
        return [Died(1)] if worker.setup.log == first[0] else stage.do(worker)

    stage.play = play
    assert stage.run(workers=2).trainings == TRAININGS
    assert any(line.startswith("going on without a worker on cpu: worker ended with code 1") for line in stage.lines)


def test_an_error_outside_any_training_leaves_that_job_out(stage):
    stage.once(lambda worker: [Stuck("RuntimeError: trial 0 has no record")])
    summary = stage.run()
    assert summary.failed == 1
    assert any("RuntimeError: trial 0 has no record; left out; its log: " in line for line in stage.lines)


def test_an_error_while_recording_becomes_the_record(stage):
    def strange(worker):
        yield begins(stage, worker)
        yield Stuck("ValueError: nan")

    stage.once(strange)
    assert stage.run().failed == 1
    assert sorted(set(statuses(stage))) == ["failed", "ok"]


def test_records_that_cannot_be_written_end_the_run(stage):
    stage.once(lambda worker: [Broken("cannot write x: the disk is full (ENOSPC)")])
    with pytest.raises(StoreError, match="disk is full"):
        stage.run()
    assert stage.closed == [True]


def test_a_job_that_another_runner_finishes_is_waited_for(stage, monkeypatch):
    monkeypatch.setattr(runner_module, "BUSY_WAIT", 0.0)
    looks = []

    def busy(worker):
        looks.append(worker.bundle.jobs[0].key)
        if len(looks) == 5:  # now the other one is through
            list(stage.do(worker))
            stage.play = stage.do
        yield Done(True, tuple(job.key for job in worker.bundle.jobs))

    stage.play = busy
    summary = stage.run()
    assert summary.trainings < TRAININGS
    assert set(statuses(stage)) == {"ok"}
    assert any("done by another runner" in line for line in stage.lines)


def test_a_failed_pretraining_blocks_its_users(stage):
    (pretraining,) = of_kind(stage.plan, "pretrain")

    def play(worker):
        if worker.bundle.jobs != (pretraining,):
            return stage.do(worker)
        record = record_of(pretraining, stage.roots, status="failed")
        stage.roots.shared.write(record)
        return [Starting((record,)), Recorded.of(record), Done(True)]

    stage.play = play
    summary = stage.run()
    assert (summary.failed, summary.blocked) == (1, 3)  # the probe's search and two finals


FAULT = "AcceleratorError: CUDA error: an illegal memory access was encountered"


def lose(stage, worker, number=1, of=None):
    """The device fails in the first training of what the worker was given that has no record."""
    job = of or worker.bundle.jobs[0]
    lacking = [key for key in job.record_keys if stage.roots.store_of(job).read(key) is None]
    yield Starting(tuple(record_of(job, stage.roots, key, "crashed") for key in lacking[:number]), number)
    yield Lost(FAULT)
    worker.fault = FAULT  # the pool's own messages come from one worker in one go
    yield Died(-9)


def test_a_training_in_which_the_device_fails_is_tried_once_more_by_itself_in_a_fresh_process(stage):
    given = []

    def play(worker):
        given.append((worker.bundle, worker.name))
        return lose(stage, worker) if len(given) == 2 else stage.do(worker)

    stage.play = play
    summary = stage.run()
    assert (summary.trainings, summary.failed) == (TRAININGS, 0)
    assert set(statuses(stage)) == {"ok"}
    struck, _ = given[1]
    (again,) = [number for number, (one, _) in enumerate(given) if number > 1 and struck.jobs[0] in one.jobs]
    assert given[again][0].alone
    assert given[again][1] not in [pid for _, pid in given[:again]]
    assert stage.killed == ["cpu"]  # it might hang in its last steps
    assert sum("tried once more in a fresh process" in line for line in stage.lines) == 1


def test_a_process_that_has_trained_does_not_take_what_another_devices_failure_left(stage):
    """It is idle first. Its own device may be worn out too, and the second failure is a record."""
    given, struck = [], []

    def play(worker):
        given.append((worker.bundle.jobs, worker.name))
        if worker.setup.log.name == "worker-1.log" and not struck:
            struck.append(worker.bundle.jobs[0])
            return lose(stage, worker)
        return stage.do(worker)

    stage.play = play
    assert stage.run(workers=2).failed == 0
    first, again = [number for number, (jobs, _) in enumerate(given) if struck[0] in jobs]
    assert given[again][1] not in [pid for _, pid in given[:again]]


def test_the_second_time_it_is_a_record_and_the_rest_of_the_suite_is_trained(stage):
    guilty = of_kind(stage.plan, "final")[0]
    stage.play = lambda worker: lose(stage, worker) if guilty in worker.bundle.jobs else stage.do(worker)
    summary = stage.run()
    assert (summary.trainings, summary.failed) == (TRAININGS, 1)
    record = stage.roots.store.read(guilty.key)
    assert (record.status, record.error) == ("failed", FAULT)
    assert sorted(set(statuses(stage))) == ["failed", "ok"]


def test_a_fleet_in_which_the_device_fails_blames_nobody(stage):
    fleets = []

    def play(worker):
        if worker.bundle.jobs[0].kind == "search" and not fleets:
            fleets.append(worker.bundle)
            return lose(stage, worker, number=2)
        return stage.do(worker)

    stage.play = play
    summary = stage.run()
    assert (summary.trainings, summary.failed) == (TRAININGS, 0)
    assert any(f"{FAULT} in 2 trainings; tried one by one" in line for line in stage.lines)


def test_many_cells_that_break_the_device_cost_neither_the_device_nor_the_run(stage):
    """One device, and every final and one search breaks it."""
    guilty = [*of_kind(stage.plan, "final"), of_kind(stage.plan, "search")[0]]
    assert len(guilty) == 5

    def play(worker):
        own = [job for job in worker.bundle.jobs if job in guilty]
        return lose(stage, worker, of=own[0]) if own else stage.do(worker)

    stage.play = play
    summary = stage.run()
    num_lost = sum(len(job.record_keys) for job in guilty)
    assert (summary.trainings, summary.failed) == (TRAININGS, num_lost)
    assert sorted(statuses(stage)) == ["failed"] * num_lost + ["ok"] * (TRAININGS - num_lost)
    assert not any(line.startswith("going on without") for line in stage.lines)


def test_a_device_that_is_lost_is_given_up_before_anything_is_blamed(stage):
    """Its next process ends where it proves its device; another device does the rest."""
    place = []

    def play(worker):
        place.append(worker.setup.log)
        if worker.setup.log != place[0]:
            return stage.do(worker)
        return lose(stage, worker) if len(place) == 1 else [Died(1)]

    stage.speakers = lambda pool: pool.busy()[:1]  # the broken one has its turn first
    stage.play = play
    summary = stage.run(workers=2)
    assert place.count(place[0]) == 1 + VAIN_STARTS
    assert any(line.startswith("going on without a worker on cpu: worker ended with code 1") for line in stage.lines)
    assert (summary.trainings, summary.failed) == (TRAININGS, 0)
    assert set(statuses(stage)) == {"ok"}


def test_a_server_of_forks_that_dies_takes_no_training_along(stage):
    def strange(worker):
        yield begins(stage, worker)
        worker.fault = "the server is gone"  # as the pool writes down
        yield Died(255)

    stage.once(strange)
    summary = stage.run()
    assert (summary.trainings, summary.failed) == (TRAININGS, 0)
