"""Suites with pitfalls whose truth is planted: each mistake costs a known share of all images.

    python -m tests.analysis.mistaken --tables 300
"""

import argparse
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd

from bench.analysis.pitfalls import COSTS, GAINS, NOT_SHOWN, pitfall_costs
from bench.planning.pitfalls import PITFALLS, marked
from bench.store.predictions import Predictions
from tests.analysis.planted import Planted, suite
from tests.analysis.studied import Held

MARGIN = 0.01


def table(world: Planted, costs: dict[str, float], draw: np.random.Generator, margin: float = MARGIN):
    """Results as `join.py` makes them, those columns that are read: one right strategy per task, and its mistakes."""
    shares = np.array([[world.share, *(world.share - cost for cost in costs.values())]] * world.tasks)
    found = suite(Planted(**{**vars(world), "strategies": len(costs) + 1}), draw, shares)
    rows = []
    for task, columns in found.columns.items():
        for name, column in zip(["", *costs], columns.values(), strict=True):
            rows += [_row(task, name, repeat, score, column) for repeat, score in column.scores.items()]
    frame = pd.DataFrame(rows)
    right, wrong = (frame[(frame["pitfall"] == "") == is_right] for is_right in (True, False))
    return SimpleNamespace(finals=right, pitfalls=wrong, every_final=frame, margin=margin)


def _row(task, name, repeat, score, column):
    dataset, budget, backbone = task
    bits = column.images[repeat] > 0  # centred: an image that is right lies above the mean
    return {
        "dataset": dataset, "budget": budget, "backbone": backbone, "repeat": repeat, "status": "ok", "score": score,
        "strategy": marked("probe", name) if name else "probe", "pitfall": name, "right": "probe" if name else "",
        "labels_per_class": 5.0, "metric": "accuracy", "collapsed": 0.0, "key": "", "baseline": False,
        "predictions": Held(Predictions(bits)),
    }  # fmt: skip


def rates(num: int, world: Planted, costs: dict[str, float], seed: int = 0) -> dict[str, float]:
    """Shares of tables in which a mistake without cost is said to cost or gain, and of costs that are found; of those
    that are said not to show, the share that cost the margin or more."""
    draw = np.random.default_rng(seed)
    wrong, found, absent, covered = [], [], [], []
    for _ in range(num):
        told = pitfall_costs(table(world, costs, draw))
        wrong.append(any(one.verdict in (COSTS, GAINS) and costs[one.pitfall] == 0 for one in told))
        found += [one.verdict == COSTS for one in told if costs[one.pitfall] > 0]
        absent.append(any(one.verdict == NOT_SHOWN and costs[one.pitfall] >= MARGIN for one in told))
        covered += [one.ends[0] <= costs[one.pitfall] <= one.ends[1] for one in told]
    return {"wrong": np.mean(wrong), "found": np.mean(found) if found else np.nan, "absent": np.mean(absent),
            "covered": np.mean(covered)}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", type=int, default=300)
    num = parser.parse_args().tables
    names = list(PITFALLS)[:8]
    world = Planted(tasks=3, num_images=1000)
    cases = {
        "no mistake costs anything": (world, dict.fromkeys(names, 0.0)),
        **{f"half of them cost {points} points": (world, dict(zip(names, [0.0, points / 100] * 4, strict=True)))
           for points in (2, 5, 10)},
        "all cost the margin": (world, dict.fromkeys(names, MARGIN)),
    }
    say = sys.stdout.write
    say("| case | any shown wrongly | any called absent wrongly | costs found | covered |\n|---|---|---|---|---|\n")
    for name, (of, costs) in cases.items():
        told = rates(num, of, costs)
        say(f"| {name} | {100 * told['wrong']:.1f} | {100 * told['absent']:.1f} | {100 * told['found']:.0f} | "
            f"{100 * told['covered']:.1f} |\n")


if __name__ == "__main__":
    main()
