"""A run within a budget, with trainings that cost what the test says, on a clock that only they move."""

import dataclasses
import html
from types import SimpleNamespace

import pytest

from bench.commands import budget
from bench.commands.budget import Budgeted, seconds_of
from bench.commands.progress import read_progress
from bench.commands.suites import plan_from_file, recalled, remember
from bench.errors import BenchError
from bench.execute.ledger import Summary
from bench.execute.placement import Placement
from tests.commands.fabricate import record_of

WORKERS = 2
SECONDS = 1.5  # of a worker on each training, of which its record counts 0.5


@pytest.fixture
def stage(place, folders, roots, monkeypatch, capsys):
    """`stage.run(seconds)`; `stage.rounds` has how many repeats each round was about."""
    made = SimpleNamespace(now=1000.0, rounds=[], roots=roots, blocked=set(), slow=1.0)
    made.plan = plan_from_file(place / "suites" / "small.yaml", ["repeats=20", "search.scope=repeat"], folders)
    monkeypatch.setattr(budget.time, "monotonic", lambda: made.now)

    def train(part, deadline):
        made.rounds.append(len(part.cells[0].finals))
        summary = Summary()
        for job in part.jobs.values():
            store = roots.shared if job.kind == "pretrain" else roots.store
            for number, key in enumerate(job.record_keys):
                if store.read(key) is not None or job.kind in made.blocked:
                    continue
                if made.now >= deadline:
                    return dataclasses.replace(summary, is_out_of_time=True)
                store.write(record_of(job, number, key, roots))
                made.now += SECONDS * made.slow / WORKERS
                summary.trainings += 1
                summary.seconds += SECONDS * made.slow
        return summary

    def run(seconds):
        made.began = made.now
        look = lambda plan: read_progress(plan, roots)  # noqa: E731
        deadline = made.now + seconds
        budgeted = Budgeted(made.plan, WORKERS, deadline, look, lambda part: train(part, deadline), {"any": 1e-6})
        summary, whole = budgeted.run()
        made.took = made.now - made.began
        made.said = capsys.readouterr().err
        return summary, whole

    made.run = run
    return made


def per_repeat(plan):
    """Trainings of one more repeat."""
    return sum(len(job.record_keys) for job in plan.repeats(2).jobs.values()) - sum(
        len(job.record_keys) for job in plan.repeats(1).jobs.values())  # fmt: skip


def finals(plan, roots):
    """Results of each cell."""
    return {(cell.task, cell.strategy): sum(roots.store.read(key) is not None for key in cell.finals)
            for cell in plan.cells}  # fmt: skip


def test_as_many_whole_repeats_as_fit(stage):
    """One repeat comes alone, then half of those that fit, and so on."""
    one = per_repeat(stage.plan) * SECONDS / WORKERS
    _, whole = stage.run(7.5 * one)
    assert whole == 7
    assert stage.rounds == [1, 4, 5, 6, 7]
    assert set(finals(stage.plan, stage.roots).values()) == {7}
    assert 6.9 * one < stage.took < 7.5 * one
    assert "7 of 20 repeats of all cells are whole" in stage.said
    assert "an hour more gives 13 more" in stage.said


def test_what_is_measured_is_told_before_it_starts(stage):
    one = per_repeat(stage.plan) * SECONDS / WORKERS
    stage.run(2.5 * one)
    assert "guessed from a short measurement" in stage.said
    stage.run(4.5 * one)
    assert "of 20 repeats of all cells fit" in stage.said
    assert "are left out" in stage.said
    assert "guessed" not in stage.said
    assert len(set(finals(stage.plan, stage.roots).values())) == 1


def test_a_machine_that_becomes_slower_ends_in_time(stage):
    one = per_repeat(stage.plan) * SECONDS / WORKERS
    stage.run(1.5 * one)
    stage.slow = 3.0
    _, whole = stage.run(6.5 * one)
    assert 6 * one <= stage.took < 6.5 * one  # two repeats, three times as long
    assert whole == 3


def test_not_even_one_repeat_fits(stage):
    one = per_repeat(stage.plan) * SECONDS / WORKERS
    summary, whole = stage.run(0.5 * one)
    assert (whole, summary.is_out_of_time) == (0, True)
    assert stage.took < 0.5 * one + SECONDS


def test_all_that_is_left_fits(stage):
    stage.run(1e6)
    assert stage.rounds == [1, 20]
    assert stage.run(1e6)[1] == 20
    assert "all that is left fits" in stage.said


def test_what_would_not_fit_twice_comes_in_halves(stage):
    one = per_repeat(stage.plan) * SECONDS / WORKERS
    stage.run(30 * one)
    assert stage.rounds[:2] == [1, 10]


def test_what_cannot_be_made_ends_the_run(stage):
    """Searches have no finals, as where a worker gives up on them."""
    stage.blocked = {"final"}
    assert stage.run(1e6)[1] == 0
    assert stage.rounds[-2] == stage.rounds[-1]  # which made nothing
    assert len(stage.rounds) == 3


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("30m", 1800), ("1.5h", 5400), ("8gpuh", 4 * 3600)])
def test_budgets(text, seconds):
    assert seconds_of(text, Placement(("cuda:0",) * 4, num_gpus=2)) == seconds


@pytest.mark.parametrize(("text", "why"), [
    ("8gpuh", "uses no GPU"), ("2", "expected a time"), ("0h", "expected a time"), ("-1h", "expected a time"),
    ("1e15flop", "expected a time"), ("two hours", "expected a time"),
])  # fmt: skip
def test_what_is_no_budget(text, why):
    with pytest.raises(BenchError, match=why):
        seconds_of(text, Placement(("cpu",)))


def test_what_a_budget_does_not_go_with(bench):
    assert bench("run", "suites/small.yaml", "--budget", "1h", "--shard", "1/2").code == 2
    assert bench("run", "suites/small.yaml", "--budget", "1h", "--rerun", "all").code == 2


def test_the_page_is_of_the_repeats_that_are_whole(bench, place, folders, roots):
    """As if the suite had asked for no more, for every command that knows it by its name."""
    plan = plan_from_file(place / "suites" / "small.yaml", ["repeats=5"], folders)
    fewer = plan_from_file(place / "suites" / "small.yaml", ["repeats=3"], folders)
    assert fewer.jobs.keys() == plan.repeats(3).jobs.keys()
    jobs = [*plan.repeats(3).jobs.values(), next(job for key, job in plan.jobs.items() if key not in fewer.jobs)]
    for job in jobs:  # of a fourth repeat one thing is there too
        store = roots.shared if job.kind == "pretrain" else roots.store
        for number, key in enumerate(job.record_keys):
            store.write(record_of(job, number, key, roots))
    ended = bench("run", "suites/small.yaml", "--set", "repeats=5", "--budget", "1s")
    assert ended.code == 0, ended.err
    assert "3 of 5 repeats of all cells are whole" in ended.err
    results = recalled("small", folders)
    assert results.loaded.suite.repeats == 3
    assert {len(cell.finals) for cell in results.cells} == {3}
    for command in (None, "report"):
        if command:
            assert bench(command, "small").code == 0
        said = html.unescape(folders.report("small").read_text())
        assert "had room for 3 of the suite's 5 repeats" in said
        assert "missing: the numbers below are not final" not in said
    assert bench("status", "small").code == 0
    remember(plan, ["repeats=5"], folders)  # as a run without a budget does
    assert recalled("small", folders).loaded.suite.repeats == 5
