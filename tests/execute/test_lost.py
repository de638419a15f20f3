"""Machines that go away with their workers, played: no training is to blame, unless it happens again and again."""

import pytest

from bench.execute.executor import Died, NoRoom, NoWorkers
from bench.execute.runner import LOSSES
from tests.execute.played import Played, begins, statuses
from tests.execute.running import TRAININGS

GONE = Died(None, lost="lost node-7: it does not answer")


def test_a_lost_machine_is_no_trainings_fault(stage):
    def strange(worker):
        yield begins(stage, worker)
        yield GONE

    stage.once(strange)
    summary = stage.run()
    assert (summary.trainings, summary.failed) == (TRAININGS, 0)
    assert set(statuses(stage)) == {"ok"}
    assert any("lost node-7: it does not answer; handed out again" in line for line in stage.lines)


def test_what_came_before_the_loss_stays(stage):
    def strange(worker):
        yield from list(stage.do(worker))[:-1]
        yield GONE

    stage.once(strange, kind="search")
    assert stage.run().trainings == TRAININGS
    assert set(statuses(stage)) == {"ok"}


def test_a_job_that_takes_one_machine_after_another_along_is_treated_as_a_crash(stage):
    losses = []

    def play(worker):
        if worker.bundle.jobs[0].kind == "pretrain" and len(losses) < 2 * LOSSES:
            losses.append(worker)
            yield begins(stage, worker)
            yield GONE
        else:
            yield from stage.do(worker)

    stage.play = play
    assert stage.run().failed == 1
    assert len(losses) == LOSSES
    record = next(iter(stage.roots.shared.scan()[0].values()))
    assert (record.status, record.error) == (
        "crashed", "lost node-7: it does not answer, as 2 others before in the same job"
    )  # fmt: skip


@pytest.fixture
def full(monkeypatch):
    """No machine is free for a worker whose own is gone."""

    def replace(pool, worker):
        raise NoRoom

    monkeypatch.setattr(Played, "replace", replace)


def test_others_go_on_where_there_is_no_room_for_another(stage, full):
    stage.once(lambda worker: [GONE])
    assert stage.run(workers=2).trainings == TRAININGS
    assert any("going on without a worker on cpu: lost node-7" in line for line in stage.lines)


def test_the_last_one_to_go_ends_the_run(stage, full):
    stage.play = lambda worker: [GONE]
    with pytest.raises(NoWorkers, match="no worker lives long enough to train: lost node-7"):
        stage.run(workers=2)
