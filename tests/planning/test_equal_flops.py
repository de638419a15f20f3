"""Equal FLOPs: what steps they come to, against a plain count and in a real run."""

import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

import bench
from bench.errors import SuiteError
from bench.network.build import adapted, build_network
from bench.planning.equal_flops import spent, steps_for
from bench.report.facts import Facts
from bench.report.sections.protocol import protocol_section
from bench.spec.recipe import Phase, Recipe
from tests.execute.conftest import environment, launcher  # noqa: F401
from tests.execute.running import finish, record_files

SUITE = {
    "name": "equal",
    "datasets": [{"name": "near", "labels_per_class": [2], "options": {"train_per_class": 8, "test_per_class": 4}}],
    "backbones": [{"name": "small_resnet", "options": {"width": 4}, "weights": "random"}],
    "strategies": ["full_finetune", "linear_probe", {"freeze": {"upto": 2}}, "gradual_unfreeze", "lora", "ridge_probe",
                   {"scratch_long": {"times": 2.0}}],
    "training": {"steps": 30, "batch_size": 8, "evaluations": 1, "flops": "full_finetune"},
    "search": {"trials": 1, "validation": "holdout", "holdout": 0.5},
    "engine": {"precision": "fp32"},
    "repeats": 1,
}  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 50)), min_size=1, max_size=4), st.integers(20, 4_000))
def test_no_number_of_steps_comes_nearer(phases, steps):
    shares = sum(share for share, _ in phases)
    recipe = Recipe(tuple(Phase(share / shares, (1.0,)) for share, _ in phases))
    costs = tuple(float(one) for _, one in phases)
    budget = steps * max(costs)
    found = steps_for(recipe, costs, budget)
    far = {one: abs(spent(recipe, costs, one) - budget) for one in range(max(1, found - 100), found + 100)}
    # Where phases end by rounding, one step more can cost less: by one of the dearest.
    assert far[found] <= min(far.values()) + (max(costs) if len(phases) > 1 else 0)
    if len(phases) == 1:
        assert found == steps


def plan(tmp_path, **changes):
    return bench.plan({**SUITE, **changes}, results=tmp_path)


def steps(planned):
    return {cell.strategy: planned.jobs[cell.finals[0]].spec.training.steps for cell in planned.cells}


def test_steps_against_a_plain_count(tmp_path):
    """One step of each by torch's counter, computed here, on a network that nothing of the engine has touched."""

    def cost(strategy, learns):
        """`learns`: of a unit's number, a parameter's name and the names that were added."""
        spec = planned.jobs[next(cell for cell in planned.cells if cell.strategy == strategy).finals[0]].spec
        network = build_network(spec.backbone, spec.data.num_classes, 0, spec.head)
        if spec.recipe.adapt is not None:
            network = adapted(network, spec.recipe.adapt, ("coarse", 0))
        for unit, parameters in enumerate(network.parameters):
            for name, parameter in parameters.items():
                parameter.requires_grad_(learns(unit, name in network.added))
        with FlopCounterMode(display=False) as counter:
            side = spec.pipeline.image_size
            network.module(torch.zeros(8, 3, side, side)).sum().backward()
        return counter.get_total_flops()

    planned = plan(tmp_path)
    found = steps(planned)
    whole = cost("full_finetune", lambda unit, added: True)
    head = cost("linear_probe", lambda unit, added: unit == 5)
    assert found["full_finetune"] == found["ridge_probe"] == 30
    assert found["linear_probe"] == round(30 * whole / head)
    assert found["freeze(upto=2)"] == round(30 * whole / cost("freeze(upto=2)", lambda unit, added: unit >= 2))
    assert found["lora"] == round(30 * whole / cost("lora", lambda unit, added: unit == 5 or added))
    assert found["scratch_long(times=2.0)"] == 60
    assert found["linear_probe"] > found["freeze(upto=2)"] > 30
    asked = {**SUITE["training"], "flops": 3e9}
    del asked["steps"]
    by_number = steps(plan(tmp_path, training=asked))
    assert by_number["linear_probe"] == round(3e9 / head)
    assert by_number["full_finetune"] == round(3e9 / whole)


def test_what_trains_nothing_or_does_not_fit_pays_nothing(tmp_path):
    """A sum that pays for no step of theirs, and an objective for texts on a network for pictures."""
    listed = ["full_finetune", "continued_pretraining", "vpt", "ridge_probe"]
    found = steps(plan(tmp_path, strategies=listed))
    assert found == {"full_finetune": 30, "continued_pretraining": 30, "vpt": 30, "ridge_probe": 30}
    with_sum = {**SUITE["training"], "flops": 10.0, "steps": None}
    assert steps(plan(tmp_path, strategies=["ridge_probe", "knn"], training=with_sum)) == {"ridge_probe": 3, "knn": 3}


def test_all_that_trains_has_spent_the_same(launcher, tmp_path):  # noqa: F811
    """By what the records say, to half a step of each; phases end on whole steps, which is worth one more."""
    finish(launcher.run(tmp_path, text=json.dumps(SUITE)))
    records = [json.loads(path.read_text()) for path in record_files(tmp_path)]
    finals = [one for one in records if one["kind"] == "final" and one["spec"]["recipe"]["solve"] is None]
    assert [one["status"] for one in finals] == ["ok"] * 6
    spent = {one["cost"]["logical"]["steps"]: one["cost"]["logical"]["flops"] for one in finals}
    whole = spent[30]
    assert len(spent) == 6
    for one in finals:
        logical, length = one["cost"]["logical"], one["spec"]["recipe"]["length"]
        step = logical["flops"] / logical["steps"]
        phases = len(one["spec"]["recipe"]["phases"])
        assert abs(logical["flops"] - length * whole) <= step * (0.51 if phases == 1 else 1.5)
    page = protocol_section(Facts.of(bench.load("equal", results=tmp_path / "results").suite))
    words = " ".join(str(block) for block in page.blocks)
    assert "the FLOPs that full fine-tuning spends in 30 optimizer steps" in words
    assert "Steps that this comes to where nothing stops early: full_finetune 30," in words


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"training": {"flops": 10.0}}, "10 FLOPs are less than half a step"),
        ({"training": {"flops": 1e25}}, "1e+25 FLOPs pay for over 1,000,000,000 steps"),
        ({"training": {"flops": 1e9, "steps": 3}}, "give either flops or steps"),
        ({"search": {"budget": "steps"}}, "a step costs each strategy another sum"),
    ],
)
def test_budgets_that_make_no_sense_are_told(tmp_path, changes, told):
    with pytest.raises(SuiteError, match="training|search") as refused:
        plan(tmp_path, **changes)
    assert told in str(refused.value)
