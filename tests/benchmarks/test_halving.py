"""A search of ten rates: every trial to its end, or synchronous halving. Steps saved, and what it costs on the test.

Tables of learning curves are drawn once; both ways choose from the same table with the engine's own rules. One search
is run live in both ways, for the seconds, and to see that the engine does what was replayed."""

import dataclasses

import pytest

from bench.analysis.statistics import mean_interval
from tests.benchmarks import curves, workshop
from tests.benchmarks.arms import Arm
from tests.benchmarks.sizes import SMOKE, sized

SPLITS = sized(30, 2)
STRATEGIES = ("full_finetune", "scratch")
MARGIN = 0.2  # points
RUNGS = {"1/9": 1 / 9, "2/9": 2 / 9}


@pytest.fixture(scope="module")
def tables(shop):
    return {strategy: curves.tables(shop, strategy, SPLITS) for strategy in STRATEGIES}


def differences(tables, search, strategies=STRATEGIES):
    """Test points of halving over full trials: means of each split's strategies, because these share their images."""
    gained = [
        [100 * (one.halved(search)[1] - one.full()[1]) for one in tables[strategy]] for strategy in strategies
    ]
    return [sum(of_split) / len(strategies) for of_split in zip(*gained, strict=True)]


def test_halving(race, shop, tables):
    def live(pruner):
        one = curves.spec(shop, "full_finetune", 0, pruner=pruner)
        context, jobs = shop.context(one.data), workshop.searches([one])
        found = workshop.run(jobs, context)[0]
        shop.forget(context)
        return found

    found = race.measure({"full trials": Arm(lambda: live("none")), "halving": Arm(lambda: live("halving"))}, rounds=3)
    for name, rung in RUNGS.items():
        search = dataclasses.replace(workshop.SEARCH, pruner="halving", first_rung=rung)
        one = tables["scratch"][0]
        saving = one.full()[0] / one.halved(search)[0]
        interval = mean_interval(differences(tables, search))
        each = {s: mean_interval(differences(tables, search, (s,))).mean for s in STRATEGIES}
        told = ", ".join(f"{strategy} {mean:+.3f}" for strategy, mean in each.items())
        race.note(
            f"halving from {name} of the steps", saving, 3, floor=1.5 if rung > 0.2 else 2.5,
            text=f"{saving:.2f} times fewer steps; test {interval.mean:+.3f} [{interval.low:+.3f}, "
                 f"{interval.high:+.3f}] points over {SPLITS} splits ({told}); non-inferior by {MARGIN}: "
                 f"{'yes' if interval.low >= -MARGIN else 'no'}",
        )  # fmt: skip
        assert SMOKE or interval.mean > -0.5
    race.tell("one search live, from 1/9", "full trials", "halving", None, floor=0.9)
    check(found, tables["full_finetune"][0])
    race.settle()


def check(found, table):
    """The live searches are the replayed ones."""
    assert sum(record.result["steps"] for record in found["full trials"]) == table.full()[0]
    search = dataclasses.replace(workshop.SEARCH, pruner="halving", first_rung=1 / 9)
    assert sum(record.result["steps"] for record in found["halving"]) == table.halved(search)[0]
    for record, losses in list(zip(found["full trials"], table.losses, strict=True))[:5]:
        assert record.result["loss"] == pytest.approx(losses[-1], rel=2e-2)
