"""How a recipe changes what a suite says of searches."""

import pytest

from bench import strategies
from tests.plan.conftest import SMALL


@pytest.mark.parametrize(("name", "opening"), [("full_finetune", 0.0), ("lp_ft", 0.5), ("gradual_unfreeze", 1 / 6)])
def test_trials_are_first_compared_when_the_second_phase_is_under_way(plan, name, opening):
    """A rate that is best while the head alone learns may be the worst for what comes after."""
    made = plan(SMALL.replace("full_finetune]", f"{name}]"))
    (search,) = {job.spec.search for job in made.jobs.values() if job.kind == "search" and job.spec.repeat == 0
                 and job.spec.recipe == recipe_of(name)}  # fmt: skip
    assert search.first_rung == pytest.approx(opening + (1 - opening) * 2 / 9)
    assert search.first_rung > opening


def recipe_of(name):
    entry = strategies.find(name)
    return entry.build(entry.options(), 6)
