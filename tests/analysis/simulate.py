"""How often intervals and verdicts are right: the tables of `bench/analysis/README.md`, made anew.

    python -m tests.analysis.simulate verdicts --suites 2000

Each suite is drawn from a planted truth and goes through the functions that make the page.
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import stdtrit

from bench.analysis.candidates import candidates
from bench.analysis.comparison import average
from bench.analysis.decision import decisions
from bench.analysis.frame import SuiteResults
from bench.analysis.statistics import LEVEL
from bench.analysis.variance import Estimate
from bench.analysis.verdicts import AS_GOOD, HELPS, HURTS, verdicts

from .planted import NEAR, POINT, Planted, finals, suite, task

CASES = ["equal", "lognormal", "half noisy", "ceiling", "ties"]
MORE = ["noisy baseline", "two noisy", "families", "heavy tails", "breaking"]


@dataclass(frozen=True)
class Answers:
    """Of a case, over its suites."""

    coverage: float  # of unadjusted 95 % intervals of differences
    worst: float  # the same, of the strategy that has it worst
    ratio: float  # of the variance that is estimated, on average, to the true one
    family: float  # share of suites in which transfer "helps" or "hurts" somewhere, though it does nothing
    as_good: float  # share of suites in which a strategy is "as good as" the baseline

    def row(self) -> str:
        shown = (100 * self.coverage, 100 * self.worst, self.ratio, 100 * self.family)
        return "{:.1f} | {:.1f} | {:.2f} | {:.1f}".format(*shown)


def world_of(case: str, **settings: int) -> Planted:
    return replace(NEAR.get(case, Planted(case)), **settings)


def null(world: Planted, suites: int, seed: int = 0, margin: float = 0.0) -> Answers:
    """All strategies have the baseline's share."""
    draw, rows = np.random.default_rng([seed, world.n, world.tasks, world.strategies]), finals(world)
    covered, means, variances, found, equal = [], [], [], 0, 0
    for _ in range(suites):
        judged = verdicts(rows, margin, suite(world, draw))
        reach = stdtrit(judged.df, (1 + LEVEL) / 2) * judged.sd / world.n**0.5
        covered.append((judged.difference.abs() <= reach).to_numpy().reshape(world.tasks, -1).mean(axis=0))
        means.append(judged.difference.to_numpy())
        variances.append(judged.sd.to_numpy() ** 2 / world.n)
        found += bool(judged.verdict.isin([HELPS, HURTS]).any())
        equal += bool((judged.verdict == AS_GOOD).any())
    by_strategy = np.mean(covered, axis=0)
    true = float(np.mean(np.square(means)))
    ratio = float(np.mean(variances)) / true
    return Answers(float(by_strategy.mean()), float(by_strategy.min()), ratio, found / suites, equal / suites)


def power(world: Planted, suites: int, points: float, seed: int = 1) -> tuple[float, float]:
    """One strategy of one task is so many points better: how often it is found, and the median `detectable`."""
    draw, rows = np.random.default_rng(seed), finals(world)
    shares = np.full((world.tasks, world.strategies), world.share)
    shares[0, -1] += points / 100
    found, told = 0, []
    for _ in range(suites):
        judged = verdicts(rows, 0.0, suite(world, draw, shares))
        row = judged.iloc[world.strategies - 2]
        found += row.verdict == HELPS
        told.append(row.detectable)
    return found / suites, float(np.median(told))


def means(world: Planted, suites: int, seed: int = 2) -> tuple[float, float]:
    """Coverage of the interval of a cell's mean, and of Student's t over the repeats' scores alone."""
    draw = np.random.default_rng(seed)
    covered, plain = [], []
    for _ in range(suites):
        for column in task(replace(world, tasks=1), draw).values():
            low, high = Estimate.of(column.alone()).share_ends()
            covered.append(low <= world.share <= high)
            bare = Estimate.of(replace(column, images={}).alone())
            low, high = bare.ends() if bare.error else (bare.mean, bare.mean)
            plain.append(low <= world.share <= high)
    return float(np.mean(covered)), float(np.mean(plain))


