"""How often the gate is wrong, by simulation through `compare` itself: the table of `bench/gate/README.md`.

24 cells, 5 repeats, a run's sd is 0.6 points; both nights are drawn anew around the same levels.
"""

import numpy as np
import pytest

from bench.gate.compare import compare
from bench.gate.pairs import Rule

from .nights import accepted, names, night

NIGHTS = 300
SD = 0.6  # points
GROUPS = [(4, 6), (2, 12)]


def noise(rng, groups, size, kind, repeats=5):
    """[cells, repeats] of points, of one night."""
    shape = (groups, size, repeats)

    def drawn(shape):
        return rng.standard_t(3, shape) / np.sqrt(3) if "heavy" in kind else rng.normal(size=shape)

    found = drawn(shape)
    if "together" in kind:
        found = np.sqrt(0.5) * found + np.sqrt(0.5) * drawn((groups, 1, repeats))
    if "noisy group" in kind:
        found[0] *= 5
    if "noisy cells" in kind:
        found[0, :2] *= 5
    if "unequal" in kind:
        found *= np.linspace(0.5, 1.5, size)[:, None]
    return SD * found.reshape(groups * size, repeats)


def simulate(groups, kind, nights=NIGHTS, rule=None, drop=0.0, repeats=5):
    """The results of so many nights; the third cell of the second group truly drops."""
    rng, cells = np.random.default_rng(0), names(*groups)
    found = []
    for _ in range(nights):
        before, after = (70 + noise(rng, *groups, kind, repeats) for _ in range(2))
        after[groups[1] + 2] -= drop
        found.append(
            compare(accepted(before / 100, cells), night(after / 100, cells), rule or Rule(0.5, 2.0))
        )
    return found


def alarms(results):
    return np.mean([result.count("regressed") > 0 for result in results])


def caught(results, groups):
    return np.mean([result.verdicts[groups[1] + 2].word == "regressed" for result in results])


@pytest.mark.parametrize("groups", GROUPS)
@pytest.mark.parametrize(
    "kind", ["normal", "heavy", "together", "noisy group", "noisy group together", "noisy cells", "unequal"]
)
def test_unchanged_nights_raise_no_alarm(groups, kind):
    results = simulate(groups, kind)
    assert alarms(results) <= 0.05
    assert np.mean([result.count("improved") > 0 for result in results]) <= 0.05


def test_without_a_margin_the_rest_still_holds():
    """What the margin takes on otherwise. The noise of cells on the same labels goes together."""
    assert alarms(simulate((4, 6), "together", rule=Rule(0.0, 2.0))) <= 0.09
    assert alarms(simulate((4, 6), "noisy cells", rule=Rule(0.0, 2.0))) <= 0.09
