"""How far targets lie from what networks learned before, the terms of the bound of Ben-David et al. 2010, and whether
the gain over scratch falls with the distance. `report/sections/distance.py` says it."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import permutations

import numpy as np
import numpy.typing as npt
import pandas as pd

from bench.analysis.cells import Row, records
from bench.analysis.frame import CELL
from bench.analysis.ranks import midranks
from bench.analysis.statistics import LEVEL, Floats, Interval, holm, share_interval, t_quantile
from bench.store.results import Distance

FEWEST_PAIRS = 5  # below, not even the strictest order has a p under 0.05
MOST_LISTED = 8  # pairs whose orders are all gone through; of more, DRAWS are drawn
DRAWS = 99_999
ROUNDING = 1e-9
UNKNOWN = Interval(math.nan, math.nan, math.nan, 0, math.nan)


@dataclass(frozen=True)
class Pair:
    """A target and a network, by what it learned last. Values are means over repeats. Their intervals speak of new
    images, and of new pretrainings where each repeat has one."""

    dataset: str
    backbone: str
    weights: str  # as finals name them
    lesson: str  # what the network learned, the last data set last
    num: int  # images of each side
    features: Interval  # proxy A-distance, 0 to 2
    pixels: Interval
    mmd: Interval
    source_error: Interval
    joint: Interval  # of one linear head: its error on the source plus that on the target
    same_classes: bool
    target_error: Interval  # of the network's own head; no values where the classes differ
    own: Interval  # both errors of that head together

    @property
    def bound(self) -> float:
        """Source error, half of the distance and lambda. NaN where lambda is not defined."""
        return self.source_error.mean + max(self.features.mean, 0.0) / 2 + self.least.mean

    @property
    def least(self) -> Interval:
        """Lambda, at the most: the lowest sum of both errors among the heads that are known, which are the linear one
        and the network's own."""
        if not self.same_classes:
            return UNKNOWN
        return min((one for one in (self.joint, self.own) if math.isfinite(one.mean)), key=lambda one: one.mean,
                   default=UNKNOWN)  # fmt: skip


@dataclass(frozen=True)
class Trend:
    """Whether a strategy's gain falls with the distance, over the pairs of one budget."""

    strategy: str
    budget: str
    points: tuple[tuple[float, float], ...]  # distance, gain over the baseline as a share
    rho: float  # Spearman's
    p: float  # of all orders being alike likely, two-sided; after Holm's correction over the trends


@dataclass(frozen=True)
class Distances:
    pairs: list[Pair]
    errors: list[str]  # measurements that failed
    num_without: int  # pairs that could have one and have none, although no measurement failed

    def of(self, dataset: str, backbone: str, weights: str) -> Pair | None:
        wanted = (dataset, backbone, weights)
        return next((one for one in self.pairs if (one.dataset, one.backbone, one.weights) == wanted), None)


def distances(finals: pd.DataFrame) -> Distances:
    """In the suite's order."""
    found: dict[tuple[str, str, str, str], dict[int, Distance]] = {}
    errors: dict[str, None] = {}
    failed = set()
    for row in records(finals, [*CELL, "repeat", "status", "lesson", "weights", "distance"]):
        if not row["lesson"] or row["status"] != "ok":
            continue
        names = row["dataset"], row["backbone"], row["weights"], row["lesson"]
        mine = found.setdefault(names, {})
        one = row["distance"]
        if isinstance(one, Distance) and one.error:
            errors[f"{row['dataset']}, {row['backbone']}: {one.error}"] = None
            failed.add(names)
        elif isinstance(one, Distance):
            mine.setdefault(int(row["repeat"]), one)
    pairs = [_pair(names, list(mine.values())) for names, mine in found.items() if mine]
    without = sum(not mine and names not in failed for names, mine in found.items())
    return Distances(pairs, list(errors), without)


def _pair(names: tuple[str, str, str, str], found: list[Distance]) -> Pair:
    dataset, backbone, weights, lesson = names
    num = min(one.num for one in found)
    crossed = 2 * num / _widening(min(one.folds for one in found))
    judged = 2 * num / _widening(min(one.joint_folds or one.folds for one in found))
    joint, own = ([None if a is None or b is None else (a + b) / 2 for a, b in pairs] for pairs in (
        [(one.joint_source, one.joint_target) for one in found],
        [(one.source_error, one.target_error) for one in found],
    ))
    return Pair(
        dataset=dataset,
        backbone=backbone,
        weights=weights,
        lesson=lesson,
        num=num,
        features=_proxy(_error([one.features for one in found], crossed)),
        pixels=_proxy(_error([one.pixels for one in found], crossed)),
        mmd=_mmd(found),
        source_error=_error([one.source_error for one in found], num),
        joint=_doubled(_error(joint, judged)),
        same_classes=all(one.same_classes for one in found),
        target_error=_error([one.target_error for one in found], num),
        own=_doubled(_error(own, 2 * num)),
    )