def leaders(world: Planted, suites: int, lead: float = 0.0, seed: int = 3) -> dict[str, float]:
    """Who is called a candidate, over all tasks and their mean. `lead`: points by which one strategy is truly best."""
    draw = np.random.default_rng(seed)
    shares = np.full((world.tasks, world.strategies), world.share)
    shares[:, 1] += lead / 100
    kept, held, left = 0, 0, []
    families = world.tasks + (world.tasks > 1)
    for _ in range(suites):
        columns = suite(world, draw, shares).columns
        pages = [candidates(one, families) for one in columns.values()]
        if world.tasks > 1:
            names = next(iter(columns.values()))
            over = {s: average([(name[0], one[s]) for name, one in columns.items()]) for s in names}
            pages.append(candidates(over, families))
        # Where all are equal every one of them is a true best, and one is looked at.
        kept += all(page["s1"].is_candidate for page in pages)
        truth = {name: 0.0 if name == "s1" else -lead / 100 for name in pages[0]}
        inside = [[page[s].low <= truth[s] + 1e-9 and truth[s] <= page[s].high + 1e-9 for page in pages] for s in truth]
        held += np.mean([all(one) for one in inside])
        left.append(np.mean([place.is_candidate for page in pages for place in page.values()]))
    return {"kept": kept / suites, "held": held / suites, "candidates": float(np.mean(left))}


SHAPES = [(1, 6), (6, 6), (1, 40), (6, 40)]
LARGE = 4  # times fewer suites, where 40 strategies are compared


