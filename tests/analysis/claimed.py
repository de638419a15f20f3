"""Tables of claims whose truth is planted: how often a claim that is not true is said to hold, and one that is, found.

    python -m tests.analysis.claimed --tables 500

Cells are drawn as in `planted.py`: an image is right where strength + difficulty + taste + run + labels + noise > 0.
"""

import argparse
import sys
from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import numpy as np
import pandas as pd

from bench.analysis.claims import FAILS, HOLDS, judged_claims
from bench.analysis.frame import PRETRAININGS, TRIALS, empty
from bench.store.predictions import Predictions
from bench.suite.claims_schema import ClaimSpec

from .planted import Planted, task
from .studied import Held

DATASETS, BUDGETS, STRATEGIES = ("near", "far", "digits"), (5, 50), ("scratch", "probe", "full", "partial")
SHARE = 0.8
Cell = tuple[str, int, str]


@dataclass(frozen=True)
class World:
    """Shares of images that each cell truly gets right."""

    shares: dict[Cell, float] = field(default_factory=dict)
    share: float = SHARE  # where `shares` says nothing
    planted: Planted = Planted(tasks=1)

    def of(self, cell: Cell) -> float:
        return self.shares.get(cell, self.share)


def finals(world: World, draw: np.random.Generator) -> pd.DataFrame:
    """Budgets of one data set share its images."""
    rows = []
    cells = [(budget, strategy) for budget in BUDGETS for strategy in STRATEGIES]
    for dataset in DATASETS:
        shares = np.array([world.of((dataset, budget, strategy)) for budget, strategy in cells])
        columns = task(replace(world.planted, strategies=len(cells)), draw, shares)
        for (budget, strategy), column in zip(cells, columns.values(), strict=True):
            rows += [_row(dataset, budget, strategy, repeat, column) for repeat in column.scores]
    return pd.DataFrame(rows)


def _row(dataset, budget, strategy, repeat, column):
    right = column.images[repeat] > 0
    return {
        "dataset": dataset, "budget": str(budget), "labels_per_class": float(budget), "backbone": "net",
        "strategy": strategy, "repeat": repeat, "status": "ok", "score": column.scores[repeat], "metric": "accuracy",
        "collapsed": 0.0, "pair": "", "target": "", "treatment": "", "keep": 0, "classes": None,
        "predictions": Held(Predictions(right)), "source_after": np.nan, "flops": np.nan, "steps": 10.0, "key": "",
    }  # fmt: skip


def claims(margin: float) -> tuple[ClaimSpec, ...]:
    """Of every form: one task, a mean over three, other labels, a change of a difference, a level, and an equality."""
    few, many = {"labels": "fewest"}, {"labels": "most"}
    scratch, full = {"strategy": "scratch"}, {"strategy": "full"}
    made = [
        *({"more": {**full, **few, "dataset": name}, "less": {**scratch, **few}} for name in DATASETS),
        {"more": {**full, **few}, "less": {**scratch, **few}},
        {"more": {"strategy": "probe", **few}, "less": {**scratch, **few}},
        {"more": {"strategy": "partial", **few}, "less": {**scratch, **few}},
        {"more": {**full, **few}, "less": {**scratch, **many}},
        {"more": {**full, **few}, "less": {**scratch, **few},
         "beyond": {"more": {**full, **many}, "less": {**scratch, **many}}},
    ]  # fmt: skip
    stated = [{**one, "above": float(margin)} for one in made]
    stated.append({"more": {"strategy": "probe", **many}, "between": (100 * SHARE + margin, 100.0)})
    stated.append({"more": {"strategy": "partial", **few}, "less": {**scratch, **few}, "within": float(margin)})
    return tuple(ClaimSpec.model_validate({"claim": "a claim", **one}) for one in stated)


def judged(frame: pd.DataFrame, stated: tuple[ClaimSpec, ...]):
    return judged_claims(SimpleNamespace(
        finals=frame, trials=empty(TRIALS), pretrainings=empty(PRETRAININGS), claims=stated
    ))  # fmt: skip


def effects(points: float) -> dict[Cell, float]:
    """Such that every difference of the claims is this large."""
    gain = points / 100
    shares = {(d, 5, s): SHARE + gain for d in DATASETS for s in ("full", "probe", "partial")}
    return shares | {(d, 50, "probe"): SHARE + gain for d in DATASETS}


def table(num: int, world: World, stated: tuple[ClaimSpec, ...], seed: int = 0) -> dict[str, float]:
    """Shares of tables with any verdict of the kind, and of claims but the equality that are said to hold."""
    draw = np.random.default_rng(seed)
    held, failed, found = 0, 0, []
    for _ in range(num):
        verdicts = [one.verdict for one in judged(finals(world, draw), stated)]
        held, failed = held + (HOLDS in verdicts), failed + (FAILS in verdicts)
        found.append([one == HOLDS for one in verdicts[:-1]])
    return {"holds": held / num, "fails": failed / num, "found": float(np.mean(found))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", type=int, default=300)
    num = parser.parse_args().tables
    say = sys.stdout.write
    say(f"10 claims over 3 data sets; % of {num} tables, or of their claims\n")
    say("| case | repeats | margin | at the edge: any holds | any fails | at twice the margin: found |\n")
    say("|---|---|---|---|---|---|\n")
    for case in ("equal", "lognormal", "half noisy", "families"):
        for n in (3, 5, 10):
            for margin in (1.0, 2.0, 5.0):
                planted, stated = Planted(case, n=n, tasks=1), claims(margin)
                edge = table(num, World(effects(margin), planted=planted), stated)
                twice = table(num // 3, World(effects(2 * margin), planted=planted), stated)
                told = (100 * edge["holds"], 100 * edge["fails"], 100 * twice["found"])
                say(f"| {case} | {n} | {margin:g} | {told[0]:.1f} | {told[1]:.1f} | {told[2]:.0f} |\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
