"""Cells that make a mistake on purpose: which there are, what they share with the right ones, what stays as it was."""

from typing import get_args

import pytest

from bench.analysis.join import collect
from bench.analysis.tables import missing
from bench.errors import SuiteError
from bench.execute.roots import Roots
from bench.gate.tonight import tonight_of
from bench.planning.pitfalls import FACTOR, PITFALLS, in_words
from bench.spec.refs import Deployment, PitfallName
from tests.commands.fabricate import fabricate
from tests.planning.conftest import SMALL

EVERY = ", ".join(PITFALLS)
SUITE = SMALL.replace("full_finetune]", f"ridge_probe, full_finetune]\npitfalls: [{EVERY}]")
AT_TEST = [name for name in PITFALLS if name.endswith(("_at_test", "_by_class"))]
TRAINED = ["no_normalisation", "pixels_to_255", "training_mode_features"]


def pitfalls_of(made, strategy):
    return {cell.pitfall for cell in made.cells if cell.pitfall and cell.right == strategy}


def pair(made, strategy, name):
    """The right cell and the one with the mistake, at the smaller label budget."""
    right = next(cell for cell in made.cells if cell.strategy == strategy)
    wrong = next(cell for cell in made.cells if (cell.right, cell.pitfall, cell.task) == (strategy, name, right.task))
    return right, wrong


def specs(made, keys):
    return [made.jobs[key].spec for key in keys]


def test_the_catalogue_has_every_name_that_a_suite_may_use():
    assert set(PITFALLS) == set(get_args(PitfallName))
    assert len({one.words for one in PITFALLS.values()}) == len(PITFALLS)


def test_mistakes_that_networks_of_sound_can_make_speak_of_no_images():
    made = [one for one in PITFALLS.values() if "images" not in one.needs]
    assert len(made) == 4
    assert not [one.words for one in made if "image" in f"{one.wrong} {one.right}".lower()]


def test_every_mistake_that_can_happen_has_a_cell_and_no_other(plan):
    made = plan(SUITE)
    everything = set(PITFALLS)
    assert pitfalls_of(made, "scratch") == set()
    assert pitfalls_of(made, "linear_probe") == everything
    assert pitfalls_of(made, "ridge_probe") == everything - {"rate_30_times", "training_mode_features"}
    assert pitfalls_of(made, "full_finetune") == everything - {"training_mode_features"}


@pytest.mark.parametrize(("old", "new"), [
    ("pretrain: {dataset: tiny, options: {shade: 1}, epochs: 1}", "weights: random"),
    ("linear_probe, ridge_probe, full_finetune", "soup, own_head"),
])
def test_there_is_none_without_pretrained_weights_or_labels(plan, old, new):
    assert old in SUITE
    assert not any(cell.pitfall for cell in plan(SUITE.replace(old, new)).cells)


def test_a_network_without_batchnorm_cannot_be_left_in_training_mode(plan):
    found = pitfalls_of(plan(SUITE.replace("toy_conv", "toy_vit")), "linear_probe")
    assert found == {name for name in PITFALLS if not name.startswith("training_mode")}


def test_what_is_right_is_as_without_mistakes(plan):
    with_them, without = plan(SUITE), plan(SUITE.replace(f"pitfalls: [{EVERY}]", ""))
    assert [cell for cell in with_them.cells if not cell.pitfall] == list(without.cells)
    assert set(without.jobs) < set(with_them.jobs)


@pytest.mark.parametrize("name", PITFALLS)
def test_a_search_is_shared_unless_the_training_is_mistaken(plan, name):
    made = plan(SUITE)
    right, wrong = pair(made, "linear_probe", name)
    assert not set(right.finals) & set(wrong.finals)
    assert (right.searches == wrong.searches) == (name not in TRAINED)
    for key, search in zip(wrong.finals, wrong.searches, strict=True):
        assert made.jobs[key].needs == (*wrong.pretrainings[:1], search)
    keys = list(made.jobs)
    assert all(keys.index(need) < number for number, key in enumerate(keys) for need in made.jobs[key].needs)


@pytest.mark.parametrize("name", TRAINED)
def test_a_mistaken_training_is_searched_with_the_mistake(plan, name):
    made = plan(SUITE)
    _, wrong = pair(made, "linear_probe", name)
    for search, final in zip(specs(made, wrong.searches), specs(made, wrong.finals), strict=True):
        assert (search.pipeline, search.recipe) == (final.pipeline, final.recipe)
    assert final.deployed is None


@pytest.mark.parametrize("name", AT_TEST)
def test_a_mistake_at_test_leaves_the_training_as_it_is(plan, name):
    made = plan(SUITE)
    right, wrong = pair(made, "full_finetune", name)
    for ours, theirs in zip(specs(made, right.finals), specs(made, wrong.finals), strict=True):
        assert (ours.procedure, ours.search, ours.head, ours.repeat) == (
            theirs.procedure, theirs.search, theirs.head, theirs.repeat
        )  # fmt: skip
        assert ours.deployed is None
        assert isinstance(theirs.deployed, Deployment)


def test_the_rate_alone_differs_by_its_factor(plan):
    made = plan(SUITE)
    right, wrong = pair(made, "full_finetune", "rate_30_times")
    assert {spec.rate_factor for spec in specs(made, right.finals)} == {None}
    assert {spec.rate_factor for spec in specs(made, wrong.finals)} == {FACTOR}


