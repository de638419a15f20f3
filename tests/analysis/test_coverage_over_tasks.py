"""How often the intervals over all tasks hold. `python -m tests.analysis.simulate_tasks` prints the whole table."""

import pytest

from bench.analysis.across import FEWEST_PAIRS, FEWEST_TASKS

from .planted import Planted
from .simulate_tasks import REPEATS, TASKS, bare_middles, choices, improvements, middles, profiles

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("n", "tasks"), [(n, t) for n in REPEATS for t in TASKS if n * t >= FEWEST_PAIRS])
def test_of_shares(n: int, tasks: int) -> None:
    """Over effects from none to large; tasks of one data set may have half of their scatter in common."""
    alone = improvements(n, tasks, 1200)
    related = improvements(n, tasks, 1200, related=3, ties=0.1)
    assert 0.935 < alone.mean < 0.99
    assert 0.925 < related.mean < 0.99
    assert min(alone.worst, related.worst) > 0.75
    assert profiles(n, tasks, 300).mean > 0.95  # wide rather than narrow


@pytest.mark.parametrize("n", REPEATS)
@pytest.mark.parametrize("tasks", [tasks for tasks in TASKS if tasks >= FEWEST_TASKS])
def test_of_the_middle_half(n: int, tasks: int) -> None:
    assert middles(Planted(n=n, tasks=tasks, strategies=4, num_images=1000), 100) > 0.92
    found, resampled = bare_middles(n, tasks, 3000)
    assert found > 0.925
    assert resampled < found - 0.01  # why there is no bootstrap here
    assert bare_middles(n, tasks, 3000, related=3)[0] > 0.90  # .918 where three tasks of one data set are all


@pytest.mark.parametrize(("n", "tasks", "lead"), [(3, 6, 0.0), (10, 6, 0.0), (10, 6, 2.0)])
def test_of_a_choice(n: int, tasks: int, lead: float) -> None:
    found = choices(Planted(n=n, tasks=tasks, num_images=1000), 200, lead)
    assert found["gain"] > 0.92
    assert found["behind, corrected"] > 0.93