def decided(world: Planted, suites: int, lead: float, margin: float = POINT, seed: int = 4) -> dict[str, float]:
    """Strategies cost the more the later they stand, and the first half lies `lead` points below the others. Shares of
    suites: "holds", of what is taken in any task, or over all, nothing gives up more than its bound; "wrong", some
    answer is settled that gives up more than the margin; "settled", of answers; "dear", of answers that take somebody
    although a cheaper one is truly within the margin."""
    draw = np.random.default_rng([seed, world.n, world.tasks, world.strategies])
    shares = np.full((world.tasks, world.strategies), world.share)
    shares[:, : world.strategies // 2] -= lead * POINT
    rows = finals(world)
    results = SuiteResults("planted", "", "", {"decision": {"margin": 100 * margin}}, rows, rows, rows)
    summary = [
        {"dataset": f"d{t}", "budget": "5", "backbone": "net", "strategy": f"s{s}", "applicable": True,
         "complete": True, "flops": 2.0**s, "n": world.n, "lr_edge": "", "num_images": world.num_images,
         "modality": "image", "metric": "accuracy", "from_random": False}
        for t in range(world.tasks) for s in range(world.strategies)
    ]  # fmt: skip
    count = dict.fromkeys(("holds", "wrong", "settled", "dear"), 0.0)
    for _ in range(suites):
        found = decisions(results, suite(world, draw, shares), summary)
        every = [*found.tasks, *found.overall]
        places = [int(one.taken[1][1:]) for one in every]
        losses = [world.share - shares[0, place] for place in places]
        count["holds"] += all(loss <= one.gives_up + 1e-9 for loss, one in zip(losses, every, strict=True))
        count["wrong"] += any(one.is_settled and loss > margin for loss, one in zip(losses, every, strict=True))
        count["settled"] += np.mean([one.is_settled for one in every])
        cheapest = int(np.flatnonzero(shares[0] >= world.share - margin)[0])
        count["dear"] += np.mean([place > cheapest for place in places])
    return {name: one / suites for name, one in count.items()}


def table_of_decisions(suites: int) -> Iterator[str]:
    yield "case | n | tasks x strategies | lead, points | bound holds % | settled wrongly % | settled % | too dear %"
    for case in ("equal", "half noisy"):
        for n in (3, 5, 10):
            for tasks in (1, 6):
                for lead in (0.0, 3.0):
                    found = decided(world_of(case, n=n, tasks=tasks), suites, lead)
                    told = [100 * found[name] for name in ("holds", "wrong", "settled", "dear")]
                    yield f"{case} | {n} | {tasks} x 6 | {lead} | " + " | ".join(f"{one:.1f}" for one in told)


def table_of_verdicts(suites: int) -> Iterator[str]:
    yield "case | n | tasks x strategies | coverage % | of the worst strategy | variance / true | family error %"
    for tasks, strategies in SHAPES:
        for case in CASES + MORE:
            for n in (3, 5, 10) if (tasks, strategies) == (6, 6) else (5,):
                world = world_of(case, n=n, tasks=tasks, strategies=strategies)
                found = null(world, suites // (LARGE if strategies > 6 else 1))
                yield f"{case} | {n} | {tasks} x {strategies} | {found.row()}"


def table_of_images(suites: int) -> Iterator[str]:
    """All that varies between repeats is the run: the worst case for intervals that forget the images."""
    yield "test images | n | coverage % | of the worst strategy | variance / true | family error %"
    for num in (12, 30, 153, 797, 2000, 10_000):
        for n in (3, 5, 10):
            world = Planted(num_images=num, n=n, tasks=1, labels=0.0, run=0.0)
            yield f"{num} | {n} | {null(world, suites // (4 if num > 2000 else 1)).row()}"


def table_of_splits(suites: int) -> Iterator[str]:
    """Every repeat draws its own test images from a pool."""
    yield "pool | test images | n | coverage % | of the worst strategy | variance / true | family error % | mean %"
    for pool, num in ((397, 79), (600, 300), (1500, 300)):
        for n in (3, 5, 10):
            world = Planted(num_images=num, n=n, tasks=1, pool=pool)
            mean = means(world, suites // 4)[0]
            yield f"{pool} | {num} | {n} | {null(world, suites).row()} | {100 * mean:.1f}"


def table_of_means(suites: int) -> Iterator[str]:
    yield "case | n | coverage of the mean's interval % | of Student's t over repeats alone %"
    for case in ("equal", "ceiling", "ties"):
        for n in (3, 5, 10):
            found = means(world_of(case, n=n), suites)
            yield f"{case} | {n} | " + " | ".join(f"{100 * one:.1f}" for one in found)


def table_of_leaders(suites: int) -> Iterator[str]:
    yield "case | n | tasks x strategies | lead, points | best kept % | interval holds % | candidates, share of all %"
    for case in ("equal", "lognormal", "half noisy", "noisy baseline"):
        for n in (3, 5, 10):
            for tasks, lead in ((1, 0.0), (6, 0.0), (6, 0.5), (6, 3.0)):
                found = leaders(world_of(case, n=n, tasks=tasks), suites, lead)
                shown = " | ".join(f"{100 * value:.1f}" for value in found.values())
                yield f"{case} | {n} | {tasks} x 6 | {lead} | {shown}"


def table_of_power(suites: int) -> Iterator[str]:
    yield "case | n | detectable, points (median) | power there | power at 2 points"
    for case in ("equal", "lognormal"):
        for n in (3, 5, 10):
            world = world_of(case, n=n)
            at_two, told = power(world, suites, 2.0)
            at_told, _ = power(world, suites, 100 * told, seed=4)
            yield f"{case} | {n} | {100 * told:.1f} | {at_told:.2f} | {at_two:.2f}"


TABLES = {
    "verdicts": table_of_verdicts, "images": table_of_images, "splits": table_of_splits, "means": table_of_means,
    "leaders": table_of_leaders, "decisions": table_of_decisions, "power": table_of_power,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=TABLES)
    parser.add_argument("--suites", type=int, default=2000, help="drawn for each row")
    options = parser.parse_args()
    for line in TABLES[options.table](options.suites):
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
