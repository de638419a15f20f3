"""Eleven strategies, ten rates each, with and without halving: the runner's processes, or the careful loop."""

from bench.plan.precision import precision_of
from bench.strategies.recipe import Phase, Recipe, uniform
from tests.benchmarks import workshop
from tests.benchmarks.arms import Arm
from tests.benchmarks.plain import Trial
from tests.benchmarks.pool import Pool
from tests.benchmarks.sizes import sized

RATES = sized(10, 4)
MEASURED = 3  # the rate whose trial the careful loop runs
ALL = (1.0,) * 6
RECIPES = {
    "scratch": workshop.recipe("scratch"),
    "linear probe": workshop.recipe("linear_probe"),
    "full": workshop.recipe("full_finetune"),
    **{f"freeze {depth}": workshop.recipe("freeze", upto=depth) for depth in (1, 2, 3, 4)},
    "gradual": workshop.recipe("gradual_unfreeze"),
    "discriminative": workshop.recipe("discriminative"),
    "head first": Recipe((Phase(0.5, (0, 0, 0, 0, 0, 1.0)), Phase(0.5, ALL))),
    "last stage anew": Recipe(uniform(ALL), reinit=4),
}


def suite(shop, ref, **fields):
    weights = shop.resnet18(ref.options["side"])
    fields = {"trials": RATES, "steps": sized(9, 3), "batch_size": sized(32, 8), **fields}
    return workshop.searches(workshop.spec(ref, weights, of, **fields) for of in RECIPES.values())


def test_whole_suite(race, shop):
    ref = shop.blobs(sized(64, 32), sized(144, 36))
    usual = precision_of(shop.on_gpu)
    jobs = {
        "engine fp32": suite(shop, ref),
        "engine": suite(shop, ref, precision=usual),
        "engine, halving": suite(shop, ref, precision=usual, pruner="halving"),
    }
    trials = [Trial(job.spec, shop.context(ref)) for job in jobs["engine fp32"]]
    rate = workshop.rates(trials[0].spec)[MEASURED]
    pool = Pool(shop)
    try:
        pool.run(suite(shop, ref, trials=1, steps=1)[:4], ref)  # its processes have started
        arms = {"loader": Arm(lambda: [trial.with_loader(rate) for trial in trials], scale=RATES)}
        arms |= {name: Arm(lambda of=of: pool.run(of, ref)) for name, of in jobs.items()}
        found = race.measure(arms, rounds=1)
    finally:
        pool.close()
    race.tell("whole suite, 64 px", "loader", "engine", shop.target(3.3, 5), floor=1.2)
    race.tell("whole suite, 64 px", "loader", "engine fp32", None, floor=1.2)
    race.tell("whole suite, 64 px", "loader", "engine, halving", shop.target(8, 15), floor=3)
    check(found)
    race.settle()


def check(found):
    for row, usual, plain, name in zip(
        found["engine fp32"], found["engine"], found["loader"], RECIPES, strict=True
    ):
        assert {record.status for record in row} == {"ok"}, name
        workshop.assert_equal(row[MEASURED].result, plain, num=48, tolerance=1e-2)
        assert abs(usual[MEASURED].result["loss"] / plain.loss - 1) < 0.15, name
    steps = [[record.result["steps"] for record in row] for row in found["engine, halving"]]
    assert all(max(row) > min(row) for row in steps)
