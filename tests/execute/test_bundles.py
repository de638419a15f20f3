"""What is handed out next, and what that costs."""

from types import SimpleNamespace

import pytest

from bench.execute import bundles as bundles_module
from bench.execute.bundles import Backlog
from tests.execute.running import TRAININGS

ORDER = "pretrain", "final", "search", "unchosen"


def job(key, kind="search", needs=()):
    return SimpleNamespace(key=key, kind=kind, needs=needs)


def taken(backlog, now=0.0):
    """The keys of all that is ready."""
    handed = iter(lambda: backlog.take(now), None)
    return ["".join(one.key for one in bundle.jobs) for bundle in handed]


@pytest.fixture
def backlog():
    """Three searches, of which two may train together, and a final of each; with the jobs by key."""
    jobs = {key: job(key) for key in "abc"}
    jobs |= {key: job(key, "final", (need,)) for key, need in zip("def", "abc", strict=True)}
    return Backlog(jobs.values(), [tuple(jobs[key] for key in group) for group in ("ac", "b", "df", "e")]), jobs


def test_kinds_have_their_turns_and_within_them_the_plan_has():
    jobs = [job(f"{kind}{number}", kind) for number in range(2) for kind in reversed(ORDER)]
    turns = [f"{kind}{number}" for kind in ORDER for number in range(2)]
    assert taken(Backlog(jobs, [(one,) for one in jobs])) == turns


def test_a_group_goes_together_at_the_turn_of_its_first(backlog):
    left, jobs = backlog
    assert taken(left) == ["ac", "b"]
    left.remove(jobs["c"], is_usable=True)
    assert taken(left) == []  # f waits for d
    for key in "ba":
        left.remove(jobs[key], is_usable=True)
    assert taken(left) == ["df", "e"]


def test_a_group_goes_without_one_that_never_can(backlog):
    left, jobs = backlog
    taken(left)
    left.remove(jobs["c"], is_usable=True)
    left.remove(jobs["a"], is_usable=False)
    assert taken(left) == ["f"]


def test_the_turn_of_a_job_that_went_along_brings_no_other_forward():
    """b goes along with a. Its turn comes before that of c, and must not be taken by d."""
    a, b, c, d = jobs = [job(key) for key in "abcd"]
    left = Backlog(jobs, [(a, b, d), (c,)])
    assert left.take(0.0).jobs == (a, b, d)
    left.put(d)
    assert taken(left) == ["c", "d"]


def test_users_of_what_failed_are_never_handed_out(backlog):
    left, jobs = backlog
    taken(left)
    left.remove(jobs["a"], is_usable=False)
    assert taken(left) == []
    assert set(left.left) == set("bcdef")


def test_a_job_that_another_runner_holds_has_its_turn_later(backlog):
    left, jobs = backlog
    taken(left)
    left.put_off(jobs["a"], until=1.0)
    assert taken(left, now=0.9) == []
    assert taken(left, now=1.0) == ["a"]
    assert left.waiting == {"a"}
    left.remove(jobs["a"], is_usable=True)
    assert not left.waiting


def test_separate_jobs_go_alone(backlog):
    left, jobs = backlog
    bundle = left.take(0.0)
    left.separate(bundle.jobs)
    for one in bundle.jobs:
        left.put(one)
    assert [(one.jobs, one.alone) for one in iter(lambda: left.take(0.0), None)] == [
        ((jobs["a"],), True), ((jobs["b"],), False), ((jobs["c"],), True),
    ]  # fmt: skip


def test_a_run_looks_for_the_group_of_each_job_once(stage, monkeypatch):
    digested, digest = [], bundles_module.digest
    monkeypatch.setattr(bundles_module, "digest", lambda value: digested.append(digest(value)) or digested[-1])
    assert stage.run().trainings == TRAININGS
    assert 0 < len(digested) <= len(stage.plan.jobs)


class Counted:
    """A job that counts how often anybody asks for its key."""

    kind, needs, asked = "search", (), 0

    def __init__(self, number):
        self.number = number

    @property
    def key(self):
        Counted.asked += 1
        return str(self.number)


def test_twice_the_plan_costs_twice_as_much():
    def cost(number):
        jobs = [Counted(one) for one in range(number)]
        backlog = Backlog(jobs, zip(jobs[::2], jobs[1::2], strict=True))
        Counted.asked = 0
        while (bundle := backlog.take(0.0)) is not None:
            for one in bundle.jobs:
                backlog.remove(one, is_usable=True)
        assert not backlog.left
        return Counted.asked

    assert cost(400) == 2 * cost(200)
