"""What a suite comes to: its cells, their jobs, who shares what, and that every strategy gets the same chances."""

import math

import pytest

from bench import datasets
from bench.datasets.base import DatasetEntry, DatasetFacts
from bench.engine.common.labels import labelled
from bench.errors import BenchError, NothingSelected
from bench.planning.titles import titles_of
from bench.spec.recipe import StopEarly
from bench.strategies.entry import Axis
from tests.conftest import TinyOptions, tiny_load
from tests.planning.conftest import SMALL

SWEEP = SMALL.replace("[scratch, linear_probe, full_finetune]", "[{freeze: {upto: all}}, linear_probe, full_finetune]")


def cells(plan, **axes):
    return [cell for cell in plan.cells if all(getattr(cell, axis) == value for axis, value in axes.items())]


def finals(plan):
    return [job for job in plan.jobs.values() if job.kind == "final"]


def specs(plan):
    return [job.spec for job in plan.jobs.values() if job.kind != "pretrain"]


def test_cells_are_tasks_times_backbones_times_strategies(plan):
    made = plan()
    assert [(cell.task, cell.strategy) for cell in made.cells] == [
        (f"tiny @ {amount}", strategy) for amount in (4, 10)
        for strategy in ("scratch", "linear_probe", "full_finetune")
    ]
    assert {cell.backbone for cell in made.cells} == {"toy_conv (tiny)"}
    assert [cell.baseline for cell in made.cells] == [True, False, False] * 2
    assert {(cell.num_classes, cell.num_units) for cell in made.cells} == {(3, 6)}
    assert [cell.num_labels for cell in made.cells] == [12] * 3 + [30] * 3
    assert [cell.axis for cell in made.cells] == [None, Axis("depth", 5), Axis("depth", 0)] * 2
    # 1 pretraining, and for each cell one search of 3 trials and 2 finals
    assert made.num_trainings == 1 + 6 * (3 + 2)
    assert len(made.jobs) == 1 + 6 * (1 + 2)


def test_needs_come_before_users_and_are_all_there(plan):
    made = plan()
    seen = set()
    for key, job in made.jobs.items():
        assert job.key == key
        assert set(job.needs) <= seen
        seen.add(key)
    for cell in made.cells:
        for search, final in zip(cell.searches, cell.finals, strict=True):
            assert made.jobs[final].needs[-1] == search


def test_the_ends_of_the_freeze_sweep_share_their_jobs(plan):
    made = plan(SWEEP)
    assert [cell.strategy for cell in made.cells[:7]] == [
        *(f"freeze(upto={k})" for k in range(1, 6)), "linear_probe", "full_finetune",
    ]
    probe, deepest = cells(made, strategy="linear_probe"), cells(made, strategy="freeze(upto=5)")
    assert [(c.searches, c.finals) for c in probe] == [(c.searches, c.finals) for c in deepest]
    zero = plan(SWEEP.replace("upto: all", "upto: 0"))
    assert [c.finals for c in cells(zero, strategy="freeze(upto=0)")] == [
        c.finals for c in cells(zero, strategy="full_finetune")
    ]
    assert [cell.axis for cell in made.cells[:7]] == [Axis("depth", depth) for depth in (1, 2, 3, 4, 5, 5, 0)]


INLINE = "{{recipe: {{name: mine, {axis}phases: [{{rates: {{head: 1, rest: 0}}}}]}}}}"


@pytest.mark.parametrize(("written", "axis"), [
    ("", None),
    ("axis: {name: depth, value: 4}, ", Axis("depth", 4)),
    ("axis: {name: depth, value: 5, kind: AnB}, ", Axis("depth", 5, "AnB")),
])
def test_labels_that_share_their_jobs_keep_their_own_axes(plan, written, axis):
    """Nothing is read off a recipe, and what is declared is in no key."""
    made = plan(SMALL.replace("full_finetune]", f"{INLINE.format(axis=written)}]"))
    probe, mine = cells(made, strategy="linear_probe"), cells(made, strategy="mine")
    assert [(c.searches, c.finals) for c in mine] == [(c.searches, c.finals) for c in probe]
    assert {cell.axis for cell in probe} == {Axis("depth", 5)}
    assert {cell.axis for cell in mine} == {axis}


def test_a_written_depth_leaves_the_head(refused):
    written = INLINE.format(axis="axis: {name: depth, value: 6}, ")
    problem = "axis: a depth of 6 would freeze the head; this backbone has 6 units, so it is 0 .. 5"
    assert refused(SMALL.replace("[scratch,", f"[{written},")) == [f"6:14: strategies[0]: {problem}"]


