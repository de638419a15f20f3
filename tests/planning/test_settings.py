"""How a recipe changes what a suite says of searches."""

import math

import pytest

from bench import strategies
from bench.planning.halving import steps_taken
from bench.planning.titles import titles_of
from bench.spec.spans import Varied, choices, log
from tests.planning.conftest import SMALL

HALVED = SMALL.replace("trials: 3", "trials: 3, sampler: grid, pruner: halving")
EQUAL = HALVED.replace("trials: 3", "trials: 8, budget: steps").replace("steps: 20", "steps: 180")


@pytest.mark.parametrize(("name", "opening"), [("full_finetune", 0.0), ("lp_ft", 0.5), ("gradual_unfreeze", 0.4 / 5)])
def test_trials_are_first_compared_when_the_second_phase_is_under_way(plan, name, opening):
    """A rate that is best while the head alone learns may be the worst for what comes after."""
    made = plan(HALVED.replace("full_finetune]", f"{name}]"))
    (search,) = {job.spec.search for job in made.jobs.values() if job.kind == "search" and job.spec.repeat == 0
                 and job.spec.recipe == recipe_of(name)}  # fmt: skip
    assert search.first_rung == pytest.approx(opening + (1 - opening) * 2 / 9)
    assert search.first_rung > opening


def test_equal_steps_instead_of_equal_trials(plan):
    """Who is halved less gets fewer trials: those whose number of steps is nearest to that of 8 trials of one phase."""
    lists = "full_finetune, linear_probe, lp_ft, soup, ridge_probe, scratch_long"
    made = plan(EQUAL.replace("scratch, linear_probe, full_finetune", lists))
    found = {cell.strategy: made.jobs[cell.searches[0]].spec for cell in made.cells}
    # 8 trials to step 40, 3 on to 120, 2 on to 180
    budget = 8 * 40 + 3 * 80 + 2 * 60
    assert (found["full_finetune"].search.trials, found["linear_probe"].search.trials) == (8, 8)
    # lp_ft: the first rung lies at 1/2 + 1/2 * 2/9; 5 trials to 110, 2 on to 180: 690
    assert found["lp_ft"].search.trials == 5
    assert found["soup"].search.trials == round(budget / 180) == 4
    assert found["scratch_long"].search.trials < 3
    assert found["ridge_probe"].search.trials == 8  # takes no steps
    for name in ("lp_ft", "soup", "scratch_long"):
        spec = found[name]
        taken = steps_taken(spec.search, spec.training.steps)
        assert abs(taken - budget) <= spec.training.steps / 2, name


def test_finals_of_all_points_are_jobs_of_their_own(plan):
    plain, made = plan(), plan(SMALL.replace("trials: 3", "trials: 3, finals: all"))
    keys = [[(cell.searches, cell.finals) for cell in one.cells] for one in (plain, made)]
    assert keys[0] == keys[1]
    assert {cell.unchosen for cell in plain.cells} == {()}
    for cell in made.cells:
        assert len(cell.unchosen) == 2
        for key, final in zip(cell.unchosen, cell.finals, strict=True):
            job = made.jobs[key]
            assert (job.kind, job.needs, len(job.record_keys)) == ("unchosen", made.jobs[final].needs, 2)
            assert job.spec.training.evaluations == 1
    part = made.select(["strategy=scratch", "budget=4"])
    assert {job.kind for job in part.jobs.values()} == {"search", "final", "unchosen"}
    # 6 cells of 2 repeats, of which each has 2 points that are not chosen
    assert made.num_trainings == plain.num_trainings + 6 * 2 * 2
    soup = plan(SMALL.replace("trials: 3", "trials: 3, finals: all").replace("full_finetune]", "soup]"))
    assert [cell.unchosen for cell in soup.cells if cell.strategy == "soup"] == [(), ()]


