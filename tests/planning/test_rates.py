"""Where searches begin: what trains decides, and the optimizer."""


import pytest

from bench import strategies
from bench.planning.rates import CENTRES
from bench.spec.recipe import Recipe
from tests.planning.conftest import SMALL

FAMILIES = {
    "linear_probe": "head", "random_features": "head", "full_finetune": "body", "gradual_unfreeze": "body",
    "lp_ft": "body", "bitfit": "body", "l2_sp": "body", "stochnorm": "body", "lora": "added", "adapter": "added",
    "ssf": "added", "vpt": "added", "scratch": "scratch", "moments": "scratch",
}  # fmt: skip


@pytest.mark.parametrize(("name", "family"), FAMILIES.items())
def test_the_family_of_a_recipe(name, family):
    entry = strategies.find(name)
    assert entry.build(entry.options(), 6).family == family


def test_centres_are_there_for_every_optimizer_and_family():
    assert {family for row in CENTRES.values() for family in row} == {"head", "body", "added", "scratch"}
    assert {len(row) for row in CENTRES.values()} == {4}


def searches(made):
    return {cell.strategy: made.jobs[cell.searches[0]].spec.search for cell in made.cells}


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_bracket_begins_a_decade_to_each_side_of_its_centre(plan, optimizer):
    text = SMALL.replace("batch_size: 8", f"batch_size: 8, optimizer: {optimizer}")
    found = searches(plan(text.replace("full_finetune]", "full_finetune, lora]")))
    assert {search.sampler for search in found.values()} == {"bracket"}
    for strategy, search in found.items():
        centre = CENTRES[optimizer][FAMILIES[strategy]]
        assert (search.centre, search.step) == (pytest.approx(centre), pytest.approx(10))
        assert (search.lr_low, search.lr_high) == (pytest.approx(centre / 10), pytest.approx(centre * 10))


def test_a_range_of_the_suite_is_where_every_bracket_begins(plan):
    found = searches(plan(SMALL.replace("trials: 3", "trials: 3, lr: [0.01, 0.25]")))
    assert {(search.lr_low, search.lr_high) for search in found.values()} == {(0.01, 0.25)}
    assert {round(search.centre, 9) for search in found.values()} == {0.05}


@pytest.mark.parametrize(("name", "sgd", "adamw"), [("ssf", 0.003, 5e-3), ("vpt", 0.3, 5e-3), ("lora", 0.003, 5e-3)])
def test_shifts_depend_on_the_optimizer(plan, name, sgd, adamw):
    """AdamW's steps do not grow with the gradients, so what SGD needs more or less of, AdamW may not. The reference
    scripts of SSF (Lian et al. 2022) take AdamW from 1e-3 to 1e-2."""
    for optimizer, centre in (("sgd", sgd), ("adamw", adamw)):
        text = SMALL.replace("batch_size: 8", f"batch_size: 8, optimizer: {optimizer}")
        found = searches(plan(text.replace("full_finetune]", f"{name}]")))
        assert found[name].centre == pytest.approx(centre)
        if (name, optimizer) == ("ssf", "adamw"):
            assert found[name].centre > 1e-3


def test_a_shift_that_names_no_optimizer_holds_for_both():
    recipe = Recipe(phases=strategies.find("full_finetune").build(None, 3).phases, rate_scale=0.5)
    assert [recipe.scale_for(optimizer) for optimizer in ("sgd", "adamw")] == [0.5, 0.5]
    assert strategies.find("vpt").build(strategies.find("vpt").options(), 3).scale_for("adamw") == 1.0
