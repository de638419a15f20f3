"""The search for hyperparameters: Optuna, asked and told. The truth is in the records; a study is rebuilt from them.

Which point comes next depends on the records so far and on nothing else, so a resumed search equals an unbroken one.
Points that need nothing of each other's results are asked together, as a cohort; `run.py` runs it.
"""

import math
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from bench.engine.common.history import Tried
from bench.engine.search.bracket_sampler import BracketSampler
from bench.engine.train.optimize import Hyper
from bench.keys import seed_for
from bench.planning.halving import grid_size
from bench.planning.ranking import ranking
from bench.spec.job import FitSpec
from bench.spec.refs import Search
from bench.spec.spans import spread
from bench.strategies.varied import recipe_at


def ask_cohort(spec: FitSpec, history: Sequence[Tried], cohort: range) -> list[Hyper]:
    """The points of a cohort, given all finished trials of those before it, in order."""
    points: list[Hyper] = []
    for number in cohort:
        fixed = _fixed_point(spec, number)
        point = fixed if fixed is not None else _sampled(spec, history[: cohort.start], points, cohort)
        points.append(replace(point, options=_options(spec, number)))
    return points


def at_point(spec: FitSpec, hyper: Hyper) -> FitSpec:
    """With the recipe that the searched options of a point make; the same where none are searched."""
    if spec.varied is None:
        return spec
    return replace(spec, recipe=recipe_at(spec.varied, spec.recipe, dict(hyper.options)))


def choose(history: Sequence[Tried]) -> Tried | None:
    """The best of those that ran to their end; where none did with a score, of those that came furthest."""
    best = _best(history)
    return replace(best, edge=edge_of(best, history)) if best is not None else None


def _best(history: Sequence[Tried]) -> Tried | None:
    scored = [t for t in history if t.score is not None]
    furthest = max((math.inf if t.pruned_at is None else t.pruned_at for t in scored), default=0)
    last = [t for t in scored if (math.inf if t.pruned_at is None else t.pruned_at) == furthest]
    return min(last, key=lambda t: ranking(t.score, t.loss, t.hyper.lr, t.collapsed), default=None)


def unchosen(history: Sequence[Tried]) -> list[tuple[int, Tried]]:
    """All points but the chosen one, numbered; where none is chosen, all but the last. One that left the race early has
    not seen when to stop."""
    chosen = _best(history) or history[-1]
    others = [tried for tried in history if tried.number != chosen.number]
    return [(place, replace(tried, stop=tried.stop if tried.pruned_at is None else None))
            for place, tried in enumerate(others)]  # fmt: skip


def edge_of(chosen: Tried, history: Sequence[Tried]) -> str:
    """`low` or `high` where the chosen rate is the lowest or the highest that was tried, those that diverged included;
    else "", as where a single rate was tried."""
    rates = {tried.hyper.lr for tried in history}
    if len(rates) < 2:
        return ""
    return "low" if chosen.hyper.lr == min(rates) else "high" if chosen.hyper.lr == max(rates) else ""


def _fixed_point(spec: FitSpec, number: int) -> Hyper | None:
    """Points of the grid, which no earlier result can move."""
    search = spec.search
    size = grid_size(search)
    if number >= size:
        return None
    lr = 0.5 if size == 1 else number / (size - 1)
    return Hyper(_at(search.lr_low, search.lr_high, lr), _spread_decay(spec, number))


def _sampled(spec: FitSpec, history: Sequence[Tried], pending: Sequence[Hyper], cohort: range) -> Hyper:
    """A point of Optuna's, given all finished trials and those under way."""
    search = spec.search
    sampler = _sampler(spec, len(history) + len(pending), cohort)
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        study = optuna.create_study(direction="maximize", sampler=sampler)
        space = _space(search)
        for tried in history:
            study.add_trial(_as_trial(tried, space))
        for hyper in pending:
            study.add_trial(_under_way(hyper, space))
        params = study.ask(space).params
    finally:
        optuna.logging.set_verbosity(verbosity)
    return Hyper(params["lr"], params.get("weight_decay", search.weight_decay))


def _sampler(spec: FitSpec, number: int, cohort: range) -> BaseSampler:
    """For the trial of that number alone: a sampler's own state would not survive a restart."""
    search = spec.search
    seed = seed_for("sampler", spec.seed, spec.repeat, number) % 2**32
    match search.sampler:
        case "bracket":
            return BracketSampler(search, cohort, {"weight_decay": _spread_decay(spec, number)})
        case "random":
            return RandomSampler(seed=seed)
        case _:
            # The liar holds points under way for bad ones, else all of a cohort would be the same.
            liar = number > cohort.start
            return TPESampler(seed=seed, n_startup_trials=grid_size(search), constant_liar=liar)


def _spread_decay(spec: FitSpec, number: int) -> float:
    """Evenly over its range, where it is searched, and not along with the rate."""
    low, high = spec.search.weight_decay_low, spec.search.weight_decay_high
    if low is None or high is None:
        return spec.search.weight_decay
    return _at(low, high, spread(number, 1 + _num_options(spec))[0])


def _options(spec: FitSpec, number: int) -> tuple[tuple[str, Any], ...]:
    """Of the strategy, as evenly."""
    if spec.varied is None:
        return ()
    decays = spec.search.weight_decay_low is not None
    return spec.varied.at(spread(number, decays + _num_options(spec))[decays:])


def _num_options(spec: FitSpec) -> int:
    return len(spec.varied.spans) if spec.varied is not None else 0


def _at(low: float, high: float, share: float) -> float:
    if share in (0.0, 1.0):
        return high if share else low  # exactly, whatever the rounding
    return math.exp(math.log(low) + share * (math.log(high) - math.log(low)))


def _space(search: Search) -> dict[str, BaseDistribution]:
    low, high = search.lr_low, search.lr_high
    if search.sampler == "bracket":  # has no ends
        low, high = sys.float_info.min, sys.float_info.max
    space: dict[str, BaseDistribution] = {"lr": FloatDistribution(low, high, log=True)}
    if search.weight_decay_low is not None and search.weight_decay_high is not None:
        space["weight_decay"] = FloatDistribution(search.weight_decay_low, search.weight_decay_high, log=True)
    return space


def _as_trial(tried: Tried, space: dict[str, BaseDistribution]) -> FrozenTrial:
    state, value, seen = TrialState.COMPLETE, tried.score, {}
    if tried.score is None:
        state = TrialState.FAIL
    elif tried.pruned_at is not None:
        state, value, seen = TrialState.PRUNED, None, {tried.pruned_at: tried.score}
    return create_trial(
        params=_params(tried.hyper, space), distributions=space, state=state, value=value, intermediate_values=seen,
        user_attrs={"loss": tried.loss, "collapsed": tried.collapsed},
    )  # fmt: skip


def _under_way(hyper: Hyper, space: dict[str, BaseDistribution]) -> FrozenTrial:
    return create_trial(params=_params(hyper, space), distributions=space, state=TrialState.RUNNING)


def _params(hyper: Hyper, space: dict[str, BaseDistribution]) -> dict[str, float]:
    params = {"lr": hyper.lr, "weight_decay": hyper.weight_decay}
    return {name: params[name] for name in space}
