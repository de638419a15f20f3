"""When a worker is taken for hung: never soon, and in words that say what to do about it."""

import dataclasses

import pytest

from bench.execute.executor import Announced
from bench.execute.patience import DAY, FACTOR, SILENCE, Patience
from tests.execute.plans import of_kind, record_of, tiny_plan


@pytest.fixture(scope="module")
def searches_and_finals(tmp_path_factory):
    plan, roots, _ = tiny_plan(tmp_path_factory.mktemp("plan"))
    return of_kind(plan, "search"), of_kind(plan, "final"), roots


@pytest.fixture(scope="module")
def job(searches_and_finals):
    return searches_and_finals[0][0]


@pytest.fixture(scope="module")
def at(searches_and_finals):
    """What a worker has announced at time 0: `together` of that job, 0 for what comes before the first step."""
    (job, *_), _, roots = searches_and_finals
    return lambda together: Announced((record_of(job, roots, status="crashed"),), together, since=0.0)


def first_limit(patience, job, announced):
    """The whole seconds after which the worker is ended."""
    low, high = 0, 10**9
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if patience.exceeded(job, announced, middle) else (middle, high)
    return low


@pytest.mark.parametrize("together", [0, 1, 9])
def test_all_that_is_announced_has_a_day(job, at, together):
    assert first_limit(Patience(lambda job: 1e9), job, at(together)) == DAY


def test_before_anything_is_announced_half_an_hour_is_enough(job):
    assert first_limit(Patience(lambda job: 1e9), job, Announced(since=0.0)) == SILENCE < DAY


def test_a_measured_training_can_only_raise_the_limit(searches_and_finals, at):
    """A probe on kept features is a thousand times quicker than the same network as a whole."""
    (probe, *_), (final, *_), _ = searches_and_finals
    patience = Patience(lambda job: {"search": 1000.0, "final": 2000.0}[job.kind])
    patience.note(probe, 1, 0.2)
    assert first_limit(patience, final, at(1)) == DAY
    for seconds in (5000, 80_000, 100):  # the slowest counts
        patience.note(probe, 1, seconds)
    assert first_limit(patience, probe, at(1)) == pytest.approx(FACTOR * 80_000, abs=1)
    assert first_limit(patience, final, at(1)) == pytest.approx(FACTOR * 160_000, abs=1)  # it has twice the work
    assert first_limit(patience, probe, at(8)) == pytest.approx(FACTOR * 640_000, abs=1)
    patience.note(probe, 8, 800_000)  # a fleet of eight
    assert first_limit(patience, probe, at(1)) == pytest.approx(FACTOR * 100_000, abs=1)


def test_another_network_tells_nothing(searches_and_finals, at):
    (job, *_), _, _ = searches_and_finals
    backbone = dataclasses.replace(job.spec.backbone, name="another")
    other = dataclasses.replace(job, spec=dataclasses.replace(job.spec, backbone=backbone))
    patience = Patience(lambda job: 1000.0)
    patience.note(other, 1, 80_000)
    assert first_limit(patience, job, at(1)) == DAY


def test_what_struck_is_told_with_its_remedy(job, at):
    patience, ways = Patience(lambda job: 1.0), "(--timeout SECONDS limits trainings, 0 lifts all limits)"
    assert patience.exceeded(job, at(1), DAY + 1) == f"took longer than 24 h 00 min; taken for hung {ways}"
    before = f"took longer than 24 h 00 min before its first step; taken for hung {ways}"
    assert patience.exceeded(job, at(0), DAY + 1) == before
    assert patience.exceeded(job, Announced(since=0.0), SILENCE + 1).startswith("took longer than 30 min 00 s before")
    assert Patience(lambda job: 1.0, 5.0).exceeded(job, at(3), 16) == "took longer than --timeout 5 s"


def test_the_limit_of_a_person_holds_for_trainings_and_for_nothing_that_comes_before_or_between(job, at):
    patience = Patience(lambda job: 1e9, 5.0)
    assert first_limit(patience, job, at(3)) == 15
    assert first_limit(patience, job, at(0)) == DAY
    assert first_limit(patience, job, dataclasses.replace(at(3), is_paused=True)) == DAY


@pytest.mark.parametrize("together", [0, 1, 9])
def test_0_lifts_every_limit(job, at, together):
    assert Patience(lambda job: 1.0, 0.0).exceeded(job, at(together), 1e12) == ""
    assert Patience(lambda job: 1.0, 0.0).exceeded(job, Announced(since=0.0), 1e12) == ""


def test_a_pause_starts_the_clock_anew_and_keeps_who_would_be_blamed(at):
    announced = at(3)
    paused = announced.paused(True)
    assert (paused.under_way, paused.company, paused.records) == (0, 3, announced.records)
    over = paused.paused(False)
    assert (over.under_way, over.company) == (3, 3)
    assert over.since >= paused.since > announced.since


def test_what_comes_after_the_last_record_is_no_trainings(at):
    announced = at(2)
    assert announced.without("another's") == announced
    left = announced.without(announced.records[0].key)
    assert (left.records, left.company, left.under_way) == ((), 0, 0)
    assert left.since > announced.since
