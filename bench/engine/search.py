"""The search for hyperparameters: Optuna, asked and told. The truth is in the records; a study is rebuilt from them.

Which point comes next depends on the records so far and on nothing else, so a resumed search equals an unbroken one.
Points that need nothing of each other's results are asked together, as a cohort; `race.py` runs it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.engine.optimize import Hyper
from bench.keys import seed_for
from bench.plan.halving import grid_size
from bench.plan.spec import FitSpec, Search

# Imported where they are used: scipy.stats takes 3 s and Optuna half a second, and a suite's first training waits
# for whatever a worker imports.
if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

EDGE = 0.05  # of a range's decades
GOLDEN = (math.sqrt(5) - 1) / 2  # its multiples modulo 1 fill an interval evenly


@dataclass(frozen=True)
class Tried:
    """One finished trial. A score of None: it diverged or failed, and still counts as a trial."""

    number: int
    hyper: Hyper
    score: float | None  # validation accuracy after its last step
    loss: float | None  # validation loss
    pruned_at: int | None = None  # steps after which it left the race; None: it ran to its end
    stop: int | None = None  # steps after which it was at its best, where a recipe may stop early


def ask(spec: FitSpec, history: Sequence[Tried], pending: Sequence[Hyper] = ()) -> Hyper:
    """The next point, given all finished trials in order and the points of its cohort asked before it."""
    fixed = _fixed_point(spec, len(history) + len(pending))
    return fixed if fixed is not None else _sampled(spec, history, pending)


def ask_cohort(spec: FitSpec, history: Sequence[Tried], cohort: range) -> list[Hyper]:
    points: list[Hyper] = []
    for _ in cohort:
        points.append(ask(spec, history[: cohort.start], points))
    return points


def ranking(score: float | None, loss: float | None, lr: float) -> tuple[float, float, float]:
    """Sorts the best first: highest validation accuracy, then the lower validation loss, then the smaller rate."""
    return (-score if score is not None else math.inf, loss if loss is not None else math.inf, lr)


def choose(history: Sequence[Tried]) -> Tried | None:
    """The best of those that ran to their end; where none did with a score, of those that came furthest."""
    scored = [t for t in history if t.score is not None]
    furthest = max((math.inf if t.pruned_at is None else t.pruned_at for t in scored), default=0)
    last = [t for t in scored if (math.inf if t.pruned_at is None else t.pruned_at) == furthest]
    return min(last, key=lambda t: ranking(t.score, t.loss, t.hyper.lr)) if last else None


def edge_of(chosen: Tried, search: Search) -> str:
    """`low` or `high` where the chosen rate lies within a twentieth of the range's decades from that end, else ""."""
    low, high = math.log(search.lr_low), math.log(search.lr_high)
    share = (math.log(chosen.hyper.lr) - low) / (high - low)
    return "low" if share <= EDGE else "high" if share >= 1 - EDGE else ""


def _fixed_point(spec: FitSpec, number: int) -> Hyper | None:
    """Points that no earlier result can move: the grid and the quasi-random sequence."""
    search = spec.search
    size = grid_size(search)
    if number < size:
        lr = 0.5 if size == 1 else number / (size - 1)
        return _scaled(search, lr, (0.5 + number * GOLDEN) % 1)
    if search.sampler == "qmc":
        from scipy.stats import qmc

        points = qmc.Halton(d=2, rng=seed_for("qmc", spec.seed, spec.repeat) % 2**32).random(number + 1)
        return _scaled(search, float(points[number, 0]), float(points[number, 1]))
    return None


def _sampled(spec: FitSpec, history: Sequence[Tried], pending: Sequence[Hyper]) -> Hyper:
    """A point of Optuna's, given all finished trials and those under way."""
    import optuna

    search = spec.search
    # Reseeded per number: a sampler's own state would not survive a restart.
    sampler_seed = seed_for("sampler", spec.seed, spec.repeat, len(history) + len(pending)) % 2**32
    sampler: optuna.samplers.BaseSampler
    if search.sampler == "random":
        sampler = optuna.samplers.RandomSampler(seed=sampler_seed)
    else:
        # The liar holds points under way for bad ones, else all of a cohort would be the same.
        sampler = optuna.samplers.TPESampler(
            seed=sampler_seed, n_startup_trials=grid_size(search), constant_liar=bool(pending)
        )
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


def _scaled(search: Search, lr: float, weight_decay: float) -> Hyper:
    """Shares of the logarithmic ranges -> values."""
    decay = search.weight_decay
    if search.weight_decay_low is not None and search.weight_decay_high is not None:
        decay = _at(search.weight_decay_low, search.weight_decay_high, weight_decay)
    return Hyper(_at(search.lr_low, search.lr_high, lr), decay)


def _at(low: float, high: float, share: float) -> float:
    if share in (0.0, 1.0):
        return high if share else low  # exactly, whatever the rounding
    return math.exp(math.log(low) + share * (math.log(high) - math.log(low)))


def _space(search: Search) -> "dict[str, BaseDistribution]":
    from optuna.distributions import FloatDistribution

    space: dict[str, BaseDistribution] = {"lr": FloatDistribution(search.lr_low, search.lr_high, log=True)}
    if search.weight_decay_low is not None and search.weight_decay_high is not None:
        space["weight_decay"] = FloatDistribution(search.weight_decay_low, search.weight_decay_high, log=True)
    return space


def _as_trial(tried: Tried, space: "dict[str, BaseDistribution]") -> "FrozenTrial":
    from optuna.trial import TrialState, create_trial

    params = _params(tried.hyper, space)
    if tried.score is None:
        return create_trial(params=params, distributions=space, state=TrialState.FAIL)
    if tried.pruned_at is not None:
        seen = {tried.pruned_at: tried.score}
        return create_trial(params=params, distributions=space, intermediate_values=seen, state=TrialState.PRUNED)
    return create_trial(params=params, distributions=space, value=tried.score)


def _under_way(hyper: Hyper, space: "dict[str, BaseDistribution]") -> "FrozenTrial":
    from optuna.trial import TrialState, create_trial

    return create_trial(params=_params(hyper, space), distributions=space, state=TrialState.RUNNING)


def _params(hyper: Hyper, space: "dict[str, BaseDistribution]") -> dict[str, float]:
    params = {"lr": hyper.lr, "weight_decay": hyper.weight_decay}
    return {name: params[name] for name in space}
