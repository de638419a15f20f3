"""How often the gate is wrong, by simulation through `compare`: the tables of `bench/gate/README.md`.

    python -m tests.gate.operating_points [NIGHTS] [REPEATS ...]

24 cells, 4 tasks of 6, a run's sd is 0.6 points, 2000 test images. Both nights are drawn anew around the same levels.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from bench.gate.compare import compare
from bench.gate.pairs import Rule

from .nights import accepted, names, night

SD = 0.6  # points
TARGET = 8  # the cell that drops: the third of the second group
LOST = 12.0  # points that a collapsed run loses
COLUMNS = ["noise", "n", "alarm", "caught 2", "smallest", "blind at 2", "at 3", "all drop .5"]
KINDS = [
    "normal", "lognormal 0.5", "lognormal 0.8", "t3", "t2", "collapse 0.02", "collapse 0.05", "together",
    "noisy group together", "noisy cells", "unequal", "night shift", "ceiling", "few images",
]  # fmt: skip


@dataclass(frozen=True)
class Case:
    kind: str
    margin: float = 0.25
    repeats: int = 5
    groups: tuple[int, int] = (4, 6)  # datasets and budgets, cells in each
    nights: int = 200
    seed: int = 0

    @property
    def images(self) -> int:
        return 500 if self.kind == "ceiling" else 2000


def noise(rng, case):
    """[groups, cells, repeats] of points, of one night."""
    groups, size = case.groups
    kind, _, number = case.kind.partition(" ")
    shape = (groups, size, case.repeats)
    if kind in ("t3", "t2"):
        df = int(kind[1])
        return SD * rng.standard_t(df, shape) / (np.sqrt(3) if df == 3 else 2)
    found = rng.normal(size=shape)
    if "together" in case.kind:
        found = np.sqrt(0.5) * found + np.sqrt(0.5) * rng.normal(size=(groups, 1, case.repeats))
    if "noisy group" in case.kind:
        found[0] *= 5
    if case.kind == "noisy cells":
        found[0, :2] *= 5
    if case.kind == "unequal":
        found *= np.linspace(0.5, 1.5, size)[:, None]
    if case.kind == "night shift":
        found += 0.5 * rng.normal(size=(groups, 1, 1))
    return SD * found - (LOST * (rng.random(shape) < float(number)) if kind == "collapse" else 0)


def two_nights(rng, case):
    """[cells, repeats] of shares, without any change between them."""
    shape = (*case.groups, case.repeats)
    if case.kind == "ceiling":  # 99.5 %, by runs that differ, counted on few images
        chance = [1 / (1 + np.exp(-5.3 - 0.5 * rng.normal(size=shape))) for _ in range(2)]
        return [rng.binomial(case.images, one).reshape(-1, case.repeats) / case.images for one in chance]
    level = 80 + 2 * rng.normal(size=(case.groups[0], 1, case.repeats))  # the labels' part, which both nights share
    if case.kind == "few images":
        first = level + np.zeros(shape)
        both = [first, first + 100 / case.images * rng.integers(-1, 2, shape)]
    else:
        scale = 1.0
        if case.kind.startswith("lognormal"):
            scale = np.exp(float(case.kind.split()[1]) * rng.normal(size=(*case.groups, 1)))
        both = [level + scale * noise(rng, case) for _ in range(2)]
    return [np.clip(one, 0, 100).reshape(-1, case.repeats) / 100 for one in both]


def simulate(case, drop=0.0, everywhere=0.0) -> Iterator:
    """`drop`: points of the target, one number or one for each night; `everywhere`: of each cell."""
    rng, cells = np.random.default_rng(case.seed), names(*case.groups)
    for fall in np.broadcast_to(drop, case.nights):
        before, after = two_nights(rng, case)
        after = after - everywhere / 100
        after[TARGET] -= fall / 100
        before, after = (np.round(np.clip(one, 0, 1) * case.images) / case.images for one in (before, after))
        yield compare(accepted(before, cells, num_test=case.images), night(after, cells, num_test=case.images),
                      Rule(case.margin, 2.0))  # fmt: skip


def named(results, word, without=None):
    """The share of the nights in which any cell, or the mean of all, has this word."""
    return np.mean([
        any(v.word == word for n, v in enumerate(one.verdicts) if n != without)
        or (without is None and one.mean.word == word) for one in results
    ])  # fmt: skip


def caught(results):
    return np.mean([result.verdicts[TARGET].word == "regressed" for result in results])


def unseen(results, drop):
    """The share of nights that are not green, as more than a quarter of the cells could have dropped so much unseen."""
    return np.mean([replace(one, must_see=drop, fail_on=()).exit_code == 4 for one in results])


def row(case):
    still, fell, all_fell = (list(simulate(case, **how)) for how in ({}, {"drop": 2.0}, {"everywhere": 0.5}))
    smallest = np.median([result.verdicts[TARGET].smallest for result in still])
    numbers = [named(still, "regressed"), caught(fell), smallest, unseen(still, 2.0), unseen(still, 3.0),
               np.mean([result.exit_code == 1 for result in all_fell])]  # fmt: skip
    return [case.kind, str(case.repeats), *(f"{number:.3f}" if n == 0 else f"{number:.2f}"
                                            for n, number in enumerate(numbers))]  # fmt: skip


def main(nights=200, repeats=(5, 3, 10)):
    for line in [COLUMNS, ["---"] * len(COLUMNS)]:
        sys.stdout.write(f"| {' | '.join(line)} |\n")
    for count in repeats:
        for kind in KINDS:
            sys.stdout.write(f"| {' | '.join(row(Case(kind, repeats=count, nights=nights)))} |\n")
            sys.stdout.flush()


if __name__ == "__main__":
    typed = [int(text) for text in sys.argv[1:]]
    main(*typed[:1], *([typed[1:]] if typed[1:] else []))
