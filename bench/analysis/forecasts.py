"""Which cheap score would have chosen the network well? What finals' forecasts say of the networks that a suite tries
on one target, held against what these came to on test. `report/sections/forecasts.py` says it.

A forecast is judged in two ways. Does it order the networks as their scores do: Kendall's tau, weighted so that the top
counts most, as the literature reports it, and Spearman's rho. And what would have been lost, in each repeat, by taking
the network that it puts first instead of the one with the highest mean, which may be one of which it says nothing.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bench.analysis.across import DIGITS, shared_repeats
from bench.analysis.cells import Row, Task, mean_of, records, task_of
from bench.analysis.comparison import Scores, average
from bench.analysis.frame import CELL, OWN_HEAD, SuiteResults
from bench.analysis.picks import highest, mixed, validated
from bench.analysis.ranks import midranks
from bench.analysis.statistics import LEVEL, Floats, Interval, mean_interval
from bench.analysis.variance import Column, Estimate, Indices
from bench.store.results import Distance, Forecast

FEWEST = 3  # networks: of two, every order is right or wrong
SCORES = ("log_me", "h_score", "shrunk_h_score", "transrate", "parc", "gbc", "cka", "leep", "nce")
NEARNESS = ("a_distance", "mmd")  # of distances that the suite measures too: the nearer, the better
VALIDATION = "validation"  # no forecast: the score of the linear probe's own search
RANDOM = "random"
TUNED, BEST = "tuned", "best"  # what is done with the network that was chosen

Target = tuple[str, str]  # data set, budget
Values = dict[str, dict[int, float]]  # by network, in each repeat; higher is better
Told = dict[str, Values]  # by forecast
Probed = dict[Target, Values]


@dataclass(frozen=True)
class Offer:
    """The networks that one target could have been learned with, by what each then came to."""

    target: Target
    columns: dict[str, Column]  # by network
    strategies: dict[str, str]  # likewise: whose scores these are
    told: Told

    @property
    def repeats(self) -> list[int]:
        return shared_repeats(list(self.columns.values()))

    def known(self, forecast: str) -> list[str]:
        """Networks of which it says something in every repeat."""
        values = self.told.get(forecast, {})
        return [name for name in self.columns if self.repeats and all(r in values.get(name, {}) for r in self.repeats)]


@dataclass(frozen=True)
class Judged:
    """How well one forecast would have chosen, over the targets with three networks or more that it speaks of."""

    forecast: str
    targets: int
    networks: tuple[int, int]  # of which it says something: the fewest and the most of a target
    offered: int  # the most of a target
    tau: Interval  # over targets; no number where all values are equal
    rho: Interval
    lost: Estimate  # test score of the best network less that of the chosen one, a mean over targets
    lost_ends: tuple[float, float]  # corrected: the best one was picked afterwards, from all networks
    hits: float  # of so many choices those that took the best network; a tie is shared out
    choices: int  # targets times repeats
    seconds: float = math.nan  # here, for one network and repeat


@dataclass(frozen=True)
class Mark:
    target: Target
    network: str
    forecast: float  # means over repeats
    score: float


@dataclass(frozen=True)
class Forecasts:
    offers: dict[str, list[Offer]]  # by what is done with the network
    judged: dict[str, list[Judged]]  # likewise: forecasts, those that lose least first; then what they compete with
    errors: list[str]
    num_asked: int  # finals that could have one
    num_without: int  # of them, those without although nothing failed
    most_networks: int  # of one target
    tuning_seconds: float  # of one full fine-tuning, its search apart

    def marks(self, use: str, forecast: str) -> list[Mark]:
        return [
            Mark(offer.target, name, _mean(offer.told[forecast][name], offer.repeats), _score(offer, name))
            for offer in self.offers[use] if len(offer.known(forecast)) >= FEWEST for name in offer.known(forecast)
        ]  # fmt: skip


def forecasts(results: SuiteResults, scores: Scores) -> Forecasts:
    rows = _with_networks([row for row in records(results.finals) if _transfers(row)])
    done = [row for row in rows if row["status"] == "ok"]
    told, seconds = _told(done), _seconds(done)
    validation, seconds[VALIDATION] = _validation(results, rows)
    offers = {use: list(_offers(rows, scores, told, validation, use)) for use in (TUNED, BEST)}
    errors = {f"{row['dataset']}, {row['backbone']}: {one.error}": None
              for row in done if isinstance(one := row["forecast"], Forecast) and one.error}  # fmt: skip
    return Forecasts(
        offers=offers,
        judged={use: _all_judged(mine, seconds) for use, mine in offers.items()},
        errors=list(errors),
        num_asked=len(done),
        num_without=sum(not isinstance(row["forecast"], Forecast) for row in done),
        most_networks=max((len(offer.columns) for mine in offers.values() for offer in mine), default=0),
        tuning_seconds=mean_of([row for row in done if _is_tuned(row)], "seconds"),
    )


def _transfers(row: Row) -> bool:
    return not row["from_random"] and row["solved"] != OWN_HEAD and row["labels"] == "target"


def _is_tuned(row: Row) -> bool:
    """Everything, from the network's weights on."""
    return bool(row["axis"] == "depth" and row["axis_kind"] == "" and row["axis_value"] == 0)


