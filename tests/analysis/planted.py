"""Suites whose truth is planted: every strategy has a known share of all images that it would get right.

An image is right where strength + difficulty of the image + the strategy's lasting taste for it + the run + the labels
of the repeat + noise > 0, all normal; the strengths are such that the population's share is what is asked for, whatever
the spread. So the difference between two strategies of one share is 0, though never on just these images.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
from scipy.special import ndtri

from bench.analysis.cells import Row, cells
from bench.analysis.comparison import Scores
from bench.analysis.variance import Column

POINT = 0.01
DIFFICULTY, NOISE = 1.5, 1.0


@dataclass(frozen=True)
class Planted:
    """What to draw. Spreads in points of score where the share is 0.8."""

    case: str = "equal"
    n: int = 5
    num_images: int = 2000
    tasks: int = 6
    strategies: int = 6
    share: float = 0.8
    run: float = 1.0  # sd of a run, points
    labels: float = 2.0  # sd of a draw of labels, which all strategies share, points
    taste: float = 1.0  # sd of a strategy's lasting taste for images; 0: all images are alike to it
    pool: int = 0  # images that every repeat draws its test split from; 0: all repeats share one


NEAR = {"ceiling": Planted("ceiling", num_images=500, share=0.992), "ties": Planted("ties", num_images=150, share=0.98)}


def spreads(case: str, strategies: int, draw: np.random.Generator) -> np.ndarray:
    found = np.ones(strategies)
    if case == "lognormal":
        found = np.exp(draw.normal(0, 0.6, strategies))
    elif case == "half noisy":
        found[1 : 1 + strategies // 2] = 3
    elif case == "two noisy":
        found[1:3] = 5
    elif case == "noisy baseline":
        found[0] = 3
    return found


def runs(world: Planted, draw: np.random.Generator) -> np.ndarray:
    """[strategies, repeats], standard: what a run has beside its strategy's strength."""
    shape = (world.strategies, world.n)
    if world.case == "heavy tails":
        return draw.standard_t(3, shape) / np.sqrt(3)
    if world.case == "families":
        families = draw.normal(size=(max(1, world.strategies // 4), world.n))
        shared = families[np.arange(world.strategies) % len(families)]
        return np.sqrt(0.3) * draw.normal(size=shape) + np.sqrt(0.7) * shared
    if world.case == "breaking":  # 5 % of the runs lose 20 points, and nothing tells which
        return draw.normal(size=shape) - 20 * (draw.random(shape) < 0.05)
    return draw.normal(size=shape)


def task(world: Planted, draw: np.random.Generator, shares: np.ndarray | None = None) -> dict[str, Column]:
    """One task. `shares`: of each strategy; unset, all have the world's."""
    shares = np.full(world.strategies, world.share) if shares is None else shares
    still = np.sqrt(DIFFICULTY**2 + world.taste**2 + NOISE**2)
    # So many units of strength make a point; near 100 % the spreads are those of logits instead.
    unit = POINT * still / 0.28 if world.share < 0.95 else 0.3
    sd = unit * world.run * spreads(world.case, world.strategies, draw)
    of_labels = unit * (world.labels if world.share < 0.95 else 1.0)
    strength = ndtri(shares) * np.sqrt(still**2 + sd**2 + of_labels**2)
    num = world.pool or world.num_images
    lasting = DIFFICULTY * draw.standard_normal((1, num), np.float32)
    lasting = lasting + world.taste * draw.standard_normal((world.strategies, num), np.float32)
    moved = sd[:, None] * runs(world, draw) + of_labels * draw.normal(size=world.n)
    columns = [({}, {}, {}) for _ in range(world.strategies)]
    for repeat in range(world.n):
        which = draw.choice(num, world.num_images, replace=False) if world.pool else np.arange(num)
        level = (strength + moved[:, repeat])[:, None].astype(np.float32) + lasting[:, which]
        right = level + draw.standard_normal(level.shape, np.float32) > 0
        for (scores, images, splits), one in zip(columns, right, strict=True):
            scores[repeat], images[repeat] = float(one.mean()), Column.centred(one.astype(np.float64))
            splits[repeat] = which
    return {
        f"s{number}": Column(scores, images, splits if world.pool else None)
        for number, (scores, images, splits) in enumerate(columns)
    }


def suite(world: Planted, draw: np.random.Generator, shares: np.ndarray | None = None) -> Scores:
    """`shares` [tasks, strategies]"""
    return Scores(
        _cells(world),
        {
            (f"d{t}", "5", "net"): task(world, draw, None if shares is None else shares[t])
            for t in range(world.tasks)
        },
        {},
    )


@lru_cache(maxsize=8)
def _cells(world: Planted) -> list[tuple[tuple[str, ...], list[Row]]]:
    return cells(finals(world))


def finals(world: Planted) -> pd.DataFrame:
    """The rows of such a suite; s0 is the baseline. Scores come from `suite`."""
    return pd.DataFrame([
        {"dataset": f"d{t}", "modality": "image",
         "budget": "5", "backbone": "net", "strategy": f"s{s}", "repeat": r, "status": "ok",
         "labels_per_class": 5.0, "baseline": s == 0,
         "from_random": s == 0, "score": 0.5, "predictions": None, "metric": "accuracy",
         "collapsed": 0.0, "control": False, "pair": "", "key": ""}
        for t in range(world.tasks) for s in range(world.strategies) for r in range(world.n)
    ])  # fmt: skip