def test_what_may_stop_early_stands_on_no_axis(plan):
    """It is another training than those of the sweep."""
    made = plan(SMALL.replace("full_finetune]", "full_finetune, {full_finetune: {}, stop_early: 5}]"))
    assert {cell.strategy: cell.axis for cell in made.cells[2:4]} == {
        "full_finetune": Axis("depth", 0), "full_finetune(stop_early=5)": None,
    }  # fmt: skip


def test_scratch_waits_for_no_pretraining_and_is_the_same_for_every_origin(plan, folder):
    (folder / "w.pth").write_bytes(b"weights")
    made = plan(SMALL.replace("backbones:\n", "backbones:\n  - {name: toy_conv, weights: w.pth}\n"
                                              "  - {name: toy_conv, weights: random}\n"))
    scratch = cells(made, strategy="scratch", num_labels=12)
    assert len(scratch) == 3
    assert len({cell.finals for cell in scratch}) == len({cell.searches for cell in scratch}) == 1
    assert {cell.pretrainings for cell in scratch} == {()}
    pretrainings = {key for key, job in made.jobs.items() if job.kind == "pretrain"}
    assert not any(set(made.jobs[key].needs) & pretrainings for cell in scratch for key in cell.finals + cell.searches)
    tuned = cells(made, strategy="full_finetune", num_labels=12)
    assert len({cell.finals for cell in tuned}) == 3
    assert [set(cell.pretrainings) for cell in tuned] == [set(), set(), pretrainings]
    for cell in tuned[2:]:
        assert all(made.jobs[key].needs[0] == cell.pretrainings[0] for key in (*cell.searches, *cell.finals))


def test_every_strategy_gets_the_same_trials_steps_and_width_of_range(plan):
    shifted = "{recipe: {name: mine, rate_scale: 0.1, phases: [{rates: {rest: 1}}]}}"
    text = SMALL.replace("full_finetune]", f"full_finetune, gradual_unfreeze, discriminative, {shifted}]")
    made = plan(text.replace("trials: 3", "trials: 3, sampler: grid"))
    searches = [one.search for one in specs(made)]
    assert {(s.trials, s.sampler) for s in searches} == {(3, "grid")}
    assert {round(math.log10(s.lr_high / s.lr_low), 9) for s in searches} == {3.0}
    assert {(s.lr_low, s.lr_high) for s in searches} == {(1e-3, 1.0), (1e-4, 0.1)}
    assert len({one.training for one in specs(made)}) == 1
    for cell in made.cells:
        assert [len(made.jobs[key].record_keys) for key in cell.searches] == [3, 3]


@pytest.mark.parametrize(("setting", "span"), [
    ("training: {optimizer: adamw}", (1e-5, 1e-2)), ("training: {optimizer: sgd}", (1e-3, 1.0)),
])
def test_the_range_of_rates_follows_the_optimizer(plan, setting, span):
    text = SMALL.replace("training: {steps: 20, batch_size: 8}", setting)
    made = plan(text.replace("trials: 3", "trials: 3, sampler: random"))
    assert {(one.search.lr_low, one.search.lr_high) for one in specs(made)} == {span}


def test_ranges_a_suite_sets_itself(plan):
    made = plan(SMALL.replace("trials: 3}", "trials: 3, lr: [0.01, 0.1], weight_decay: [1e-6, 1e-3]}"))
    search = specs(made)[0].search
    assert (search.lr_low, search.lr_high) == (0.01, 0.1)
    assert (search.weight_decay_low, search.weight_decay_high) == (1e-6, 1e-3)
    fixed = specs(plan(SMALL.replace("batch_size: 8", "weight_decay: 0.25")))[0].search
    assert (fixed.weight_decay, fixed.weight_decay_low, fixed.weight_decay_high) == (0.25, None, None)


def validation(plan, amount, setting):
    """Folds of a budget on `large`, 200 images in each of 5 classes; 0 is the hold-out."""
    text = SMALL.replace("{name: tiny, labels_per_class: [4, 10]}", f"{{name: large, {amount}}}")
    return {one.search.folds for one in specs(plan(text.replace("trials: 3}", f"trials: 3, {setting}}}")))}


@pytest.fixture
def large(monkeypatch):
    facts = DatasetFacts(5, 8, 1000, 100, 200, "large-0")
    entry = DatasetEntry("large", "", lambda options: facts, lambda options: tiny_load(TinyOptions()))
    monkeypatch.setitem(datasets.DATASETS, "large", entry)