def _is_probe(row: Row) -> bool:
    is_head_alone = row["axis"] == "depth" and row["axis_kind"] == "" and row["axis_value"] == row["num_units"] - 1
    return bool(is_head_alone and not row["solved"])


def _with_networks(rows: list[Row]) -> list[Row]:
    """A network is called by its backbone; where a strategy goes on with other weights, by what these learned, too."""
    first: dict[str, str] = {}
    for row in rows:
        first.setdefault(row["backbone"], row["weights"])
    return [
        {**row, "network": row["backbone"] if row["weights"] == first[row["backbone"]]
         else f"{row['backbone']}, {row['lesson']}"}
        for row in rows
    ]  # fmt: skip


def _told(done: list[Row]) -> dict[Target, Told]:
    found: dict[Target, Told] = {}
    for row in done:
        mine = found.setdefault((row["dataset"], row["budget"]), {})
        for name, value in _values(row):
            mine.setdefault(name, {}).setdefault(row["network"], {}).setdefault(int(row["repeat"]), value)
    return found


def _values(row: Row) -> Iterator[tuple[str, float]]:
    forecast, distance = row["forecast"], row["distance"]
    if isinstance(forecast, Forecast):
        yield from ((name, value) for name in SCORES if (value := getattr(forecast, name)) is not None)
    if isinstance(forecast, Forecast) and isinstance(distance, Distance):
        if distance.features is not None:
            yield "a_distance", distance.features  # an error: the higher, the nearer
        if distance.mmd is not None:
            yield "mmd", -distance.mmd


def _seconds(done: list[Row]) -> dict[str, float]:
    """Of a pass over the examples and the score itself, a mean over what finals tell."""
    spent: dict[str, list[float]] = {}
    for row in done:
        if isinstance(one := row["forecast"], Forecast):
            for name in SCORES:
                if name in one.seconds:
                    spent.setdefault(name, []).append(one.seconds["features"] + one.seconds[name])
    return {name: float(np.mean(values)) for name, values in spent.items()}


def _validation(results: SuiteResults, rows: list[Row]) -> tuple[Probed, float]:
    """The linear probe's validation score by target, network and repeat, and the seconds of its search."""
    probes = {task_of(row): row["strategy"] for row in rows if _is_probe(row)}
    found = validated(results.trials)
    told: Probed = {}
    for row in rows:
        if _is_probe(row):
            cell, repeat = (task_of(row), row["strategy"]), int(row["repeat"])
            value = found.get((*cell, repeat), found.get((*cell, None)))
            if value is not None:
                told.setdefault(cell[0][:2], {}).setdefault(row["network"], {})[repeat] = value
    searches: dict[tuple[Task, int], float] = {}
    for row in records(results.trials, [*CELL, "repeat", "seconds", "feature_seconds"]):
        if probes.get(task_of(row)) == row["strategy"] and math.isfinite(row["seconds"]):
            search = task_of(row), int(row["repeat"])
            features = row["feature_seconds"] if math.isfinite(row["feature_seconds"]) else 0.0
            searches[search] = searches.get(search, 0.0) + row["seconds"] + features
    return told, float(np.mean(list(searches.values()))) if searches else math.nan


def _offers(
    rows: list[Row], scores: Scores, told: Mapping[Target, Told], validation: Probed, use: str
) -> Iterator[Offer]:
    """In the suite's order."""
    found: dict[Target, dict[str, dict[str, Column]]] = {}
    for row in rows:
        task, strategy = task_of(row), row["strategy"]
        if scores.columns[task][strategy].scores and (use == BEST or _is_tuned(row)):
            networks = found.setdefault(task[:2], {})
            networks.setdefault(row["network"], {})[strategy] = scores.columns[task][strategy]
    for target, networks in found.items():
        best = {name: _highest_mean(mine) for name, mine in networks.items()}
        columns = {name: mine[best[name]] for name, mine in networks.items()}
        yield Offer(target, columns, best, {**told.get(target, {}), VALIDATION: validation.get(target, {})})


def _highest_mean(columns: Mapping[str, Column]) -> str:
    return max(columns, key=lambda name: float(np.mean(list(columns[name].scores.values()))))


