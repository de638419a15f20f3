"""What each strategy's recipe says, by hand; and every recipe that must be refused. No torch is needed to say it."""

import pytest
from pydantic import ValidationError

from bench import strategies
from bench.catalogue import OptionProblems, parse_options
from bench.spec.recipe import Phase, Recipe, uniform
from bench.strategies.entry import Axis
from bench.strategies.inline import build_inline, resolve_rates
from bench.suite.recipe_schema import PhaseSpec, RecipeSpec

UNITS = ("stem", "layer1", "layer2", "head")


def build(name, num_units=4, **options):
    entry = strategies.find(name)
    return entry.build(entry.options.model_validate(options), num_units)


def rates(recipe):
    return [phase.rates for phase in recipe.phases]


def test_the_catalogue_is_listed_under_its_own_names():
    assert all(name == entry.name for name, entry in strategies.STRATEGIES.items())
    assert [name for name, entry in strategies.STRATEGIES.items() if entry.baseline] == ["scratch"]
    assert all(entry.summary and entry.paper for entry in strategies.STRATEGIES.values())
    assert set(strategies.names()) == set(strategies.STRATEGIES)


def test_single_phase_strategies():
    assert rates(build("linear_probe")) == [(0.0, 0.0, 0.0, 1.0)]
    assert rates(build("full_finetune")) == [(1.0,) * 4]
    assert rates(build("scratch")) == [(1.0,) * 4]
    assert build("scratch").init == "random"
    assert {build(name).init for name in ("linear_probe", "full_finetune", "gradual_unfreeze")} == {"pretrained"}


def test_discriminative_rates_fall_by_the_factor_toward_the_stem():
    assert rates(build("discriminative", factor=2.0)) == [(0.125, 0.25, 0.5, 1.0)]
    stem, one, two, head = build("discriminative").phases[0].rates
    assert (head, head / two, two / one, one / stem) == pytest.approx((1.0, 2.6, 2.6, 2.6))


def test_gradual_unfreeze_thaws_one_unit_at_a_time_from_the_head():
    recipe = build("gradual_unfreeze")
    assert rates(recipe) == [(0, 0, 0, 1), (0, 0, 1, 1), (0, 1, 1, 1), (1, 1, 1, 1)]
    assert [phase.share for phase in recipe.phases] == pytest.approx([0.4 / 3] * 3 + [0.6])
    assert recipe.anneal == "each_phase"


@pytest.mark.parametrize("upto", range(4))
def test_freeze_counts_units_from_the_stem(upto):
    recipe = build("freeze", upto=upto)
    assert rates(recipe) == [tuple([0.0] * upto + [1.0] * (4 - upto))]


def test_freeze_all_is_one_strategy_per_depth():
    entry = strategies.find("freeze")
    assert [one.upto for one in entry.expand(entry.options(upto="all"), 4)] == [1, 2, 3]
    assert [one.upto for one in entry.expand(entry.options(upto=2), 4)] == [2]


def test_the_ends_of_the_freeze_sweep_are_the_strategies_of_that_name():
    assert build("freeze", upto=0) == build("full_finetune")
    assert build("freeze", upto=3) == build("linear_probe")


def test_freezing_the_head_is_refused():
    with pytest.raises(ValueError, match=r"upto: 4 would freeze the head; this backbone has 4 units, so .* 0 \.\. 3"):
        build("freeze", upto=4)


@pytest.mark.parametrize("upto", [-1, 1.5, "most", None, True])
def test_freeze_takes_whole_numbers_or_all(upto):
    with pytest.raises(OptionProblems, match="upto"):
        parse_options("strategy 'freeze'", strategies.find("freeze").options, {"upto": upto})


def test_freeze_needs_to_be_told_how_far():
    with pytest.raises(OptionProblems, match="needs the option 'upto'"):
        parse_options("strategy 'freeze'", strategies.find("freeze").options, {})


@pytest.mark.parametrize("factor", [1.0, 0.5, -2.0, float("inf"), "big"])
def test_a_discriminative_factor_is_above_one(factor):
    with pytest.raises(OptionProblems, match="factor"):
        parse_options("strategy 'discriminative'", strategies.find("discriminative").options, {"factor": factor})


ON_DEPTH = [
    ("full_finetune", {}, 0), ("linear_probe", {}, 3), *(("freeze", {"upto": k}, k) for k in range(4)),
    *(("tune_last", {"units": k}, 3 - k) for k in range(4)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "options", "depth"), ON_DEPTH)
def test_a_strategy_on_the_axis_of_depth_freezes_so_many_units_and_does_nothing_else(name, options, depth):
    entry = strategies.find(name)
    assert entry.axis(entry.options.model_validate(options), 4) == Axis("depth", depth)
    assert build(name, **options) == Recipe(uniform([0.0] * depth + [1.0] * (4 - depth)))