def _widening(folds: int) -> float:
    """Of the variance of a cross-fitted error, whose folds hang together: Nadeau and Bengio 2003."""
    return 1 + folds / (folds - 1)


def _error(values: Iterable[float | None], num: float) -> Interval:
    """Wilson's interval for a share of `num` images. Repeats share the images, so that only what differs between them
    is averaged out."""
    kept = [value for value in values if value is not None]
    if not kept:
        return UNKNOWN
    mean, spread, quantile = _over_repeats(kept)
    low, high = share_interval(mean, mean * (1 - mean) / num + spread, quantile, round(num))
    return Interval(mean, low, high, len(kept), math.nan)


def _over_repeats(values: list[float]) -> tuple[float, float, float]:
    """Mean, the variance that repeats leave in it, and the quantile for an interval."""
    renewed = max(values) - min(values) > ROUNDING  # equal ones are one measurement
    spread = float(np.var(values, ddof=1)) / len(values) if renewed else 0.0
    df = len(values) - 1 if renewed else math.inf
    return float(np.mean(values)), spread, t_quantile((1 + LEVEL) / 2, df)


def _proxy(error: Interval) -> Interval:
    """2(1 - 2 err): the lower the error, the larger the distance."""
    mean, low, high = (2 * (1 - 2 * one) for one in (error.mean, error.high, error.low))
    return Interval(mean, low, high, error.n, math.nan)


def _doubled(half: Interval) -> Interval:
    return Interval(2 * half.mean, 2 * half.low, 2 * half.high, half.n, math.nan)


def _mmd(found: list[Distance]) -> Interval:
    kept = [(one.mmd, one.mmd_error or 0.0) for one in found if one.mmd is not None]
    if not kept:
        return UNKNOWN
    mean, spread, quantile = _over_repeats([value for value, _ in kept])
    half = quantile * math.sqrt(float(np.mean([error**2 for _, error in kept])) + spread)
    return Interval(mean, mean - half, mean + half, len(kept), math.nan)


def trends(finals: pd.DataFrame, verdicts: list[Row], known: Distances) -> list[Trend]:
    """Of each strategy and budget with enough pairs, in the suite's order."""
    weights = {tuple(row[name] for name in CELL): row["weights"] for row in records(finals, [*CELL, "weights"])}
    points: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for row in verdicts:
        own = weights.get(tuple(row[name] for name in CELL), "")
        pair = known.of(row["dataset"], row["backbone"], own) if own else None
        if pair is not None and math.isfinite(row["difference"]):
            mine = points.setdefault((row["strategy"], row["budget"]), [])
            mine.append((pair.features.mean, row["difference"]))
    enough = {name: mine for name, mine in points.items() if len(mine) >= FEWEST_PAIRS}
    tests = [spearman(*np.array(mine, dtype=np.float64).T) for mine in enough.values()]
    corrected = holm(p for _, p in tests)
    return [Trend(*name, tuple(mine), rho, float(p))
            for (name, mine), (rho, _), p in zip(enough.items(), tests, corrected, strict=True)]  # fmt: skip


def spearman(x: Floats, y: Floats) -> tuple[float, float]:
    """Spearman's rho and its two-sided p: the share of all orders that agree or disagree as strongly. NaN where either
    side has one value only."""
    first, second = (midranks(np.round(one, 9)) for one in (x, y))
    first, second = first - first.mean(), second - second.mean()
    size = math.sqrt(float((first**2).sum() * (second**2).sum()))
    if size == 0:
        return math.nan, math.nan
    rho = float(first @ second) / size
    orders, is_all = _orders(len(x))
    as_strong = int((np.abs(second[orders] @ first) >= abs(rho) * size - ROUNDING).sum())
    # The order that was seen is one of those that are drawn, so that no p is 0.
    return rho, as_strong / len(orders) if is_all else (as_strong + 1) / (len(orders) + 1)


def _orders(num: int) -> tuple[npt.NDArray[np.int64], bool]:
    """Every order of so many places, or a sample of them: the same one every time."""
    if num <= MOST_LISTED:
        return np.array(list(permutations(range(num))), dtype=np.int64), True
    return np.argsort(np.random.default_rng(0).random((DRAWS, num)), axis=1), False