def test_options_that_are_searched_are_in_label_key_and_plan(plan):
    asked = "{l2_sp: {alpha: {search: [0.01, 1]}, beta: 0.05}}, {lora: {search: default}}, l2_sp"
    made = plan(SMALL.replace("scratch, linear_probe, full_finetune", asked))
    specs = {cell.strategy: made.jobs[cell.searches[0]].spec for cell in made.cells}
    assert list(specs) == ["l2_sp(alpha=0.01..1, beta=0.05)", "lora(rank=2|4|8|16)", "l2_sp"]
    first, second, third = specs.values()
    assert first.varied == Varied("l2_sp", {"beta": 0.05, "pulled": "weights"}, (("alpha", log(0.01, 1)),))
    assert first.recipe.penalty.alpha == pytest.approx(0.1)  # the middle
    assert second.varied.spans == (("rank", choices(2, 4, 8, 16)),)
    assert second.varied.options == {"alpha": 8.0, "targets": "auto"}
    assert third.varied is None
    assert {spec.search.trials for spec in specs.values()} == {3}
    assert len({cell.searches for cell in made.cells}) == len(made.cells)


@pytest.mark.parametrize(("strategy", "told"), [
    ("{l2_sp: {alpha: {search: [1, 0.1]}}}", "option 'alpha' of strategy 'l2_sp': search: expected two numbers"),
    ("{l2_sp: {alpha: {search: [-1, 1]}}}", "option 'alpha' of strategy 'l2_sp': search: a logarithmic range begins"),
    ("{l2_sp: {alpha: {search: {range: [-1, 1], scale: linear}}}}", "'l2_sp': expected greater than or equal to 0"),
    ("{knn: {k: {search: [1, 5]}}}", "strategy 'knn' has no option 'k'"),
    ("{intermediate: {dataset: tiny, epochs: {search: [1, 3]}}}", "'intermediate' cannot be searched"),
    ("{lora: {rank: {search: [1, 2000]}}}", "option 'rank' of strategy 'lora': expected less than or equal to 1024"),
    ("{lora: {alpha: {search: default}}}", "this option has no default range"),
    ("{lora: {ranks: {search: default}}}", "has no option 'ranks'; did you mean 'rank'?"),
    ("{lora: {targets: {search: {choices: [all, none]}}}}", "option 'targets' of strategy 'lora': expected 'auto'"),
    ("{lp_ft: {probe: {search: [0.2, 0.8]}}}", "'probe' of strategy 'lp_ft' cannot be searched: it decides what"),
    ("{full_finetune: {search: default}}", "it has none"),
])  # fmt: skip
def test_options_that_cannot_be_searched_so(refused, strategy, told):
    """Told at the place where it stands."""
    lines = refused(SMALL.replace("full_finetune]", f"{strategy}]"))
    assert any(told in line for line in lines), lines
    assert all("strategies[2]" in line for line in lines)


def recipe_of(name):
    entry = strategies.find(name)
    return entry.build(entry.options(), 6)


def test_epochs_of_the_source_s_labels_follow_from_its_images_and_trials_hold_nothing_out(plan):
    text = SMALL.replace("scratch, linear_probe, full_finetune", "source_only").replace("steps: 20", "epochs: 3")
    made = plan(text.replace("dataset: tiny, options: {shade: 1}", "dataset: near, options: {seed: 1}").replace(
        "name: tiny", "name: near"))
    assert len({key for cell in made.cells for key in cell.finals}) == 2, "budgets share them"
    specs = [made.jobs[key].spec for cell in made.cells for key in cell.finals]
    assert {spec.training.steps for spec in specs} == {3 * math.ceil(2000 / 8)}
    assert {(spec.search.folds, spec.search.holdout) for spec in specs} == {(0, 0.0)}


def test_epochs_of_a_number_of_images_that_is_not_known_are_refused(refused):
    [problem] = refused(SMALL.replace("linear_probe", "source_only").replace("steps: 20", "epochs: 3"))
    assert "'source_only' learns images of the source of 'toy_conv (tiny)'" in problem
    assert problem.endswith("how many there are is not known: give `steps` instead")


def test_pretrainings_of_one_backbone_are_told_apart_by_their_titles(plan):
    way = "{intermediate: {dataset: near, then: [{dataset: mid}]}}"
    made = plan(SMALL.replace("full_finetune", way).replace("epochs: 1}", "epochs: 1, seeds: per_repeat}"))
    found = {text for key, text in titles_of(made).items() if made.jobs[key].kind == "pretrain"}
    assert len(found) == sum(job.kind == "pretrain" for job in made.jobs.values()) == 6
    assert "pretraining toy_conv (tiny) · then near, then mid, repeat 1" in found