def test_a_network_that_takes_pixels_as_they_are_cannot_be_shown_them_wrongly(plan):
    text = SUITE.replace("{name: toy_conv,", "{name: toy_conv, mean: 0, std: 1,")
    assert "no_normalisation" not in pitfalls_of(plan(text), "linear_probe")
    assert "no_normalisation_at_test" not in pitfalls_of(plan(text), "linear_probe")


def test_labels_tell_the_mistake(plan):
    labels = {cell.strategy for cell in plan(SUITE).cells if cell.pitfall == "no_normalisation_at_test"}
    assert labels == {f"{name} [not normalised at test]" for name in ("linear_probe", "ridge_probe", "full_finetune")}


def test_the_plan_says_what_is_shared_and_what_cannot_happen(plan):
    made = plan(SUITE)
    count, *lacks = in_words(made.loaded.suite.pitfalls, made.cells, made.jobs)
    total = sum(bool(cell.pitfall) for cell in made.cells)
    own = sum(cell.pitfall in TRAINED for cell in made.cells)
    assert count.startswith(f"{total} of the cells")
    assert f"{total - own} share the searches of the right cells, {own} search" in count
    assert lacks == [
        "rate_30_times makes no cell of ridge_probe: it needs a rate",
        "training_mode_features makes no cell of ridge_probe, full_finetune: it needs steps of training, and "
        "frozen units with BatchNorm",
    ]
    assert in_words((), plan().cells, plan().jobs) == []


def test_unchosen_points_are_those_of_the_right_cell(plan):
    made = plan(SUITE.replace("trials: 3", "trials: 3, finals: all"))
    right, wrong = pair(made, "linear_probe", "rate_30_times")
    assert right.unchosen
    assert not wrong.unchosen


@pytest.mark.parametrize(("written", "says"), [
    ("pitfalls: [no_normalization]", "did you mean 'no_normalisation'"),
    ("pitfalls: [rate_30_times, rate_30_times]", "one of them stands twice"),
])
def test_refused(refused, written, says):
    [problem] = refused(SMALL + written)
    assert says in problem


def test_a_study_makes_no_mistakes(refused):
    study = """\
name: study
transferability: {dataset: source, backbone: {name: small_resnet, pretrain: {epochs: 1}}}
pitfalls: [rate_30_times]
"""
    [problem] = refused(study)
    assert "takes no pitfalls" in problem


def test_they_count_towards_the_most_trainings(plan):
    plan(SMALL, ["max_runs=40"])
    with pytest.raises(SuiteError, match="over the 40 allowed"):
        plan(SMALL + "pitfalls: [no_normalisation]", ["max_runs=40"])


def test_results_keep_them_apart_and_miss_nothing(plan, folder):
    """What ranks reads `finals` and `trials`; each training is counted once."""
    made, roots = plan(SUITE), Roots(folder / "results", "small")
    records = fabricate(made, roots)
    results = collect(made, roots.store, roots.shared)
    assert (results.finals["pitfall"] == "").all()
    assert set(results.pitfalls["pitfall"]) == set(PITFALLS)
    assert set(results.pitfalls["right"]) <= set(results.finals["strategy"])
    assert not set(results.pitfalls["strategy"]) & set(results.trials["strategy"])
    assert not set(results.trials["key"]) & set(results.pitfall_trials["key"])
    told = {cell.strategy for cell in made.cells if cell.pitfall in TRAINED}
    assert set(results.pitfall_trials["strategy"]) == told
    counts = missing(results)
    assert (counts.planned, counts.ok, counts.missing) == (len(records), len(records), 0)


def test_one_that_diverges_at_a_rate_that_is_too_high_is_not_broken(plan, folder):
    made, roots = plan(SUITE), Roots(folder / "results", "small")
    right, wrong = pair(made, "full_finetune", "rate_30_times")
    fabricate(made, roots, {right.finals[0]: "diverged", wrong.finals[1]: "diverged"})
    assert missing(collect(made, roots.store, roots.shared)).broken == 1


def test_a_gate_knows_nothing_of_them(plan):
    with_them, without = (tonight_of(plan(text), {}) for text in (SUITE, SUITE.replace(f"pitfalls: [{EVERY}]", "")))
    assert with_them.cells == without.cells


def test_a_label_with_brackets_selects_its_cell(plan):
    made = plan(SUITE).select(["strategy=full_finetune [not normalised]"])
    assert {cell.strategy for cell in made.cells} == {"full_finetune [not normalised]"}


def test_a_selection_without_mistakes_gives_no_reasons(plan):
    made = plan(SUITE).select(["strategy=full_finetune"])
    count, *lacks = in_words(made.loaded.suite.pitfalls, made.cells, made.jobs)
    assert count.startswith("0 of the cells")
    assert lacks == []


def test_a_gate_trains_none_of_them(plan):
    made = plan(SUITE).without_mistakes()
    assert set(made.jobs) == set(plan(SUITE.replace(f"pitfalls: [{EVERY}]", "")).jobs)
    assert not any(cell.pitfall for cell in made.cells)


def test_finals_that_a_right_cell_shares_are_no_mistakes(plan):
    made = plan(SUITE.replace("full_finetune]", "full_finetune, bn_adapt]"))
    assert made.mistaken == {key for cell in made.cells if cell.pitfall for key in cell.finals} - {
        key for cell in made.cells if not cell.pitfall for key in cell.finals}  # fmt: skip
    assert not made.mistaken & set(made.without_mistakes().jobs)