@pytest.mark.parametrize(("amount", "setting", "folds"), [
    ("labels_per_class: [100]", "validation: auto", 0),  # 500 labels, 100 held out
    ("labels_per_class: [99]", "validation: auto", 3),  # 99 held out are too few
    ("labels_per_class: [100]", "holdout: 0.19", 3),
    ("labels_per_class: [20]", "holdout: 0.9", 3),  # 90
    ("labels_per_class: [2]", "validation: auto", 2),  # no more folds than labels of a class
    ("labels_per_class: [3]", "validation: auto", 3),
    ("total: [14]", "validation: auto", 2),
    ("labels_per_class: [2]", "validation: holdout", 0),
    ("labels_per_class: [100]", "validation: {folds: 4}", 4),
    ("labels_per_class: [full]", "validation: auto", 0),
])
def test_what_a_trial_is_scored_on(plan, large, amount, setting, folds):
    assert validation(plan, amount, setting) == {folds}


@pytest.mark.parametrize(("budget", "text", "num_labels"), [
    ("labels_per_class: [7]", "7", 21), ("labels_per_class: [full]", "full", 60), ("fraction: [0.25]", "25%", 15),
    ("fraction: [0.21]", "21%", 15), ("fraction: [1.0]", "100%", 60), ("total: [13]", "total 13", 13), ("", "full", 60),
    ("fraction: [0.15]", "15%", 9),
])
def test_every_kind_of_budget_has_the_labels_it_says(plan, budget, text, num_labels):
    """The number in the plan is the number that a repeat then draws."""
    made = plan(SMALL.replace("labels_per_class: [4, 10]", budget).replace(", }", "}"))
    assert {(cell.budget.text, cell.num_labels) for cell in made.cells} == {(text, num_labels)}
    drawn = labelled(finals(made)[0].spec, tiny_load(TinyOptions()).train.labels)
    assert len(drawn) == num_labels


def test_several_budgets_at_once(plan):
    made = plan(SMALL.replace("labels_per_class: [4, 10]", "labels_per_class: [4, full], fraction: [0.5], total: [9]"))
    assert list(dict.fromkeys(cell.budget.text for cell in made.cells)) == ["4", "full", "50%", "total 9"]


@pytest.mark.parametrize(("training", "steps"), [
    ("epochs: 2, batch_size: 8", [4, 8]),  # 12 and 30 labels: 2 and 4 batches per pass
    ("epochs: 3, batch_size: 64", [3, 3]),
    ("steps: 7", [7, 7]),
    ("batch_size: 8", [200, 200]),
])
def test_epochs_become_steps(plan, training, steps):
    made = plan(SMALL.replace("steps: 20, batch_size: 8", training))
    by_labels = {cell.num_labels: made.jobs[cell.finals[0]].spec.training.steps for cell in made.cells}
    assert [by_labels[12], by_labels[30]] == steps


def test_one_search_for_all_repeats_or_one_each(plan):
    shared = plan()
    assert all(len(set(cell.searches)) == 1 and len(set(cell.finals)) == 2 for cell in shared.cells)
    each = plan(SMALL.replace("scope: cell, ", ""))
    assert all(len(set(cell.searches)) == len(set(cell.finals)) == 2 for cell in each.cells)
    for cell in each.cells:
        for repeat, (search, final) in enumerate(zip(cell.searches, cell.finals, strict=True)):
            assert each.jobs[search].spec.repeat == each.jobs[final].spec.repeat == repeat


