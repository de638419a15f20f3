"""How a run ends, early or late, with workers that are played."""

import dataclasses
import signal

import pytest

from bench.execute import patience
from bench.execute import runner as runner_module
from bench.execute.executor import Died, tail
from bench.execute.messages import Paused, Recorded, Starting
from bench.execute.runner import VAIN_STARTS
from tests.execute.plans import fill, of_kind, record_of
from tests.execute.played import begins, statuses


def later(worker, seconds):
    """So many seconds have passed since the worker announced something."""
    worker.announced = dataclasses.replace(worker.announced, since=worker.announced.since - seconds)


def recorded(stage, worker, status="ok"):
    """The first training of what the worker was given has its record."""
    job = worker.bundle.jobs[0]
    record = record_of(job, stage.roots, job.record_keys[0], status)
    stage.roots.store_of(job).write(record)
    return Recorded.of(record)


def test_an_overdue_training_is_killed_and_recorded_as_timeout(stage):
    def strange(worker):
        yield begins(stage, worker)
        stage.once(lambda worker: [Died(-9)])

    stage.once(strange)
    stage.run(timeout=1e-9)
    assert stage.killed == ["cpu"]
    assert statuses(stage).count("timeout") == 1


def test_a_fleet_has_the_time_of_all_its_trainings_to_the_end(stage):
    """Those that are recorded do not shorten the time of those that are not; those that leave no record count too."""
    overdue = []

    def strange(worker):
        yield Starting(begins(stage, worker).records, 5)
        later(worker, 4.0)
        overdue.append(worker)

    stage.once(strange)
    stage.run(timeout=1.0)
    assert overdue
    assert stage.killed == []
    assert "timeout" not in statuses(stage)


def test_what_comes_before_the_first_step_is_not_part_of_a_training(stage):
    """Neither before the first training nor between two."""

    def before(worker):
        yield Starting(begins(stage, worker).records, 0)
        later(worker, 100.0)

    def training(worker):
        yield begins(stage, worker)
        later(worker, 0.5)

    def between(worker):
        yield recorded(stage, worker)
        later(worker, 100.0)

    looks = [before, training, between]  # after each the runner looks who is overdue
    stage.play = lambda worker: (looks.pop(0) if looks else stage.do)(worker)
    stage.run(timeout=1.0)
    assert not looks
    assert stage.killed == []
    assert set(statuses(stage)) == {"ok"}


def test_a_hang_before_the_first_step_becomes_the_record_of_the_training_that_was_announced(stage):
    def strange(worker):
        yield Starting(begins(stage, worker).records, 0)
        later(worker, patience.DAY + 1)
        stage.once(lambda worker: [Died(-9)])

    stage.once(strange)
    assert stage.run().failed == 1
    (record,) = [r for s in (stage.roots.store, stage.roots.shared) for r in s.scan()[0].values() if r.status != "ok"]
    assert record.status == "timeout"
    assert record.error.startswith("took longer than 24 h 00 min before its first step; taken for hung (--timeout")


def test_what_is_made_for_several_trainings_does_not_count_against_the_one_at_hand(stage):
    """Tables of features, and waiting for those that another worker makes."""

    def making(worker):
        yield begins(stage, worker)
        yield Paused()
        later(worker, 100.0)

    def training(worker):
        yield Paused(is_over=True)
        later(worker, 0.5)

    def overdue(worker):
        later(worker, 1.0)
        stage.once(lambda worker: [Died(-9)])
        return []

    looks = [making, training, overdue]
    stage.play = lambda worker: (looks.pop(0) if looks else stage.do)(worker)
    killed_before = []
    stage.speakers = lambda pool: killed_before.append(len(stage.killed)) or pool.busy()
    stage.run(timeout=1.0)
    assert killed_before[:4] == [0, 0, 0, 1]
    assert statuses(stage).count("timeout") == 1


@pytest.mark.parametrize(("number", "failed"), [(1, 1), (2, 0)])
def test_a_death_in_a_pause_is_that_of_the_trainings_at_hand(stage, number, failed):
    """One has its record; of two neither is blamed."""

    def strange(worker):
        yield begins(stage, worker, number)
        yield Paused()
        yield Died(-9)

    stage.once(strange, "search")
    assert stage.run().failed == failed
    assert statuses(stage).count("crashed") == failed


def test_a_hang_before_anything_is_announced_ends_after_half_an_hour(stage):
    started = []

    def play(worker):
        if worker.killed_at is not None:
            return [Died(-9)]
        if len(started) == VAIN_STARTS - 1:
            return stage.do(worker)
        started.append(worker)
        later(worker, patience.SILENCE + 1)
        return []

    stage.play = play
    assert stage.run().failed == 0
    assert stage.killed == ["cpu"] * (VAIN_STARTS - 1)
    assert set(statuses(stage)) == {"ok"}