@pytest.mark.parametrize(("options", "kind"), [
    ({}, "frozen"), ({"tune": True}, "tuned"), ({"source": "random"}, "random"),
])  # fmt: skip
def test_transplants_stand_on_an_axis_of_their_own(options, kind):
    entry = strategies.find("transplant")
    assert entry.axis(entry.options(keep=2, **options), 4) == Axis("kept", 2, kind)


def test_no_other_strategy_stands_on_an_axis():
    given = {"intermediate": {"dataset": "digits"}}
    on_axis = {"transplant", "reinit_top", *(on for on, _, _ in ON_DEPTH)}
    others = [entry for name, entry in strategies.STRATEGIES.items() if name not in on_axis]
    assert {entry.axis(entry.options.model_validate(given.get(entry.name, {})), 4) for entry in others} == {None}


@pytest.mark.parametrize(("fields", "says"), [
    ({"phases": ()}, "at least one phase"),
    ({"phases": (Phase(0.5, (0.0, 1.0)), Phase(0.5, (1.0,)))}, "different numbers of units"),
    ({"phases": uniform([-1.0, 1.0])}, "cannot be negative"),
    ({"phases": uniform([0.0, 0.0])}, "freezes every unit"),
    ({"phases": (Phase(0.5, (0.0, 1.0)), Phase(0.5, (0.0, 0.0)))}, "freezes every unit"),
    ({"phases": (Phase(0.5, (1.0,)), Phase(0.4, (1.0,)))}, "add up to 0.9, not 1"),
    ({"phases": uniform([1.0, 1.0]), "reinit": 2}, r"reinit: 2 is not a unit; units are 0 \.\. 1"),
    ({"phases": uniform([1.0, 1.0]), "reinit": -1}, "reinit: -1 is not a unit"),
])
def test_impossible_recipes(fields, says):
    with pytest.raises(ValueError, match=says):
        Recipe(**fields)


@pytest.mark.parametrize("given", [
    {"stem": 0.0, "layer1": 0.5, "layer2": 0.5, "head": 1.0},
    {"rest": 0.5, "0": 0.0, "-1": 1.0},
    {"head": 1.0, "stem": 0, "rest": 0.5},
    {"-4": 0.0, "1": 0.5, "2": 0.5, "3": 1},
])
def test_units_go_by_name_or_number(given):
    assert resolve_rates(given, UNITS) == (0.0, 0.5, 0.5, 1.0)


@pytest.mark.parametrize(("given", "says"), [
    ({"head": 1.0}, "no rate for stem, layer1, layer2; name them, or add `rest`"),
    ({"head": 1.0, "stem": 0.0, "1": 0.0}, "no rate for layer2;"),
    ({"head": 1.0, "-1": 0.5, "rest": 0.0}, r"unit 3 \(head\) is named twice"),
    ({"layer1": 1.0, "1": 1.0, "rest": 0.0}, r"unit 1 \(layer1\) is named twice"),
    ({"layer9": 1.0, "rest": 0.0}, r"'layer9' is not a unit; this backbone has stem, layer1, layer2, head"),
    ({"4": 1.0, "rest": 0.0}, r"'4' is not a unit; .* \(0 \.\. 3, or -1 for the head\)"),
    ({"-5": 1.0, "rest": 0.0}, "'-5' is not a unit"),
])
def test_rates_that_do_not_cover_the_units(given, says):
    with pytest.raises(ValueError, match=says):
        resolve_rates(given, UNITS)


def test_an_inline_recipe_keeps_every_field():
    spec = RecipeSpec(
        name="mine", init="random", reinit=2, anneal="each_phase", rate_scale=0.1,
        phases=(PhaseSpec(share=0.5, rates={"head": 1, "rest": 0}), PhaseSpec(share=0.5, rates={"rest": 1})),
    )
    assert build_inline(spec, UNITS) == Recipe(
        phases=(Phase(0.5, (0.0, 0.0, 0.0, 1.0)), Phase(0.5, (1.0,) * 4)),
        init="random", reinit=2, anneal="each_phase", rate_scale=0.1,
    )


def test_an_inline_recipe_equals_the_strategy_it_spells_out():
    spec = RecipeSpec(name="mine", phases=(PhaseSpec(rates={"head": 1, "rest": 0}),))
    assert build_inline(spec, UNITS) == build("linear_probe")


def test_an_inline_recipe_that_freezes_everything_is_refused_at_the_door_and_by_phase():
    with pytest.raises(ValidationError, match="freezes everything"):
        RecipeSpec(name="mine", phases=(PhaseSpec(rates={"rest": 0}),))
    half = (PhaseSpec(share=0.5, rates={"rest": 1}), PhaseSpec(share=0.5, rates={"rest": 0}))
    with pytest.raises(ValueError, match="freezes every unit"):
        build_inline(RecipeSpec(name="mine", phases=half), UNITS)
