"""Machines that go away with their workers, played: no training is to blame, unless it happens again and again."""

import pytest

from bench.execute import runner
from bench.execute.executor import Died, NoWorkers
from bench.execute.runner import LOSSES, VAIN_STARTS
from tests.execute.played import begins, statuses
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


@pytest.mark.parametrize(("apart", "lost", "failed"), [(0.0, LOSSES, 1), (60.0, 2 * LOSSES, 0)])
def test_a_job_that_takes_one_machine_after_another_along_is_treated_as_a_crash(
    stage, monkeypatch, apart, lost, failed
):
    """Unless they all go at about the same time."""
    monkeypatch.setattr(runner, "APART", apart)
    losses = []

    def play(worker):
        if worker.bundle.jobs[0].kind == "pretrain" and len(losses) < 2 * LOSSES:
            losses.append(worker)
            yield begins(stage, worker)
            yield GONE
        else:
            yield from stage.do(worker)

    stage.play = play
    assert stage.run().failed == failed
    assert len(losses) == lost
    record = next(iter(stage.roots.shared.scan()[0].values()))
    why = "lost node-7: it does not answer, as 2 others before in the same job"
    assert (record.status, record.error) == (("crashed", why) if failed else ("ok", None))


def test_places_whose_machines_go_away_one_after_another_are_given_up(stage):
    """Each before it trained anything."""
    stage.play = lambda worker: [GONE] if worker.setup.log.name == "worker-1.log" else stage.do(worker)
    assert stage.run(workers=2).trainings == TRAININGS
    assert stage.started == 1 + VAIN_STARTS
    assert any("going on without a worker on cpu: lost node-7" in line for line in stage.lines)


def test_the_last_one_to_go_ends_the_run(stage):
    stage.speakers = lambda pool: list(pool.workers)  # idle ones too
    stage.play = lambda worker: [GONE]
    with pytest.raises(NoWorkers, match="no worker lives long enough to train: lost node-7"):
        stage.run()