def _all_judged(offers: list[Offer], seconds: Mapping[str, float]) -> list[Judged]:
    found = [one for name in (*SCORES, *NEARNESS) if (one := _judged(name, offers, seconds)) is not None]
    # Losses that are printed alike are alike; then the better order comes first.
    found.sort(key=lambda one: (round(one.lost.mean, 3), -np.nan_to_num(one.tau.mean, nan=-1.0)))
    rivals = [_judged(name, offers, seconds) for name in (VALIDATION, RANDOM)] if found else []
    return [*found, *(one for one in rivals if one is not None)]


def _judged(forecast: str, offers: list[Offer], seconds: Mapping[str, float]) -> Judged | None:
    best, chosen, orders, sizes, offered = [], [], [], [], 1
    hits: list[float] = []
    for offer in offers:
        known = list(offer.columns) if forecast == RANDOM else offer.known(forecast)
        if len(known) < FEWEST or not offer.repeats:
            continue
        sizes.append(len(known))
        offered = max(offered, len(offer.columns))
        leader = max(offer.columns, key=lambda name: _score(offer, name))  # noqa: B023
        best.append((offer.target[0], offer.columns[leader]))
        taken = _taken(forecast, offer, known)
        chosen.append((offer.target[0], mixed(offer.columns, taken)))
        hits += [(leader in names) / len(names) for names in taken.values()]
        orders.append(_orders(forecast, offer, known))
    if not sizes:
        return None
    lost = Estimate.of(average(best).minus(average(chosen)))
    if lost.n == 0:
        return None
    taus, rhos = zip(*orders, strict=True)
    is_always_best = sum(hits) == len(hits)  # so that nothing varies, which is no certainty
    ends = (math.nan, math.nan) if lost.n < 2 or is_always_best else lost.ends((1 - LEVEL) / offered)
    return Judged(
        forecast, len(sizes), (min(sizes), max(sizes)), offered, _over_targets(taus),
        _over_targets(rhos), lost, ends, sum(hits), len(hits), seconds.get(forecast, math.nan),
    )  # fmt: skip


def _taken(forecast: str, offer: Offer, known: Sequence[str]) -> dict[int, list[str]]:
    """In each repeat; of equal ones all, whose mean counts."""
    if forecast == RANDOM:
        return {r: list(known) for r in offer.repeats}
    values = offer.told[forecast]
    return {r: highest({name: values[name][r] for name in known}) for r in offer.repeats}


def _orders(forecast: str, offer: Offer, known: Sequence[str]) -> tuple[float, float]:
    """tau and rho; NaN for what orders nothing."""
    if forecast == RANDOM:
        return math.nan, math.nan
    foretold = np.array([_mean(offer.told[forecast][name], offer.repeats) for name in known])
    scored = np.round([_score(offer, name) for name in known], DIGITS)
    return weighted_tau(foretold, scored), spearmans_rho(foretold, scored)


def _mean(values: Mapping[int, float], repeats: Sequence[int]) -> float:
    return float(np.mean([values[r] for r in repeats]))


def _score(offer: Offer, name: str) -> float:
    return _mean(offer.columns[name].scores, offer.repeats)


def _over_targets(values: Sequence[float]) -> Interval:
    """Mean and Student t interval, which ends at -1 and 1; no interval for values that are all equal."""
    found = mean_interval(values)
    if not found.sd > 0:
        return Interval(found.mean, math.nan, math.nan, found.n, found.sd)
    return Interval(found.mean, max(found.low, -1.0), min(found.high, 1.0), found.n, found.sd)


def weighted_tau(x: Floats, y: Floats) -> float:
    """Kendall's tau in which a pair counts 1 / rank of the one plus 1 / rank of the other, ranks by x and by y in turn
    and the mean of both (Vigna 2015). NaN where either side has one value only."""
    return float(np.mean([_tau(x, y, np.lexsort((-y, -x))), _tau(x, y, np.lexsort((-x, -y)))]))


def _tau(x: Floats, y: Floats, order: Indices) -> float:
    weight = 1 / (1.0 + np.argsort(order))
    pairs = np.triu(weight[:, None] + weight[None], 1)
    first, second = (np.sign(one[:, None] - one[None]) for one in (x, y))
    size = math.sqrt(float((pairs * first**2).sum() * (pairs * second**2).sum()))
    return float((pairs * first * second).sum()) / size if size > 0 else math.nan


def spearmans_rho(x: Floats, y: Floats) -> float:
    """NaN where either side has one value only."""
    first, second = (ranks - ranks.mean() for ranks in (midranks(x), midranks(y)))
    size = math.sqrt(float((first**2).sum() * (second**2).sum()))
    return float(first @ second) / size if size > 0 else math.nan
