"""How much there is to do: what estimates of the time left rest on."""

import dataclasses

import pytest

from bench.planning.halving import cohorts, num_kept, rung_shares, rungs, step_share, steps_taken, trials_within
from bench.planning.work import Estimator
from bench.spec.refs import Search

from .conftest import SMALL

SEARCH = Search(8, "grid", "halving", 2 / 9, 1e-3, 1.0, 5e-4, None, None, 0, 0.2)
HALVED = SMALL.replace("trials: 3", "trials: 3, sampler: grid, pruner: halving")
BOTH_ROUNDS = 20 * 8  # steps x batch
TEST = 5 * 103  # evaluations x images


def work_of(made, strategy, kind, **options):
    cell = next(cell for cell in made.cells if cell.strategy == strategy)
    return Estimator(made.sources, **options).work(made.jobs[cell.finals[0] if kind == "final" else cell.searches[0]])


def test_halving_by_hand():
    # 8 trials to step 44, 3 on to 133, 2 on to 200
    assert rungs(SEARCH, 200) == [44, 133, 200]
    assert [num_kept(8, rung) for rung in range(2)] == [3, 2]
    assert [num_kept(num, 2) for num in (1, 2, 3, 100)] == [1, 2, 2, 4]
    assert step_share(SEARCH, 200) == pytest.approx((8 * 44 + 3 * 89 + 2 * 67) / 1600)
    assert rung_shares(2 / 9) == pytest.approx([2 / 9, 2 / 3])


def test_each_half_of_tpe_is_a_race_of_its_own():
    search = dataclasses.replace(SEARCH, sampler="tpe")
    assert cohorts(search) == [range(4), range(4, 8)]
    assert step_share(search, 200) == pytest.approx(2 * (4 * 44 + 2 * 89 + 2 * 67) / 1600)


def test_a_bracket_is_asked_in_threes():
    assert cohorts(dataclasses.replace(SEARCH, sampler="bracket", pruner="none")) == [
        range(3), range(3, 6), range(6, 8)
    ]  # fmt: skip


@pytest.mark.parametrize(("budget", "trials"), [(1, 1), (200, 1), (299, 1), (400, 2), (444, 3), (466, 3), (540, 5)])
def test_so_many_trials_as_come_nearest_to_a_number_of_steps(budget, trials):
    """3 trials take 444 steps, 4 take 488, 5 take 532; a tie goes to the fewer."""
    search = SEARCH
    assert trials_within(search, 200, budget) == trials
    away = [abs(steps_taken(dataclasses.replace(search, trials=n), 200) - budget) for n in range(1, 20)]
    assert away[trials - 1] == min(away)


@pytest.mark.parametrize("sampler", ["bracket", "grid", "tpe", "random"])
@pytest.mark.parametrize("trials", [1, 2, 7])
def test_without_halving_every_step_is_taken(sampler, trials):
    search = dataclasses.replace(SEARCH, sampler=sampler, trials=trials, pruner="none", first_rung=1.0)
    assert rungs(search, 200) == [200]
    assert step_share(search, 200) == 1


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_few_steps_leave_fewer_rungs(steps):
    ends = rungs(SEARCH, steps)
    assert ends == sorted(set(ends))
    assert ends[-1] == steps
    assert 0 < step_share(SEARCH, steps) <= 1


def test_the_estimate_counts_images_through_what_is_not_computed_once(plan):
    made = plan()
    assert work_of(made, "full_finetune", "final") == BOTH_ROUNDS * 3 + TEST
    assert work_of(made, "linear_probe", "final") == pytest.approx(BOTH_ROUNDS * 3 / 6 + TEST / 6)
    assert work_of(made, "linear_probe", "final", partition=False) == pytest.approx(BOTH_ROUNDS * (1 + 2 / 6) + TEST)
    pretraining = next(job for job in made.jobs.values() if job.kind == "pretrain")
    assert Estimator(made.sources).work(pretraining) == 60 * 3


def test_what_was_trained_before_is_not_computed_once(plan):
    """Gradual unfreezing from the head on: each phase runs what it trains, and no phase freezes anew."""
    made = plan(SMALL.replace("full_finetune]", "gradual_unfreeze]"))
    phases = [3 * share * (n + 1) / 6 for n, share in enumerate([*[0.4 / 5] * 5, 0.6])]
    assert work_of(made, "gradual_unfreeze", "final") == pytest.approx(BOTH_ROUNDS * sum(phases) + TEST)


@pytest.mark.parametrize(("augment", "forward"), [
    ("{shift: 1}", 1), ("{shift: 1, flip: true}", 1), ("{shift: 1, views: 4}", 1 / 6), ("{flip: true}", 1 / 6),
    ("{crop: 0.5}", 1), ("{crop: 0.5, views: 4}", 1 / 6),
])  # fmt: skip
def test_images_that_change_anew_meet_frozen_parts_in_every_step(plan, augment, forward):
    made = plan(SMALL.replace("batch_size: 8", f"batch_size: 8, augment: {augment}"))
    assert work_of(made, "linear_probe", "final") == pytest.approx(BOTH_ROUNDS * (forward + 2 / 6) + TEST / 6)


def test_a_trial_is_an_average_one_of_its_search(plan):
    # 3 trials to step 4, 2 on to 13 and to 20; 3 folds
    assert work_of(plan(HALVED), "full_finetune", "search") == pytest.approx((3 * 4 + 2 * 9 + 2 * 7) / 3 * 8 * 3 * 3)
    assert work_of(plan(), "full_finetune", "search") == BOTH_ROUNDS * 3 * 3


def test_a_closed_form_takes_no_steps(plan):
    made = plan(SMALL.replace("full_finetune]", "full_finetune, ridge_probe]"))
    assert 0 < work_of(made, "ridge_probe", "search") < work_of(made, "ridge_probe", "final") <= (60 + 103) / 6


@pytest.mark.parametrize(("strategy", "share"), [("full_finetune", 1), ("linear_probe", 1 / 6), ("ridge_probe", 1 / 6)])
def test_a_further_split_is_scored_once_by_a_final(plan, strategy, share):
    made = plan(SMALL.replace("full_finetune]", "full_finetune, ridge_probe]"))
    sources = {
        key: dataclasses.replace(one, facts=dataclasses.replace(one.facts, num_shift=48))
        for key, one in made.sources.items()
    }
    further = dataclasses.replace(made, sources=sources)
    more = [work_of(further, strategy, kind) - work_of(made, strategy, kind) for kind in ("final", "search")]
    assert more == pytest.approx([48 * share, 0])


def test_a_trial_that_is_known_counts_its_own_steps(plan):
    made = plan()
    search = next(job for job in made.jobs.values() if job.kind == "search")
    assert Estimator(made.sources).work(search, steps=4) == 4 * 8 * 3 * 3
