"""A linear probe's whole search: ten rates on three repeats of one cell."""

from tests.benchmarks import workshop
from tests.benchmarks.arms import Arm
from tests.benchmarks.plain import Trial
from tests.benchmarks.sizes import SMOKE, sized

IMAGES, SIDE = sized(1500, 150), sized(64, 32)  # a third of them for validation
REPEATS, RATES, STEPS = sized(3, 2), 10, sized(80, 8)  # 5 epochs of 1000 images in batches of 64
STABLE = 5  # of the ten rates
PARITY = sized(0.03, 0.1)  # of bf16's accuracy, mean over all trials


def test_probe_search(race, shop):
    ref = shop.blobs(SIDE, IMAGES)
    weights = shop.resnet18(SIDE)
    jobs = {
        precision: workshop.searches(
            workshop.spec(
                ref, weights, workshop.recipe("linear_probe"), precision=precision, steps=STEPS, repeat=r, lr_high=1.0
            )
            for r in range(REPEATS)
        )
        for precision in ("fp32", "bf16")
    }

    def engine(precision):
        context = shop.context(ref, jobs[precision])
        found = workshop.run(jobs[precision], context, together=True)
        shop.forget(context)
        return found

    trials = [Trial(job.spec, shop.context(ref)) for job in jobs["fp32"]]
    rate = workshop.rates(jobs["fp32"][0].spec)[STABLE]
    arms = {
        "loader": Arm(lambda: trials[0].with_loader(rate), scale=REPEATS * RATES),
        "memory": Arm(lambda: trials[0].in_memory(rate), scale=REPEATS * RATES),
        "engine fp32": Arm(lambda: engine("fp32")),
        "engine bf16": Arm(lambda: engine("bf16")),
    }
    found = race.measure(arms, rounds=3, warm_up=("engine fp32", "engine bf16"))
    race.tell("probe search", "loader", "engine fp32", shop.target(115, 100), floor=75)
    race.tell("probe search", "loader", "engine bf16", shop.target(400, 100), floor=75)
    race.tell("probe search", "memory", "engine fp32", None, floor=60)
    race.tell("probe search", "memory", "engine bf16", None, floor=60)
    check(found, trials)
    race.settle()


def check(found, trials):
    """Stable rates of every repeat in single precision, and bf16's accuracies as a whole."""
    for repeat, number in ((0, 1), (1, STABLE), (2, STABLE - 1))[:REPEATS]:
        result = found["engine fp32"][repeat][number].result
        workshop.assert_equal(result, trials[repeat].in_memory(result["lr"]), num=IMAGES // 3)
    workshop.assert_equal(found["engine fp32"][0][STABLE].result, found["loader"], num=IMAGES // 3)
    workshop.assert_equal(found["engine fp32"][0][STABLE].result, found["memory"], num=IMAGES // 3)
    single, half = ([one.result["score"] for row in found[f"engine {p}"] for one in row] for p in ("fp32", "bf16"))
    assert SMOKE or max(single) > 0.4, "the images teach nothing"
    assert abs(sum(single) - sum(half)) / len(single) < PARITY
