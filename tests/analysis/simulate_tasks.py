"""How often the intervals over all tasks are right: the tables of `bench/analysis/README.md`, made anew.

    python -m tests.analysis.simulate_tasks --suites 1000

Tasks are held fixed. Each suite is drawn from a planted truth and goes through the functions that make the page.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtr

from bench.analysis.across import FEWEST_PAIRS, improvement, middle_half, profile
from bench.analysis.picks import picks
from bench.analysis.variance import Column, Estimate

from .planted import Planted, suite

REPEATS, TASKS = (2, 3, 5, 10), (1, 2, 3, 6, 12)
EFFECTS = ("none", "half", "one", "two", "mixed", "wide")  # of a strategy, in standard deviations of its difference
DRAWS = 200_000  # of a truth that has no formula


@dataclass(frozen=True)
class Coverage:
    mean: float  # over all cases
    worst: float  # of the case that has it worst
    width: float

    def row(self) -> str:
        return f"{100 * self.mean:.1f} | {100 * self.worst:.1f} | {100 * self.width:.0f}"


def plain(scores: np.ndarray) -> list[Column]:
    """[tasks, repeats], with nothing known of images."""
    return [Column({r: float(one) for r, one in enumerate(row)}, {}) for row in scores]


def effects(case: str, tasks: int, draw: np.random.Generator) -> np.ndarray:
    """[tasks]"""
    if case in ("mixed", "wide"):
        return draw.normal(0, 1 if case == "mixed" else 3, tasks)
    return np.full(tasks, {"none": 0.0, "half": 0.5, "one": 1.0, "two": 2.0}[case])


def scattered(tasks: int, n: int, related: int, draw: np.random.Generator) -> np.ndarray:
    """[tasks, repeats], standard. So many neighbouring tasks have half of their variance in common."""
    alone = draw.normal(size=(tasks, n))
    together = np.repeat(draw.normal(size=(-(-tasks // related), n)), related, axis=0)[:tasks]
    return alone if related == 1 else np.sqrt(0.5) * (alone + together)


def improvements(n: int, tasks: int, suites: int, related: int = 1, ties: float = 0.0, seed: int = 0) -> Coverage:
    """Of the chance to score above the baseline. `ties`: differences as small as that are none."""
    draw = np.random.default_rng([seed, n, tasks, related])
    covered: dict[str, list[bool]] = {}
    widths = []
    for number in range(suites):
        case = EFFECTS[number % len(EFFECTS)]
        effect = effects(case, tasks, draw)
        truth = float(np.mean((ndtr(effect - ties) + ndtr(effect + ties)) / 2))
        differences = effect[:, None] + scattered(tasks, n, related, draw)
        shown = np.where(np.abs(differences) < ties, 0.0, differences)
        one = improvement(plain(shown), plain(np.zeros_like(shown)))
        covered.setdefault(case, []).append(one.low <= truth <= one.high)
        widths.append(one.high - one.low)
    means = [float(np.mean(found)) for found in covered.values()]
    return Coverage(float(np.mean(means)), min(means), float(np.mean(widths)))


def profiles(n: int, tasks: int, suites: int, related: int = 1, seed: int = 1) -> Coverage:
    """Of the share of task-repeats above a height, at nine heights from the lowest to the highest task; tasks differ as
    much as ten runs of one."""
    draw = np.random.default_rng([seed, n, tasks, related])
    levels = apart(tasks)
    heights = np.linspace(levels[0] - 1.5, levels[-1] + 1.5, 9)
    truth = ndtr(levels[:, None] - heights).mean(axis=0)
    covered, widths = [], []
    for _ in range(suites):
        found = profile(plain(levels[:, None] + scattered(tasks, n, related, draw)), heights)
        covered.append([one.low <= t <= one.high for one, t in zip(found, truth, strict=True)])
        widths.append(np.mean([one.high - one.low for one in found]))
    by_height = np.mean(covered, axis=0)
    return Coverage(float(by_height.mean()), float(by_height.min()), float(np.mean(widths)))


def apart(tasks: int) -> np.ndarray:
    """Levels of tasks that differ as much as ten runs of one."""
    return np.linspace(-5, 5, tasks) if tasks > 1 else np.zeros(1)


def bare_middles(n: int, tasks: int, suites: int, related: int = 1, seed: int = 4) -> tuple[float, float]:
    """Coverage of the interquartile mean's interval over repeats, where nothing is known of images; beside it, of a
    stratified bootstrap's."""
    draw = np.random.default_rng([seed, n, tasks, related])
    levels = apart(tasks)[:, None]
    truth = quarters((levels + draw.normal(size=(tasks, DRAWS // tasks)))[None])[0]
    right = []
    for _ in range(suites):
        table = levels + scattered(tasks, n, related, draw)
        found = Estimate.of(middle_half([(f"d{t // related}", one) for t, one in enumerate(plain(table))]).alone())
        right.append((_holds(found.ends(), truth), _holds(bootstrap(table, draw), truth)))
    own, resampled = np.mean(right, axis=0).tolist()
    return own, resampled


def middles(world: Planted, suites: int, seed: int = 2) -> float:
    """Coverage of the interquartile mean over new test images too, with tasks from 50 to 95 %."""
    draw = np.random.default_rng([seed, world.n, world.tasks])
    shares = np.repeat(np.linspace(0.5, 0.95, world.tasks)[:, None], world.strategies, axis=1)
    estimates, pooled = [], []
    for _ in range(suites):
        columns = suite(world, draw, shares).columns
        for name in next(iter(columns.values())):
            mine = [(task[0], found[name]) for task, found in columns.items()]
            table = np.array([list(column.scores.values()) for _, column in mine])
            estimates.append(Estimate.of(middle_half(mine).alone()))
            pooled.append(table)
    truth = quarters(np.concatenate(pooled, axis=1)[None])[0]
    return float(np.mean([_holds(one.ends(), truth) for one in estimates]))


def bootstrap(table: np.ndarray, draw: np.random.Generator, times: int = 400) -> tuple[float, float]:
    """[tasks, repeats]: repeats are drawn anew in each task, as others do."""
    which = draw.integers(0, table.shape[1], (times, *table.shape))
    low, high = np.quantile(quarters(np.take_along_axis(table[None], which, axis=2)), (0.025, 0.975))
    return float(low), float(high)


def quarters(tables: np.ndarray) -> np.ndarray:
    """Interquartile means of [times, tasks, repeats], a part of a score where a quarter ends inside one."""
    flat = np.sort(tables.reshape(len(tables), -1), axis=1)
    places = np.arange(flat.shape[1])
    weights = np.clip(np.minimum(places + 1, 0.75 * len(places)) - np.maximum(places, 0.25 * len(places)), 0, 1)
    found: np.ndarray = flat @ weights / weights.sum()
    return found


def choices(world: Planted, suites: int, lead: float = 0.0, seed: int = 3) -> dict[str, float]:
    """Coverage of what the choice has over a strategy at random, and of how far it stays behind the leader, without and
    with the correction for picking that one afterwards. Each repeat has a validation of its own, with an error of 2
    points; one strategy of each task is truly better by `lead` points, another one on each."""
    draw = np.random.default_rng([seed, world.n, world.tasks])
    shares = np.full((world.tasks, world.strategies), world.share)
    for number, row in enumerate(shares):
        row[number % world.strategies] += lead / 100
    names = [f"s{number}" for number in range(world.strategies)]
    right = []
    for _ in range(suites):
        columns = suite(world, draw, shares).columns
        seen = {
            (task, name, r): float(shares[t, s] + draw.normal(0, 0.02))
            for t, task in enumerate(columns) for s, name in enumerate(names) for r in range(world.n)
        }  # fmt: skip
        found = picks(columns, names, seen)
        assert found is not None
        truths = shares.mean(axis=0) - _chosen(lead, world.strategies, world.share)
        behind, plainly = -float(truths[names.index(found.leader)]), found.behind.ends()
        gain = -float(truths.mean())
        right.append((
            _holds(found.gain.ends(), gain), _holds(plainly, behind), _holds(found.behind_ends, behind),
        ))  # fmt: skip
    return dict(zip(("gain", "behind", "behind, corrected"), np.mean(right, axis=0).tolist(), strict=True))


def _holds(ends: tuple[float, float], truth: float) -> bool:
    return ends[0] <= truth <= ends[1]


def _chosen(lead: float, strategies: int, share: float) -> float:
    """True mean score of the one that validation puts first."""
    errors = np.random.default_rng(0).normal(0, 0.02, (DRAWS, strategies))
    first = errors[:, 0] + lead / 100 > errors[:, 1:].max(axis=1)
    return share + lead / 100 * float(first.mean())


def tables(suites: int) -> Iterator[str]:
    yield (
        "| repeats | tasks | above | worst | width | related | worst | profile | worst | width | IQM, images | IQM | "
        "related | bootstrap |"
    )
    for n in REPEATS:
        for tasks in TASKS:
            if n * tasks < FEWEST_PAIRS:
                continue
            alone, related = improvements(n, tasks, suites), improvements(n, tasks, suites, related=3, ties=0.1)
            heights = profiles(n, tasks, suites // 4)
            middle = middles(Planted(n=n, tasks=tasks, strategies=4, num_images=1000), suites // 8)
            bare, resampled = bare_middles(n, tasks, suites)
            together, _ = bare_middles(n, tasks, suites, related=3)
            yield (
                f"| {n} | {tasks} | {alone.row()} | {100 * related.mean:.1f} | {100 * related.worst:.1f} | "
                f"{heights.row()} | {100 * middle:.1f} | {100 * bare:.1f} | {100 * together:.1f} | "
                f"{100 * resampled:.1f} |"
            )
    yield "| repeats | tasks | lead | gain | behind | behind, corrected |"
    for n in REPEATS:
        for tasks, lead in ((1, 0.0), (6, 0.0), (6, 2.0)):
            found = choices(replace(Planted(), n=n, tasks=tasks, num_images=1000), suites // 4, lead)
            yield f"| {n} | {tasks} | {lead:g} | " + " | ".join(f"{100 * one:.1f}" for one in found.values()) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--suites", type=int, default=1000)
    for line in tables(parser.parse_args().suites):
        print(line, flush=True)  # noqa: T201  a command's answer


if __name__ == "__main__":
    main()
