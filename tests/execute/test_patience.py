"""When a worker is taken for hung: never soon, and in words that say what to do about it."""

import pytest

from bench.execute.patience import FACTOR, LEAST, SETUP, UNKNOWN, Patience
from tests.execute.plans import of_kind, tiny_plan


@pytest.fixture(scope="module")
def jobs(tmp_path_factory):
    plan, _, _ = tiny_plan(tmp_path_factory.mktemp("plan"))
    return of_kind(plan, "search")[0], of_kind(plan, "final")[0]


def first_limit(patience, job, together=1):
    """The whole seconds after which the trainings are ended."""
    low, high = 0, 10**9
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if patience.exceeded(job, together, middle) else (middle, high)
    return low


def test_nothing_is_ended_before_half_an_hour(jobs):
    assert first_limit(Patience(lambda job: 1.0), jobs[0]) == LEAST


def test_until_something_is_measured_a_pass_may_take_two_seconds(jobs):
    assert first_limit(Patience(lambda job: 1e5), jobs[0]) == FACTOR * UNKNOWN * 1e5 == 2e5


def test_then_the_slowest_training_of_this_network_decides(jobs):
    patience = Patience(lambda job: {"search": 1000.0, "final": 2000.0}[job.kind])
    for seconds in (300, 600, 100):
        patience.note(jobs[0], 1, seconds)
    assert first_limit(patience, jobs[0]) == pytest.approx(FACTOR * 600, abs=1)
    assert first_limit(patience, jobs[1]) == pytest.approx(FACTOR * 1200, abs=1)  # it has twice the work
    assert first_limit(patience, jobs[0], together=4) == FACTOR * UNKNOWN * 1000 * 4  # a fleet says for itself
    patience.note(jobs[0], 4, 8000)
    assert first_limit(patience, jobs[0], together=8) == pytest.approx(FACTOR * 16_000, abs=1)


def test_what_struck_is_told_with_its_reason_and_its_remedy(jobs):
    patience = Patience(lambda job: 1000.0)
    patience.note(jobs[0], 1, 600)
    assert patience.exceeded(jobs[0], 1, 12_001) == (
        "took longer than 3 h 20 min, when 10 min 00 s were expected; taken for hung "
        "(--timeout SECONDS sets the limit, 0 lifts it)"
    )
    assert patience.exceeded(jobs[0], 0, SETUP + 1).startswith("took longer than 24 h 00 min before its first step; ")
    assert Patience(lambda job: 1.0, 5.0).exceeded(jobs[0], 3, 16) == "took longer than --timeout 5 s"


def test_the_limit_of_a_person_holds_for_trainings_and_leaves_time_for_what_comes_before(jobs):
    assert first_limit(Patience(lambda job: 1e9, 5.0), jobs[0], 3) == 15
    assert first_limit(Patience(lambda job: 1e9, 5.0), jobs[0], 0) == LEAST
    assert first_limit(Patience(lambda job: 1e9, 3600.0), jobs[0], 0) == FACTOR * 3600


@pytest.mark.parametrize("together", [0, 1, 9])
def test_0_lifts_every_limit(jobs, together):
    assert Patience(lambda job: 1.0, 0.0).exceeded(jobs[0], together, 1e12) == ""