@pytest.mark.parametrize("status", ["ok", "diverged", "failed"])
def test_a_quick_training_shortens_nobodys_time(stage, monkeypatch, status):
    noted, real = [], patience.Patience.note
    monkeypatch.setattr(patience.Patience, "note", lambda *arguments: noted.append(real(*arguments)))

    def quick(worker):
        yield begins(stage, worker)
        yield recorded(stage, worker, status)

    def slow(worker):
        yield begins(stage, worker)
        later(worker, patience.DAY - 60)

    looks = [quick, slow]
    stage.play = lambda worker: (looks.pop(0) if looks else stage.do)(worker)
    stage.run()
    assert stage.killed == []
    assert not looks
    assert "timeout" not in statuses(stage)
    ended_well = statuses(stage).count("ok")
    assert len(noted) == ended_well


def test_without_a_limit_of_a_person_there_is_one(stage):
    def strange(worker):
        yield begins(stage, worker)
        later(worker, patience.DAY + 1)
        stage.once(lambda worker: [Died(-9)])

    stage.once(strange)
    assert stage.run().failed == 1
    assert statuses(stage).count("timeout") == 1
    assert any("took longer than 24 h 00 min; taken for hung (--timeout SECONDS" in line for line in stage.lines)


def test_a_process_that_cannot_be_killed_is_left_behind_with_its_jobs(stage, monkeypatch):
    """It waits for a driver, and holds its jobs' locks. Another worker does the rest."""
    stuck = []

    def play(worker):
        if not stuck:
            stuck.append(worker)
            return hang(worker)
        return [] if worker is stuck[0] else stage.do(worker)

    def hang(worker):
        yield begins(stage, worker)
        later(worker, patience.DAY + 1)

    monkeypatch.setattr(runner_module, "GRACE", 0.0)
    stage.play = play
    summary = stage.run(workers=2)
    assert stage.killed == ["cpu"]
    assert statuses(stage).count("timeout") == 1
    assert set(statuses(stage)) == {"ok", "timeout"}
    assert summary.failed == 2  # the training, and that its job was left out
    assert any("hangs in the kernel and cannot be killed; left out" in line for line in stage.lines)
    assert any(line.startswith("going on without a worker on cpu: process") for line in stage.lines)


def test_a_run_that_is_stopped_while_its_only_worker_hangs_in_the_kernel_ends_as_stopped(stage, monkeypatch):
    def hang(worker):
        signal.raise_signal(signal.SIGINT)
        stage.play = lambda worker: []
        yield begins(stage, worker)
        later(worker, patience.DAY + 1)

    monkeypatch.setattr(runner_module, "GRACE", 0.0)
    stage.play = hang
    summary = stage.run()
    assert summary.stopped_by == signal.SIGINT
    assert stage.killed == ["cpu"]
    assert statuses(stage) == ["timeout"]
    assert not any(line.startswith("going on without") for line in stage.lines)


def test_a_death_while_stopping_is_not_replaced(stage):
    def strange(worker):
        signal.raise_signal(signal.SIGINT)
        stage.play = lambda worker: [Died(1)]
        return []

    stage.once(strange)
    summary = stage.run()
    assert summary.stopped_by == signal.SIGINT
    assert stage.started == 1
    assert any(line.startswith("stopping: ") for line in stage.lines)


def test_two_signals_kill_and_exit(stage):
    def strange(worker):
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        return []

    stage.once(strange)
    with pytest.raises(SystemExit) as caught:
        stage.run()
    assert caught.value.code == 143
    assert stage.closed == [True]


def test_the_old_handlers_are_back_afterwards(stage):
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    stage.run()
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_the_estimate_of_a_resumed_run_counts_what_is_missing(stage, monkeypatch):
    totals = []
    real = runner_module.Display
    monkeypatch.setattr(runner_module, "Display", lambda total, *rest: totals.append(total) or real(total, *rest))
    fill(stage.plan, stage.roots)
    search = of_kind(stage.plan, "search")[0]
    stage.roots.store.path(search.record_keys[2]).unlink()
    stage.run()
    assert totals == [1.0]


def test_tail_of_a_log_of_any_sort(tmp_path):
    log = tmp_path / "log"
    assert tail(log) == "(its log cannot be read)"
    log.write_bytes(b"\xff" * 10_000_000 + b"\nlast \x1b[2J line")
    assert tail(log).endswith("\n  last  [2J line")
    assert len(tail(log)) < 500