def test_pipelines_come_from_the_weights_and_the_suite_may_overrule(plan):
    timm = SMALL.replace("backbones:\n", "backbones:\n  - resnet18.a1_in1k\n")
    first = specs(plan(timm))[0].pipeline
    assert (first.image_size, first.mean, first.std) == (32, (0.1, 0.2, 0.3), (0.5, 0.5, 0.5))
    mine = "  - {name: resnet18.a1_in1k, image_size: 48, mean: [0, 0, 0], std: [1, 1, 1]}\n"
    second = specs(plan(SMALL.replace("backbones:\n", "backbones:\n" + mine)))[0].pipeline
    assert (second.image_size, second.mean, second.std) == (48, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    assert specs(plan())[0].pipeline.image_size == 8  # the dataset's own


def test_hub_weights_are_named_in_full(plan):
    made = plan(SMALL.replace("backbones:\n", "backbones:\n  - {name: resnet18.a1_in1k, label: r}\n"))
    tuned = cells(made, backbone="r", strategy="full_finetune")
    (weights,) = {made.jobs[cell.finals[0]].spec.backbone.weights for cell in tuned}
    assert weights.origin == "hub"
    assert weights.identity.startswith("resnet18.a1_in1k@")


FILTERS = [
    (["strategy=scratch"], 2, 6), (["strategy=*"], 6, 19), (["budget=4"], 3, 10), (["budget=4", "budget=10"], 6, 19),
    (["strategy=*probe", "budget=10"], 1, 4), (["dataset=tiny", "backbone=toy_conv*"], 6, 19),
]


@pytest.mark.parametrize(("filters", "num_cells", "num_jobs"), FILTERS)
def test_filters_keep_cells_and_what_they_need(plan, filters, num_cells, num_jobs):
    part = plan().select(filters)
    assert (len(part.cells), len(part.jobs)) == (num_cells, num_jobs)
    assert all(need in part.jobs for job in part.jobs.values() for need in job.needs)
    assert set(titles_of(part)) == set(part.jobs)


def test_filters_that_make_no_sense(plan):
    made = plan()
    with pytest.raises(NothingSelected, match="leaves none of the suite's 6 cells"):
        made.select(["strategy=freeze*"])
    with pytest.raises(BenchError, match="--filter strategies=x: expected AXIS=PATTERN .*; did you mean 'strategy'"):
        made.select(["strategies=x"])
    with pytest.raises(BenchError, match="--filter scratch: expected AXIS=PATTERN"):
        made.select(["scratch"])


@pytest.mark.parametrize("text", [SMALL, SWEEP, SMALL.replace("scope: cell, ", ""),
                                  SMALL.replace("backbones:\n", "backbones:\n  - toy_vit\n")])
def test_every_job_has_a_title_of_its_own(plan, text):
    made = plan(text)
    titles = titles_of(made)
    assert set(titles) == set(made.jobs)
    assert len(set(titles.values())) == len(titles)
    assert titles[made.cells[0].finals[1]].startswith("tiny @ 4 · ")
    assert titles[made.cells[0].finals[1]].endswith("repeat 1") or "toy_" in titles[made.cells[0].finals[1]]


BY_WAY = SMALL.replace("full_finetune]", "{intermediate: {dataset: digits, epochs: 1}}]")


def test_a_stage_on_the_way_is_one_pretraining_for_all_tasks_and_repeats(plan):
    made = plan(BY_WAY)
    root, stage = (job for job in made.jobs.values() if job.kind == "pretrain")
    assert stage.needs == (root.key,)
    assert stage.spec.backbone.weights.identity == root.key
    for cell in cells(made, strategy="intermediate(dataset=digits, epochs=1)"):
        for key in (*cell.searches, *cell.finals):
            assert made.jobs[key].needs[:2] == (root.key, stage.key)
            assert made.jobs[key].spec.backbone.weights.identity == stage.key
    assert made.pretrain_labels[stage.key] == ("toy_conv (tiny)", "then digits")


def test_a_filter_keeps_the_whole_way(plan):
    kept = plan(BY_WAY).select(["strategy=intermediate*", "budget=4"])
    assert [job.kind for job in kept.jobs.values()][:2] == ["pretrain", "pretrain"]
    assert len(kept.cells) == 1


def test_stop_early_by_either_measure_is_another_job(plan):
    both = "{full_finetune: {}, stop_early: 5}, {full_finetune: {}, stop_early: {moments: 5, by: accuracy}}"
    made = plan(SMALL.replace("full_finetune]", f"full_finetune, {both}]"))
    labels = [f"full_finetune(stop_early={how})" for how in ("5", "5 by accuracy")]
    searches = [cells(made, strategy=label)[0].searches for label in labels]
    assert not set(searches[0]) & set(searches[1])


def test_stop_early_is_another_strategy_and_the_rest_keeps_its_jobs(plan):
    plain = plan()
    more = plan(SMALL.replace("full_finetune]", "full_finetune, {full_finetune: {}, stop_early: 5}]"))
    assert set(plain.jobs) < set(more.jobs)
    assert [cell.strategy for cell in more.cells[:4]][-1] == "full_finetune(stop_early=5)"
    added = {job.spec.recipe.stop_early for key, job in more.jobs.items() if key not in plain.jobs}
    assert added == {StopEarly(5, "loss")}


def test_the_trials_of_a_soup_learn_from_the_labels_of_their_repeat(plan):
    """Though one search serves all repeats of every other strategy."""
    made = plan(SMALL.replace("full_finetune]", "full_finetune, soup]"))
    (soup, *_), (plain, *_) = cells(made, strategy="soup"), cells(made, strategy="full_finetune")
    assert len(set(plain.searches)) == 1
    assert [made.jobs[key].spec.repeat for key in soup.searches] == [0, 1]


def test_equal_bits_are_asked_of_every_job_and_move_keys_only_where_they_are(plan):
    text = SMALL.replace("full_finetune]", "{intermediate: {dataset: digits, epochs: 1}}, ridge_probe]")
    plain, asked = plan(text), plan(text + "engine: {deterministic: true}\n")
    assert set(plain.jobs) == set(plan(text + "engine: {deterministic: false}\n").jobs)
    assert not set(plain.jobs) & set(asked.jobs)
    assert len(plain.jobs) == len(asked.jobs)
    specs = [job.spec for job in asked.jobs.values()]
    assert all(getattr(spec, "training", spec).deterministic for spec in specs)
    assert sum(job.kind == "pretrain" for job in asked.jobs.values()) == 2  # the backbone's, and one on the way


def test_a_checkpoint_as_it_came_is_one_job_for_all_repeats_and_budgets(plan):
    text = SMALL.replace("full_finetune]", "own_head, {own_head: {among: all}}]")
    made = plan(text + "engine: {precision: bf16}\n")
    own = [cell for cell in made.cells if cell.strategy.startswith("own_head")]
    assert len(own) == 4
    assert {len(cell.finals) for cell in own} == {2}
    keys = {cell.strategy: {key for other in own if other.strategy == cell.strategy for key in other.finals}
            for cell in own}  # fmt: skip
    assert [len(found) for found in keys.values()] == [1, 1]
    for final in (made.jobs[key] for found in keys.values() for key in found):
        assert made.jobs[final.needs[-1]].record_keys == ()
        assert final.spec.training.precision == "fp32"
        assert final.spec.training.steps == 0
    again = plan(text.replace("steps: 20", "steps: 40"))
    assert set.union(*keys.values()) <= set(again.jobs)  # steps are nothing to it


def test_a_checkpoint_as_it_came_does_not_stop_early(refused):
    problem = "6:14: strategies[0]: own_head: a checkpoint that is scored as it came is neither stopped nor solved"
    assert refused(SMALL.replace("[scratch,", "[{own_head: {}, stop_early: 3},")) == [problem]


def test_a_long_list_of_classes_is_a_short_label(plan):
    made = plan(SMALL.replace("full_finetune]", "{own_head: {classes: [a, b, c, d, e]}}]"))
    assert made.cells[-1].strategy == "own_head(classes=[a, … e; 5])"


def test_what_the_gate_calls_a_regression_moves_no_key(plan):
    assert set(plan(SMALL + "gate: {margin: 3}\n").jobs) == set(plan().jobs)


@pytest.mark.parametrize(("given", "expected"), [
    ("", ("sgd", 0.2, 5e-4)),
    (", optimizer: adamw", ("adamw", 0.001, 0.05)),
    (", optimizer: adamw, lr: 0.01, weight_decay: 0", ("adamw", 0.01, 0.0)),
])
def test_a_pretraining_takes_rate_and_decay_that_fit_its_optimizer(plan, given, expected):
    made = plan(SMALL.replace("epochs: 1}", f"epochs: 1{given}}}"))
    (spec,) = (job.spec for job in made.jobs.values() if job.kind == "pretrain")
    assert (spec.optimizer, spec.lr, spec.weight_decay) == expected


@pytest.mark.parametrize(("given", "expected"), [
    ("", ("sgd", 0.05, 5e-4)), (", optimizer: adamw", ("adamw", 0.001, 0.05)),
    (", optimizer: adamw, lr: 0.01, weight_decay: 0.0", ("adamw", 0.01, 0.0)),
])  # fmt: skip
def test_a_stage_on_the_way_takes_rate_and_decay_that_fit_its_optimizer(plan, given, expected):
    stage = f"{{intermediate: {{dataset: digits, epochs: 1{given}}}}}"
    made = plan(SMALL.replace("[scratch, linear_probe, full_finetune]", f"[{stage}]"))
    (spec,) = (job.spec for job in made.jobs.values() if job.kind == "pretrain" and job.needs)
    assert (spec.optimizer, spec.lr, spec.weight_decay) == expected
