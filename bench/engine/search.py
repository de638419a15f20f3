"""The search for hyperparameters: Optuna, asked and told. The truth is in the records; a study is rebuilt from them.

Which point comes next depends on the records so far and on nothing else, so a resumed search equals an unbroken one.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.engine.optimize import Hyper
from bench.keys import seed_for
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
    score: float | None  # validation accuracy
    loss: float | None  # validation loss


def ask(spec: FitSpec, history: Sequence[Tried]) -> Hyper:
    """The next point, given all finished trials in order."""
    fixed = _fixed_point(spec, len(history))
    return fixed if fixed is not None else _sampled(spec, history)


def choose(history: Sequence[Tried]) -> Tried | None:
    """Highest validation accuracy; ties by the lower validation loss, then by the smaller rate."""
    scored = [t for t in history if t.score is not None]
    if not scored:
        return None
    return min(scored, key=lambda t: (-(t.score or 0.0), t.loss if t.loss is not None else math.inf, t.hyper.lr))


def edge_of(chosen: Tried, search: Search) -> str:
    """`low` or `high` where the chosen rate lies within a twentieth of the range's decades from that end, else ""."""
    low, high = math.log(search.lr_low), math.log(search.lr_high)
    share = (math.log(chosen.hyper.lr) - low) / (high - low)
    return "low" if share <= EDGE else "high" if share >= 1 - EDGE else ""


def _grid_size(search: Search) -> int:
    match search.sampler:
        case "grid":
            return search.trials
        case "tpe":
            return math.ceil(search.trials / 2)
        case "qmc" | "random":
            return 0


def _fixed_point(spec: FitSpec, number: int) -> Hyper | None:
    """Points that no earlier result can move: the grid and the quasi-random sequence."""
    search = spec.search
    size = _grid_size(search)
    if number < size:
        lr = 0.5 if size == 1 else number / (size - 1)
        return _scaled(search, lr, (0.5 + number * GOLDEN) % 1)
    if search.sampler == "qmc":
        from scipy.stats import qmc

        points = qmc.Halton(d=2, rng=seed_for("qmc", spec.seed, spec.repeat) % 2**32).random(number + 1)
        return _scaled(search, float(points[number, 0]), float(points[number, 1]))
    return None


def _sampled(spec: FitSpec, history: Sequence[Tried]) -> Hyper:
    """A point of Optuna's, given all finished trials."""
    import optuna

    search = spec.search
    # Reseeded per number: a sampler's own state would not survive a restart.
    sampler_seed = seed_for("sampler", spec.seed, spec.repeat, len(history)) % 2**32
    sampler: optuna.samplers.BaseSampler
    if search.sampler == "random":
        sampler = optuna.samplers.RandomSampler(seed=sampler_seed)
    else:
        sampler = optuna.samplers.TPESampler(seed=sampler_seed, n_startup_trials=_grid_size(search))
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        study = optuna.create_study(direction="maximize", sampler=sampler)
        space = _space(search)
        for tried in history:
            study.add_trial(_as_trial(tried, space))
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

    params = {"lr": tried.hyper.lr, "weight_decay": tried.hyper.weight_decay}
    return create_trial(
        params={name: params[name] for name in space},
        distributions=space,
        value=tried.score,
        state=TrialState.COMPLETE if tried.score is not None else TrialState.FAIL,
    )
